"""Operators given by a sparse matrix."""

import numpy as np
import torch
from scipy import sparse

from eitdip.errors import ShapeError
from eitdip.imaging.operator import ImagingOperator
from eitdip.operator import Space


class SparseOperator(ImagingOperator):
    """A x of a sparse matrix: SciPy's product on the CPU (six times faster there), torch's elsewhere.

    Args:
        matrix: SciPy sparse, shape (range.size, domain.size).
        domain: Of images.
        range: Of data.

    Raises:
        ShapeError: If the matrix does not fit.
    """

    def __init__(self, matrix, domain: Space, range: Space):
        super().__init__(domain, range)
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


class Diagonal(ImagingOperator):
    """Products with a factor for each entry.

    Args:
        factors: Tensor, shape of the data.
        space: Of images and of data.

    Raises:
        ShapeError: If the factors do not fit, or are complex where the data are real.
    """

    def __init__(self, factors: torch.Tensor, space: Space):
        super().__init__(space, space)
        dtype = getattr(torch, space.dtype)
        if tuple(factors.shape) != space.shape or (factors.is_complex() and not dtype.is_complex):
            raise ShapeError(f"factors: got {factors.dtype} of shape {tuple(factors.shape)}, expected {space}")
        self.register_buffer("factors", factors.detach().to(dtype, copy=True))

    def forward(self, x):
        return self.factors * x

    def transpose(self, y):
        return self.factors.conj() * y
