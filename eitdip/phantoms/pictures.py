"""Random pictures and volumes with values from 0 to 1, as training data."""

import numpy as np
from scipy.spatial.transform import Rotation

from eitdip.errors import choose
from eitdip.phantoms.ellipses import random_ellipses
from eitdip.phantoms.shapes import random_shapes

_FEWEST, _MOST = 3, 12


def random_picture(rng: np.random.Generator, shape: tuple[int, ...], family: str = "ellipses") -> np.ndarray:
    """Several objects on a background of 0, clipped to 1.

    Args:
        rng: Decides everything.
        shape: (H, W), or (D, H, W) of a volume.
        family: "ellipses" (in a volume ellipsoids), whose values add up where they overlap; or "shapes": polygons,
            stars, blobs, crescents and discs with handles, of which the last one counts. In a volume they go through
            all slices.

    Raises:
        OptionError: If the family is unknown.
    """
    return choose("family", family, FAMILIES)(rng, tuple(shape))


def _ellipses(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    count = int(rng.integers(_FEWEST, _MOST + 1))
    if len(shape) == 3:
        return _ellipsoids(rng, shape, count)
    return random_ellipses(rng, count).image(shape, 2 / max(shape), samples=2).clip(0, 1)


def _ellipsoids(rng: np.random.Generator, shape: tuple[int, ...], count: int) -> np.ndarray:
    points, total = _points(shape), np.zeros(shape)
    for _ in range(count):
        axes = rng.uniform(0.1, 0.4, 3)
        direction = rng.standard_normal(3)
        center = (1 - axes.max()) * np.cbrt(rng.random()) * direction / np.linalg.norm(direction)
        turn = Rotation.from_quat(rng.standard_normal(4)).as_matrix()
        inside = np.square((points - center) @ turn / axes).sum(axis=-1) <= 1
        total += rng.uniform(0.2, 1.0) * inside
    return total.clip(0, 1)


def _shapes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    # A shape's contrast is its value here: `low` the faint ones, `high` the bright ones.
    drawn = random_shapes(rng, _MOST, low=(0.1, 0.5), high=(0.5, 1.0))
    fine = (*shape[:-2], 2 * shape[-2], 2 * shape[-1])  # means over four points make the edges
    points, value = _points(fine), np.zeros(fine)
    for inclusion in drawn.inclusions:
        value = inclusion.over(value, points)
    return value.reshape(*shape[:-1], 2, shape[-1], 2).mean(axis=(-3, -1))


def _points(shape: tuple[int, ...]) -> np.ndarray:
    """Centres of pixels (..., 2) or voxels (..., 3) as x, y, z; the longest side goes from -1 to 1, rows fall."""
    axes = [(2 * np.arange(count) + 1 - count) / max(shape) for count in shape]
    axes[-2] = -axes[-2]
    return np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1)


FAMILIES = {"ellipses": _ellipses, "shapes": _shapes}
