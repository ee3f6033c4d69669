"""Random discs with holes, as of the Helsinki Tomography Challenge 2022, for training data.

Holes keep gaps between each other and from the rim, so that the material hangs together, and have rounded corners, as
a cutter leaves them. Four families: holes of all kinds and sizes, holes that are alike, cells with thin walls between
them, and irregular holes. Lengths are in mm.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from eitdip.errors import OptionError
from eitdip.phantoms.shapes import Blob, Crescent, Handle, Outline, Polygon, Shape

_REACH = 1.45  # farthest point of any outline here from its origin
_TRIES = 12  # places for a hole before it is left out


@dataclass(frozen=True)
class Arc(Outline):
    """A bent strip: the points near a circle's arc, whose middle is the origin.

    Args:
        radius: Of the circle.
        width: Of the strip.
        angle: Half of what the arc spans, rad.
    """

    radius: float
    width: float
    angle: float

    def contains(self, x, y):
        around = np.abs(np.arctan2(y, x + self.radius)) <= self.angle
        return around & (np.abs(np.hypot(x + self.radius, y) - self.radius) <= self.width / 2)


def random_holes(
    rng: np.random.Generator,
    side: int = 256,
    pixel_size: float = 0.296644,
    radius: float = 34.88,
    center: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """How much of each pixel is hole.

    Args:
        rng: Decides everything.
        side: Pixels along each side; row 0 is at the top, y points up.
        pixel_size: Side of a pixel.
        radius: Of the disc.
        center: (x, y) of the disc from the image's centre.

    Returns:
        float32 in 0..1, shape (side, side), zero from about 4.5 mm below the rim on.

    Raises:
        OptionError: If the disc does not fit into the image.
    """
    if not np.hypot(*center) + radius <= side * pixel_size / 2:
        raise OptionError(
            f"radius: got {radius:g} at {center}, which an image of {side * pixel_size:g} mm does not hold"
        )
    across = (np.arange(side) - (side - 1) / 2) * pixel_size
    x, y = across - center[0], -across[:, None] - center[1]
    free = radius - rng.uniform(4.5, 8.0)
    family = rng.choice(4, p=(0.4, 0.25, 0.23, 0.12))
    make = (_mixed, _alike, _cells, _irregular)[family]
    rounding = rng.uniform(0.3, 1.0) / pixel_size
    holes = make(rng, x, y, free) & (np.hypot(x, y) < free)
    smooth = ndimage.gaussian_filter(holes.astype(np.float32), rounding, truncate=3.0)
    # At a straight edge the smoothed step has this slope, so that the edge becomes one pixel wide.
    return np.clip((smooth - 0.5) * (rounding * np.sqrt(2 * np.pi)) + 0.5, 0, 1).astype(np.float32)


def _mixed(rng: np.random.Generator, x, y, free: float) -> np.ndarray:
    """Holes of all kinds, from slits and specks to ones of a third of the disc."""
    largest = free * rng.uniform(0.25, 0.5)
    sizes = np.exp(rng.uniform(np.log(2.5), np.log(largest), int(rng.integers(2, 22))))
    return _place(rng, x, y, free, [(_outline(rng), size, rng.uniform(0.35, 1.0)) for size in np.sort(sizes)[::-1]])


def _alike(rng: np.random.Generator, x, y, free: float) -> np.ndarray:
    """Holes of one kind, about one size, and often one direction."""
    outline, flat = _outline(rng), rng.uniform(0.35, 1.0)
    size = np.exp(rng.uniform(np.log(2.8), np.log(free * 0.4)))
    most = min(40, max(2, int(0.5 * (free / size) ** 2 / flat)))
    turned = None if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi)
    vary = rng.uniform(0, 0.25)
    holes = [(outline, size * np.exp(rng.normal(0, vary)), flat) for _ in range(int(rng.integers(1, most) + 1))]
    return _place(rng, x, y, free, holes, turned)


def _place(rng: np.random.Generator, x, y, free: float, holes, turned: float | None = None) -> np.ndarray:
    """Each hole where it keeps the gap from those that are there, or nowhere."""
    taken = np.zeros((len(y), len(x)), dtype=bool)
    gap = np.exp(rng.uniform(np.log(1.2), np.log(5.0)))
    for outline, size, flat in holes:
        for _ in range(_TRIES):
            distance, direction = (free - 0.5 * size) * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
            center = distance * np.cos(direction), distance * np.sin(direction)
            angle = rng.uniform(0, 2 * np.pi) if turned is None else turned + rng.normal(0, 0.15)
            near, coarse = (_window(x, y, center, _REACH * (size + gap), step) for step in (1, 3))
            # Whether a place is free is asked on every third pixel, which is less than the gap.
            wide = Shape(outline, center, (size + gap, size * flat + gap), angle, 0.0)
            points = np.stack(np.broadcast_arrays(x[coarse[1]], y[coarse[0]]), axis=-1)
            blocked = taken[coarse] | (np.hypot(points[..., 0], points[..., 1]) > free + gap)
            if not points.size or (blocked & wide.contains(points)).any():
                continue
            points = np.stack(np.broadcast_arrays(x[near[1]], y[near[0]]), axis=-1)
            taken[near] |= Shape(outline, center, (size, size * flat), angle, 0.0).contains(points)
            break
    return taken


def _window(x, y, center: tuple[float, float], reach: float, step: int) -> tuple[slice, slice]:
    """Rows and columns within a square, every `step`-th of them."""
    left, right = np.searchsorted(x, (center[0] - reach, center[0] + reach))
    top, bottom = np.searchsorted(-y[:, 0], (-center[1] - reach, -center[1] + reach))
    return slice(top, bottom, step), slice(left, right, step)


def _cells(rng: np.random.Generator, x, y, free: float) -> np.ndarray:
    """Voronoi cells with walls between them and round corners; in half of the discs some cells are solid."""
    count = int(rng.integers(3, 26))
    apart, seeds = rng.uniform(0.5, 1.25) * free / np.sqrt(count), np.zeros((0, 2))
    for candidate in rng.uniform(-free, free, (15 * count, 2)):
        if np.hypot(*candidate) < free and (np.hypot(*(seeds - candidate).T) > apart).all() and len(seeds) < count:
            seeds = np.concatenate([seeds, candidate[None]])
    wall, corner = np.exp(rng.uniform(np.log(1.5), np.log(6.0))), rng.uniform(0.1, 1.5)
    solid = rng.random(len(seeds)) < rng.uniform(0, 0.5) * (rng.random() < 0.5)
    squared = np.stack([(x - a) ** 2 + (y - b) ** 2 for a, b in seeds]).astype(np.float32)
    nearest, least = squared.argmin(axis=0), squared.min(axis=0)
    # The smooth minimum of the distances from all walls rounds the corners where they meet.
    closeness = np.exp(-np.clip(free - np.hypot(x, y), 0, None) / corner)
    for seed, other in zip(seeds, squared, strict=True):
        between = np.hypot(*(seeds - seed).T)[nearest]
        away = (other - least) / (2 * np.where(between == 0, 1, between)) - wall / 2
        closeness += np.where(between == 0, 0, np.exp(-np.clip(away, 0, None) / corner))
    return (closeness < 1) & ~solid[nearest]


def _irregular(rng: np.random.Generator, x, y, free: float) -> np.ndarray:
    """Where a smooth random field is high; islands, which would fall out, are holes too."""
    width = np.exp(rng.uniform(np.log(2.0), np.log(6.0)))
    coarse = rng.standard_normal((len(y) // 4, len(x) // 4)).astype(np.float32)
    field = ndimage.zoom(ndimage.gaussian_filter(coarse, width / (4 * (x[1] - x[0])), mode="wrap"), 4, order=1)
    near = np.hypot(x, y) < free
    field = (field - field[near].mean()) / field[near].std()
    return ndimage.binary_fill_holes((field > rng.uniform(0.0, 1.3)) & near)


def _outline(rng: np.random.Generator) -> Outline:
    return _KINDS[rng.choice(len(_KINDS), p=_SHARES)](rng)


def _polygon(rng: np.random.Generator) -> Polygon:
    n = int(rng.integers(3, 8))
    angles = 2 * np.pi * (np.arange(n) + rng.uniform(-0.25, 0.25, n)) / n
    return Polygon(tuple(angles.tolist()), tuple(rng.uniform(0.75, 1.0, n).tolist()))


def _rectangle(rng: np.random.Generator) -> Polygon:
    half = float(np.arctan(np.exp(rng.uniform(np.log(0.15), 0.0))))
    return Polygon((-half, half, np.pi - half, np.pi + half), (1.0,) * 4)


def _star(rng: np.random.Generator) -> Polygon:
    n = int(rng.integers(3, 8))
    return Polygon(tuple((np.pi * np.arange(2 * n) / n).tolist()), (1.0, float(rng.uniform(0.4, 0.75))) * n)


def _blob(rng: np.random.Generator) -> Blob:
    amplitudes = rng.uniform(0, 0.35, 5) / np.arange(1, 6)
    return Blob(tuple((amplitudes / (1 + amplitudes.sum())).tolist()), tuple(rng.uniform(0, 2 * np.pi, 5).tolist()))


def _arc(rng: np.random.Generator) -> Arc:
    angle = float(rng.uniform(0.4, 2.4))
    radius = 0.9 / (np.sin(angle) if angle < np.pi / 2 else 1.6)
    return Arc(float(radius), float(rng.uniform(0.25, 0.6)) * min(1.0, float(radius)), angle)


_KINDS = (
    lambda rng: Blob((), ()),  # an ellipse, by its two radii
    _polygon,
    _rectangle,
    _star,
    _blob,
    _arc,
    lambda rng: Crescent(float(rng.uniform(0.6, 1.0)), float(rng.uniform(0.4, 0.8))),
    lambda rng: Handle(float(rng.uniform(0.5, 0.7)), float(rng.uniform(0.2, 0.4))),
)
_SHARES = (0.25, 0.2, 0.15, 0.06, 0.18, 0.08, 0.05, 0.03)
