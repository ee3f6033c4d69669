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
# Samples at a time while a map is built: the memory for them stays far below that of a large map itself.
_CHUNK = 2**17


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
    barycentric, shares = _rule(space)
    nodes = domain.vertices[:, None] if space.sigma_element == "vertices" else domain.corners
    # All at once, as the rounding of einsum depends on the number of cells; the rest goes in even pieces.
    points = np.einsum("qv,cvx->cqx", barycentric, domain.points[nodes])
    scaled = (points - domain.center) / window(domain, margin)  # -1..1
    count = -(-len(scaled) * len(shares) // _CHUNK)
    pieces = [_sampling(piece, shares, tuple(shape)) for piece in np.array_split(scaled, count)]
    matrix = sparse.vstack(pieces, format="csr")
    return Matrix(matrix, domain=Space(tuple(shape), label="image"), range=space.sigma_space)


def _sampling(scaled: np.ndarray, shares: np.ndarray, shape: tuple[int, ...]) -> sparse.csr_array:
    """Rows of the map for samples (n, Q, d) at coordinates from -1 to 1, with the shares (Q,) in each row."""
    count, each = scaled.shape[:2]
    sizes = np.array(shape)
    scaled = scaled.reshape(-1, len(shape)) * np.array([1, -1, 1])[: len(shape)]  # rows go down
    place = (scaled[:, ::-1] + 1) * sizes / 2 - 0.5  # in pixels, by image axis
    np.clip(place, 0, sizes - 1, out=place)
    low = np.minimum(place.astype(np.int64), sizes - 2)
    high_share = place - low
    entries, pixels = [], []
    for corner in product((0, 1), repeat=len(shape)):
        weight = np.where(corner, high_share, 1 - high_share).prod(axis=1)
        entries.append(weight * np.tile(shares, count))
        pixels.append(np.ravel_multi_index((low + corner).T, shape))
    places = (np.tile(np.repeat(np.arange(count), each), len(entries)), np.concatenate(pixels))
    matrix = sparse.csr_array((np.concatenate(entries), places), shape=(count, int(sizes.prod())))
    matrix.sum_duplicates()
    return matrix


def _rule(space: Discretization) -> tuple[np.ndarray, np.ndarray]:
    """Where an unknown is sampled: barycentric coordinates (Q, V) in its V nodes, and the shares (Q,) in its mean."""
    if space.sigma_element == "vertices":
        return np.ones((1, 1)), np.ones(1)
    # Six points a triangle, four a tetrahedron: rules of degree 4 and 2.
    plane = space.domain.dimension == 2
    points, weights = basix.make_quadrature(
        basix.CellType.triangle if plane else basix.CellType.tetrahedron, 4 if plane else 2
    )
    return np.column_stack([1 - points.sum(axis=1), points]), weights / weights.sum()
