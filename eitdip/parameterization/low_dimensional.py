"""Generators with a few weights, each standard normal before the data: what samplers can explore to the end."""

import numpy as np
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError


class Discs(nn.Module):
    """Discs with smooth rims: raw field = sum over discs of contrast * sigmoid((radius - distance) / width).

    Each disc has four numbers: x to the right and y upwards in units of half the longest side of the image, log radius
    in the same unit, and its contrast in the raw field, which for conductivities is that of the logarithm. They are
    mean + deviation * weights, where the deviation is not 0; others are known, and have no weight.

    Args:
        shape: (H, W) of the image.
        mean: Of the numbers before the data, shape (discs, 4).
        deviation: Of the numbers before the data, same shape, >= 0.
        width: Of the rims, > 0: at least half a pixel, or the field has no useful slope by the place of a disc.

    Raises:
        ShapeError: If mean and deviation are not (discs, 4).
        OptionError: If a deviation is negative or all are 0, or the width is not > 0.
    """

    def __init__(self, shape: tuple[int, int], mean: np.ndarray, deviation: np.ndarray, width: float = 0.03):
        super().__init__()
        mean, deviation = (torch.as_tensor(np.asarray(part, float)) for part in (mean, deviation))
        if mean.ndim != 2 or mean.shape[1] != 4 or deviation.shape != mean.shape:
            raise ShapeError(f"discs: got {tuple(mean.shape)} and {tuple(deviation.shape)}, expected twice (discs, 4)")
        if not (deviation >= 0).all() or not deviation.any() or not width > 0:
            raise OptionError("discs: got a negative deviation, none > 0, or a width that is not > 0")
        self.shape, self.width = tuple(shape), float(width)
        rows, columns = ((2 * torch.arange(side).double() + 1 - side) / max(shape) for side in shape)
        self.register_buffer("points", torch.stack(torch.meshgrid(columns, -rows, indexing="xy")), persistent=False)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.weights = nn.Parameter(torch.zeros(int((deviation > 0).sum()), dtype=torch.float64))

    def numbers(self) -> torch.Tensor:
        """x, y, log radius and contrast of each disc at the present weights, shape (discs, 4)."""
        moved = self.mean.clone()
        moved[self.deviation > 0] += self.deviation[self.deviation > 0] * self.weights
        return moved

    def forward(self) -> torch.Tensor:
        x, y, radius, contrast = self.numbers().T[..., None, None]
        distance = torch.sqrt((self.points[0] - x) ** 2 + (self.points[1] - y) ** 2 + 1e-12)  # slope at the middle too
        return (contrast * torch.sigmoid((radius.exp() - distance) / self.width)).sum(dim=0)


class Modes(nn.Module):
    """Raw field = centre + weights @ modes.

    Args:
        centre: Any shape.
        modes: (k, *shape).

    Raises:
        ShapeError: If the shapes do not fit.
    """

    def __init__(self, centre: np.ndarray, modes: np.ndarray):
        super().__init__()
        centre, modes = torch.as_tensor(np.asarray(centre, float)), torch.as_tensor(np.asarray(modes, float))
        if modes.shape[1:] != centre.shape or not len(modes):
            raise ShapeError(f"modes: got {tuple(modes.shape)}, expected (k, *{tuple(centre.shape)})")
        self.shape = tuple(centre.shape)
        self.register_buffer("centre", centre)
        self.register_buffer("modes", modes)
        self.weights = nn.Parameter(torch.zeros(len(modes), dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        return self.centre + torch.tensordot(self.weights, self.modes, dims=1)


class LevelSetModes(nn.Module):
    """A value where a level-set function, offset + weights @ modes, is positive, else 0.

    Args:
        modes: (k, *shape), such as leading eigenvectors of the covariance of a smooth field.
        value: Of the raw field inside.
        offset: Of the function: the smaller, the less there is inside before the data.
        sharpness: Raw field = value * sigmoid(sharpness * function), > 0.

    Raises:
        OptionError: If the sharpness is not > 0.

    References:
        Iglesias, Lu, Stuart (2016), A Bayesian level set method for geometric inverse problems.
    """

    def __init__(self, modes: np.ndarray, value: float, offset: float = 0.0, sharpness: float = 10.0):
        super().__init__()
        if not 0 < sharpness < float("inf"):
            raise OptionError(f"sharpness: got {sharpness!r}, expected a number > 0")
        modes = torch.as_tensor(np.asarray(modes, float))
        self.shape, self.value, self.offset, self.sharpness = tuple(modes.shape[1:]), value, offset, sharpness
        self.register_buffer("modes", modes)
        self.weights = nn.Parameter(torch.zeros(len(modes), dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        function = self.offset + torch.tensordot(self.weights, self.modes, dims=1)
        return self.value * torch.sigmoid(self.sharpness * function)
