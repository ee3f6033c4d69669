"""What is sought: the values that a model takes, where fields of them live, and what is known of them beforehand."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from torch import nn

from eitdip.operator import Matrix, Space
from eitdip.parameterization.links import Link


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a generator's field lives.

    Args:
        shape: Of the field, without channels: (H, W), (D, H, W), or (N,) on a mesh.
        field_map: From the field to the unknowns; None if they are the same.
        differences: Of the field's contrast, for penalties.
        padded: The shape that a network makes, of which the field is the upper left part.
        sizes: Of what an entry stands for, such as the areas of cells; None if all are equal.
    """

    shape: tuple[int, ...]
    field_map: Matrix | None
    differences: nn.Module
    padded: tuple[int, ...]
    sizes: np.ndarray | None = None


class Unknown(ABC):
    """The unknowns of a problem.

    Attributes:
        space: Arrays that the model takes.
        kind: "plane" or "solid" for bodies, "image".
        start: Value where nothing is known.
        low: Least value, or None.
        high: Largest value, or None.
        unit: Size of the values, by which penalties see them divided; None if they see the logarithm over `start`.
        channels: Numbers per point of a grid: 3 for colours, 2 for complex images.
        complex: Whether the two channels are real and imaginary part.
    """

    space: Space
    kind: str
    start: float
    low: float | None
    high: float | None
    unit: float | None
    channels: int = 1
    complex: bool = False

    @property
    @abstractmethod
    def hash(self) -> str:
        """Of all that decides the answer."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """2 or 3."""

    @abstractmethod
    def grid(self, name: str, size: int | None = None, multiple: int = 1) -> Grid:
        """A grid for fields.

        Args:
            name: "pixels", or for bodies "cells" or "vertices".
            size: Pixels per side of a body's image, voxels along the largest extent; images have their own.
            multiple: What the sides of the padded shape are multiples of.

        Raises:
            OptionError: If there is no such grid.
        """

    @abstractmethod
    def bounded(self, low: float | None, high: float | None) -> Link:
        """The link that keeps values where they are known to be.

        Args:
            low: Of bodies: lowest conductivity over the background.
            high: Of bodies: highest one over the background.
        """

    @abstractmethod
    def mean(self, fields: list[np.ndarray]) -> np.ndarray:
        """The mean of several fields or unknowns."""

    @abstractmethod
    def judge(self, truth: np.ndarray):
        """What compares unknowns with a truth: `metrics(x)` and `headline(x)`, as of `eitdip.metrics.truth.Truth`."""

    @abstractmethod
    def on_grid(self, truth: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """A truth as a generator's field of values.

        Args:
            truth: As the problem has it: an image of a body, the image itself.
            shape: Of the generator's field, with its channels.

        Returns:
            In that shape, real; NaN where the truth says nothing, as outside of a body.

        Raises:
            ShapeError: If the truth has no such form.
        """

    @abstractmethod
    def picture(self, x: np.ndarray) -> np.ndarray:
        """A picture (H, W), or (3, H, W), of the unknowns.

        A section of solids, the magnitude of complex images, channels that are no colours side by side.
        """

    def truth_picture(self, truth: np.ndarray) -> np.ndarray:
        """A picture of a truth, which bodies have as an image on a grid of its own."""
        return self.picture(truth)

    def flat(self, field: np.ndarray) -> np.ndarray:
        """A picture (H, W) of a real field on a generator's grid: a section of volumes, channels side by side."""
        field = np.concatenate(list(field), axis=-1) if field.ndim > self.dimension else field
        return field[len(field) // 2] if field.ndim == 3 else field

    def facts(self, problem) -> dict:
        """What result.json says of such a problem, as plain JSON values."""
        return {}
