"""Normal equations: solved, or refused."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from eitdip.classical import normal
from eitdip.classical.lagged import curvature
from eitdip.classical.normal import NormalEquations, compressed
from eitdip.errors import LinearSolverError
from eitdip.objective.differences import MeshJumps
from eitdip.objective.penalty import Tikhonov


def jumps(size: int = 12) -> MeshJumps:
    rows = sparse.diags_array([-np.ones(size - 1), np.ones(size - 1)], offsets=[0, 1], shape=(size - 1, size))
    return MeshJumps(rows, np.linspace(0.1, 1, size - 1))


@pytest.mark.parametrize("shape", [(5, 30), (40, 30)], ids=["few data", "many data"])
@pytest.mark.parametrize("damping", [0.0, 1e-3])
def test_normal_equations(rng, shape, damping):
    rows = rng.standard_normal(shape)
    form = 1e-2 * curvature(Tikhonov(jumps(30)), torch.zeros(30, dtype=torch.float64))  # singular on constants
    matrix, right = rows.T @ rows + form.toarray() + damping * np.eye(30), rng.standard_normal(30)
    expected = np.linalg.solve(matrix, right)
    for given, tolerance in ((rows, 1e-9), (aslinearoperator(rows), 1e-2)):
        found = NormalEquations(given, form).solve(right, np.full(30, damping))
        assert np.linalg.norm(matrix @ found - right) < tolerance * np.linalg.norm(right)
    assert NormalEquations(rows, form).quadratic(expected) == pytest.approx(
        expected @ (matrix - damping * np.eye(30)) @ expected
    )


def test_no_right_hand_side_no_solution(rng):
    """Also with a damping that no system could be solved with."""
    equations = NormalEquations(rng.standard_normal((3, 5)), sparse.csr_array((5, 5)))
    assert (equations.solve(np.zeros(5), np.full(5, np.inf)) == 0).all()


@pytest.mark.parametrize("damping", [np.nan, np.inf, -10.0])
def test_systems_that_cannot_be_solved(rng, damping):
    for rows in (rng.standard_normal((3, 5)), rng.standard_normal((7, 5))):
        with pytest.raises(LinearSolverError, match="normal equations: "):
            NormalEquations(rows, sparse.csr_array((5, 5))).solve(np.ones(5), np.full(5, damping))


def test_conjugate_gradients_must_converge(rng, monkeypatch):
    monkeypatch.setattr(normal, "_LIMIT", 1)
    equations = NormalEquations(aslinearoperator(rng.standard_normal((20, 12))), sparse.csr_array((12, 12)))
    with pytest.raises(LinearSolverError, match="did not converge in 1 iterations"):
        equations.solve(np.ones(12), np.zeros(12))


@pytest.mark.parametrize(("count", "rank", "left"), [(60, 7, 7), (60, 19, 19), (60, 20, 60), (5, 1, 5), (2, 2, 2)])
@pytest.mark.parametrize("unit", [1e-14, 1.0, 1e9])
def test_dependent_rows_are_compressed_without_loss(rng, unit, count, rank, left):
    rows = unit * rng.standard_normal((count, rank)) @ rng.standard_normal((rank, 40))
    residual = rng.standard_normal(count)
    few, rest = compressed(rows, residual)
    assert few.shape == (left, 40) and rest.shape == (left,)
    for found, expected in ((few.T @ few, rows.T @ rows), (few.T @ rest, rows.T @ residual)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
