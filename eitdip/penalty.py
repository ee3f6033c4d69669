"""Penalties on log conductivity: total variation, sparsity and Tikhonov, on pixel images or on the mesh.

A penalty is a difference operator and a pointwise loss. Both work on log(sigma / background), so
halving and doubling the conductivity cost the same, and a weight does not depend on the unit. Every
difference operator is linear, x to (D x, weights), and also gives its matrices: Gauss-Newton wants them.
"""

import numpy as np
import torch
from scipy import sparse
from torch import nn

from eitdip.errors import OptionError, ShapeError


class PixelDifferences(nn.Module):
    """Forward differences of an image (H, W): (2, H, W), or (D, H, W): (3, D, H, W); zero beyond the last entries.

    Lengths are in pixels of an image with 64 of them along its longest side, so weights carry over
    to other resolutions, and from voxels to the jumps of a mesh (`Domain.jumps`).

    Args:
        spacing: Relative sizes of a pixel along the axes of the image; by default equal.
    """

    def __init__(self, spacing: tuple[float, ...] | None = None):
        super().__init__()
        if spacing is not None and not all(0 < side < float("inf") for side in spacing):
            raise OptionError(f"spacing: got {spacing}, expected sizes > 0")
        self.spacing = None if spacing is None else tuple(float(side) for side in spacing)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x.ndim not in (2, 3) or (self.spacing is not None and len(self.spacing) != x.ndim):
            expected = "(H, W) or (D, H, W)" if self.spacing is None else f"{len(self.spacing)} axes"
            raise ShapeError(f"image: got shape {tuple(x.shape)}, expected {expected}")
        sides = self.spacing or (1.0,) * x.ndim
        longest = max(count * side for count, side in zip(x.shape, sides, strict=True))
        if self.spacing is None and x.ndim == 2:
            longest = x.shape[0]  # plane images are windows of a square
        parts = []
        for axis, side in enumerate(sides):
            padding = [0, 0] * (x.ndim - 1 - axis) + [0, 1]
            pairs = x.shape[axis] - 1
            step = x.narrow(axis, 1, pairs) - x.narrow(axis, 0, pairs)
            parts.append(nn.functional.pad(step, padding) * (longest / (64 * side)))
        return torch.stack(parts), torch.full((), 1 / x.numel(), dtype=x.dtype, device=x.device)

    def matrices(self, shape: tuple[int, ...]) -> list[sparse.csr_array]:
        """The differences along each axis of images of a shape of n entries: (n, n) each."""
        size, parts = int(np.prod(shape)), []
        for axis, count in enumerate(shape):
            along = [1] * len(shape)
            along[axis] = count
            ramp = torch.arange(count, dtype=torch.float64).reshape(along).expand(shape)
            steps = self(ramp)[0][axis].numpy().ravel()  # the scale of each difference; 0 beyond the last entry
            ends = np.minimum(np.arange(size) + int(np.prod(shape[axis + 1 :])), size - 1)
            parts.append(_differences(np.arange(size), ends, steps, size))
        return parts


class Values(nn.Module):
    """The field itself in the place of differences: (1, *shape), with a weight each.

    `TotalVariation(Values())` is then the L1 norm, the penalty of sparse inclusions.

    Args:
        sizes: Of the cells, or of what else an entry stands for, the field's shape; by default equal.
            Only their ratios matter.
    """

    def __init__(self, sizes: np.ndarray | None = None):
        super().__init__()
        shares = None if sizes is None else torch.from_numpy(np.asarray(sizes, dtype=float) / np.sum(sizes))
        self.register_buffer("_shares", shares, persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self._shares is None:
            return x[None], torch.full((), 1 / x.numel(), dtype=x.dtype, device=x.device)
        if x.shape != self._shares.shape:
            raise ShapeError(f"field: got shape {tuple(x.shape)}, expected {tuple(self._shares.shape)}")
        return x[None], self._shares

    def matrices(self, shape: tuple[int, ...]) -> list[sparse.csr_array]:
        """The identity, (n, n) for n entries."""
        return [sparse.eye_array(int(np.prod(shape)), format="csr")]


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

    def matrices(self, shape: tuple[int, ...]) -> list[sparse.csr_array]:
        """The jumps of fields of shape (N,): (E, N)."""
        start, end = self._from.cpu().numpy(), self._to.cpu().numpy()
        return [_differences(start, end, np.ones(len(start)), self.size)]


class MeshGradients(nn.Module):
    """Gradients of a piecewise linear field, constant on each cell: (d, C), in the unit of `PixelDifferences`.

    Args:
        domain: An `eitdip.mesh.Domain`; the field has one value per vertex, shape (V,).
    """

    def __init__(self, domain):
        super().__init__()
        widths = np.ptp(domain.points, axis=0)
        volume = widths.max() ** 2 if domain.dimension == 2 else widths.prod()
        nodes = domain.points[domain.corners]  # straight, also in curved cells
        spans = np.linalg.inv(nodes[:, 1:] - nodes[:, :1]) * (widths.max() / 64)
        corners = np.searchsorted(domain.vertices, domain.corners)
        for name, value in (("_spans", spans), ("_corners", corners), ("_weights", domain.cell_sizes / volume)):
            self.register_buffer(name, torch.from_numpy(value), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = x[self._corners]
        return torch.einsum("cxj,cj->xc", self._spans, values[:, 1:] - values[:, :1]), self._weights

    def matrices(self, shape: tuple[int, ...]) -> list[sparse.csr_array]:
        """The components of the gradient of fields of shape (V,): (C, V) each."""
        spans, corners = self._spans.cpu().numpy(), self._corners.cpu().numpy()
        return [
            sum(
                _differences(corners[:, 0], corners[:, j + 1], spans[:, axis, j], shape[0])
                for j in range(spans.shape[2])
            )
            for axis in range(spans.shape[1])
        ]


def _differences(start: np.ndarray, end: np.ndarray, scale: np.ndarray, size: int) -> sparse.csr_array:
    """Rows scale * (x[end] - x[start]) of fields of n entries: (places, n)."""
    rows = np.tile(np.arange(len(start)), 2)
    entries = np.concatenate([-scale, scale]), (rows, np.concatenate([start, end]))
    return sparse.csr_array(entries, shape=(len(start), size))


class TotalVariation(nn.Module):
    """Weighted sum of sqrt(|D x|^2 + smoothing^2) - smoothing, isotropic over the components of D x.

    Args:
        differences: `PixelDifferences`, `MeshJumps` or `MeshGradients`; with `Values` it is the L1 norm.
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
    """Weighted sum of |D x|^2.

    Args:
        differences: As for `TotalVariation`; by default `Values()`, the mean of x^2.
    """

    def __init__(self, differences: nn.Module | None = None):
        super().__init__()
        self.differences = Values() if differences is None else differences

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        d, weights = self.differences(x)
        return (weights * d.square().sum(dim=0)).sum()
