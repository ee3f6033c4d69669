"""Images from linear data y = A x + noise, and from counts."""

import hashlib

import numpy as np
import torch

from eitdip.data.data import Data
from eitdip.data.numbers import number, numbers
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.metrics.truth import ImageTruth
from eitdip.objective.differences import PixelDifferences
from eitdip.operator import ForwardModel
from eitdip.parameterization import Affine, Between, Link, Softplus
from eitdip.problems.problem import Problem
from eitdip.problems.unknown import Grid, Unknown
from eitdip.ranks.collectives import world


class Image(Unknown):
    """An image: gray (H, W), coloured (C, H, W), complex (H, W), or a volume (D, H, W).

    Args:
        space: Arrays that the model takes.
        start: Value where nothing is known, > 0 for images that are not negative.
        unit: Size of the values, > 0.
        low: Least value, or None.
        high: Largest value, or None.
        counts: Whether the data are counts, so that the image is positive.
        volume: Whether three axes are a volume, not channels.

    Raises:
        OptionError: If the bounds are out of order.
        ShapeError: If the space is that of no image.
    """

    kind = "image"

    def __init__(self, space, start: float, unit: float, low=None, high=None, *, counts=False, volume=False):
        low, high = _bound(low), _bound(high)
        if None not in (low, high) and not low < high:
            raise OptionError(f"bounds of the image: got {low} and {high}, expected low < high")
        axes = len(space.shape)
        self.complex = space.dtype.startswith("complex")
        if axes not in (2, 3) or (axes == 3 and self.complex) or (axes == 2 and volume):
            raise ShapeError(f"image: got shape {space.shape}, expected (H, W), (C, H, W), or a volume (D, H, W)")
        self.space, self.start, self.unit, self.low, self.high = space, float(start), float(unit), low, high
        self.counts = counts
        self.channels = 2 if self.complex else space.shape[0] if axes == 3 and not volume else 1
        self._shape = space.shape if volume else space.shape[-2:]

    @property
    def dimension(self):
        return len(self._shape)

    @property
    def hash(self):
        known = (self.space.shape, self.space.dtype, self.start, self.unit, self.low, self.high, self.counts)
        return hashlib.sha256(repr((known, self._shape)).encode()).hexdigest()[:16]

    def grid(self, name, size=None, multiple=1):
        if name != "pixels":
            raise OptionError(f"generator: got {name!r} for an image, expected one of pixels: {name} are of a mesh")
        padded = tuple(max(2, -(-side // multiple)) * multiple for side in self._shape)
        return Grid(self._shape, None, PixelDifferences(dimension=self.dimension), padded)

    def bounded(self, low, high):
        if self.counts:
            return Softplus(self.start)
        if None not in (self.low, self.high):
            return Between(self.low, self.high)
        return Softplus(self.start) if self.low == 0 else self.free()

    def free(self) -> Link:
        """The link to any real values."""
        return Affine(0.0, self.unit)

    def network_input(self, first: torch.Tensor) -> torch.Tensor:
        """What a network sees of approximate images.

        Args:
            first: A^+ y of several data, shape (B, *space.shape).

        Returns:
            Shape (B, channels, *shape), float32: the images less `start`, over the unit.
        """
        scaled = (first - self.start) / self.unit
        if self.complex:
            scaled = torch.view_as_real(scaled).movedim(-1, 1)
        return (scaled if self.channels > 1 else scaled[:, None]).float().contiguous()

    def mean(self, fields):
        return np.mean(fields, axis=0)

    def judge(self, truth):
        return ImageTruth(truth, self.low, self.high)

    def on_grid(self, truth, shape):
        truth = np.asarray(truth)
        truth = np.stack([truth.real, truth.imag]) if self.complex else truth
        if truth.shape != tuple(shape):
            raise ShapeError(f"truth: got shape {truth.shape}, expected the field's, {tuple(shape)}")
        return truth.astype(float)

    def picture(self, x):
        x = np.abs(x) if self.complex else np.asarray(x)
        if self.dimension == 3:
            return x[len(x) // 2]
        # Three channels are colours; others stand side by side.
        return np.concatenate(list(x), axis=1) if x.ndim == 3 and len(x) != 3 else x


def image_problem(
    name: str,
    model: ForwardModel,
    data: Data,
    *,
    low: float | None = None,
    high: float | None = None,
    truth: np.ndarray | None = None,
    volume: bool = False,
) -> Problem:
    """A problem whose unknown is an image.

    Args:
        name: Such as "denoise" or "ct".
        model: From images to data: an operator of `eitdip.imaging`, products and sums of such, or `Transmission`.
        data: y.
        low: Least value of the image, or None.
        high: Largest value, or None.
        truth: The image, if it is known, shape of the model's domain.
        volume: Whether three axes of the image are a volume, not channels.

    Raises:
        ShapeError: If shapes disagree.
        OptionError: If the bounds are out of order.
    """
    if not isinstance(data, Data) or not isinstance(model, ForwardModel):
        got = f"{type(model).__name__} and {type(data).__name__}"
        raise ShapeError(f"{name}: got {got}, expected a ForwardModel and Data")
    truth = None if truth is None else numbers("truth", truth)
    if truth is not None and truth.shape != model.domain.shape:
        raise ShapeError(f"{name}: got a truth of shape {truth.shape}, expected {model.domain.shape}")
    if truth is not None and not np.isfinite(truth).all():
        raise InvalidDataError(f"{name}: got a truth that is not finite, expected numbers")
    low, high = _bound(low), _bound(high)
    counts = data.noise.name == "poisson"
    first = _first(model, data) if data.shape == model.range.shape else np.ones(1)  # Problem says what is wrong
    size = float(np.abs(first).max()) or 1.0
    if not size < float("inf"):
        raise InvalidDataError(f"{name}: got data too large for the model's {model.domain.dtype}; scale them")
    unit = high - low if None not in (low, high) else size
    start = max(_level(model, data, first), 1e-3 * unit) if counts else unit / 2
    unknown = Image(model.domain, start, unit, low, high, counts=counts, volume=volume)
    seen = hashlib.sha256(np.ascontiguousarray(first).tobytes()).hexdigest()[:16]
    return Problem(name, model, data, unknown, truth, comm=world(), model_hash=seen)


def _bound(bound) -> float | None:
    if bound is not None and not np.isfinite(number("bounds of the image", bound)):
        raise OptionError(f"bounds of the image: got {bound}, expected finite numbers or None")
    return None if bound is None else number("bounds of the image", bound)


def _first(model: ForwardModel, data: Data) -> np.ndarray:
    """An approximate solution: filtered back-projection, zero-filling, ..."""
    return np.asarray(model.pinv(data.values))


def _level(model: ForwardModel, data: Data, first: np.ndarray) -> float:
    """The mean of an approximate image of counts; single rays say little."""
    if not model.linear:
        return float(first.mean())
    seen = float(np.sum(model(np.ones(model.domain.shape))))
    excess = float(data.values.sum()) - float(np.broadcast_to(data.noise.background, data.shape).sum())
    return excess / seen if seen else 0.0
