"""What a network sees of the views of a disc: images in a frame in which the wedge of views is upright.

In that frame the middle view has the angle 0, so the angle at which the views start does not matter, and the mirror
image of a disc is another disc with the same views. The scanner is that of the Helsinki Tomography Challenge 2022.
Lengths are in mm; images have SIDE x SIDE pixels over the area of the 512 x 512 ones; a sinogram (views, DETECTORS) has
the path length in material.
"""

from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage, sparse

from eitdip.data import htc2022
from eitdip.data.htc2022 import DiscData
from eitdip.errors import InvalidDataError
from eitdip.imaging import CT
from eitdip.problems.scans import disc_operator

SIDE = 128
PIXEL = 0.148322 * htc2022.SIDE / SIDE
SOURCE_ORIGIN, SOURCE_DETECTOR = 410.66, 553.74
DETECTORS, DETECTOR_SIZE = 140, 0.8
RADIUS = 34.88  # of all discs
CHOSEN, RESIDUALS = 11, 5  # views that are seen one by one
CHANNELS = 9 + CHOSEN + RESIDUALS
_UNIT = 10.0  # mm of missing material that count as 1
_LEFT = 3.0  # mm that are left unexplained, likewise
_SHARPNESS = 10.0  # brings the filtered back-projection to order 1


class Wedge:
    """Views one degree apart around the angle 0.

    Args:
        span: Degrees, even.

    Attributes:
        disc: The views' geometry, with nothing measured.
        degrees: Angles of the views.
    """

    def __init__(self, span: float):
        self.span, self.degrees = float(span), np.arange(-span / 2, span / 2 + 0.5)
        shape = (len(self.degrees), DETECTORS)
        self.disc = DiscData(
            np.zeros(shape), self.degrees, SOURCE_ORIGIN, SOURCE_DETECTOR, DETECTOR_SIZE, PIXEL * SIDE / htc2022.SIDE
        )

    @cache  # noqa: B019 - a wedge lives as long as the process
    def operator(self, side: int = SIDE) -> CT:
        """From images of side x side pixels to sinograms."""
        return disc_operator(self.disc, side, kernel="strip")

    @cache  # noqa: B019
    def matrix(self, side: int = SIDE) -> sparse.csr_array:
        """Of the operator."""
        return self.operator(side).matrix

    def views(self, disc: DiscData) -> np.ndarray:
        """The sinogram of a disc whose views span as much: each degree's nearest view.

        Raises:
            InvalidDataError: If the scanner is another one, or a degree has no view.
        """
        got = (disc.source_origin, disc.source_detector, disc.detector_size * disc.detectors, disc.pixel_size)
        expected = (SOURCE_ORIGIN, SOURCE_DETECTOR, DETECTORS * DETECTOR_SIZE, self.disc.pixel_size)
        if not np.allclose(got, expected, rtol=1e-3) or disc.detectors % DETECTORS:
            raise InvalidDataError(
                f"scanner: got source to axis and to detector, detector and pixel of {got} mm, expected {expected}, "
                "for which the network was trained"
            )
        after = np.mod(disc.angles - disc.angles[0] + 1e-6, 360.0)
        away = np.abs(after - (self.degrees + self.span / 2)[:, None])
        if away.min(axis=1).max() > 0.3:
            raise InvalidDataError(f"views: got none within 0.3 degrees of some of {len(self.degrees)} directions")
        return disc.binned(disc.detectors // DETECTORS).sinogram[away.argmin(axis=1)]

    @cached_property
    def _places(self) -> np.ndarray:
        """Where on the detector, in pixels, the shadow of each image pixel falls: shape (views, SIDE^2)."""
        right = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL
        x, y = (axis.ravel() for axis in np.meshgrid(right, -right))
        angles = np.deg2rad(self.degrees)[:, None]
        sin, cos = np.sin(angles), np.cos(angles)
        across, toward = x * cos + y * sin, x * sin - y * cos
        shadow = across * SOURCE_DETECTOR / (SOURCE_ORIGIN - toward)
        return np.clip(shadow / DETECTOR_SIZE + (DETECTORS - 1) / 2, 0, DETECTORS - 1.001).astype(np.float32)

    @cached_property
    def _back(self) -> sparse.csr_array:
        """Mean over the views of a sinogram's value at each pixel's shadow."""
        left = self._places.astype(np.int32)
        beyond = self._places - left
        columns = left + DETECTORS * np.arange(len(left), dtype=np.int32)[:, None]
        columns = np.stack([columns, columns + 1], axis=-1).swapaxes(0, 1)
        values = np.stack([1 - beyond, beyond], axis=-1).swapaxes(0, 1) / len(left)
        starts = 2 * len(left) * np.arange(SIDE**2 + 1)
        size = (SIDE**2, left.shape[0] * DETECTORS)
        return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=size)

    @cached_property
    def _ramp(self) -> np.ndarray:
        """Filter of the filtered back-projection, by the detector's frequencies."""
        frequency = np.fft.rfftfreq(2 * DETECTORS)
        return (frequency * np.cos(np.pi * frequency) ** 2).astype(np.float32)

    def inputs(self, missing: np.ndarray, centers: np.ndarray, answers: np.ndarray | None = None) -> np.ndarray:
        """Channels for a network.

        Args:
            missing: Path lengths, mm, that are missing to a solid disc, shape (B, views, DETECTORS).
            centers: (x, y) of the discs, shape (B, 2).
            answers: Holes as they were thought to be until now, shape (B, SIDE, SIDE); none by default.

        Returns:
            float32, shape (B, CHANNELS, SIDE, SIDE): depth below the rim; span; the answers; filtered back-projection
            and mean of the missing lengths along the rays of each pixel; share of the views in which they are small;
            their minimum, without which there is no hole; lengths of CHOSEN views, one by one; and of the lengths
            that the answers leave unexplained filtered back-projection, mean and RESIDUALS views.
        """
        answers = np.zeros((len(missing), SIDE, SIDE), dtype=np.float32) if answers is None else answers
        left = (missing - projected(self.matrix(), answers)) / _LEFT
        scaled = missing / _UNIT
        small = np.exp(-np.clip(scaled / 0.2, 0, 10))
        filtered, mean, share, more, rest = self._drawn_back(
            _SHARPNESS * self._filtered(scaled), scaled, small, _SHARPNESS * self._filtered(left), left
        )
        nearest = np.rint(self._places).astype(np.int32)
        least = np.full((len(scaled), SIDE**2), np.inf, dtype=np.float32)
        for view, places in enumerate(nearest):
            np.minimum(least, scaled[:, view, places], out=least)
        depth = np.stack([np.clip((RADIUS - distance_from(center)) / 10, -1, 1) for center in centers])
        span = np.full_like(depth, (self.span - 60) / 30)
        single = [
            lengths[:, view, nearest[view]].reshape(-1, SIDE, SIDE)
            for lengths, count in ((scaled, CHOSEN), (left, RESIDUALS))
            for view in np.linspace(0, len(nearest) - 1, count).round().astype(int)
        ]
        channels = [depth, span, answers, filtered, mean, share, least.reshape(-1, SIDE, SIDE), more, rest, *single]
        return np.stack(channels, axis=1).astype(np.float32)

    def _drawn_back(self, *sinograms: np.ndarray) -> np.ndarray:
        """Means over the views, shape (number, B, SIDE, SIDE)."""
        columns = np.stack(sinograms).reshape(len(sinograms) * len(sinograms[0]), -1).T
        images = self._back @ np.ascontiguousarray(columns, dtype=np.float32)
        return images.T.reshape(len(sinograms), -1, SIDE, SIDE)

    def _filtered(self, sinograms: np.ndarray) -> np.ndarray:
        transformed = np.fft.rfft(sinograms, 2 * DETECTORS, axis=2)
        return np.fft.irfft(transformed * self._ramp, axis=2)[..., :DETECTORS]


@cache
def wedge(span: float) -> Wedge:
    """The wedge of a span, once for a process."""
    return Wedge(span)


def distance_from(center, side: int = SIDE) -> np.ndarray:
    """Of pixels from (x, y), shape (side, side)."""
    across = (np.arange(side) - (side - 1) / 2) * PIXEL * SIDE / side
    return np.hypot(across - center[0], -across[:, None] - center[1])


def solid(center, side: int = SIDE) -> np.ndarray:
    """How much of each pixel is in a disc without holes, float32, shape (side, side)."""
    return np.clip((RADIUS - distance_from(center, side)) / (PIXEL * SIDE / side) + 0.5, 0, 1).astype(np.float32)


def projected(matrix, images: np.ndarray) -> np.ndarray:
    """Sinograms (B, views, DETECTORS) of images (B, H, W)."""
    columns = np.ascontiguousarray(images.reshape(len(images), -1).T)
    return np.ascontiguousarray((matrix @ columns).T).reshape(len(images), -1, DETECTORS)


def mirrored(inputs: torch.Tensor) -> torch.Tensor:
    """Channels of the discs' mirror images; the answers are mirrored along their last axis."""
    ends = (9, 9 + CHOSEN, CHANNELS)
    order = [*range(9), *(n for low, high in pairwise(ends) for n in reversed(range(low, high)))]
    return inputs[:, order].flip(-1)


def turned(image: np.ndarray, angle: float, side: int) -> np.ndarray:
    """An image turned counterclockwise about its centre, by cubic interpolation.

    Args:
        image: Shape (H, H).
        angle: Degrees.
        side: Pixels along each side of the answer, over the same area.
    """
    across = (np.arange(side) + 0.5) / side * len(image) - len(image) / 2
    x, y = across, -across[:, None]
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    places = len(image) / 2 - 0.5 - (cos * y - sin * x), len(image) / 2 - 0.5 + (cos * x + sin * y)
    return ndimage.map_coordinates(image, places, order=3, mode="nearest")


def turned_point(point, angle: float) -> np.ndarray:
    """(x, y) turned counterclockwise about the origin by degrees."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([cos * point[0] - sin * point[1], sin * point[0] + cos * point[1]])
