"""Operators given by a dense matrix: Gaussian compressed sensing.

deepinv has that one too, but computes a pseudo-inverse by singular values when it is built (5 s for 1000 measurements
of 64 x 64 pixels) and keeps three matrices.
"""

import numpy as np
import torch

from eitdip.errors import InvalidDataError, OptionError, ShapeError, choose
from eitdip.imaging.operator import ImagingOperator
from eitdip.operator import Space

# In what a matrix is drawn, and how many normal numbers are one entry.
_DOUBLE = {
    "float32": ("float64", 1),
    "float64": ("float64", 1),
    "complex64": ("complex128", 2),
    "complex128": ("complex128", 2),
}


class DenseOperator(ImagingOperator):
    """A x of a dense matrix.

    Args:
        matrix: Array or tensor, shape (range.size, domain.size).
        domain: Of images.
        range: Of data; complex if the images are. With real images and complex data the adjoint takes the real part.

    Raises:
        ShapeError: If the matrix does not fit, is complex where data are real, or the spaces differ in precision.
        InvalidDataError: If an entry is not finite.
    """

    def __init__(self, matrix, domain: Space, range: Space):
        super().__init__(domain, range)
        matrix = torch.as_tensor(matrix)
        if tuple(matrix.shape) != (range.size, domain.size):
            raise ShapeError(
                f"matrix: got shape {tuple(matrix.shape)}, expected {(range.size, domain.size)} for these spaces"
            )
        complex_data = range.dtype.startswith("complex")
        if not complex_data and (matrix.is_complex() or domain.dtype.startswith("complex")):
            raise ShapeError(f"matrix: got complex numbers of matrix or images, but the data are {range.dtype}")
        if np.finfo(domain.dtype).dtype != np.finfo(range.dtype).dtype:
            raise ShapeError(f"spaces: got images {domain.dtype} and data {range.dtype}, expected the same precision")
        if not bool(torch.isfinite(matrix).all()):
            raise InvalidDataError("matrix: got entries that are not finite, expected numbers")
        self.register_buffer("matrix", matrix.to(getattr(torch, range.dtype), copy=True))

    def forward(self, x):
        flat = x.reshape(len(x), -1).to(self.matrix.dtype)
        return (flat @ self.matrix.T).reshape(len(x), *self.range.shape)

    def transpose(self, y):
        image = y.reshape(len(y), -1) @ self.matrix.conj()
        if not self.domain.dtype.startswith("complex"):
            image = image.real
        return image.reshape(len(y), *self.domain.shape)


def compressed_sensing(
    shape: tuple[int, ...], measurements: int, seed: int = 0, dtype: str = "float32"
) -> DenseOperator:
    """Products of the image with independent normal vectors, each entry of variance 1 / measurements.

    Args:
        shape: Of images.
        measurements: Number of data, at least 1.
        seed: Of the matrix, which is the same on all machines and in both precisions up to rounding.
        dtype: "float32", "float64", or "complex64", "complex128" with real and imaginary parts of half the variance.

    Raises:
        ShapeError, OptionError: If the shape, number or dtype is not one of these.
    """
    shape = tuple(shape)
    if not shape or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise ShapeError(f"shape: got {shape}, expected positive integers, such as (H, W)")
    if isinstance(measurements, bool) or not isinstance(measurements, int | np.integer) or measurements < 1:
        raise OptionError(f"measurements: got {measurements!r}, expected an integer, at least 1")
    double, parts = choose("dtype", dtype, _DOUBLE)
    domain, range = Space(shape, dtype, "image"), Space((int(measurements),), dtype, "products")
    matrix = Space((range.size, domain.size), double).random(np.random.default_rng(seed))
    return DenseOperator(matrix / np.sqrt(parts * measurements), domain, range)
