"""Spaces: what arrays have in common that a model takes or gives."""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from eitdip.errors import ShapeError


@dataclass(frozen=True)
class Space:
    """Arrays of one shape and type. Equality of shape and dtype decides what composes with what.

    Args:
        shape: Shape of the arrays, without batch axes.
        dtype: NumPy name of the scalar type.
        label: What the numbers are, with their unit; for people, not compared.
    """

    shape: tuple[int, ...]
    dtype: str = "float64"
    label: str = field(default="", compare=False)

    @property
    def size(self) -> int:
        """Number of scalars."""
        return prod(self.shape)

    def check(self, x: np.ndarray) -> np.ndarray:
        """`x` as an array of this space.

        Raises:
            ShapeError: If the shape differs, or x is complex and the space is real.
        """
        x, what = np.asarray(x), self.label or "array"
        if np.iscomplexobj(x) and not np.issubdtype(self.dtype, np.complexfloating):
            raise ShapeError(f"{what}: got complex numbers, expected {self.dtype}")
        x = x.astype(self.dtype, copy=False)
        if x.shape != self.shape:
            raise ShapeError(f"{what}: got shape {x.shape}, expected {self.shape}")
        return x

    def random(self, rng: np.random.Generator) -> np.ndarray:
        """A standard normal element."""
        x = rng.standard_normal(self.shape)
        if np.issubdtype(np.dtype(self.dtype), np.complexfloating):
            x = x + 1j * rng.standard_normal(self.shape)
        return x.astype(self.dtype)


def must_match(got: Space, expected: Space, what: str) -> None:
    """Raise a ShapeError if two spaces differ."""
    if got != expected:
        raise ShapeError(f"{what}: got {got}, expected {expected}")
