"""Conjugate gradients for many right-hand sides, preconditioned by an earlier factor or by multigrid."""

from itertools import count

import numpy as np
from petsc4py import PETSc

from eitdip.errors import LinearSolverError
from eitdip.fem.direct import Cholesky, check_residual, dense_columns
from eitdip.fem.system_matrix import SystemMatrix

_NUMBERS = count()


def conjugate_gradients(matrix: SystemMatrix, right, precondition, tolerance: float, limit: int, first=None):
    """Conjugate gradients of all columns side by side, each with its own step lengths.

    Args:
        matrix: A.
        right: This rank's rows of the right-hand sides, shape (local, K).
        precondition: Function of residuals (local, K).
        tolerance: Relative residual at which a column has converged.
        limit: Largest number of iterations.
        first: What `precondition` gives for the right-hand sides, if known.

    Returns:
        Iterates (local, K), number of iterations, and whether all columns have converged.
    """
    dot = _column_products(matrix.comm)
    x, residual, direction = np.zeros(right.shape, order="F"), right, 0.0
    goal, rho = tolerance**2 * dot(right, right), np.ones(right.shape[1])
    for iteration in range(limit + 1):
        size = dot(residual, residual)
        active = size > goal
        if not np.isfinite(size).all():
            break
        if not active.any() or iteration == limit:
            return x, iteration, not active.any()
        z = first if iteration == 0 and first is not None else precondition(residual)
        previous, rho = rho, dot(residual, z)
        direction = z + np.where(active, rho / previous, 0) * direction
        image = matrix @ direction
        curvature = dot(direction, image)
        good = active & (curvature > 0)
        step = np.where(good, rho, 0) / np.where(good, curvature, 1)
        x += step * direction
        residual = residual - step * image
        rho = np.where(rho > 0, rho, 1)
    return x, iteration, False


def _column_products(comm):
    def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        own = np.einsum("ik,ik->k", a, b)
        return own if comm.size == 1 else np.sum(comm.allgather(own), axis=0)

    return products


class LastFactor:
    """Conjugate gradients preconditioned by the factor of an earlier matrix.

    In an optimization loop on a solid the conductivity changes little from step to step, and a few
    iterations cost less than a new factor. A new one is made when the last solve took more than
    `patience` iterations, or at once when the iteration does not converge.

    Args:
        matrix: The matrix.
        compression: Of the factor, see `Cholesky`; the iteration makes up for it.
        patience: Iterations that still pay; 8 of them cost about a factorization.

    Attributes:
        iterations: Of all solves so far.
        fresh: Whether the factor is that of the present matrix.
        tired: Whether the next matrix is factored.
    """

    name = "last-factor"
    tolerance = 1e-10  # each iteration gains a factor of 30 or more, so most end well below

    def __init__(self, matrix: SystemMatrix, compression: float = 0.0, patience: int = 8):
        self.matrix, self.patience = matrix, patience
        self.factor = Cholesky(matrix, compression)
        self.iterations = self.solves = 0
        self.tired, self.fresh = True, False
        self._known: tuple = ()  # loads and what the factor makes of them

    @property
    def factorizations(self) -> int:
        """Numeric factorizations so far."""
        return self.factor.factorizations

    def update(self, values: np.ndarray) -> None:
        """Take new values; factor them if the last factor is too far away."""
        self.matrix.set(values)
        self.fresh = False
        if self.tired:
            self._renew()

    def _renew(self) -> None:
        self.tired = True  # stays so if this fails
        self._known = ()
        self.factor.factorize()
        self.tired, self.fresh = False, True

    def solve(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """As `Cholesky.solve`."""
        if values.shape[1] == 0:
            return np.zeros((self.matrix.local, 0))
        right = dense_columns(support, values, self.matrix)
        limit = 2 * self.patience

        def iterate():
            first = self._first_step(support, values)
            return conjugate_gradients(self.matrix, right, self.factor.apply, self.tolerance, limit, first)

        x, iterations, converged = iterate()
        if not converged and not self.fresh:
            self._renew()
            x, more, converged = iterate()
            iterations += more
        elif iterations > self.patience:
            self.tired = True
        if not converged:
            raise LinearSolverError(f"solve: no convergence to {self.tolerance:.0e} in {iterations} iterations")
        self.iterations += iterations
        self.solves += values.shape[1]
        check_residual(self.matrix, support, values, x, 1e-8)
        return x

    def _first_step(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The factor's solution; electrodes and boundary currents put the same loads on every matrix."""
        if not self._known or not all(map(np.array_equal, self._known[:2], (support, values))):
            self._known = (support.copy(), values.copy(), self.factor.apply_to_few_rows(support, values))
        return self._known[2]

    def report(self) -> dict:
        """What was done, for the result's file."""
        own = {"solver": f"{self.name} ({self.factor.backend()})", "CG iterations": self.iterations}
        return self.factor.report() | own | {"right-hand sides": self.solves}


class Multigrid:
    """Conjugate gradients preconditioned by PETSc's algebraic multigrid (GAMG): little memory, no factor.

    The hierarchy's interpolation is made once and reused for new values.

    Args:
        matrix: The matrix.
        limit: Iterations after which a solve has failed.
    """

    name = "multigrid"
    tolerance = 1e-11

    def __init__(self, matrix: SystemMatrix, limit: int = 100):
        self.matrix, self.limit = matrix, limit
        self.iterations = self.solves = self.factorizations = 0
        self._pc = PETSc.PC().create(matrix.comm)
        prefix = f"eitdip_gamg_{next(_NUMBERS)}_"  # options are the only way to this setting
        name, options = prefix + "pc_gamg_reuse_interpolation", PETSc.Options()
        options[name] = True
        self._pc.setOptionsPrefix(prefix)
        self._pc.setType(PETSc.PC.Type.GAMG)
        self._pc.setFromOptions()
        options.delValue(name)  # it is read; PETSc would keep it for ever
        self._ready = False

    def update(self, values: np.ndarray) -> None:
        """Take new values and set up the hierarchy for them."""
        self.matrix.set(values)
        self._ready = False
        self._pc.setOperators(self.matrix.petsc)
        try:
            self._pc.setUp()
        except PETSc.Error as error:
            raise LinearSolverError(f"multigrid set-up failed ({error}): is the matrix positive definite?") from error
        self._ready = True

    def _precondition(self, residual: np.ndarray) -> np.ndarray:
        corrected = np.zeros(residual.shape, order="F")
        size = (self.matrix.local, self.matrix.size)
        for r, z in zip(np.asfortranarray(residual).T, corrected.T, strict=True):
            b = PETSc.Vec().createWithArray(r, size=size, comm=self.matrix.comm)
            x = PETSc.Vec().createWithArray(z, size=size, comm=self.matrix.comm)
            self._pc.apply(b, x)
            b.destroy()
            x.destroy()
        return corrected

    def solve(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """As `Cholesky.solve`."""
        if not self._ready:
            raise LinearSolverError("solve: there is no matrix yet; call update first")
        if values.shape[1] == 0:
            return np.zeros((self.matrix.local, 0))
        right = dense_columns(support, values, self.matrix)
        x, iterations, converged = conjugate_gradients(
            self.matrix, right, self._precondition, self.tolerance, self.limit
        )
        if not converged:
            raise LinearSolverError(
                f"solve: no convergence to {self.tolerance:.0e} in {iterations} iterations; choose another solver"
            )
        self.iterations += iterations
        self.solves += values.shape[1]
        check_residual(self.matrix, support, values, x, 1e-8)
        return x

    def report(self) -> dict:
        """What was done, for the result's file."""
        return {
            "solver": "multigrid (petsc gamg)",
            "CG iterations": self.iterations,
            "factorizations": self.factorizations,
            "right-hand sides": self.solves,
        }
