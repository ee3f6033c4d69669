"""Ranks share the rows of a network's Jacobian: the posterior is that of one rank."""

from pathlib import Path

import numpy as np
import pytest

from eitdip.data import save
from eitdip.ranks.collectives import alone
from tests.cases.measurements import cem
from tests.parallel.run_posteriors import find_all

HERE = Path(__file__).parent


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_find_what_one_finds(ranks, mpiexec, tmp_path):
    pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
    save(tmp_path / "tank.h5", cem())
    mpiexec(ranks, HERE / "run_posteriors.py", str(tmp_path / "tank.h5"), str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as file:
        several = dict(file)
    assert several.pop("ranks") == ranks
    for case, values in find_all(tmp_path / "tank.h5", alone()).items():
        seen = np.isfinite(values)
        assert seen.any() and values[seen].max() > 0
        difference = np.abs(several[case] - values)[seen].max()
        assert difference <= 1e-6 * values[seen].max(), f"{case}: {difference:.2e}"
