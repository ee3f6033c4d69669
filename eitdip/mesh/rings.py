"""Rings of electrodes on the wall of a cylinder and on a ball: sizes, places and numbers."""

from dataclasses import dataclass
from math import acos, asin, atan2, cos, hypot, inf, pi, radians, sin

import numpy as np

from eitdip.errors import OptionError

_LARGEST = 20.0  # m
# Share of the radius below which electrodes are refused: meshes of solids need many cells along a thin strip.
_LEAST, _LEAST_STRIP, _LEAST_CAP = 1e-4, 5e-3, 1e-3


def refuse_other_units(radius: float, least: float = _LEAST, **sizes: float) -> None:
    """Refuse a body with electrodes whose lengths cannot all be in m.

    Args:
        radius: m.
        least: Smallest share of the radius that can be meshed.
        sizes: Name to length in m, of electrodes and gaps.

    Raises:
        OptionError: If one is below that share, or the body is larger than any tank.
    """
    for name, size in sizes.items():
        if not size >= least * radius:
            raise OptionError(
                f"{name}: got {size:.3g} m on a body of radius {radius:g} m, expected at least {least:g} of the "
                "radius; both are in m: is one of them meant in mm?"
            )
    if radius > _LARGEST:
        raise OptionError(
            f"radius: got {radius:g} m, expected at most {_LARGEST:g} m of a tank with electrodes; lengths are in m: "
            "is it meant in mm?"
        )


class Rings:
    """What the layouts of solids share: equal electrodes in rings, numbered ring by ring."""

    radius: float
    rings: int | tuple[float, ...]
    electrodes: int
    first: float
    clockwise: bool

    @property
    def dimension(self) -> int:
        """3."""
        return 3

    @property
    def electrode_count(self) -> int:
        """L: all electrodes of all rings."""
        return len(self.rings) * self.electrodes

    def _settle(self, equal) -> None:
        """Check what all layouts have, and keep rings as a tuple of their places; `equal` spaces a given number."""
        if not 0 < self.radius < inf:
            raise OptionError(f"radius: got {self.radius}, expected > 0, m")
        if self.electrodes < 0 or self.electrodes == 1:
            raise OptionError(f"electrodes: got {self.electrodes}, expected 0 or at least 2 per ring")
        if not np.isfinite(self.first):
            raise OptionError(f"first: got {self.first}, expected an angle in degrees")
        rings = self.rings
        if np.ndim(rings) == 0:
            if not (rings == int(rings) and rings >= 1):
                raise OptionError(f"rings: got {rings}, expected how many (at least 1) or a list of their places")
            rings = equal(int(rings))
        places = np.asarray(rings, dtype=float)
        if places.ndim != 1 or not np.isfinite(places).all() or (self.electrodes and not places.size):
            raise OptionError(f"rings: got {rings}, expected how many or a list of at least one place")
        object.__setattr__(self, "rings", tuple(places.tolist()) if self.electrodes else ())

    def _around(self, angle: float) -> tuple[int, float]:
        """Number within its ring of the electrode nearest to an angle, and the angle between them, rad."""
        pitch = 2 * pi / self.electrodes
        steps = (-1 if self.clockwise else 1) * (angle - radians(self.first)) / pitch
        number = round(steps)
        return number % self.electrodes + 1, abs(steps - number) * pitch


@dataclass(frozen=True)
class WallRings(Rings):
    """Rings of equal rectangular electrodes on the wall of an upright cylinder: what `eitdip.mesh.Cylinder` describes.

    Args:
        radius, height, rings, electrodes, width, electrode_height, first, clockwise: As there.

    Raises:
        OptionError: If a size is out of range.
    """

    radius: float
    height: float
    rings: int | tuple[float, ...] = 1
    electrodes: int = 0
    width: float = 0.0
    electrode_height: float = 0.0
    first: float = 90.0
    clockwise: bool = False

    def __post_init__(self):
        if not 0 < self.height < inf:
            raise OptionError(f"height: got {self.height}, expected > 0, m")
        self._settle(lambda count: (np.arange(count) + 0.5) * self.height / count)
        if not self.electrodes:
            return
        if not 0 < self.width * self.electrodes < 2 * pi * self.radius:
            raise OptionError(
                f"width: got {self.width} m, expected > 0 and {self.electrodes} electrodes per ring not to touch"
            )
        half = 0.5 * self.electrode_height
        gaps = np.diff([-half, *self.rings, self.height + half])
        if not (half > 0 and (gaps > 2 * half).all()):
            raise OptionError(
                f"rings, electrode_height: got rings at {self.rings} m and {self.electrode_height} m; expected "
                f"increasing heights, electrodes higher than 0 that do not touch and lie within 0..{self.height} m"
            )
        refuse_other_units(self.radius, _LEAST_STRIP, width=self.width, electrode_height=self.electrode_height)

    @property
    def widths(self) -> tuple[float, ...]:
        """Extents of the bounding box along x, y, z, m."""
        return (2 * self.radius, 2 * self.radius, self.height)

    @property
    def heights(self) -> tuple[float, ...]:
        """Of each ring's middle over the center of the bounding box, m."""
        return tuple(ring - 0.5 * self.height for ring in self.rings)

    @property
    def half_angles(self) -> tuple[float, ...]:
        """Half of the angle that an electrode of each ring takes up, seen from the axis, rad."""
        return (0.5 * self.width / self.radius,) * len(self.rings)

    def wall(self, heights: np.ndarray) -> np.ndarray:
        """Distance of the wall from the axis at heights over the center, m."""
        return np.full_like(heights, self.radius)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 3), m from the center of the bounding box, lie in the body."""
        return (np.hypot(points[..., 0], points[..., 1]) <= self.radius) & (2 * np.abs(points[..., 2]) <= self.height)

    @property
    def finest(self) -> float:
        """The edge length that resolves an electrode: half its shorter side, m; infinite without electrodes."""
        return 0.5 * min(self.width, self.electrode_height) if self.electrodes else inf

    def depth(self, x: float, y: float, z: float) -> float:
        """Distance of a point of the body from the boundary, m."""
        return max(0.0, min(self.radius - hypot(x, y), z, self.height - z))

    def nearest(self, x: float, y: float, z: float) -> tuple[int, float, float]:
        """The electrode nearest to a point: its number (0 if there is none), and how far the point is from it.

        The distances are along the surface from its rim (0 above or below the electrode itself) and
        inwards from the wall, m.
        """
        if not self.electrodes:
            return 0, inf, inf
        number, angle = self._around(atan2(y, x))
        ring = min(range(len(self.rings)), key=lambda i: abs(z - self.rings[i]))
        aside = max(0.0, self.radius * angle - 0.5 * self.width)
        above = max(0.0, abs(z - self.rings[ring]) - 0.5 * self.electrode_height)
        return ring * self.electrodes + number, hypot(aside, above), self.radius - hypot(x, y)


@dataclass(frozen=True)
class CapRings(Rings):
    """Rings of equal round electrodes on a ball: what `eitdip.mesh.Ball` describes.

    Args:
        radius, rings, electrodes, electrode_radius, first, clockwise: As there.

    Raises:
        OptionError: If a size is out of range.
    """

    radius: float
    rings: int | tuple[float, ...] = 1
    electrodes: int = 0
    electrode_radius: float = 0.0
    first: float = 90.0
    clockwise: bool = False

    def __post_init__(self):
        self._settle(lambda count: 180.0 * np.arange(1, count + 1) / (count + 1) - 90.0)
        if not self.electrodes:
            return
        latitudes = np.radians(self.rings)
        within = 2 * np.arcsin(np.cos(latitudes) * np.sin(pi / self.electrodes))  # to the next on the same ring
        between = np.diff([-pi / 2, *latitudes, pi / 2]) * [2, *np.ones(len(latitudes) - 1), 2]  # caps reach no pole
        if not (self.electrode_radius > 0 and min(within.min(), between.min()) > 2 * self.opening):
            raise OptionError(
                f"rings, electrode_radius: got rings at {self.rings} degrees and {self.electrode_radius} m; expected "
                "increasing latitudes between -90 and 90 degrees, and electrodes larger than 0 that touch neither "
                "each other nor a pole"
            )
        refuse_other_units(self.radius, _LEAST_CAP, electrode_radius=self.electrode_radius)

    @property
    def opening(self) -> float:
        """Angle between an electrode's middle and its rim, seen from the center, rad."""
        return self.electrode_radius / self.radius

    @property
    def widths(self) -> tuple[float, ...]:
        """Extents of the bounding box along x, y, z, m."""
        return (2 * self.radius,) * 3

    @property
    def heights(self) -> tuple[float, ...]:
        """Of each ring's middle over the center, m."""
        return tuple(self.radius * sin(radians(latitude)) for latitude in self.rings)

    @property
    def half_angles(self) -> tuple[float, ...]:
        """Half of the angle that an electrode of each ring takes up, seen from the axis, rad."""
        return tuple(asin(sin(self.opening) / cos(radians(latitude))) for latitude in self.rings)

    def wall(self, heights: np.ndarray) -> np.ndarray:
        """Distance of the wall from the axis at heights over the center, m."""
        return np.sqrt(np.maximum(self.radius**2 - np.square(heights), 0))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 3), m from the center, lie in the body."""
        return np.square(points).sum(axis=-1) <= self.radius**2

    @property
    def finest(self) -> float:
        """The edge length that resolves an electrode: half its radius, m; infinite without electrodes."""
        return 0.5 * self.electrode_radius if self.electrodes else inf

    def depth(self, x: float, y: float, z: float) -> float:
        """Distance of a point of the body from the boundary, m."""
        return max(0.0, self.radius - hypot(x, y, z))

    def nearest(self, x: float, y: float, z: float) -> tuple[int, float, float]:
        """The electrode nearest to a point: its number (0 if there is none), and how far the point is from it.

        The distances are along the surface from its rim (0 above or below the electrode itself) and
        inwards from the surface, m.
        """
        if not self.electrodes:
            return 0, inf, inf
        number, longitude = self._around(atan2(y, x))
        latitude, distance = atan2(z, hypot(x, y)), inf
        for index, place in enumerate(radians(degrees) for degrees in self.rings):
            cosine = sin(latitude) * sin(place) + cos(latitude) * cos(place) * cos(longitude)
            angle = acos(min(1.0, max(-1.0, cosine)))
            if angle < distance:
                ring, distance = index, angle
        aside = max(0.0, self.radius * (distance - self.opening))
        return ring * self.electrodes + number, aside, self.radius - hypot(x, y, z)
