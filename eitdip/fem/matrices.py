"""From pixel images to conductivity unknowns."""

import basix
import numpy as np
from scipy import sparse

from eitdip.errors import OptionError
from eitdip.fem.spaces import Discretization
from eitdip.mesh.domain import Domain
from eitdip.operator import Matrix, Space

# Image windows reach a little beyond the domain, so that no sample falls on the border pixels' rim.
MARGIN = 1.05


def pixel_centers(domain: Domain, shape: tuple[int, int], margin: float = MARGIN) -> np.ndarray:
    """Coordinates of the pixel centers of an image over the domain, shape (H, W, 2), m.

    Row 0 is at the top (largest y), column 0 at the left (smallest x). The window is the bounding
    square enlarged by `margin`.
    """
    half = _half_width(domain, margin)
    rows, columns = shape
    x = domain.center[0] + half * ((np.arange(columns) + 0.5) * 2 / columns - 1)
    y = domain.center[1] - half * ((np.arange(rows) + 0.5) * 2 / rows - 1)
    return np.stack(np.meshgrid(x, y), axis=-1)


def pixel_map(space: Discretization, shape: tuple[int, int], margin: float = MARGIN) -> Matrix:
    """Bilinear sampling of an image: pixels (H, W) to conductivity unknowns (N,).

    Cell values are averages over quadrature points, vertex values are samples. Rows are
    non-negative and sum to one, so bounds and constants carry over.

    Args:
        space: Where the conductivity lives.
        shape: (H, W) of the image.
        margin: Size of the image window over that of the domain, >= 1; samples beyond the outer
            pixel centers take the border value.

    Raises:
        OptionError: If margin < 1, or the image has fewer than 2 x 2 pixels.
    """
    if not margin >= 1:
        raise OptionError(f"margin: got {margin}, expected at least 1 (the image must cover the domain)")
    rows, columns = shape
    if rows < 2 or columns < 2:
        raise OptionError(f"image shape: got {shape}, expected at least 2 x 2 pixels")
    unknowns, points, shares = _samples(space)
    half = _half_width(space.domain, margin)
    column = ((points[:, 0] - space.domain.center[0]) / half + 1) * columns / 2 - 0.5
    row = (1 - (points[:, 1] - space.domain.center[1]) / half) * rows / 2 - 0.5
    column, row = np.clip(column, 0, columns - 1), np.clip(row, 0, rows - 1)
    left, top = np.minimum(column.astype(int), columns - 2), np.minimum(row.astype(int), rows - 2)
    s, t = column - left, row - top
    entries, pixels = [], []
    for i, j, weight in ((0, 0, (1 - t) * (1 - s)), (0, 1, (1 - t) * s), (1, 0, t * (1 - s)), (1, 1, t * s)):
        entries.append(weight * shares)
        pixels.append((top + i) * columns + left + j)
    size = (space.sigma_space.size, rows * columns)
    matrix = sparse.csr_array((np.concatenate(entries), (np.tile(unknowns, 4), np.concatenate(pixels))), shape=size)
    matrix.sum_duplicates()
    return Matrix(matrix, domain=Space(shape, label="image"), range=space.sigma_space)


def _half_width(domain: Domain, margin: float) -> float:
    return 0.5 * margin * float(np.ptp(domain.points, axis=0).max())


def _samples(space: Discretization) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample points: unknown of each, coordinates, and share in that unknown's mean."""
    domain = space.domain
    if space.sigma_element == "vertices":
        return np.arange(len(domain.vertices)), domain.points[domain.vertices], np.ones(len(domain.vertices))
    points, weights = basix.make_quadrature(basix.CellType.triangle, 4)
    barycentric = np.column_stack([1 - points.sum(axis=1), points])
    located = np.einsum("qv,cvx->cqx", barycentric, domain.points[domain.cells[:, :3]])
    count, each = located.shape[:2]
    shares = np.tile(weights / weights.sum(), count)
    return np.repeat(np.arange(count), each), located.reshape(-1, 2), shares
