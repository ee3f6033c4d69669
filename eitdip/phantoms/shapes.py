"""Plane objects with other outlines than ellipses, and random bodies of them, for training data.

An outline is a region around the origin, of size about one; a `Shape` moves, turns and scales it. Positions are in
units of the body's radius from its centre, as in `inclusions`; in a solid body a shape is extruded along z.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, repeat

import numpy as np

from eitdip.errors import OptionError
from eitdip.phantoms.inclusions import Phantom


class Outline(ABC):
    """A region of the plane."""

    @abstractmethod
    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which points lie inside."""


@dataclass(frozen=True)
class Polygon(Outline):
    """Corners seen from the origin one after another: convex polygons, stars.

    Args:
        angles: Of the corners, rad, increasing within one turn, no two more than a half turn apart.
        radii: Their distances from the origin, > 0.
    """

    angles: tuple[float, ...]
    radii: tuple[float, ...]

    def contains(self, x, y):
        corners = np.stack([np.multiply(self.radii, np.cos(self.angles)), np.multiply(self.radii, np.sin(self.angles))])
        first = (
            np.searchsorted(self.angles, (np.arctan2(y, x) - self.angles[0]) % (2 * np.pi) + self.angles[0], "right")
            - 1
        )
        a, b = corners[:, first], corners[:, (first + 1) % len(self.angles)]
        return (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= 0  # left of the edge that it looks at


@dataclass(frozen=True)
class Blob(Outline):
    """A wavy disc: the radius is 1 + sum of amplitude cos(k angle + phase) over waves k = 1, 2, ...

    Args:
        amplitudes, phases: As many of each; the amplitudes together less than 1.
    """

    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]

    def contains(self, x, y):
        angle, radius = np.arctan2(y, x), np.ones(np.shape(x))
        for k, (amplitude, phase) in enumerate(zip(self.amplitudes, self.phases, strict=True), start=1):
            radius += amplitude * np.cos(k * angle + phase)
        return np.hypot(x, y) <= radius


@dataclass(frozen=True)
class Crescent(Outline):
    """The unit disc without another disc.

    Args:
        radius: Of the other disc.
        shift: Of its centre, along x.
    """

    radius: float
    shift: float

    def contains(self, x, y):
        return (np.hypot(x, y) <= 1) & (np.hypot(x - self.shift, y) > self.radius)


@dataclass(frozen=True)
class Handle(Outline):
    """A disc with a bar to one side, like a pan.

    Args:
        radius: Of the disc.
        width: Of the bar, which ends at x = 1.
    """

    radius: float
    width: float

    def contains(self, x, y):
        return (np.hypot(x, y) <= self.radius) | ((np.abs(y) <= self.width / 2) & (x >= 0) & (x <= 1))


@dataclass(frozen=True)
class Shape:
    """An object of constant conductivity.

    Args:
        outline: Its form.
        center: (x, y) in units of the domain's radius, from its center.
        radii: What one unit of the outline is along its own x and y, in the same unit.
        angle: Of the outline's x-axis, rad.
        contrast: Conductivity over the background.
    """

    outline: Outline
    center: tuple[float, float]
    radii: tuple[float, float]
    angle: float
    contrast: float

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 2) or (..., 3) lie inside."""
        x, y = np.moveaxis(points[..., :2] - np.asarray(self.center), -1, 0)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return self.outline.contains((c * x + s * y) / self.radii[0], (c * y - s * x) / self.radii[1])

    def over(self, value: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The contrast `value` (...) at points (..., d), with this shape put over it."""
        return np.where(self.contains(points), self.contrast, value)


def random_shapes(
    rng: np.random.Generator,
    most: int = 4,
    low: tuple[float, float] = (0.1, 0.5),
    high: tuple[float, float] = (2.0, 6.0),
    reach: float = 1.0,
    gap: float | None = None,
    sizes: tuple[float, float] = (0.1, 0.4),
) -> Phantom:
    """One to `most` objects of all kinds, resistive or conductive; they may touch, overlap, and reach the wall.

    Args:
        rng: Decides everything.
        most: Largest number of objects, at least 1.
        low, high: Ranges of the contrasts of resistive and of conductive objects; the logarithm is uniform in them.
        reach: Largest distance of an object's farthest point from the centre, about, in units of the radius.
        gap: Least distance between objects, about, in the same unit: what finds no place in 20 tries is left out. By
            default objects are put anywhere.
        sizes: Range of what one unit of an outline is, over the reach.

    Raises:
        OptionError: If most < 1, or a range is out of order or not positive.
    """
    check_ranges(most, low, high, sizes)
    count = int(rng.integers(1, most + 1))
    shapes = (_shape(rng, low, high, reach, sizes) for _ in repeat(None))
    return Phantom("random shapes", tuple(islice(shapes, count) if gap is None else apart(shapes, count, gap)))


def check_ranges(most: int, low: tuple, high: tuple, sizes: tuple) -> None:
    """Of numbers, contrasts and sizes of random objects, as for `random_shapes`.

    Raises:
        OptionError: As `random_shapes`.
    """
    if most < 1:
        raise OptionError(f"most: got {most}, expected at least 1 object")
    for name, (least, largest) in (("low", low), ("high", high), ("sizes", sizes)):
        if not 0 < least <= largest < (1 if name == "sizes" else np.inf):
            kind = "size, below 1" if name == "sizes" else "contrast"
            raise OptionError(f"{name}: got {least} to {largest}, expected 0 < least <= largest {kind}")


def apart(shapes: Iterator, count: int, gap: float, dimension: int = 2) -> list:
    """Objects of which none, enlarged by the gap, covers one of 64 x 64, or 32 x 32 x 32, points of another.

    Args:
        shapes: An endless row of them, with `radii` and `contains`.
        count: How many; what finds no place in 20 tries is left out.
        gap: In units of the radius.
        dimension: 2 or 3.
    """
    side = {2: 64, 3: 32}[dimension]
    points = np.stack(np.meshgrid(*((np.arange(side) + 0.5) * 2 / side - 1,) * dimension), axis=-1)
    taken, kept = np.zeros(points.shape[:-1], bool), []
    for _ in range(count):
        for shape in islice(shapes, 20):
            larger = replace(shape, radii=tuple(radius + gap for radius in shape.radii))
            if not (larger.contains(points) & taken).any():
                kept.append(shape)
                taken |= shape.contains(points)
                break
    return kept


def _shape(rng: np.random.Generator, low, high, reach: float, sizes) -> Shape:
    outline = _KINDS[rng.integers(len(_KINDS))](rng)
    size = rng.uniform(*sizes) * reach
    radii = size, size * rng.uniform(0.6, 1.0)
    distance, direction = (reach - size) * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    center = float(distance * np.cos(direction)), float(distance * np.sin(direction))
    contrast = float(np.exp(rng.uniform(*np.log(low if rng.random() < 0.5 else high))))
    return Shape(outline, center, radii, float(rng.uniform(0, 2 * np.pi)), contrast)


def _polygon(rng: np.random.Generator) -> Polygon:
    n = int(rng.integers(3, 8))
    angles = 2 * np.pi * (np.arange(n) + rng.uniform(-0.2, 0.2, n)) / n
    return Polygon(tuple(angles.tolist()), tuple(rng.uniform(0.8, 1.0, n).tolist()))


def _star(rng: np.random.Generator) -> Polygon:
    n = int(rng.integers(4, 8))
    inner = float(rng.uniform(0.4, 0.7))
    return Polygon(tuple((np.pi * np.arange(2 * n) / n).tolist()), (1.0, inner) * n)


def _bar(rng: np.random.Generator) -> Polygon:
    """A rectangle, from a thin bar to a square."""
    half = float(np.arctan(rng.uniform(0.2, 1.0)))
    return Polygon((-half, half, np.pi - half, np.pi + half), (1.0,) * 4)


def _blob(rng: np.random.Generator) -> Blob:
    amplitudes = rng.uniform(0, 0.3, 4) / np.arange(1, 5)
    return Blob(tuple((amplitudes / (1 + amplitudes.sum())).tolist()), tuple(rng.uniform(0, 2 * np.pi, 4).tolist()))


_KINDS = (
    lambda rng: Blob((), ()),  # an ellipse, by its two radii
    _polygon,
    _bar,
    _star,
    _blob,
    lambda rng: Crescent(float(rng.uniform(0.6, 1.0)), float(rng.uniform(0.4, 0.8))),
    lambda rng: Handle(float(rng.uniform(0.5, 0.7)), float(rng.uniform(0.2, 0.4))),
)
