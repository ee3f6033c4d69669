"""How near value + gradient comes to what cannot be avoided: a numeric factor and one block solve.

The limit is bare PETSc and MUMPS: values are in place, the pattern is analyzed, the right-hand sides are sparse,
and nothing is done with the solution.
"""

import time
from collections.abc import Iterator

import numpy as np
from petsc4py import PETSc
from scipy import sparse

from benchmarks.speed.measure import Figure, interleave, milliseconds, timed
from benchmarks.speed.problems import IMPEDANCE, Plane, Settings, plane, value_and_gradient
from benchmarks.speed.report import Check

PART = "limit"
ASKED = {2_000: 2.0, 10_000: 1.3, 50_000: 1.3, 200_000: 1.3}


class Bare:
    """The matrix of the electrode model without electrode unknowns, its factor and its potentials.

    Its assembly from edge conductances is not timed; contact terms are written out here, not eitdip's.
    """

    def __init__(self, problem: Plane):
        self.space = space = problem.electrodes.discretization
        contact, coupling = _contacts(problem)
        self.coupling = coupling
        i, j = space.edges.T
        edge, node = np.arange(len(i)), np.arange(space.size)
        fixed = contact.tocoo()
        size = np.int64(space.size)
        rows, columns = np.concatenate([i, j, i, j]), np.concatenate([j, i, i, j])
        keys = np.unique(np.concatenate([rows * size + columns, node * size + node, fixed.row * size + fixed.col]))
        place = np.searchsorted(keys, rows * size + columns)
        signs = np.repeat([-1.0, 1.0], 2 * len(i))
        self._scatter = sparse.csr_array((signs, (place, np.tile(edge, 4))), shape=(len(keys), len(i)))
        self._constant = np.zeros(len(keys))
        np.add.at(self._constant, np.searchsorted(keys, fixed.row * size + fixed.col), fixed.data)
        indptr = np.searchsorted(keys // size, np.arange(size + 1)).astype(PETSc.IntType)
        self._structure = indptr, (keys % size).astype(PETSc.IntType)
        self._values = np.ones(len(keys))
        csr = (*self._structure, self._values)
        self._matrix = PETSc.Mat().createAIJWithArrays(space.size, csr, comm=PETSc.COMM_SELF)
        self._matrix.setOption(PETSc.Mat.Option.SPD, True)
        self._ksp = _solver(self._matrix)
        self._right = _sparse_right(coupling)

    def __call__(self, sigma, weight=None):
        """Potentials (n, L) with one electrode at 1 V each, and the seconds of factor and solve."""
        self._values[:] = self._scatter @ (self.space.weights @ sigma) + self._constant
        start = time.process_time()
        self._matrix.stateIncrease()
        self._ksp.setOperators(self._matrix)
        self._ksp.setUp()
        potentials = np.zeros(self.coupling.shape, order="F")
        x = PETSc.Mat().createDense(potentials.shape, array=potentials, comm=PETSc.COMM_SELF)
        self._ksp.getPC().getFactorMatrix().matSolve(self._right, x)
        seconds = time.process_time() - start
        x.destroy()
        return potentials, seconds

    def states(self, potentials: np.ndarray, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Potentials (n, K) and electrode voltages (K, L) of current patterns (K, L)."""
        admittance = np.diag(self.coupling.sum(axis=0)) - self.coupling.T @ potentials
        voltages = np.linalg.pinv(admittance, rcond=1e-9) @ patterns.T
        return potentials @ voltages, voltages.T


def run(settings: Settings) -> Iterator[Check]:
    """One row per size."""
    for size in settings.sizes:
        problem = plane(size)
        model, bare = problem.electrodes, Bare(plane(size))

        def agree(results, model=model, bare=bare):
            value, _ = results["eitdip"]
            _, voltages = bare.states(results["limit"], model.currents)
            np.testing.assert_allclose(voltages, value, rtol=0, atol=1e-8 * np.abs(value).max())

        codes = {"eitdip": timed(value_and_gradient(model)), "limit": bare}
        seconds = interleave(codes, problem.draws(model), settings.repetitions(size), agree)
        figure = Figure.ratio(seconds["eitdip"], seconds["limit"])
        details = {"ms": milliseconds(seconds)}
        name = "value + gradient / (numeric factor + one block solve)"
        yield Check(PART, name, problem.nodes, figure, at_most=ASKED.get(size), details=details)


def _contacts(problem: Plane) -> tuple[sparse.csr_array, np.ndarray]:
    """Contact mass (n, n) and coupling (n, L) of straight edges."""
    domain = problem.domain
    covered = domain.facet_tags > 0
    nodes, electrode = domain.facets[covered], domain.facet_tags[covered] - 1
    lengths = domain.facet_sizes[covered] / IMPEDANCE
    masses = lengths[:, None, None] * np.array([[2, 1], [1, 2]]) / 6
    rows, columns = np.repeat(nodes, 2, axis=1).ravel(), np.tile(nodes, (1, 2)).ravel()
    contact = sparse.csr_array((masses.ravel(), (rows, columns)), shape=(len(domain.points),) * 2)
    coupling = np.zeros((len(domain.points), domain.electrode_count))
    np.add.at(coupling, (nodes, electrode[:, None]), 0.5 * lengths[:, None])
    return contact, coupling


def _solver(matrix: PETSc.Mat) -> PETSc.KSP:
    ksp = PETSc.KSP().create(PETSc.COMM_SELF)
    ksp.setType(PETSc.KSP.Type.PREONLY)
    ksp.setOperators(matrix)
    pc = ksp.getPC()
    pc.setType(PETSc.PC.Type.CHOLESKY)
    pc.setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
    pc.setFactorSetUpSolverType()
    pc.getFactorMatrix().setMumpsIcntl(7, 5)  # METIS
    return ksp


def _sparse_right(coupling: np.ndarray) -> PETSc.Mat:
    """MUMPS takes sparse right-hand sides as the transpose of a matrix with one row each."""
    rows = sparse.csr_array(coupling.T)
    csr = (rows.indptr.astype(PETSc.IntType), rows.indices.astype(PETSc.IntType), rows.data)
    return PETSc.Mat().createTranspose(PETSc.Mat().createAIJ(rows.shape, csr=csr, comm=PETSc.COMM_SELF))
