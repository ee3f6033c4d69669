"""What is known before an image is sought: operator, data, and which of them may be set aside."""

from dataclasses import dataclass, field

import numpy as np
import torch

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging import ImagingOperator, Poisson, Transmission
from eitdip.imaging.pet import check_counts


@dataclass(frozen=True, eq=False)
class Task:
    """Data y = A x + noise.

    Args:
        name: Such as "denoise" or "ct".
        operator: A, with its kind of noise; or the nonlinear `Transmission`.
        data: y, shape of the operator's range; entries where `mask` is false are ignored.
        sigma: Standard deviation of the noise, in the unit of the data; None if it is unknown or depends on the mean.
        mask: True where there is a measurement, shape of the range; None for everywhere.
        tied: Axes of the range along which measurements are set aside together, such as the coils of one k-space point.
        truth: The image, if it is known.
        low: Least value of the image, or None.
        high: Largest value of the image, or None.
        provenance: Where the data come from.

    Raises:
        ShapeError: If shapes disagree.
        InvalidDataError: If a measurement is not finite, or there is none.
        OptionError: If sigma or the bounds are out of range, or counts have a mask.
    """

    name: str
    operator: ImagingOperator | Transmission
    data: torch.Tensor
    sigma: float | None = None
    mask: np.ndarray | None = None
    tied: tuple[int, ...] = ()
    truth: np.ndarray | None = None
    low: float | None = None
    high: float | None = None
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        shape = self.operator.range.shape
        if tuple(self.data.shape) != shape:
            raise ShapeError(f"{self.name}: got data of shape {tuple(self.data.shape)}, expected {shape}")
        if self.mask is not None and self.mask.shape != shape:
            raise ShapeError(f"{self.name}: got a mask of shape {self.mask.shape}, expected {shape}")
        if self.truth is not None and self.truth.shape != self.operator.domain.shape:
            raise ShapeError(
                f"{self.name}: got a truth of shape {self.truth.shape}, expected {self.operator.domain.shape}"
            )
        used = self.data.numpy() if self.mask is None else self.data.numpy()[self.mask]
        if not used.size or not np.isfinite(used).all():
            raise InvalidDataError(f"{self.name}: the data are empty or contain NaN or infinity; mask them out")
        if self.counts:
            check_counts(self.data, shape)
            if self.mask is not None:
                raise OptionError(f"{self.name}: got a mask for counts, expected none; set `normalization` to 0 there")
        if self.sigma is not None and not 0 < self.sigma < float("inf"):
            raise OptionError(f"sigma: got {self.sigma}, expected > 0 and finite, or None if it is unknown")
        if None not in (self.low, self.high) and not self.low < self.high:
            raise OptionError(f"bounds of the image: got {self.low} and {self.high}, expected low < high")

    @property
    def counts(self) -> bool:
        """Whether the data are counts."""
        return isinstance(self.operator.noise, Poisson)

    @property
    def background(self) -> np.ndarray | float:
        """Mean counts beside A x, as of `EmissionPET`; 0 where the operator itself adds them."""
        if isinstance(self.operator, Transmission) or not hasattr(self.operator, "background"):
            return 0.0
        return self.operator.background.cpu().numpy()

    @property
    def measured(self) -> np.ndarray:
        """True where there is a measurement, shape of the range."""
        return np.ones(self.operator.range.shape, bool) if self.mask is None else self.mask

    def held_out(self, share: float, seed: int) -> np.ndarray:
        """A random choice of measurements to watch instead of fit, shape of the range.

        Raises:
            OptionError: If nothing would be left to fit or to watch.
        """
        tied = tuple(axis % self.measured.ndim for axis in self.tied)
        units = self.measured.any(axis=tied, keepdims=True)
        places = np.flatnonzero(units)
        count = round(share * len(places))
        if not 0 < count < len(places):
            raise OptionError(f"held_out: got {share:g} of {len(places)} measurements, expected some but not all")
        chosen = np.zeros(units.size, bool)
        chosen[np.random.default_rng(seed).choice(places, count, replace=False)] = True
        return np.broadcast_to(chosen.reshape(units.shape), self.measured.shape) & self.measured
