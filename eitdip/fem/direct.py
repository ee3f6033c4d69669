"""Sparse Cholesky factorization, exact or with compressed low-rank blocks."""

import numpy as np
from petsc4py import PETSc

from eitdip.errors import LinearSolverError
from eitdip.fem.system_matrix import SystemMatrix

# Backward error above which a solve counts as failed; Cholesky of our matrices gives 1e-13.
_ERROR_LIMIT = 1e-8
# |A||x| over |b| above which x is noise: rounding let a zero pivot pass as a tiny one.
_SINGULAR = 1e13


class Cholesky:
    """The factor of a symmetric positive definite matrix; the pattern is analyzed once.

    MUMPS with METIS ordering, or PETSc's own Cholesky where PETSc has no MUMPS. MUMPS reads one
    triangle only and lets NaN and negative pivots pass silently, so both are checked here.

    Args:
        matrix: Matrix whose present values `factorize` uses.
        compression: Relative tolerance of the block low-rank form of large fronts, which saves time
            and memory on solids; 0 for an exact factor.

    Attributes:
        analyses: Symbolic analyses so far.
        factorizations: Numeric factorizations so far.
        solves: Right-hand sides solved so far.
    """

    name = "cholesky"

    def __init__(self, matrix: SystemMatrix, compression: float = 0.0):
        self.matrix, self.compression = matrix, compression
        self.analyses = self.factorizations = self.solves = 0
        self._ksp = None
        self._loads: tuple = ()  # right-hand sides as arrays and as PETSc's matrix

    @staticmethod
    def backend() -> str:
        """Name of the factorization code in use."""
        return "mumps" if PETSc.Sys.hasExternalPackage("mumps") else "petsc"

    def update(self, values: np.ndarray) -> None:
        """Factor the matrix with new values.

        Raises:
            LinearSolverError: If a value is not finite or the matrix is not positive definite.
        """
        self.matrix.set(values)
        self.factorize()

    def factorize(self) -> None:
        """Factor the matrix with its present values."""
        if self._ksp is None:
            self._ksp = self._configure()
            self.analyses += 1
        # Both calls are needed, or PETSc silently keeps the previous factor.
        self._ksp.setOperators(self.matrix.petsc)
        try:
            self._ksp.setUp()
            failed = self._failure()
        except PETSc.Error as error:
            failed = str(error)
        if failed:
            self._ksp.destroy()  # a failed factor would poison later ones
            self._ksp = None
            raise LinearSolverError(f"Cholesky factorization failed ({failed}): the matrix is not positive definite")
        self.factorizations += 1

    def _configure(self) -> PETSc.KSP:
        ksp = PETSc.KSP().create(self.matrix.comm)
        ksp.setType(PETSc.KSP.Type.PREONLY)
        ksp.setOperators(self.matrix.petsc)
        pc = ksp.getPC()
        pc.setType(PETSc.PC.Type.CHOLESKY)
        if self.backend() == "mumps":
            pc.setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
            pc.setFactorSetUpSolverType()
            factor = pc.getFactorMatrix()
            factor.setMumpsIcntl(7, 5)  # METIS: least fill on these meshes
            if self.compression:
                factor.setMumpsIcntl(35, 1)
                factor.setMumpsCntl(7, self.compression)
        return ksp

    def _failure(self) -> str:
        if self.backend() != "mumps":
            return "" if self._ksp.getPC().getFailedReason() == 0 else "zero pivot"
        factor = self._ksp.getPC().getFactorMatrix()
        status, negative = factor.getMumpsInfog(1), factor.getMumpsInfog(12)
        if status < 0:
            return f"MUMPS INFOG(1) = {status}"
        return f"{negative} negative pivots" if negative else ""

    def apply(self, right: np.ndarray) -> np.ndarray:
        """The last factor's solution for this rank's rows (local, K) of right-hand sides, unchecked.

        Raises:
            LinearSolverError: If there is no factor.
        """
        right = np.asfortranarray(right, dtype=float)
        b = self.matrix.dense(right)
        solution = self._mat_solve(b, right.shape[1])
        b.destroy()
        return solution

    def solve(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Solve for K right-hand sides that are zero but on some rows.

        Args:
            support: Distinct row numbers, shape (S,), the same on every rank.
            values: The right-hand sides there, shape (S, K).

        Returns:
            This rank's rows of the solutions, shape (local, K), columns contiguous.

        Raises:
            LinearSolverError: If there is no factor, or the residual is large.
        """
        if values.shape[1] == 0:
            return np.zeros((self.matrix.local, 0))
        solution = self.apply_to_few_rows(support, values)
        self.solves += values.shape[1]
        check_residual(self.matrix, support, values, solution, _ERROR_LIMIT)
        return solution

    def apply_to_few_rows(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """As `solve`, unchecked: MUMPS skips what is zero, a third to a half of the work."""
        if self.matrix.comm.size == 1 and self.backend() == "mumps":
            # Electrodes and boundary currents put the same loads on every matrix.
            if not self._loads or not all(map(np.array_equal, self._loads[:2], (support, values))):
                if self._loads:
                    self._loads[2].destroy()
                self._loads = (support.copy(), values.copy(), _sparse_columns(support, values, self.matrix))
            return self._mat_solve(self._loads[2], values.shape[1])
        return self.apply(dense_columns(support, values, self.matrix))

    def _mat_solve(self, right: PETSc.Mat, columns: int) -> np.ndarray:
        if self._ksp is None:
            raise LinearSolverError("solve: there is no factorization; call factorize first")
        solution = np.zeros((self.matrix.local, columns), order="F")
        x = self.matrix.dense(solution)
        self._ksp.getPC().getFactorMatrix().matSolve(right, x)
        x.destroy()
        return solution

    def memory(self) -> int | None:
        """Largest memory of the factorization on any rank, in MB, as MUMPS tells it."""
        if self._ksp is None or self.backend() != "mumps":
            return None
        return self._ksp.getPC().getFactorMatrix().getMumpsInfog(21)

    def report(self) -> dict:
        """What was done, for the result's file."""
        return {
            "solver": f"{self.name} ({self.backend()})",
            "compression": self.compression,
            "symbolic analyses": self.analyses,
            "factorizations": self.factorizations,
            "right-hand sides": self.solves,
            "factor MB": self.memory(),
        }


def _sparse_columns(support: np.ndarray, values: np.ndarray, matrix: SystemMatrix) -> PETSc.Mat:
    """Right-hand sides as the transpose of a sparse matrix, the one form that MUMPS takes: it skips the zeros."""
    order = np.argsort(support)
    columns = values.shape[1]
    indptr = (np.arange(columns + 1) * len(support)).astype(PETSc.IntType)
    indices = np.tile(support[order].astype(PETSc.IntType), columns)
    data = values[order].T.ravel()
    rows = PETSc.Mat().createAIJ((columns, matrix.size), csr=(indptr, indices, data), comm=matrix.comm)
    transposed = PETSc.Mat().createTranspose(rows)
    rows.destroy()
    return transposed


def dense_columns(support: np.ndarray, values: np.ndarray, matrix: SystemMatrix) -> np.ndarray:
    """This rank's rows of the right-hand sides, shape (local, K), zeros included."""
    mine = (support >= matrix.first) & (support < matrix.first + matrix.local)
    right = np.zeros((matrix.local, values.shape[1]), order="F")
    right[support[mine] - matrix.first] = values[mine]
    return right


def check_residual(matrix: SystemMatrix, support, values, solution, limit: float) -> None:
    """Raise unless the backward error of one combination of the columns is small.

    All columns enter with weights between 1/2 and 3/2, so an error in one shows at a fraction of the
    cost of all products. The scale is |A||x| + |b|, so that stiff contact terms do not count against it.
    """
    weights = 1 + 0.5 * np.cos(np.arange(1, values.shape[1] + 1))
    x, b = solution @ weights[:, None], values @ weights[:, None]
    residual = np.abs(matrix @ x - dense_columns(support, b, matrix)).max(initial=0.0)
    sizes = [residual, np.abs(x).max(initial=0.0)]
    if matrix.comm.size > 1:
        everyone = matrix.comm.allgather(sizes)
        sizes = np.max(everyone, axis=0)  # NaN wins
    load = np.abs(b).max()
    scale = matrix.largest * sizes[1] + load
    if scale > _SINGULAR * load > 0:
        raise LinearSolverError("solve: the matrix is singular to rounding: conductivities differ by too many orders")
    if not sizes[0] <= limit * scale:
        raise LinearSolverError(f"solve: relative residual {sizes[0] / scale:.1e} exceeds {limit:.0e}")
