"""The sparse Cholesky solver and the wrong answers that it must not give."""

import numpy as np
import pytest
from scipy import sparse

from eitdip.errors import LinearSolverError
from eitdip.fem import Discretization
from eitdip.fem.linear_solver import CholeskySolver
from eitdip.fem.stiffness import StiffnessSystem
from eitdip.parallel import alone
from tests.shapes import rectangle

SIZE = 12


def chain(diagonal: float = 2.0) -> sparse.csr_array:
    """Tridiagonal: diagonal, and -1 beside it."""
    band = np.full(SIZE - 1, -1.0)
    matrix = sparse.diags_array([band, np.full(SIZE, diagonal), band], offsets=[-1, 0, 1])
    return sparse.csr_array(matrix)


def ungrounded() -> sparse.csr_array:
    """Positive semidefinite: a chain of resistors without a ground."""
    matrix = chain()
    matrix[0, 0] = matrix[SIZE - 1, SIZE - 1] = 1.0
    return matrix


def indefinite() -> sparse.csr_array:
    matrix = chain()
    matrix[5, 5] = -1.0
    return matrix


@pytest.fixture
def solver() -> CholeskySolver:
    return CholeskySolver(chain())


def test_solves_all_columns(solver, rng):
    solver.factorize(chain().data)
    exact = rng.standard_normal((SIZE, 5))
    np.testing.assert_allclose(solver.solve(chain() @ exact), exact, rtol=1e-12, atol=1e-13)
    assert (solver.factorizations, solver.solves) == (1, 5)


def test_right_hand_sides_are_not_changed(solver, rng):
    solver.factorize(chain().data)
    right = np.asfortranarray(rng.standard_normal((SIZE, 2)))
    copy = right.copy()
    solution = solver.solve(right)
    np.testing.assert_array_equal(right, copy)
    assert not np.shares_memory(solution, right)


def test_solutions_are_independent_arrays(solver):
    solver.factorize(chain().data)
    first = solver.solve(np.eye(SIZE))
    kept = first.copy()
    solver.factorize(chain(5.0).data)
    solver.solve(np.eye(SIZE))
    np.testing.assert_array_equal(first, kept)


def test_new_values_are_really_factored(solver, rng):
    """PETSc keeps the old factor when it does not notice that the values changed."""
    right = rng.standard_normal((SIZE, 1))
    for diagonal in (2.0, 3.0, 100.0, 2.0):
        matrix = chain(diagonal)
        solver.factorize(matrix.data)
        np.testing.assert_allclose(matrix @ solver.solve(right), right, rtol=0, atol=1e-12)
    assert solver.factorizations == 4


def test_two_solvers_do_not_share_a_factor(rng):
    one, other = CholeskySolver(chain()), CholeskySolver(chain())
    one.factorize(chain(3.0).data)
    other.factorize(chain(7.0).data)
    right = rng.standard_normal((SIZE, 1))
    np.testing.assert_allclose(chain(3.0) @ one.solve(right), right, atol=1e-13)
    np.testing.assert_allclose(chain(7.0) @ other.solve(right), right, atol=1e-13)


def test_no_columns(solver):
    solver.factorize(chain().data)
    assert solver.solve(np.zeros((SIZE, 0))).shape == (SIZE, 0)
    assert solver.solves == 0


def test_solve_before_factorize(solver):
    with pytest.raises(LinearSolverError, match="there is no factorization; call factorize first"):
        solver.solve(np.eye(SIZE))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(solver, value):
    values = chain().data.copy()
    values[4] = value
    with pytest.raises(LinearSolverError, match="not finite"):
        solver.factorize(values)
    assert solver.factorizations == 0


@pytest.mark.parametrize("bad", [ungrounded, indefinite, lambda: chain() * 0, lambda: -chain()])
def test_a_bad_matrix_is_refused_and_a_good_one_works_afterwards(solver, bad):
    with pytest.raises(LinearSolverError, match="not positive definite"):
        solver.factorize(bad().data)
    with pytest.raises(LinearSolverError, match="there is no factorization"):
        solver.solve(np.eye(SIZE))
    solver.factorize(chain().data)
    np.testing.assert_allclose(chain() @ solver.solve(np.eye(SIZE)), np.eye(SIZE), atol=1e-13)
    assert solver.factorizations == 1


def test_a_good_matrix_then_a_bad_one(solver):
    solver.factorize(chain().data)
    with pytest.raises(LinearSolverError, match="not positive definite"):
        solver.factorize(indefinite().data)
    with pytest.raises(LinearSolverError, match="there is no factorization"):
        solver.solve(np.eye(SIZE))  # not with the old factor


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_right_hand_side_that_is_not_finite(solver, value):
    solver.factorize(chain().data)
    right = np.ones((SIZE, 1))
    right[3] = value
    with pytest.raises(LinearSolverError, match="residual"), np.errstate(invalid="ignore"):
        solver.solve(right)


class TestStiffnessSystem:
    """Assembly of restricted systems."""

    def test_matches_the_full_matrix(self, rng):
        space = Discretization(rectangle(3, 3))
        free = np.array([0, 2, 3, 7, 8, 15])
        constant = sparse.csr_array(np.diag(rng.uniform(1, 2, space.size)))
        system = StiffnessSystem(space, free, constant, alone())
        sigma = rng.uniform(0.5, 2.0, space.sigma_space.size)
        system.factorize(sigma)
        flow = sparse.diags_array(space.weights @ sigma)
        full = (space.incidence.T @ flow @ space.incidence + constant).toarray()
        np.testing.assert_allclose(system.solver.matrix.toarray(), full[np.ix_(free, free)], atol=1e-14)
        right = rng.standard_normal((6, 2))
        np.testing.assert_allclose(full[np.ix_(free, free)] @ system.solve(right), right, atol=1e-12)

    def test_without_a_ground_it_is_refused(self):
        space = Discretization(rectangle(4, 4))
        system = StiffnessSystem(space, np.arange(space.size), None, alone())
        right = np.zeros((space.size, 1))
        right[0] = 1.0  # a current that cannot leave
        with pytest.raises(LinearSolverError):
            system.factorize(np.ones(space.sigma_space.size))
            system.solve(right)
