"""Random bodies of ellipsoids in solids, for training data."""

from itertools import islice, repeat

import numpy as np
from scipy.spatial.transform import Rotation

from eitdip.errors import OptionError
from eitdip.phantoms.inclusions import Ellipsoid, Phantom
from eitdip.phantoms.shapes import apart, check_ranges

_TRIES, _PLACES = 2000, 100  # in all, and for one size: large ones would be rare if each try drew another


def random_ellipsoids(
    rng: np.random.Generator,
    body,
    most: int = 4,
    low: tuple[float, float] = (0.1, 0.5),
    high: tuple[float, float] = (2.0, 6.0),
    reach: float = 1.0,
    gap: float | None = None,
    sizes: tuple[float, float] = (0.15, 0.4),
) -> Phantom:
    """One to `most` ellipsoids, turned any way, resistive or conductive, as likely in every part of a body.

    Args:
        rng: Decides everything.
        body: A `Cylinder` or `Ball`: anything with radius, widths and contains.
        most, low, high: As for `eitdip.phantoms.random_shapes`.
        reach: The body, scaled by this, contains the six outermost points of each ellipsoid.
        gap: Least distance between objects, about, in units of the radius; by default they may overlap.
        sizes: Range of the longest half-axis in units of the radius; the others are 0.6 to 1 times as long.

    Raises:
        OptionError: If most < 1, a range is out of order or not positive, or the body is too flat for such objects.
    """
    check_ranges(most, low, high, sizes)
    count = int(rng.integers(1, most + 1))
    shapes = (_ellipsoid(rng, body, low, high, reach, sizes) for _ in repeat(None))
    found = islice(shapes, count) if gap is None else apart(shapes, count, gap, dimension=3)
    return Phantom("random ellipsoids", tuple(found))


def _ellipsoid(rng: np.random.Generator, body, low, high, reach: float, sizes) -> Ellipsoid:
    half = 0.5 * np.asarray(body.widths) / body.radius
    contrast = float(np.exp(rng.uniform(*np.log(low if rng.random() < 0.5 else high))))
    for number in range(_TRIES):
        if number % _PLACES == 0:
            radii = rng.uniform(*sizes) * np.array([1.0, *rng.uniform(0.6, 1.0, 2)])
        turn, center = Rotation.from_quat(rng.standard_normal(4)), reach * half * rng.uniform(-1, 1, 3)
        axes = turn.as_matrix() * radii
        ends = (axes @ axes.T / np.linalg.norm(axes, axis=1)).T  # the outermost points along x, y, z
        if body.contains(body.radius / reach * np.concatenate([center + ends, center - ends])).all():
            return Ellipsoid(tuple(center.tolist()), tuple(radii.tolist()), contrast, tuple(turn.as_rotvec().tolist()))
    raise OptionError(
        f"sizes: got half-axes of {sizes[0]:g} to {sizes[1]:g} of the radius, for which a body of half extents "
        f"{', '.join(f'{each:.2g}' for each in half)} has hardly any place; choose smaller ones"
    )
