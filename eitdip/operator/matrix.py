"""Linear operators given by a matrix."""

import numpy as np

from eitdip.errors import ShapeError
from eitdip.operator.models import LinearOperator
from eitdip.operator.spaces import Space


class Matrix(LinearOperator):
    """A dense or sparse matrix acting on flattened arrays.

    Args:
        matrix: Array or scipy.sparse matrix of shape (range.size, domain.size).
        domain: Space of the argument; by default vectors.
        range: Space of the value; by default vectors.
    """

    def __init__(self, matrix, domain: Space | None = None, range: Space | None = None):
        rows, columns = matrix.shape
        dtype = np.dtype(matrix.dtype).name
        self.matrix = matrix
        self.domain = domain or Space((columns,), dtype)
        self.range = range or Space((rows,), dtype)
        if (self.range.size, self.domain.size) != (rows, columns):
            raise ShapeError(
                f"matrix: got shape {matrix.shape}, expected {(self.range.size, self.domain.size)} for these spaces"
            )

    def __call__(self, x):
        return (self.matrix @ self.domain.check(x).ravel()).reshape(self.range.shape)

    def adjoint(self, y):
        return (self.matrix.conj().T @ self.range.check(y).ravel()).reshape(self.domain.shape)
