"""Seeded test conductivities as functions of position, so that any mesh can sample them.

Positions are in units of the body's radius (half its largest horizontal extent), from the center of
its bounding box.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from eitdip.errors import OptionError, choose

_BLOCK = 10_000  # cells that are sampled at once: tens of MB


@dataclass(frozen=True)
class Inclusion:
    """An ellipse of constant conductivity; in a solid body the elliptic cylinder above and below it.

    Args:
        center: (x, y) in units of the domain's radius, from its center.
        radii: Half-axes in the same unit.
        angle: Of the first half-axis, rad.
        contrast: Conductivity over the background.
    """

    center: tuple[float, float]
    radii: tuple[float, float]
    angle: float
    contrast: float

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 2) or (..., 3) lie inside."""
        x, y = np.moveaxis(points[..., :2] - np.asarray(self.center), -1, 0)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return ((c * x + s * y) / self.radii[0]) ** 2 + ((c * y - s * x) / self.radii[1]) ** 2 <= 1

    def over(self, value: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The contrast `value` (...) at points (..., d), with this inclusion put over it."""
        return np.where(self.contains(points), self.contrast, value)


@dataclass(frozen=True)
class Bump:
    """A smooth inclusion: the contrast's logarithm falls off like a Gaussian.

    Args:
        center: (x, y) in units of the domain's radius, from its center; in a solid body the same at all heights.
        width: Standard deviation, same unit.
        contrast: Conductivity over the background at the center.
    """

    center: tuple[float, float]
    width: float
    contrast: float

    def over(self, value: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The contrast `value` (...) at points (..., d) times that of this bump."""
        squares = np.square(points[..., :2] - np.asarray(self.center)).sum(axis=-1)
        return value * self.contrast ** np.exp(-squares / (2 * self.width**2))


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid of constant conductivity in a solid body.

    Args:
        center: (x, y, z) in units of the domain's radius, from its center.
        radii: Half-axes along x, y, z in the same unit, before the rotation.
        contrast: Conductivity over the background.
        rotation: Rotation vector: its direction is the axis, its length the angle, rad.
    """

    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    contrast: float
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points (..., 3) lie inside.

        Raises:
            OptionError: If the points are plane ones.
        """
        if points.shape[-1] != 3:
            raise OptionError("phantom: got an ellipsoid for a plane domain, expected ellipses; choose a plane phantom")
        turned = (points - np.asarray(self.center)) @ Rotation.from_rotvec(self.rotation).as_matrix()
        return np.square(turned / self.radii).sum(axis=-1) <= 1

    def over(self, value: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The contrast `value` (...) at points (..., 3), with this inclusion put over it."""
        return np.where(self.contains(points), self.contrast, value)


@dataclass(frozen=True)
class Phantom:
    """A background with inclusions; where they overlap, the last one counts, and smooth ones multiply.

    Ellipses, bumps and the shapes of `eitdip.phantoms.shapes` make a phantom of plane and, extruded along z, of solid
    domains; ellipsoids of solid ones.
    """

    name: str
    inclusions: tuple  # of anything with `over(value, points)`

    def contrast(self, points: np.ndarray) -> np.ndarray:
        """Conductivity over the background at points (..., 2) or (..., 3) in units of the radius."""
        value = np.ones(np.shape(points)[:-1])
        for inclusion in self.inclusions:
            value = inclusion.over(value, points)
        return value

    def on_domain(self, domain, background: float, samples: int = 6) -> np.ndarray:
        """Mean conductivity per cell, shape (C,), S/m.

        Each triangle is sampled at samples^2 / 2 points, each tetrahedron at samples^3 / 6, about.
        """
        grid = np.indices((samples,) * domain.dimension).reshape(domain.dimension, -1).T
        inner = (grid[grid.sum(axis=1) < samples] + 1 / (domain.dimension + 1)) / samples
        barycentric = np.column_stack([1 - inner.sum(axis=1), inner])
        radius = 0.5 * np.ptp(domain.points[:, :2], axis=0).max()
        mean = np.empty(len(domain.cells))
        for start in range(0, len(mean), _BLOCK):
            block = slice(start, start + _BLOCK)
            corners = (domain.points[domain.corners[block]] - domain.center) / radius
            mean[block] = self.contrast(np.einsum("qv,cvx->cqx", barycentric, corners)).mean(axis=1)
        return background * mean

    def image(self, body, shape: tuple[int, ...], background: float) -> np.ndarray:
        """Conductivity over the body's bounding square or box, S/m, NaN outside the body.

        Args:
            body: A `Tank`, `Cylinder` or `Ball`: anything with radius, widths and contains.
            shape: (H, W), row 0 at the largest y; or (D, H, W), slice 0 at the smallest z.
            background: S/m.
        """
        axes = [((np.arange(n) + 0.5) / n - 0.5) * w for n, w in zip(shape[::-1], body.widths, strict=True)]
        axes[1] = -axes[1]
        points = np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1)
        return np.where(body.contains(points), background * self.contrast(points / body.radius), np.nan)


_NAMED = {
    # The reference disk: three inclusions of both signs.
    "three": (
        Inclusion((0.4, 0.35), (0.25, 0.25), 0.0, 2.5),
        Inclusion((-0.4, 0.3), (0.22, 0.22), 0.0, 0.4),
        Inclusion((0.0, -0.45), (0.38, 0.2), 0.0, 1.8),
    ),
    "heart-lungs": (
        Inclusion((-0.42, 0.05), (0.28, 0.45), 0.15, 0.4),
        Inclusion((0.42, 0.05), (0.28, 0.45), -0.15, 0.4),
        Inclusion((-0.05, -0.55), (0.24, 0.2), 0.0, 2.0),
    ),
    "tank": (
        Inclusion((-0.4, 0.25), (0.27, 0.27), 0.0, 0.1),
        Inclusion((0.4, -0.25), (0.25, 0.25), 0.0, 6.0),
    ),
    "concentric": (Inclusion((0.0, 0.0), (0.5, 0.5), 0.0, 3.0),),
    "touching": (
        Inclusion((-0.25, 0.1), (0.25, 0.25), 0.0, 3.0),
        Inclusion((0.25, 0.1), (0.25, 0.25), 0.0, 0.3),
        Inclusion((0.0, -0.42), (0.35, 0.15), 0.0, 2.0),
    ),
    "smooth": (
        Bump((0.35, 0.3), 0.22, 3.0),
        Bump((-0.35, 0.2), 0.2, 0.4),
        Bump((0.05, -0.45), 0.2, 2.0),
    ),
    # For solids: one conductive, one resistive.
    "two-balls": (
        Ellipsoid((0.4, 0.25, 0.2), (0.3, 0.3, 0.3), 4.0),
        Ellipsoid((-0.4, -0.2, -0.15), (0.33, 0.33, 0.33), 0.2),
    ),
    "homogeneous": (),
}


def phantom(name_or_seed: str | int, dimension: int = 2) -> Phantom:
    """A named phantom, or a random one from a seed: 1 to 4 inclusions apart, each 0.1-0.5 or 2-6 times the background.

    Args:
        name_or_seed: A name, or a number.
        dimension: Of what a seed gives: 2 for ellipses in the unit disk, 3 for ellipsoids in the unit
            ball. Of a body that is flatter than a ball they may stick out.

    Raises:
        OptionError: If the name or the dimension is unknown.
    """
    text = str(name_or_seed)
    if not text.isdigit():
        return Phantom(text, choose("phantom", text, _NAMED))
    place = choose("dimension", dimension, {2: _random_ellipse, 3: _random_ellipsoid})
    rng = np.random.default_rng(int(text))
    inclusions: list[Inclusion | Ellipsoid] = []
    wanted = int(rng.integers(1, 5))
    while len(inclusions) < wanted:
        center, radii = place(rng)
        contrast = float(rng.uniform(2, 6) if rng.random() < 0.5 else rng.uniform(0.1, 0.5))
        gaps = (np.linalg.norm(np.subtract(center, o.center)) - max(radii) - max(o.radii) for o in inclusions)
        if not all(gap > 0.05 for gap in gaps):
            continue
        if dimension == 2:
            inclusions.append(Inclusion(center, radii, float(rng.uniform(0, np.pi)), contrast))
        else:
            rotation = Rotation.from_quat(rng.standard_normal(4)).as_rotvec()
            inclusions.append(Ellipsoid(center, radii, contrast, tuple(rotation.tolist())))
    return Phantom(text, tuple(inclusions))


def _random_ellipse(rng: np.random.Generator) -> tuple[tuple, tuple]:
    """Center and radii in the disk of radius 0.9."""
    radii = tuple(rng.uniform(0.14, 0.3, size=2).tolist())
    distance, direction = rng.uniform(0, 0.9 - max(radii)), rng.uniform(0, 2 * np.pi)
    return (float(distance * np.cos(direction)), float(distance * np.sin(direction))), radii


def _random_ellipsoid(rng: np.random.Generator) -> tuple[tuple, tuple]:
    """Center and radii in the ball of radius 0.9."""
    radii = tuple(rng.uniform(0.18, 0.35, size=3).tolist())
    direction = rng.standard_normal(3)
    distance = (0.9 - max(radii)) * np.cbrt(rng.random())  # as likely in every part of the ball
    return tuple((distance * direction / np.linalg.norm(direction)).tolist()), radii
