"""Operators given by a sparse matrix."""

import numpy as np
import torch
from scipy import sparse

from eitdip.errors import ShapeError
from eitdip.imaging.noise import Noise
from eitdip.imaging.operator import ImagingOperator
from eitdip.operator import Space


class SparseOperator(ImagingOperator):
    """A x of a sparse matrix: SciPy's product on the CPU (six times faster there), torch's elsewhere.

    Args:
        matrix: SciPy sparse, shape (range.size, domain.size).
        domain: Of images.
        range: Of data.
        noise: Noise of the data.

    Raises:
        ShapeError: If the matrix does not fit.
    """

    def __init__(self, matrix, domain: Space, range: Space, noise: Noise | None = None):
        super().__init__(domain, range, noise)
        if matrix.shape != (range.size, domain.size):
            raise ShapeError(f"matrix: got shape {matrix.shape}, expected {(range.size, domain.size)} for these spaces")
        matrix = sparse.csr_array(matrix).astype(range.dtype)
        self.register_buffer("starts", torch.from_numpy(matrix.indptr.astype(np.int64)))
        self.register_buffer("columns", torch.from_numpy(matrix.indices.astype(np.int32)))
        self.register_buffer("entries", torch.from_numpy(matrix.data))

    @property
    def matrix(self) -> sparse.csr_array:
        """The matrix, on the CPU."""
        parts = (self.entries, self.columns, self.starts)
        shape = (self.range.size, self.domain.size)
        return sparse.csr_array(tuple(part.cpu().numpy() for part in parts), shape=shape)

    def forward(self, x):
        return self._product(x, self.range, transposed=False)

    def transpose(self, y):
        return self._product(y, self.domain, transposed=True)

    def _product(self, x: torch.Tensor, after: Space, transposed: bool) -> torch.Tensor:
        columns = x.reshape(len(x), -1).T
        if x.device.type == "cpu":
            matrix = self.matrix.T.conj() if transposed else self.matrix
            image = torch.from_numpy(np.ascontiguousarray((matrix @ columns.numpy()).T))
        else:
            size = (self.range.size, self.domain.size)
            matrix = torch.sparse_csr_tensor(self.starts, self.columns.long(), self.entries, size=size)
            image = ((matrix.mH if transposed else matrix) @ columns).T
        return image.reshape(len(x), *after.shape)
