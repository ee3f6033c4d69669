"""1 = 2 = 3 = 4 ranks, and errors that end on all ranks."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from eitdip.ranks.collectives import alone, from_root, gather_columns, raise_together, share_of, together
from eitdip.ranks.threads import cores_per_rank
from tests.parallel.cases import MODELS, evaluate, variants

HERE = Path(__file__).parent


class Ranks:
    """What `share_of` asks of a communicator."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size


@pytest.fixture(scope="module")
def serial() -> dict[str, dict[str, np.ndarray]]:
    return {name: evaluate(make(alone())) for name, make in MODELS.items()}


def assert_serial(results, ways: dict, serial: dict) -> None:
    for way, (name, _) in ways.items():
        for key, expected in serial[name].items():
            difference = np.abs(results[f"{way}.{key}"] - expected).max()
            assert difference <= 1e-10 * np.abs(expected).max(), f"{way}: {key}"


@pytest.fixture(scope="module")
def on_ranks(mpiexec, tmp_path_factory):
    """What the models give on a number of ranks, and what these say of errors: one start for both."""

    @cache
    def run(ranks: int) -> tuple[dict[str, np.ndarray], list[str]]:
        out = tmp_path_factory.mktemp("models") / "results.npz"
        lines = mpiexec(ranks, HERE / "run_models.py", str(out), "errors", timeout=360).splitlines()
        return dict(np.load(out)), lines

    return run


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_ranks_gives_the_serial_result(ranks, serial, on_ranks):
    """By patterns and by domain; plane and solid; with every solver."""
    results, _ = on_ranks(ranks)
    assert int(results["ranks"]) == ranks  # and not that many programs of one rank each
    assert_serial(results, variants(ranks), serial)


@pytest.mark.parametrize("shapes", [pytest.param([1, 4], marks=pytest.mark.slow), [2]])
def test_four_ranks_give_the_serial_result(shapes, serial, mpiexec, tmp_path):
    """By groups of both; the slow way by patterns and by domain, as fewer ranks do."""
    mpiexec(4, HERE / "run_models.py", str(tmp_path / "results.npz"), ",".join(map(str, shapes)), timeout=300)
    results = np.load(tmp_path / "results.npz")
    assert int(results["ranks"]) == 4
    assert_serial(results, variants(4, shapes), serial)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_an_error_on_one_rank_ends_the_call_on_all(ranks, on_ranks):
    _, lines = on_ranks(ranks)
    seen = {case["case"]: case["seen"] for case in map(json.loads, lines)}
    own, *others = reversed(seen.pop("anchored"))
    assert own == ["Anchored", "a handle"]
    assert others == [["EitdipError", "Anchored: a handle"]] * (ranks - 1)
    for name, errors in seen.items():
        expected = 0 if name == "lowest" and ranks == 1 else ranks
        assert len([error for error in errors if error]) == expected, f"{name}: {errors}"
        assert len({tuple(error) for error in errors if error}) <= 1, f"{name}: {errors}"
    assert seen["first"][0] == ["Fault", "rank 0 failed"]
    assert seen["last"][0] == ["Fault", f"rank {ranks - 1} failed"]
    assert ranks == 1 or seen["lowest"][0] == ["Fault", "rank 1 failed"]
    assert seen["raised"][0] == ["InvalidDataError", "bad file"]
    for name in ("nan-electrodes", "nan-dirichlet", "zero-neumann"):
        assert seen[name][0][0] == "NotPositiveError"
        assert "entry 3 is" in seen[name][0][1]
    assert seen["factorization"][0][0] == "LinearSolverError"
    assert seen["solve"][0] == ["Fault", "no solution"]
    assert seen["mesh-ranks"][0][1].startswith(f"mesh_ranks: got {ranks + 1} for {ranks} ranks, expected one of: 1")
    for kind in ("shared-cholesky", "shared-multigrid", "indefinite-cholesky", "indefinite-last-factor"):
        assert seen[kind][0][0] == "LinearSolverError"


@pytest.mark.parametrize("count", [0, 1, 2, 7, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_cover_everything_once(count, size):
    shares = [share_of(count, Ranks(rank, size)) for rank in range(size)]
    items = [item for share in shares for item in range(count)[share]]
    assert items == list(range(count))
    widths = [share.stop - share.start for share in shares]
    assert max(widths) - min(widths) <= 1


def test_one_rank_needs_no_communication(rng):
    part = rng.standard_normal((3, 4))
    assert gather_columns(part, 4, alone()) is part
    assert from_root("value", alone()) == "value"
    assert raise_together(None, alone()) is None
    with pytest.raises(KeyError, match="here"), together(alone()):
        raise KeyError("here")
    assert cores_per_rank() >= 1
