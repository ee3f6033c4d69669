"""Sparse Cholesky factorizations of many matrices with one sparsity pattern."""

import numpy as np
from petsc4py import PETSc
from scipy import sparse

from eitdip.errors import LinearSolverError

# Relative residual above which a solve counts as failed; Cholesky of our matrices gives 1e-13.
_RESIDUAL_LIMIT = 1e-8


class CholeskySolver:
    """Solves A x = b for symmetric positive definite A; analyzes the pattern once.

    MUMPS with METIS ordering, or PETSc's own Cholesky where PETSc has no MUMPS. MUMPS reads one
    triangle only and lets NaN and negative pivots pass silently, so both are checked here.

    Args:
        pattern: A CSR matrix whose structure (symmetric, with diagonal) all later matrices have.

    Attributes:
        factorizations: Numeric factorizations so far.
        solves: Right-hand sides solved so far.
    """

    def __init__(self, pattern: sparse.csr_array):
        self.matrix = pattern.astype(float).copy()
        self.matrix.sort_indices()
        self.factorizations = 0
        self.solves = 0
        size = self.matrix.shape[0]
        structure = (self.matrix.indptr.astype(PETSc.IntType), self.matrix.indices.astype(PETSc.IntType))
        self._structure = structure  # PETSc keeps pointers into these arrays and into matrix.data
        self._petsc = PETSc.Mat().createAIJWithArrays(
            (size, size), (*structure, self.matrix.data), comm=PETSc.COMM_SELF
        )
        self._petsc.setOption(PETSc.Mat.Option.SPD, True)
        self._ksp = None

    @staticmethod
    def backend() -> str:
        """Name of the factorization code in use."""
        return "mumps" if PETSc.Sys.hasExternalPackage("mumps") else "petsc"

    def _configure(self) -> PETSc.KSP:
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setType(PETSc.KSP.Type.PREONLY)
        ksp.setOperators(self._petsc)
        pc = ksp.getPC()
        pc.setType(PETSc.PC.Type.CHOLESKY)
        if self.backend() == "mumps":
            pc.setFactorSolverType(PETSc.Mat.SolverType.MUMPS)
            pc.setFactorSetUpSolverType()
            pc.getFactorMatrix().setMumpsIcntl(7, 5)  # METIS: least fill on these meshes
        return ksp

    def factorize(self, values: np.ndarray) -> None:
        """Factor the matrix with these CSR values (in the sorted order of `self.matrix`).

        Raises:
            LinearSolverError: If a value is not finite or the matrix is not positive definite.
        """
        if not np.isfinite(values).all():
            raise LinearSolverError("matrix: got a value that is not finite; check the conductivity")
        self.matrix.data[:] = values
        # Both calls are needed, or PETSc silently keeps the previous factor.
        self._petsc.stateIncrease()
        if self._ksp is None:
            self._ksp = self._configure()
        self._ksp.setOperators(self._petsc)
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

    def _failure(self) -> str:
        if self.backend() != "mumps":
            return "" if self._ksp.getPC().getFailedReason() == 0 else "zero pivot"
        factor = self._ksp.getPC().getFactorMatrix()
        status, negative = factor.getMumpsInfog(1), factor.getMumpsInfog(12)
        if status < 0:
            return f"MUMPS INFOG(1) = {status}"
        return f"{negative} negative pivots" if negative else ""

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """Solve for all columns of `rhs`, shape (n, K), at once.

        Raises:
            LinearSolverError: If there is no factor, or the residual is large.
        """
        if self._ksp is None:
            raise LinearSolverError("solve: there is no factorization; call factorize first")
        if rhs.shape[1] == 0:
            return np.zeros(rhs.shape)
        right = np.asfortranarray(rhs, dtype=float)
        solution = np.zeros(rhs.shape, order="F")
        b = PETSc.Mat().createDense(rhs.shape, array=right, comm=PETSc.COMM_SELF)
        x = PETSc.Mat().createDense(rhs.shape, array=solution, comm=PETSc.COMM_SELF)
        self._ksp.getPC().getFactorMatrix().matSolve(b, x)
        b.destroy()
        x.destroy()
        self.solves += rhs.shape[1]
        residual = np.abs(self.matrix @ solution - right).max()
        # Backward error: relative to |A||x| + |b|, so that stiff contact terms do not count against it.
        scale = np.abs(self.matrix.data).max() * np.abs(solution).max() + np.abs(right).max()
        if not residual <= _RESIDUAL_LIMIT * scale:
            raise LinearSolverError(f"solve: relative residual {residual / scale:.1e} exceeds {_RESIDUAL_LIMIT:.0e}")
        return np.ascontiguousarray(solution)
