"""Difference operators of fields: x to (D x, weights), on images and on meshes, and their matrices."""

import numpy as np
import torch
from scipy import sparse
from torch import nn

from eitdip.errors import OptionError, ShapeError


def differences(x: torch.Tensor, axes: int) -> torch.Tensor:
    """Forward differences along the last `axes` axes, zero beyond the last entries: shape (axes, *x.shape)."""
    return torch.stack([_forward(x, axis) for axis in range(-axes, 0)])


def differences_transposed(d: torch.Tensor, axes: int) -> torch.Tensor:
    """The transpose of `differences`."""
    total = torch.zeros_like(d[0])
    for part, axis in zip(d, range(-axes, 0), strict=True):
        inner = part.narrow(axis, 0, part.shape[axis] - 1)
        zero = torch.zeros_like(part.narrow(axis, 0, 1))
        total = total - torch.diff(torch.cat([zero, inner, zero], dim=axis), dim=axis)
    return total


def _forward(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Along one axis, counted from the end."""
    pairs = x.shape[axis] - 1
    steps = x.narrow(axis, 1, pairs) - x.narrow(axis, 0, pairs)
    return nn.functional.pad(steps, [0, 0] * (-1 - axis) + [0, 1])


class PixelDifferences(nn.Module):
    """Forward differences of an image, zero beyond the last entries, and a weight that makes sums means over points.

    An image (H, W) gives (2, H, W), a volume (D, H, W) gives (3, D, H, W), and C channels (C, H, W) of a plane image
    give (2 C, H, W), so that they share their edges. Lengths are in pixels of an image with 64 of them along its
    longest side, so weights carry over to other resolutions, and from voxels to the jumps of a mesh (`Domain.jumps`).

    Args:
        spacing: Relative sizes of a pixel along the axes of the image; by default equal.
        dimension: 2 or 3; an axis before those is of channels. By default all axes are of the image.

    Raises:
        OptionError: If a size is not > 0, or there are not as many as dimensions.
    """

    def __init__(self, spacing: tuple[float, ...] | None = None, dimension: int | None = None):
        super().__init__()
        if spacing is not None and not all(0 < side < float("inf") for side in spacing):
            raise OptionError(f"spacing: got {spacing}, expected sizes > 0")
        if dimension not in (None, 2, 3) or (None not in (spacing, dimension) and len(spacing) != dimension):
            raise OptionError(f"dimension: got {dimension} and the spacing {spacing}, expected 2 or 3, and a size each")
        self.spacing = None if spacing is None else tuple(float(side) for side in spacing)
        self.dimension = dimension

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scales = self._scales(tuple(x.shape))
        axes = range(-len(scales), 0)
        d = torch.stack([_forward(x, axis) * scale for axis, scale in zip(axes, scales, strict=True)])
        points = x.shape[-len(scales) :]
        return d.reshape(-1, *points), torch.full((), 1 / points.numel(), dtype=x.dtype, device=x.device)

    def _scales(self, shape: tuple[int, ...]) -> list[float]:
        """What differences along each axis of the image are multiplied by."""
        dimension = self.dimension or len(self.spacing or shape)
        if dimension not in (2, 3) or not dimension <= len(shape) <= dimension + (self.dimension is not None):
            expected = "(H, W) or (D, H, W)" if self.spacing is None else f"{len(self.spacing)} axes"
            raise ShapeError(f"image: got shape {shape}, expected {expected}, and channels only for a given dimension")
        sides = self.spacing or (1.0,) * dimension
        longest = max(count * side for count, side in zip(shape[-dimension:], sides, strict=True))
        return [longest / (64 * side) for side in sides]

    def matrices(self, shape: tuple[int, ...]) -> list[sparse.csr_array]:
        """The parts of the differences of images of a shape of n entries, P of them per channel: (P, n) each."""
        scales, parts = self._scales(shape), []
        points = shape[-len(scales) :]
        size = int(np.prod(points))
        for axis, scale in enumerate(scales):
            inside = np.indices(points)[axis].ravel() < points[axis] - 1
            ends = np.minimum(np.arange(size) + int(np.prod(points[axis + 1 :])), size - 1)
            parts.append(_differences(np.arange(size), ends, scale * inside, size))
        if len(shape) == len(scales):
            return parts
        channels = sparse.eye_array(shape[0], format="csr")
        return [sparse.kron(channels[[c]], part, format="csr") for part in parts for c in range(shape[0])]


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
