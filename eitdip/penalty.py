"""Penalties on log conductivity: total variation and Tikhonov, on pixel images or on the mesh.

A penalty is a difference operator and a pointwise loss. Both work on log(sigma / background), so
halving and doubling the conductivity cost the same, and a weight does not depend on the unit.
"""

import numpy as np
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError


class PixelDifferences(nn.Module):
    """Forward differences of an image (H, W): (2, H, W), zero beyond the last row and column.

    Lengths are in pixels of an image of 64 rows, so weights carry over to other resolutions.
    """

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x.ndim != 2:
            raise ShapeError(f"image: got shape {tuple(x.shape)}, expected (H, W)")
        down = nn.functional.pad(x[1:] - x[:-1], (0, 0, 0, 1))
        right = nn.functional.pad(x[:, 1:] - x[:, :-1], (0, 1))
        return torch.stack([down, right]) * (x.shape[0] / 64), torch.full((), 1 / x.numel(), dtype=x.dtype)


class MeshJumps(nn.Module):
    """Jumps of a piecewise constant field over interior edges: (1, E), with a weight each.

    Args:
        matrix: Sparse, shape (E, N), one -1 and one +1 in each row, as in `Domain.jumps`.
        weights: Shape (E,), >= 0.
    """

    def __init__(self, matrix, weights: np.ndarray):
        super().__init__()
        entries = matrix.tocoo()
        self.size = matrix.shape[1]
        for name, sign in (("_from", -1), ("_to", 1)):
            chosen = np.sign(entries.data) == sign
            cells = np.zeros(matrix.shape[0], dtype=np.int64)
            cells[entries.row[chosen]] = entries.col[chosen]
            self.register_buffer(name, torch.from_numpy(cells), persistent=False)
        self.register_buffer("_weights", torch.from_numpy(np.array(weights, dtype=float)), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x.shape != (self.size,):
            raise ShapeError(f"cell field: got shape {tuple(x.shape)}, expected ({self.size},)")
        return (x[self._to] - x[self._from])[None], self._weights


class TotalVariation(nn.Module):
    """Weighted sum of sqrt(|D x|^2 + smoothing^2) - smoothing, isotropic over the components of D x.

    Args:
        differences: `PixelDifferences` or `MeshJumps`.
        smoothing: Jumps far below it are penalized quadratically; > 0.
    """

    def __init__(self, differences: nn.Module, smoothing: float = 1e-3):
        super().__init__()
        if not smoothing > 0:
            raise OptionError(f"smoothing: got {smoothing}, expected > 0 (the penalty must be differentiable)")
        self.differences, self.smoothing = differences, float(smoothing)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        d, weights = self.differences(x)
        return (weights * (torch.sqrt(d.square().sum(dim=0) + self.smoothing**2) - self.smoothing)).sum()


class Tikhonov(nn.Module):
    """Weighted sum of |D x|^2; with `differences=None`, the mean of x^2."""

    def __init__(self, differences: nn.Module | None = None):
        super().__init__()
        self.differences = differences

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.differences is None:
            return x.square().mean()
        d, weights = self.differences(x)
        return (weights * d.square().sum(dim=0)).sum()
