"""Point sources and flat detectors anywhere in space, one of each for a view."""

from dataclasses import dataclass, replace

import numpy as np

from eitdip.errors import InvalidDataError, OptionError, ShapeError


@dataclass(frozen=True, eq=False)
class Panels:
    """Where the source and the detector of each view are.

    Args:
        sources: Positions, shape (A, 3), as x, y, z.
        centres: Middles of the detectors, shape (A, 3).
        across: Step from a detector pixel to that of the next column, shape (A, 3).
        up: Step to that of the next row, shape (A, 3).
        rows: Number of rows R.
        detectors: Number of columns C.

    Raises:
        ShapeError: If there are not as many of each.
        InvalidDataError: If a number is not finite, or the source is in the plane of its detector.
        OptionError: If there is no pixel.
    """

    sources: np.ndarray
    centres: np.ndarray
    across: np.ndarray
    up: np.ndarray
    rows: int
    detectors: int

    period = 2 * np.pi  # of the angles

    def __post_init__(self):
        for name in ("sources", "centres", "across", "up"):
            value = np.array(getattr(self, name), dtype=float)
            if value.ndim != 2 or value.shape[1] != 3 or value.shape != np.shape(self.sources) or not len(value):
                raise ShapeError(f"{name}: got shape {value.shape}, expected (views, 3), as many of each")
            if not np.isfinite(value).all():
                raise InvalidDataError(f"{name}: got a number that is not finite, expected lengths")
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        for name in ("rows", "detectors"):
            count = getattr(self, name)
            if count != int(count) or count < 1:
                raise OptionError(f"{name}: got {count}, expected a whole number, at least 1")
            object.__setattr__(self, name, int(count))
        with np.errstate(invalid="ignore"):
            flat = ~(self.distances > 0)
        if flat.any():
            raise InvalidDataError(
                f"sources, across, up: got a source in the plane of its detector in view {int(np.argmax(flat))} "
                "(counted from 0), expected one before it"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the data: (A, R, C)."""
        return len(self.sources), self.rows, self.detectors

    @property
    def normals(self) -> np.ndarray:
        """Unit vectors from the sources towards the planes of the detectors, shape (A, 3)."""
        normal = np.cross(self.across, self.up)
        normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        return normal * np.sign(_dot(self.centres - self.sources, normal))[:, None]

    @property
    def distances(self) -> np.ndarray:
        """Of the sources from the planes of the detectors, shape (A,)."""
        return _dot(self.centres - self.sources, self.normals)

    @property
    def angles(self) -> np.ndarray:
        """Of the sources about the z-axis, as `FanBeam` counts them, shape (A,), radians."""
        return np.arctan2(self.sources[:, 0], -self.sources[:, 1])

    def panels(self) -> "Panels":
        """Itself: every beam of cones can be told by its panels."""
        return self

    def select(self, views) -> "Panels":
        """Some views only: indices, or a mask, of shape (A,)."""
        names = ("sources", "centres", "across", "up")
        return replace(self, **{name: getattr(self, name)[views] for name in names})

    def refine(self, factor: int) -> "Panels":
        """The same with each detector pixel cut into `factor` by `factor` ones."""
        finer = {"across": self.across / factor, "up": self.up / factor}
        return replace(self, rows=self.rows * factor, detectors=self.detectors * factor, **finer)

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """The source and the unit direction of each ray, shapes (A, R, C, 3)."""
        columns, rows = (np.arange(n) - (n - 1) / 2 for n in (self.detectors, self.rows))
        sources, centres, across, up = (
            value[:, None, None] for value in (self.sources, self.centres, self.across, self.up)
        )
        direction = centres + columns[:, None] * across + rows[:, None, None] * up - sources
        length = np.linalg.norm(direction, axis=-1, keepdims=True)
        return np.broadcast_to(sources, direction.shape), direction / length


def _dot(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u * v).sum(axis=-1)
