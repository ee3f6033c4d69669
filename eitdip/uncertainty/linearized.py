"""What measurements tell about a field: A = M Q, with few numbers Q g that all of them are about."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, qr

from eitdip.errors import InvalidDataError
from eitdip.uncertainty.point import Point

# A direction of g whose change by 1 moves the data by this many deviations tells nothing.
_LEAST = 1e-5


@dataclass(frozen=True, eq=False)
class Linearized:
    """A problem at its estimate, as matrices.

    Args:
        point: Where, with the residual and what was set aside.
        basis: Q, (r, n).
        matrix: M, (m, r), in units of the noise.
    """

    point: Point
    basis: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, point: Point) -> "Linearized":
        """By the eigenvectors of the smaller Gram matrix of A.

        Raises:
            InvalidDataError: If the data tell nothing.
        """
        matrix = point.dense()
        wide = len(matrix) <= matrix.shape[1]
        squares, vectors = eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
        kept = squares > max(_LEAST**2, 1e-14 * squares[-1])
        if not kept.any():
            raise InvalidDataError("data: no change of the field moves them by a noticeable part of their deviation")
        values, vectors = np.sqrt(squares[kept]), vectors[:, kept]
        if not wide:
            return cls(point, vectors.T, matrix @ vectors)
        return cls(point, (vectors / values).T @ matrix, vectors * values)

    def reduced(self) -> tuple[np.ndarray, np.ndarray]:
        """Residual (r',) and matrix R (r', r) of the fitted measurements, rotated to as few numbers as carry all."""
        rotation, triangle = qr(self.matrix[self.point.fitted], mode="economic")
        return rotation.T @ self.point.residual[self.point.fitted], triangle
