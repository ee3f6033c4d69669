"""Sums of ellipses: pixel images and exact line integrals, for phantoms, tests and training data."""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError


@dataclass(frozen=True, eq=False)
class Ellipses:
    """A piecewise constant image: the sum over ellipses of a value inside each of them.

    Args:
        table: Shape (E, 6), one ellipse a row: value, two semi-axes, centre x and y, and the angle of the first axis
            against the x-axis in radians, counterclockwise.

    Raises:
        ShapeError: If it is not such a table.
        InvalidDataError: If a number is not finite.
        NotPositiveError: If a semi-axis is not > 0.
    """

    table: np.ndarray

    def __post_init__(self):
        table = np.array(self.table, dtype=float)
        if table.ndim != 2 or table.shape[1] != 6:
            raise ShapeError(f"ellipses: got shape {table.shape}, expected (E, 6): value, a, b, x, y, angle")
        if not np.isfinite(table).all():
            raise InvalidDataError("ellipses: got a number that is not finite")
        if not (table[:, 1:3] > 0).all():
            raise NotPositiveError(f"semi-axes: got {table[:, 1:3].min():g}, expected > 0")
        table.setflags(write=False)
        object.__setattr__(self, "table", table)

    def scaled(self, length: float = 1.0, value: float = 1.0) -> "Ellipses":
        """All lengths and values multiplied by a number each."""
        return Ellipses(self.table * [value, length, length, length, length, 1])

    def integrals(self, beam, samples: int = 1) -> np.ndarray:
        """Exact integrals along the rays of a beam.

        Args:
            beam: A `ParallelBeam` or `FanBeam` of `eitdip.imaging`.
            samples: Rays over which each detector pixel averages.

        Returns:
            Sinogram (A, D), in the unit of the values times that of the lengths.

        Raises:
            OptionError: If samples < 1.
        """
        _at_least_one("samples", samples)
        points, directions = beam.refine(samples).rays()
        total = np.zeros(points.shape[:2])
        for value, *ellipse in self.table:
            # In coordinates where the ellipse is the unit circle, the chord is between two roots of a quadratic.
            start = _to_circle(points[..., 0], points[..., 1], *ellipse)
            step = _to_circle(directions[..., 0], directions[..., 1], *ellipse[:2], 0, 0, ellipse[4])
            square, mixed, rest = _dot(step, step), _dot(start, step), _dot(start, start) - 1
            total += value * 2 * np.sqrt(np.clip(mixed**2 - square * rest, 0, None)) / square
        return total.reshape(*beam.shape, samples).mean(axis=-1)

    def image(self, shape: tuple[int, int], pixel_size: float, samples: int = 4) -> np.ndarray:
        """Means over pixels (H, W), row 0 at the top and the origin at the centre.

        Args:
            shape: (H, W).
            pixel_size: In the unit of the semi-axes.
            samples: Points along each side of a pixel over which it averages.

        Raises:
            OptionError: If samples < 1.
        """
        _at_least_one("samples", samples)
        height, width = (n * samples for n in shape)
        x = (np.arange(width) - (width - 1) / 2) * pixel_size / samples
        y = ((height - 1) / 2 - np.arange(height)) * pixel_size / samples
        total = np.zeros(shape)
        for value, *ellipse in self.table:
            inside = _dot(*[_to_circle(x, y[:, None], *ellipse)] * 2) <= 1
            total += value * inside.reshape(shape[0], samples, shape[1], samples).mean(axis=(1, 3))
        return total


def shepp_logan(radius: float = 1.0) -> Ellipses:
    """Shepp and Logan's head with Toft's contrasts: values between 0 and 1, inside a circle of this radius.

    References:
        Toft (1996), The Radon transform: theory and implementation, appendix B.
    """
    head = [
        (1.0, 0.69, 0.92, 0, 0, 0),
        (-0.8, 0.6624, 0.874, 0, -0.0184, 0),
        (-0.2, 0.11, 0.31, 0.22, 0, -18),
        (-0.2, 0.16, 0.41, -0.22, 0, 18),
        (0.1, 0.21, 0.25, 0, 0.35, 0),
        (0.1, 0.046, 0.046, 0, 0.1, 0),
        (0.1, 0.046, 0.046, 0, -0.1, 0),
        (0.1, 0.046, 0.023, -0.08, -0.605, 0),
        (0.1, 0.023, 0.023, 0, -0.606, 0),
        (0.1, 0.023, 0.046, 0.06, -0.605, 0),
    ]
    table = np.array(head)
    table[:, 5] = np.deg2rad(table[:, 5])
    return Ellipses(table).scaled(length=radius)


def random_ellipses(rng: np.random.Generator, count: int, radius: float = 1.0) -> Ellipses:
    """Ellipses inside a circle, with values between 0.2 and 1.

    Semi-axes are between 5 % and 35 % of the radius, centres uniform in what remains; where ellipses overlap the values
    add up.

    Args:
        rng: Decides all numbers.
        count: How many, at least 1.
        radius: Of the circle.

    Raises:
        OptionError: If count < 1.
    """
    _at_least_one("count", count)
    values = rng.uniform(0.2, 1.0, count)
    axes = rng.uniform(0.05, 0.35, (count, 2))
    distance = (1 - axes.max(axis=1)) * np.sqrt(rng.uniform(0, 1, count))
    around, angles = rng.uniform(0, 2 * np.pi, count), rng.uniform(0, np.pi, count)
    table = np.column_stack([values, axes, distance * np.cos(around), distance * np.sin(around), angles])
    return Ellipses(table).scaled(length=radius)


def _to_circle(x, y, a: float, b: float, x0: float, y0: float, angle: float):
    """Coordinates in which the ellipse is the unit circle."""
    cos, sin = np.cos(angle), np.sin(angle)
    return ((x - x0) * cos + (y - y0) * sin) / a, ((y - y0) * cos - (x - x0) * sin) / b


def _dot(u, v):
    return u[0] * v[0] + u[1] * v[1]


def _at_least_one(name: str, count: int) -> None:
    if count < 1:
        raise OptionError(f"{name}: got {count}, expected at least 1")
