"""From pixel images to conductivity unknowns."""

from itertools import product

import basix
import numpy as np
from scipy import sparse

from eitdip.errors import OptionError
from eitdip.fem.spaces import Discretization
from eitdip.mesh.domain import Domain
from eitdip.operator import Matrix, Space

# Image windows reach a little beyond the domain, so that no sample falls on the border pixels' rim.
MARGIN = 1.05


def window(domain: Domain, margin: float = MARGIN) -> np.ndarray:
    """Half extents of the image window along x, y(, z), m.

    The bounding square of a plane domain, the bounding box of a solid one, enlarged by `margin`.
    """
    extents = np.ptp(domain.points, axis=0)
    return 0.5 * margin * (np.full(2, extents.max()) if domain.dimension == 2 else extents)


def pixel_centers(domain: Domain, shape: tuple[int, ...], margin: float = MARGIN) -> np.ndarray:
    """Coordinates of the pixel centers of an image over the domain, shape (H, W, 2) or (D, H, W, 3), m.

    Row 0 is at the top (largest y), column 0 at the left (smallest x), slice 0 at the bottom (smallest z).
    """
    half = window(domain, margin)
    # Image axes are (z,) y, x: the reverse of the coordinates', with y downwards.
    signs = np.array([1, -1, 1])[: domain.dimension]
    axes = [
        domain.center[i] + signs[i] * half[i] * ((np.arange(count) + 0.5) * 2 / count - 1)
        for i, count in enumerate(shape[::-1])
    ]
    return np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1)


def pixel_map(space: Discretization, shape: tuple[int, ...], margin: float = MARGIN) -> Matrix:
    """Linear sampling of an image along each axis: pixels (H, W) or voxels (D, H, W) to conductivity unknowns (N,).

    Cell values are averages over quadrature points, vertex values are samples. Rows are
    non-negative and sum to one, so bounds and constants carry over.

    Args:
        space: Where the conductivity lives.
        shape: (H, W) of the image of a plane domain, (D, H, W) of a solid one.
        margin: Size of the image window over that of the domain, >= 1; samples beyond the outer
            pixel centers take the border value.

    Raises:
        OptionError: If margin < 1, the image has another number of axes than the domain, or fewer
            than 2 pixels along one.
    """
    domain = space.domain
    if not margin >= 1:
        raise OptionError(f"margin: got {margin}, expected at least 1 (the image must cover the domain)")
    if len(shape) != domain.dimension or min(shape) < 2:
        expected = " x ".join("2" * domain.dimension)
        raise OptionError(f"image shape: got {shape}, expected at least {expected} pixels")
    unknowns, points, shares = _samples(space)
    scaled = (points - domain.center) / window(domain, margin)  # -1..1
    scaled[:, 1] *= -1  # rows go down
    counts = np.array(shape)
    place = (scaled[:, ::-1] + 1) * counts / 2 - 0.5  # in pixels, by image axis
    np.clip(place, 0, counts - 1, out=place)
    low = np.minimum(place.astype(np.int64), counts - 2)
    high_share = place - low
    entries, pixels = [], []
    for corner in product((0, 1), repeat=len(shape)):
        weight = np.where(corner, high_share, 1 - high_share).prod(axis=1)
        entries.append(weight * shares)
        pixels.append(np.ravel_multi_index((low + corner).T, shape))
    size = (space.sigma_space.size, int(counts.prod()))
    places = (np.tile(unknowns, len(entries)), np.concatenate(pixels))
    matrix = sparse.csr_array((np.concatenate(entries), places), shape=size)
    matrix.sum_duplicates()
    return Matrix(matrix, domain=Space(tuple(shape), label="image"), range=space.sigma_space)


def _samples(space: Discretization) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample points: unknown of each, coordinates, and share in that unknown's mean."""
    domain = space.domain
    if space.sigma_element == "vertices":
        return np.arange(len(domain.vertices)), domain.points[domain.vertices], np.ones(len(domain.vertices))
    # Six points a triangle, four a tetrahedron: rules of degree 4 and 2.
    plane = domain.dimension == 2
    points, weights = basix.make_quadrature(
        basix.CellType.triangle if plane else basix.CellType.tetrahedron, 4 if plane else 2
    )
    barycentric = np.column_stack([1 - points.sum(axis=1), points])
    located = np.einsum("qv,cvx->cqx", barycentric, domain.points[domain.corners])
    count, each = located.shape[:2]
    shares = np.tile(weights / weights.sum(), count)
    return np.repeat(np.arange(count), each), located.reshape(-1, domain.dimension), shares
