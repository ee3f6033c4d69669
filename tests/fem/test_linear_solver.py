"""The linear solvers and the wrong answers that they must not give."""

import numpy as np
import pytest
from scipy import sparse

from eitdip.errors import LinearSolverError, OptionError
from eitdip.fem import Discretization
from eitdip.fem.direct import Cholesky, PETSc
from eitdip.fem.iterative import LastFactor
from eitdip.fem.linear_solver import SOLVERS, make_solver, recommended
from eitdip.fem.stiffness import StiffnessSystem
from eitdip.fem.system_matrix import SystemMatrix
from eitdip.ranks.collectives import Layout, alone
from tests.cases.meshes import rectangle

SIZE = 12
EVERY_ROW = np.arange(SIZE)
LAYOUT = Layout.of(alone())


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


def unsymmetric() -> sparse.csr_array:
    """MUMPS reads one triangle and reports success."""
    matrix = chain(4.0)
    matrix[5, 4], matrix[9, 8] = -3.0, 2.0
    return matrix


def make(name: str):
    return make_solver(name, SystemMatrix.of_pattern(chain(), alone()), 2)


@pytest.fixture(params=list(SOLVERS))
def solver(request):
    return make(request.param)


@pytest.fixture(params=["cholesky", "cholesky-blr"])
def direct(request):
    return make(request.param)


def test_solves_all_columns(solver, rng):
    solver.update(chain().data)
    exact = rng.standard_normal((SIZE, 5))
    np.testing.assert_allclose(solver.solve(EVERY_ROW, chain() @ exact), exact, rtol=1e-9, atol=1e-9)
    assert solver.report()["right-hand sides"] == 5


def test_loads_on_a_few_rows_in_any_order(solver, rng):
    solver.update(chain().data)
    support, values = np.array([7, 2, 11]), rng.standard_normal((3, 2))
    right = np.zeros((SIZE, 2))
    right[support] = values
    np.testing.assert_allclose(chain() @ solver.solve(support, values), right, atol=1e-9)


def test_loads_are_not_changed(solver, rng):
    solver.update(chain().data)
    right = np.asfortranarray(rng.standard_normal((SIZE, 2)))
    copy = right.copy()
    solution = solver.solve(EVERY_ROW, right)
    np.testing.assert_array_equal(right, copy)
    assert not np.shares_memory(solution, right)


def test_solutions_are_independent_arrays(solver):
    solver.update(chain().data)
    first = solver.solve(EVERY_ROW, np.eye(SIZE))
    kept = first.copy()
    solver.update(chain(5.0).data)
    solver.solve(EVERY_ROW, np.eye(SIZE))
    np.testing.assert_array_equal(first, kept)


def test_new_values_are_really_used(solver, rng):
    """PETSc keeps the old factor when it does not notice that the values changed."""
    right = rng.standard_normal((SIZE, 1))
    for diagonal in (2.0, 3.0, 100.0, 2.0):
        matrix = chain(diagonal)
        solver.update(matrix.data)
        np.testing.assert_allclose(matrix @ solver.solve(EVERY_ROW, right), right, rtol=0, atol=1e-9)


def test_two_solvers_do_not_share_a_factor(rng):
    one, other = make("cholesky"), make("cholesky")
    one.update(chain(3.0).data)
    other.update(chain(7.0).data)
    right = rng.standard_normal((SIZE, 1))
    np.testing.assert_allclose(chain(3.0) @ one.solve(EVERY_ROW, right), right, atol=1e-13)
    np.testing.assert_allclose(chain(7.0) @ other.solve(EVERY_ROW, right), right, atol=1e-13)


def test_no_columns(solver):
    solver.update(chain().data)
    assert solver.solve(EVERY_ROW, np.zeros((SIZE, 0))).shape == (SIZE, 0)
    assert solver.report()["right-hand sides"] == 0


def test_solve_before_update(solver):
    with pytest.raises(LinearSolverError, match="there is no"):
        solver.solve(EVERY_ROW, np.eye(SIZE))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(solver, value):
    values = chain().data.copy()
    values[4] = value
    with pytest.raises(LinearSolverError, match="not finite"):
        solver.update(values)
    assert solver.report()["factorizations"] == 0


@pytest.mark.parametrize("bad", [ungrounded, indefinite, lambda: chain() * 0, lambda: -chain()])
def test_a_bad_matrix_is_refused_and_a_good_one_works_afterwards(direct, bad):
    with pytest.raises(LinearSolverError, match="not positive definite"):
        direct.update(bad().data)
    with pytest.raises(LinearSolverError, match="there is no factorization"):
        direct.solve(EVERY_ROW, np.eye(SIZE))
    direct.update(chain().data)
    np.testing.assert_allclose(chain() @ direct.solve(EVERY_ROW, np.eye(SIZE)), np.eye(SIZE), atol=1e-13)
    assert direct.factorizations == 1


def test_a_good_matrix_then_a_bad_one(direct):
    direct.update(chain().data)
    with pytest.raises(LinearSolverError, match="not positive definite"):
        direct.update(indefinite().data)
    with pytest.raises(LinearSolverError, match="there is no factorization"):
        direct.solve(EVERY_ROW, np.eye(SIZE))  # not with the old factor


@pytest.mark.parametrize("name", list(SOLVERS))
def test_an_unsymmetric_matrix_never_gives_an_answer(name):
    solver = make(name)
    with pytest.raises(LinearSolverError):
        solver.update(unsymmetric().data)
        solver.solve(EVERY_ROW, np.eye(SIZE))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_load_that_is_not_finite(solver, value):
    solver.update(chain().data)
    right = np.ones((SIZE, 1))
    right[3] = value
    with pytest.raises(LinearSolverError), np.errstate(invalid="ignore"):
        solver.solve(EVERY_ROW, right)


def test_an_error_in_one_column_shows(direct, rng, monkeypatch):
    direct.update(chain().data)
    right = rng.standard_normal((SIZE, 40))
    honest = direct._mat_solve

    def one_wrong(b, columns):
        solution = honest(b, columns)
        solution[4, 17] *= 1 + 1e-4
        return solution

    monkeypatch.setattr(direct, "_mat_solve", one_wrong)
    with pytest.raises(LinearSolverError, match="relative residual"):
        direct.solve(EVERY_ROW, right)


def test_the_pattern_is_analyzed_once(rng):
    """Counted by PETSc, not by us."""
    PETSc.Log.begin()
    symbolic, numeric = PETSc.Log.Event("MatCholFctrSym"), PETSc.Log.Event("MatCholFctrNum")
    solver = make("cholesky")
    before = symbolic.getPerfInfo()["count"], numeric.getPerfInfo()["count"]
    for diagonal in (2.0, 3.0, 4.0, 5.0):
        solver.update(chain(diagonal).data)
        solver.solve(EVERY_ROW, rng.standard_normal((SIZE, 3)))
    after = symbolic.getPerfInfo()["count"], numeric.getPerfInfo()["count"]
    assert (after[0] - before[0], after[1] - before[1]) == (1, 4)
    assert solver.report()["symbolic analyses"] == 1 and solver.report()["factorizations"] == 4


class TestLastFactor:
    """A factor serves its neighbours, and only those."""

    def test_small_changes_need_no_factor(self, rng):
        solver = make("last-factor")
        right = rng.standard_normal((SIZE, 3))
        for diagonal in (3.0, 3.1, 3.2):
            solver.update(chain(diagonal).data)
            np.testing.assert_allclose(chain(diagonal) @ solver.solve(EVERY_ROW, right), right, atol=1e-9)
        assert solver.report()["factorizations"] == 1
        assert 4 <= solver.report()["CG iterations"] <= 3 * solver.patience

    def test_a_tired_factor_is_renewed_at_the_next_matrix(self, rng):
        solver = LastFactor(SystemMatrix.of_pattern(chain(), alone()), patience=2)
        right = rng.standard_normal((SIZE, 1))
        solver.update(chain(3.0).data)
        solver.solve(EVERY_ROW, right)
        solver.update(chain(3.0001).data)
        solver.solve(EVERY_ROW, right)
        assert solver.tired and solver.factor.factorizations == 1
        solver.update(chain(3.0002).data)
        assert not solver.tired and solver.factor.factorizations == 2

    def test_a_useless_factor_is_renewed_at_once(self, rng):
        solver = LastFactor(SystemMatrix.of_pattern(chain(), alone()), patience=1)
        solver.update(chain(1000.0).data)
        solver.update(chain(2.0).data)
        right = rng.standard_normal((SIZE, 2))
        np.testing.assert_allclose(chain(2.0) @ solver.solve(EVERY_ROW, right), right, atol=1e-9)
        assert solver.factor.factorizations == 2

    def test_a_bad_matrix_is_not_hidden_by_the_old_factor(self):
        solver = make("last-factor")
        solver.update(chain().data)
        solver.update(indefinite().data)
        with pytest.raises(LinearSolverError):
            solver.solve(EVERY_ROW, np.eye(SIZE))


def test_multigrid_says_when_it_does_not_converge():
    solver = SOLVERS["multigrid"](SystemMatrix.of_pattern(chain(), alone()))
    solver.limit = 0
    solver.update(chain().data)
    with pytest.raises(LinearSolverError, match=r"no convergence to .* in 0 iterations; choose another"):
        solver.solve(EVERY_ROW, np.eye(SIZE))


def test_the_rule():
    assert [recommended(2, n) for n in (100, 10**7)] == ["cholesky", "cholesky"]
    assert [recommended(3, n) for n in (9_999, 10_000, 10**6)] == ["cholesky", "last-factor", "multigrid"]
    assert isinstance(make("auto"), Cholesky)
    with pytest.raises(OptionError, match="solver: got 'lu', expected one of: auto, cholesky, cholesky-blr"):
        make("lu")


class TestStiffnessSystem:
    """Assembly of restricted systems."""

    def test_matches_the_full_matrix(self, rng):
        space = Discretization(rectangle(3, 3))
        free = np.array([0, 2, 3, 7, 8, 15])
        constant = sparse.csr_array(np.diag(rng.uniform(1, 2, space.size)))
        system = StiffnessSystem(space, free, constant, LAYOUT)
        sigma = rng.uniform(0.5, 2.0, space.sigma_space.size)
        system.update(sigma)
        flow = sparse.diags_array(space.weights @ sigma)
        full = (space.incidence.T @ flow @ space.incidence + constant).toarray()[np.ix_(free, free)]
        np.testing.assert_allclose(system.matrix @ np.eye(len(free)), full, atol=1e-14)
        right = rng.standard_normal((6, 2))
        solution = system.solve(free, right)
        np.testing.assert_allclose(full @ solution[free], right, atol=1e-12)
        assert not np.delete(solution, free, axis=0).any()

    def test_without_a_ground_it_is_refused(self):
        space = Discretization(rectangle(4, 4))
        system = StiffnessSystem(space, np.arange(space.size), None, LAYOUT)
        with pytest.raises(LinearSolverError):
            system.update(np.ones(space.sigma_space.size))
            system.solve(np.array([0]), np.ones((1, 1)))  # a current that cannot leave

    def test_entries_beyond_32_bits(self, rng):
        """Beyond 46,340 rows, row * rows + column does not fit 32 bits; it gave a wrong matrix silently."""
        domain = rectangle(220, 220)
        assert len(domain.points) > 46_340
        space = Discretization(domain)
        ground = sparse.csr_array(([1.0], ([0], [0])), shape=(space.size, space.size))
        system = StiffnessSystem(space, np.arange(space.size), ground, LAYOUT)
        sigma = rng.uniform(0.5, 2.0, space.sigma_space.size)
        system.update(sigma)
        field = rng.standard_normal((space.size, 1))
        flow = (space.weights @ sigma)[:, None] * (space.incidence @ field)
        expected = space.incidence.T @ flow + ground @ field
        np.testing.assert_allclose(system.matrix @ field, expected, atol=1e-11)
        last = np.array([space.size - 1])
        solution = system.solve(last, np.ones((1, 1)))
        np.testing.assert_allclose(solution[0], 1.0, rtol=1e-8)  # all the current leaves through the ground

    def test_a_restored_factor_goes_on_with_the_same_bits(self, rng):
        space = Discretization(rectangle(6, 6))
        free, load = np.arange(1, space.size), rng.standard_normal((1, 2))
        steps = [1 + 0.05 * rng.random(space.sigma_space.size) for _ in range(4)]
        one, other = (StiffnessSystem(space, free, None, LAYOUT, "last-factor") for _ in range(2))
        for sigma in steps[:3]:
            one.update(sigma)
            one.solve(free[-1:], load)
        other.restore(one.state())
        for system in (one, other):
            system.update(steps[3])
        np.testing.assert_array_equal(one.solve(free[-1:], load), other.solve(free[-1:], load))
        assert one.solver.factor.factorizations == 1
        plain = StiffnessSystem(space, free, None, LAYOUT)
        plain.update(steps[0])
        assert plain.state() == {}
