"""Data sets and seeds over ranks: the same numbers on any number of them, and no failure spreads."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eitdip.data import save
from eitdip.runs import output
from tests.cases.measurements import cem, dtn, same
from tests.cli.test_cli import launcher
from tests.conftest import ROOT
from tests.parallel.run_batches import run_all

pytestmark = pytest.mark.usefixtures("gmsh")

HERE = Path(__file__).parent
CODES = {"batch": 0, "seeds": 0, "failing": 3, "failing seeds": 3, "interrupted": 130, "resumed": 0}


@pytest.fixture(scope="module")
def runs(mpiexec, tmp_path_factory) -> dict[int, Path]:
    """Results on 1, 2 and 3 ranks, after a look at the exit codes of all ranks."""
    pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
    folder = tmp_path_factory.mktemp("batches")
    save(folder / "a.h5", cem())
    save(folder / "b.h5", dtn())
    save(folder / "c.h5", dataclasses.replace(cem(), values=1.02 * cem().values))
    save(folder / "bad.h5", dataclasses.replace(cem(), deviation=np.full(cem().values.shape, 1e-200)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "write_pictures", lambda *arguments: None)
        assert run_all(folder) == {case: [code] for case, code in CODES.items()}
    for ranks in (2, 3):
        lines = mpiexec(ranks, HERE / "run_batches.py", str(folder)).splitlines()
        assert json.loads(lines[-1]) == {case: [code] * ranks for case, code in CODES.items()}
    return {ranks: folder / f"on-{ranks}" for ranks in (1, 2, 3)}


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "estimate.npz") as file:
        return dict(file)


def summary(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("place", ["batch/a", "batch/b", "batch/c", "seeds", "failing/a", "failing/b"])
def test_the_numbers_do_not_depend_on_the_ranks(place, ranks, runs):
    expected, found = arrays(runs[1] / place), arrays(runs[ranks] / place)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        one, other = found[name].astype(float), array.astype(float)
        assert np.array_equal(np.isnan(one), np.isnan(other)), name  # pictures, outside the body
        assert same(np.nan_to_num(one), np.nan_to_num(other), 1e-8), name
    one, other = summary(runs[1] / place), summary(runs[ranks] / place)
    for name in ("options", "status", "iterations", "kept", "data", "mesh"):
        assert one[name] == other[name]
    assert other["misfit"] == pytest.approx(one["misfit"], rel=1e-8)


def test_seeds_differ_and_keep_their_order(runs):
    for folder in runs.values():
        found = arrays(folder / "seeds")
        each = [found[f"x_seed{i}"] for i in range(2)]
        assert not np.allclose(each[0], each[1], rtol=1e-3)
        assert np.allclose(found["x"], np.exp(np.mean(np.log(each), axis=0)), rtol=1e-12)


def test_ranks_are_divided_by_data_sets_then_by_seeds(runs):
    def parallel(ranks: int, place: str) -> tuple[int, int]:
        found = summary(runs[ranks] / place)
        assert len(found["memory"]) == found["parallel"]["ranks"]
        return found["parallel"]["ranks"], found["parallel"]["teams"]

    assert parallel(1, "seeds") == (1, 1) and parallel(2, "seeds") == (2, 2)
    assert parallel(3, "seeds") == (3, 2)  # two ranks share the finite elements of one seed
    assert parallel(2, "batch/a") == (1, 1) and parallel(3, "batch/c") == (1, 1)
    assert parallel(3, "failing/a") == (1, 1)


def test_a_failing_data_set_has_no_result(runs):
    for folder in runs.values():
        assert (folder / "failing" / "b" / "result.json").exists()
        assert not (folder / "failing" / "bad" / "result.json").exists()
        assert not (folder / "bad" / "result.json").exists()


def test_a_batch_interrupted_on_one_rank_resumes_to_the_same_bits(runs):
    for folder in runs.values():
        for name in ("a", "b", "c"):
            whole, resumed = arrays(folder / "batch" / name), arrays(folder / "half" / name)
            assert np.array_equal(whole["x"], resumed["x"])
            assert len(list((folder / "half" / name / "checkpoint").iterdir())) == 2


def test_an_unforeseen_error_in_one_team_ends_all(runs):
    """The other team has work for hours."""
    command = [launcher(), "-n", "2", sys.executable, "-W", "error", str(HERE / "run_batches.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [str(runs[1].parent), "bug"]
    done = subprocess.run([*command, *words], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "a bug on one rank" in done.stderr
