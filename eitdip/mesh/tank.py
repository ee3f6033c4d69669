"""The description of a round tank, a cylinder or a ball, independent of any mesh."""

from dataclasses import asdict, dataclass

import numpy as np

from eitdip.errors import OptionError
from eitdip.mesh.domain import Domain
from eitdip.mesh.generate import disk
from eitdip.mesh.rings import CapRings, WallRings, refuse_other_units
from eitdip.mesh.solids import mesh_ball, mesh_cylinder


@dataclass(frozen=True)
class Tank:
    """A round tank with equal, equally spaced electrodes.

    Args:
        radius: m.
        electrodes: Number L; 0 for a disk whose whole boundary is driven and measured.
        width: Length of each electrode along the wall, m.
        first: Angle of the middle of electrode 1, degrees from the x axis.
        clockwise: Numbering direction.

    Raises:
        OptionError: If a size is out of range.
    """

    radius: float
    electrodes: int = 0
    width: float = 0.0
    first: float = 90.0
    clockwise: bool = False

    def __post_init__(self):
        if not self.radius > 0:
            raise OptionError(f"radius: got {self.radius}, expected > 0, m")
        if self.electrodes < 0 or self.electrodes == 1:
            raise OptionError(f"electrodes: got {self.electrodes}, expected 0 or at least 2")
        if self.electrodes and not 0 < self.width * self.electrodes < 6.283185 * self.radius:
            raise OptionError(f"width: got {self.width} m, expected > 0 and {self.electrodes} electrodes not to touch")
        if self.electrodes:
            gap = 2 * np.pi * self.radius / self.electrodes - self.width
            refuse_other_units(self.radius, width=self.width, gap=gap)

    @property
    def dimension(self) -> int:
        """2."""
        return 2

    @property
    def rings(self) -> tuple[float, ...]:
        """The one ring, if there are electrodes."""
        return (0.0,) if self.electrodes else ()

    @property
    def electrode_count(self) -> int:
        """L."""
        return self.electrodes

    @property
    def heights(self) -> tuple[float, ...]:
        """Of each ring's middle over the center, m: a plane has but one height."""
        return self.rings

    @property
    def half_angles(self) -> tuple[float, ...]:
        """Half of the angle that an electrode of each ring takes up, seen from the axis, rad."""
        return (0.5 * self.width / self.radius,) * len(self.rings)

    def wall(self, heights: np.ndarray) -> np.ndarray:
        """Distance of the wall from the axis at heights over the center, m."""
        return np.full_like(heights, self.radius)

    @property
    def widths(self) -> tuple[float, ...]:
        """Extents of the bounding square along x and y, m."""
        return (2 * self.radius,) * 2

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 2), m from the center, lie in the tank."""
        return np.square(points).sum(axis=-1) <= self.radius**2

    def mesh(self, h: float, *, degree: int = 1, h_boundary: float | None = None) -> Domain:
        """A mesh with edge length h, m; see `eitdip.mesh.disk`."""
        return disk(h=h, degree=degree, h_boundary=h_boundary, **asdict(self))


class _Solid:
    def mesh(self, h: float, *, degree: int = 1, h_boundary: float | None = None) -> Domain:
        """A mesh with edge length h, m; see `eitdip.mesh.cylinder` and `eitdip.mesh.ball`.

        Raises:
            OptionError: If a size is out of range, or the degree is not 1.
        """
        if degree != 1:
            raise OptionError(f"degree: got {degree}, expected 1: meshes of solids have straight tetrahedra")
        return self._mesh(h, h_boundary)


class Cylinder(_Solid, WallRings):
    """An upright cylinder with rings of equal rectangular electrodes on its wall.

    Its axis is the z axis, from z = 0 at the bottom to the height. Electrodes are numbered ring by
    ring from the lowest; each ring begins at the same angle.

    Args:
        radius: m.
        height: m.
        rings: Heights of the rings' middles, m, increasing; or how many there are, each in the
            middle of an equal part of the height. They are kept as heights, none without electrodes.
        electrodes: Number per ring; 0 for a body whose whole boundary is driven and measured.
        width: Length of each electrode around the wall, m.
        electrode_height: Length of each electrode along the axis, m.
        first: Angle of the middle of electrode 1, degrees from the x axis.
        clockwise: Numbering direction, seen from above.

    Raises:
        OptionError: If a size is out of range.
    """

    _mesh = mesh_cylinder


class Ball(_Solid, CapRings):
    """A ball about the origin with rings of equal round electrodes, each ring at one latitude.

    Electrodes are numbered ring by ring from the lowest; each ring begins at the same longitude.

    Args:
        radius: m.
        rings: Latitudes of the rings, degrees, increasing; or how many there are, equally spaced
            between the poles. They are kept as latitudes, none without electrodes.
        electrodes: Number per ring; 0 for a body whose whole boundary is driven and measured.
        electrode_radius: Of each electrode, measured along the surface, m.
        first: Longitude of the middle of electrode 1, degrees from the x axis.
        clockwise: Numbering direction, seen from above.

    Raises:
        OptionError: If a size is out of range.
    """

    _mesh = mesh_ball
