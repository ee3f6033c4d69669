"""A sparse symmetric matrix of one pattern whose values change, on one rank or spread over several."""

import numpy as np
from petsc4py import PETSc
from scipy import sparse

from eitdip.errors import LinearSolverError


class SystemMatrix:
    """Rows are numbered through: those of rank 0 come first. A rank may add to any entry.

    On one rank PETSc works on the very arrays of a SciPy matrix, so new values cost one copy. On
    several, entries that belong to another rank are sent there.

    Args:
        rows: Row of each entry that this rank adds to.
        columns: Column of each; the pairs are distinct and in lexicographic order.
        local: Number of rows of this rank.
        comm: The ranks.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, local: int, comm):
        self.comm, self.local = comm, local
        counts = comm.allgather(local)
        self.first, self.size = sum(counts[: comm.rank]), sum(counts)
        if max(self.size, len(rows)) > np.iinfo(PETSc.IntType).max:
            raise LinearSolverError(
                f"matrix: got {self.size} rows and {len(rows)} entries, more than this PETSc can count; "
                "use more ranks per mesh, or a PETSc with 64-bit indices"
            )
        rows, columns = rows.astype(PETSc.IntType), columns.astype(PETSc.IntType)
        if comm.size == 1:
            indptr = np.searchsorted(rows, np.arange(self.size + 1)).astype(PETSc.IntType)
            self._csr = sparse.csr_array((np.zeros(len(rows)), columns, indptr), shape=(self.size, self.size))
            self._structure = (indptr, columns)  # PETSc keeps pointers to these arrays
            self.petsc = PETSc.Mat().createAIJWithArrays(self.size, (indptr, columns, self._csr.data), comm=comm)
        else:
            self._csr = None
            self.petsc = PETSc.Mat().create(comm)
            self.petsc.setSizes(((local, self.size), (local, self.size)))
            self.petsc.setType(PETSc.Mat.Type.AIJ)
            self.petsc.setPreallocationCOO(rows, columns)
        self.petsc.setOption(PETSc.Mat.Option.SPD, True)
        self.largest = 0.0

    @staticmethod
    def of_pattern(pattern: sparse.csr_array, comm) -> "SystemMatrix":
        """A matrix on one rank with the structure of a SciPy matrix."""
        coo = pattern.tocsr().sorted_indices().tocoo()
        return SystemMatrix(coo.row, coo.col, pattern.shape[0], comm)

    def set(self, values: np.ndarray) -> None:
        """New values of this rank's entries, in the order of construction.

        Raises:
            LinearSolverError: If one is not finite, on any rank.
        """
        largest = max(values.max(initial=0.0), -values.min(initial=0.0))  # NaN if one is
        if self.comm.size > 1:
            largest = np.max(self.comm.allgather(largest))
        if not np.isfinite(largest):
            raise LinearSolverError("matrix: got a value that is not finite; check the conductivity")
        self.largest = float(largest)
        if self._csr is None:
            self.petsc.setValuesCOO(values, PETSc.InsertMode.INSERT_VALUES)
        else:
            self._csr.data[:] = values
            self.petsc.stateIncrease()  # or PETSc would keep the previous factor

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        """This rank's rows of the product with the columns of x (local, K)."""
        if self._csr is not None:
            return self._csr @ x
        product = np.zeros(x.shape, order="F")
        dense_x, dense_y = self.dense(np.asfortranarray(x)), self.dense(product)
        self.petsc.matMult(dense_x, dense_y)
        dense_x.destroy()
        dense_y.destroy()
        return product

    def dense(self, x: np.ndarray) -> PETSc.Mat:
        """A view of a Fortran array (local, K) as PETSc matrix with these rows."""
        columns = x.shape[1]
        share = columns if self.comm.size == 1 else PETSc.DECIDE
        return PETSc.Mat().createDense(((self.local, self.size), (share, columns)), array=x, comm=self.comm)
