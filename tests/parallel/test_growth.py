"""Models that are dropped leave neither memory nor communicators behind."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def grown(mpiexec, count: int, timeout: float) -> list[dict]:
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    return list(map(json.loads, mpiexec(2, HERE / "run_growth.py", str(count), timeout=timeout).splitlines()))


def test_models_on_two_ranks_leave_nothing_behind(mpiexec):
    """Kept models would show as 50 kB or more each, and as five communicators each where they share the mesh."""
    for way in grown(mpiexec, 60, 120):
        assert max(way["grown"]) < 30e3, way
        assert way["lost"] <= 2, way


@pytest.mark.slow
def test_two_thousand_models_on_two_ranks(mpiexec):
    for way in grown(mpiexec, 2000, 3600):
        assert max(way["grown"]) < 5e3, way
        assert way["lost"] <= 2, way


def test_grids_of_ranks_do_not_use_up_communicators(mpiexec):
    """MPI has about two thousand; each grid is made once, and freed with the communicator that it divides."""
    assert mpiexec(4, HERE / "run_layouts.py") == "done\n"
