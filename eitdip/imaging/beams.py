"""Where the X-rays of a tomograph run: parallel and fan beams in the plane."""

from dataclasses import dataclass, replace

import numpy as np

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError


@dataclass(frozen=True, eq=False)
class ParallelBeam:
    """Parallel rays; the detector turns about the centre of the image.

    At angle t the rays have the direction (sin t, -cos t) and the detector grows along (cos t, sin t), x to the right
    and y up.

    Args:
        angles: Of the views, shape (A,), radians.
        detectors: Number D of detector pixels.
        detector_size: Width of one, in the unit of length of the image.

    Raises:
        ShapeError: If the angles are not a vector, or there are none.
        InvalidDataError: If an angle is not finite.
        OptionError: If there is no detector.
        NotPositiveError: If a length is not positive and finite.
    """

    angles: np.ndarray
    detectors: int
    detector_size: float = 1.0

    period = np.pi  # of the angles: after half a turn the lines are the same

    def __post_init__(self):
        angles = np.array(self.angles, dtype=float)
        if angles.ndim != 1 or not angles.size:
            raise ShapeError(f"angles: got shape {angles.shape}, expected a vector with at least one")
        if not np.isfinite(angles).all():
            first = int(np.flatnonzero(~np.isfinite(angles))[0])
            raise InvalidDataError(f"angles: got {angles[first]} in place {first}, expected radians")
        if np.abs(angles).max() > 4 * np.pi:
            raise InvalidDataError(
                f"angles: got up to {np.abs(angles).max():g}, expected radians within two turns; these look like "
                "degrees: use numpy.deg2rad"
            )
        if self.detectors != int(self.detectors) or self.detectors < 1:
            raise OptionError(f"detectors: got {self.detectors}, expected a whole number, at least 1")
        angles.setflags(write=False)
        object.__setattr__(self, "angles", angles)
        object.__setattr__(self, "detectors", int(self.detectors))
        self._positive("detector_size")

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise NotPositiveError(f"{name}: got {value}, expected > 0 and finite")

    @property
    def shape(self) -> tuple[int, int]:
        """Of a sinogram: (A, D)."""
        return len(self.angles), self.detectors

    @property
    def offsets(self) -> np.ndarray:
        """Distance of the detector pixels' centres from the detector's, shape (D,)."""
        return (np.arange(self.detectors) - (self.detectors - 1) / 2) * self.detector_size

    def select(self, views):
        """The same beam with some views only.

        Args:
            views: Indices, or a mask, of shape (A,).
        """
        return replace(self, angles=self.angles[views])

    def refine(self, factor: int):
        """The same beam with each detector pixel cut into `factor` ones."""
        return replace(self, detectors=self.detectors * factor, detector_size=self.detector_size / factor)

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """A point on each ray and its unit direction, shapes (A, D, 2)."""
        along, across = self._axes()
        points = self.offsets[:, None] * across[:, None]
        return points, np.broadcast_to(along[:, None], points.shape)

    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Direction of the central ray and of the detector, shapes (A, 2)."""
        sin, cos = np.sin(self.angles), np.cos(self.angles)
        return np.stack([sin, -cos], axis=1), np.stack([cos, sin], axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class FanBeam(ParallelBeam):
    """Rays from a point to a flat detector; source and detector turn about the centre of the image.

    At angle t the source is at source_origin (sin t, -cos t), the detector's centre on the other side, and the detector
    grows along (cos t, sin t).

    Args:
        angles, detectors, detector_size: As for `ParallelBeam`.
        source_origin: Distance of the source from the axis of rotation.
        origin_detector: Distance of the detector from that axis.
    """

    source_origin: float
    origin_detector: float

    period = 2 * np.pi

    def __post_init__(self):
        super().__post_init__()
        self._positive("source_origin", "origin_detector")

    @property
    def magnification(self) -> float:
        """Of the plane through the axis of rotation, on the detector."""
        return 1 + self.origin_detector / self.source_origin

    def rays(self):
        toward, across = self._axes()
        source = self.source_origin * toward[:, None]
        direction = self.offsets[:, None] * across[:, None] - self.origin_detector * toward[:, None] - source
        length = np.linalg.norm(direction, axis=-1, keepdims=True)
        return np.broadcast_to(source, direction.shape), direction / length


def view_weights(beam: ParallelBeam) -> np.ndarray:
    """Share of each view in an integral over the directions of lines, radians, shape (A,).

    Half the gap to each neighbour; a gap of more than three times the median belongs to no view. A fan beam sees a line
    twice when it turns all around, so the shares are scaled to at most pi in total.
    """
    turned = np.mod(beam.angles, beam.period)
    order = np.argsort(turned, kind="stable")
    gaps = np.diff(turned[order], append=turned[order[0]] + beam.period)
    usual = np.median(gaps[gaps > 1e-9]) if len(gaps) > 2 else gaps.min()
    gaps = np.minimum(gaps, np.where(gaps > 3 * usual, usual, gaps))
    weights = np.empty(len(gaps))
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights * min(1.0, np.pi / weights.sum())
