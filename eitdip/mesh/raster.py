"""Fields on cells as images: which cell a point lies in."""

import numpy as np
from scipy.spatial import cKDTree

from eitdip.mesh.domain import Domain

_NEAREST = 24  # cells whose centroids are near a point, among which the one that contains it is sought


def cells_at(domain: Domain, points: np.ndarray) -> np.ndarray:
    """The cell that contains each point, -1 outside the domain; curved cells count as straight.

    Args:
        domain: Plane or solid.
        points: Shape (P, d), m.

    Returns:
        Shape (P,).
    """
    count = min(_NEAREST, len(domain.cells))
    near = cKDTree(domain.centroids).query(points, count)[1].reshape(len(points), count)
    nodes = domain.points[domain.corners]
    inverse = np.linalg.inv(nodes[:, 1:] - nodes[:, :1])
    found = np.full(len(points), -1)
    for cells in near.T:  # nearest first: after a few, no point is left
        open_ = np.flatnonzero(found < 0)
        chosen = cells[open_]
        shares = np.einsum("px,pxc->pc", points[open_] - nodes[chosen, 0], inverse[chosen])
        inside = (shares > -1e-9).all(axis=1) & (shares.sum(axis=1) < 1 + 1e-9)
        found[open_[inside]] = chosen[inside]
    return found


def plane_image(domain: Domain, values: np.ndarray, size: int = 192) -> np.ndarray:
    """A field as a plane image; of a solid its middle horizontal section.

    Args:
        domain: Plane or solid.
        values: One per cell, shape (C,).
        size: Pixels along the largest horizontal extent.

    Returns:
        Shape (size, size) over the bounding square of the (x, y) extent, row 0 at the largest y, NaN outside.
    """
    width = np.ptp(domain.points[:, :2], axis=0).max()
    steps = ((np.arange(size) + 0.5) / size - 0.5) * width
    x, y = np.meshgrid(steps, -steps)
    points = np.zeros((size * size, domain.dimension))
    points[:, 0], points[:, 1] = x.ravel(), y.ravel()
    cells = cells_at(domain, points + domain.center)
    return np.where(cells < 0, np.nan, values[cells]).reshape(size, size)
