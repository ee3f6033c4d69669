"""Seeded test conductivities as functions of position, so that any mesh can sample them."""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import choose


@dataclass(frozen=True)
class Inclusion:
    """An ellipse of constant conductivity.

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
        """Which points (..., 2) lie inside."""
        x, y = np.moveaxis(points - np.asarray(self.center), -1, 0)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return ((c * x + s * y) / self.radii[0]) ** 2 + ((c * y - s * x) / self.radii[1]) ** 2 <= 1


@dataclass(frozen=True)
class Phantom:
    """A background with inclusions; where they overlap, the last one counts."""

    name: str
    inclusions: tuple[Inclusion, ...]

    def contrast(self, points: np.ndarray) -> np.ndarray:
        """Conductivity over the background at points (..., 2) in units of the radius."""
        value = np.ones(np.shape(points)[:-1])
        for inclusion in self.inclusions:
            value[inclusion.contains(points)] = inclusion.contrast
        return value

    def on_domain(self, domain, background: float, samples: int = 6) -> np.ndarray:
        """Mean conductivity per cell, shape (C,), S/m, by samples^2 / 2 points in each triangle."""
        i, j = np.meshgrid(np.arange(samples), np.arange(samples), indexing="ij")
        keep = i + j < samples
        u, v = (i[keep] + 1 / 3) / samples, (j[keep] + 1 / 3) / samples
        barycentric = np.stack([1 - u - v, u, v], axis=1)
        radius = 0.5 * np.ptp(domain.points, axis=0).max()
        corners = (domain.points[domain.cells[:, :3]] - domain.center) / radius
        points = np.einsum("qv,cvx->cqx", barycentric, corners)
        return background * self.contrast(points).mean(axis=1)

    def image(self, size: int, background: float) -> np.ndarray:
        """Conductivity on size x size pixels over the bounding square, row 0 at the top, NaN outside the disk."""
        center = (np.arange(size) + 0.5) * 2 / size - 1
        points = np.stack(np.meshgrid(center, -center), axis=-1)
        image = background * self.contrast(points)
        image[np.square(points).sum(axis=-1) > 1] = np.nan
        return image


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
    "homogeneous": (),
}


def phantom(name_or_seed: str | int) -> Phantom:
    """A named phantom, or a random one from a seed: 1 to 4 ellipses apart, each 0.1-0.5 or 2-6 times the background.

    Raises:
        OptionError: If the name is unknown.
    """
    text = str(name_or_seed)
    if not text.isdigit():
        return Phantom(text, choose("phantom", text, _NAMED))
    rng = np.random.default_rng(int(text))
    inclusions: list[Inclusion] = []
    wanted = int(rng.integers(1, 5))
    while len(inclusions) < wanted:
        radii = tuple(rng.uniform(0.14, 0.3, size=2))
        distance, direction = rng.uniform(0, 0.9 - max(radii)), rng.uniform(0, 2 * np.pi)
        center = (float(distance * np.cos(direction)), float(distance * np.sin(direction)))
        contrast = rng.uniform(2, 6) if rng.random() < 0.5 else rng.uniform(0.1, 0.5)
        apart = all(np.hypot(*np.subtract(center, o.center)) > max(radii) + max(o.radii) + 0.05 for o in inclusions)
        if apart:
            inclusions.append(Inclusion(center, radii, float(rng.uniform(0, np.pi)), float(contrast)))
    return Phantom(text, tuple(inclusions))
