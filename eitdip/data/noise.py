"""What is between the model's prediction and the measured data."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from eitdip.data.numbers import number, numbers, real_numbers
from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError

_MOST = 2.0**53  # counts beyond are no longer each a number


class Noise(ABC):
    """Draws data from their mean, and says how uncertain measured ones are."""

    name: str
    known: bool  # whether chi^2 / N, or the deviance, should be about 1 at the truth
    background = 0.0  # what is added to every mean
    error = None  # of the model, a `ModelError`

    @abstractmethod
    def sample(self, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Data of this mean, of the same shape."""

    @abstractmethod
    def deviation(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Standard deviation of each entry, shape of the values; if complex, of each of its two parts."""

    @abstractmethod
    def checked(self, values: np.ndarray, mask: np.ndarray) -> "Noise":
        """The same noise with its arrays in the shape of these values, harmless where the mask is false."""

    @abstractmethod
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All its numbers."""


@dataclass(frozen=True, eq=False)
class ModelError:
    """What a model leaves unexplained of data without noise, as a Gaussian: mean + modes' combinations + independent.

    Args:
        mean: In the unit of the data, shape of the data.
        modes: B, shape (r, *data): errors common to many measurements, with the covariance B^T B.
        deviation: Standard deviation of what is independent, >= 0, shape of the data.

    Raises:
        ShapeError: If shapes disagree.
        InvalidDataError: If an entry is not finite, or a deviation negative.

    References:
        Kaipio and Somersalo (2005), Statistical and Computational Inverse Problems, section 5.8: approximation error.
    """

    mean: np.ndarray
    modes: np.ndarray
    deviation: np.ndarray

    def __post_init__(self):
        for name in ("mean", "modes", "deviation"):
            array = real_numbers(name, getattr(self, name))
            object.__setattr__(self, name, array)
            if not np.isfinite(array).all() or (name == "deviation" and (array < 0).any()):
                raise InvalidDataError(f"{name} of the model's error: got an entry that is not finite, or negative")
        shape = self.mean.shape
        if self.deviation.shape != shape or self.modes.shape[1:] != shape or self.modes.ndim != len(shape) + 1:
            got = f"{shape}, {self.modes.shape} and {self.deviation.shape}"
            raise ShapeError(f"mean, modes, deviation: got shapes {got}, expected those of the data, (r, ..) and again")

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """One error, shape of the data."""
        common = np.tensordot(rng.standard_normal(len(self.modes)), self.modes, 1)
        return self.mean + common + self.deviation * rng.standard_normal(self.mean.shape)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All its numbers."""
        return self.mean, self.modes, self.deviation


@dataclass(frozen=True, eq=False)
class Gaussian(Noise):
    """Independent errors; of complex data in the real and in the imaginary part. With a model's error their sum.

    Args:
        sigma: Standard deviation in the unit of the data, > 0: one for all, or one per entry; None if it is unknown.
        error: Of the model that data are fitted with, which correlates measurements; or None.

    Raises:
        NotPositiveError: If one is not > 0 and finite.
        OptionError: If there is a model's error without a deviation.
    """

    sigma: float | np.ndarray | None = None
    error: ModelError | None = None
    name = "gaussian"

    def __post_init__(self):
        if self.sigma is None:
            if self.error is not None:
                raise OptionError("error: got one without the deviation of the noise, expected both")
            return
        sigma = real_numbers("sigma", self.sigma)
        object.__setattr__(self, "sigma", float(sigma) if sigma.ndim == 0 else sigma)
        if sigma.ndim == 0 and not 0 < sigma < float("inf"):
            raise NotPositiveError(f"sigma: got {self.sigma}, expected > 0 and finite, or None if it is unknown")

    @property
    def known(self) -> bool:
        """Whether the deviation is."""
        return self.sigma is not None

    def sample(self, mean, rng):
        if self.sigma is None:
            raise OptionError("noise: its deviation is unknown, expected a number to draw from it")
        mean = numbers("mean", mean)
        _must_fit("sigma", self.sigma, mean)
        if not (np.isfinite(self.sigma) & (np.asarray(self.sigma) > 0)).all():
            raise NotPositiveError("sigma: got an entry that is not > 0 and finite, expected so to draw from it")
        error = rng.standard_normal(mean.shape)
        if np.iscomplexobj(mean):
            error = error + 1j * rng.standard_normal(mean.shape)
        if self.error is not None:
            _must_fit("mean of the model's error", self.error.mean, mean)
            draws = [self.error.sample(rng) for _ in range(mean.size // self.error.mean.size)]
            return mean + self.sigma * error + np.reshape(draws, mean.shape)
        return mean + self.sigma * error

    def deviation(self, values, mask):
        """Of the measurement alone, without the model's error."""
        if self.sigma is not None:
            return np.broadcast_to(self.sigma, values.shape)
        sizes = np.abs(values[mask])
        largest = sizes.max(initial=0.0)  # whose square may be too large, or too small, for a number
        size = float(largest * np.sqrt(np.mean((sizes / largest) ** 2))) if largest > 0 else 0.0
        return np.full(values.shape, 0.05 * size if size > 0 else 1.0)

    def checked(self, values, mask):
        error = self.error
        if error is not None:
            if error.mean.shape != values.shape or np.iscomplexobj(values):
                got = f"{error.mean.shape} for {values.dtype} data of shape {values.shape}"
                raise ShapeError(f"model's error: got shape {got}, expected that of real data")
            error = ModelError(*(np.where(mask, array, 0.0) for array in error.arrays()))
        if not isinstance(self.sigma, np.ndarray):
            return replace(self, error=error)
        if self.sigma.shape != values.shape:
            raise ShapeError(f"deviation: got shape {self.sigma.shape}, expected that of the data, {values.shape}")
        bad = mask & ~((self.sigma > 0) & np.isfinite(self.sigma))
        if bad.any():
            entry = tuple(int(i) for i in np.argwhere(bad)[0])
            raise NotPositiveError(f"deviation: entry {entry} is {self.sigma[entry]:g}, expected > 0 and finite")
        return replace(self, sigma=np.where(mask, self.sigma, 1.0), error=error)

    def arrays(self):
        own = () if self.sigma is None else (np.asarray(self.sigma),)
        return own if self.error is None else (*own, *self.error.arrays())


@dataclass(frozen=True, eq=False)
class Poisson(Noise):
    """Counts of independent events.

    Args:
        background: Mean counts beside what the model predicts, >= 0: one for all, or one per entry.

    Raises:
        InvalidDataError: If one is negative or not finite.
    """

    background: float | np.ndarray = 0.0
    name = "poisson"
    known = True

    def __post_init__(self):
        background = real_numbers("background", self.background)
        if not (np.isfinite(background) & (background >= 0)).all():
            raise InvalidDataError(f"background: got {background.min():g}, expected mean counts >= 0 and finite")
        object.__setattr__(self, "background", float(background) if background.ndim == 0 else background)

    def sample(self, mean, rng):
        mean = real_numbers("mean of counts", mean)
        _must_fit("background", self.background, mean)
        mean = mean + self.background
        if not (mean >= 0).all():
            raise InvalidDataError(f"mean of counts: got {mean.min():g}, expected >= 0")
        if not (mean < _MOST).all():
            raise InvalidDataError(f"mean of counts: got {mean.max():g}, expected less than {_MOST:g}")
        return np.asarray(rng.poisson(mean), dtype=float)

    def deviation(self, values, mask):
        return np.sqrt(np.maximum(values, 1))

    def checked(self, values, mask):
        whole_numbers(values)
        if not mask.all():
            raise OptionError("mask: got one for counts, expected none; set `normalization` to 0 there")
        if np.shape(self.background) not in ((), values.shape):
            got = self.background.shape
            raise ShapeError(f"background: got shape {got}, expected that of the data, {values.shape}")
        return self

    def arrays(self):
        return (np.asarray(self.background),)


def _must_fit(name: str, array, mean: np.ndarray) -> None:
    """Whether the array is one number, or of the shape of the mean, whose first axes may be many draws."""
    shape = np.shape(array)
    if shape and shape != mean.shape[-len(shape) :]:
        raise ShapeError(f"{name}: got shape {shape}, expected that of the mean, {mean.shape}")


def thin(counts: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Split Poisson counts into two data sets that are Poisson and independent of each other.

    Each count goes to the first one with probability `share`: of counts with mean m the parts have the means share * m
    and (1 - share) * m. What is reconstructed from one is tested on the other.

    Args:
        counts: Integers >= 0.
        rng: Decides.
        share: Between 0 and 1.

    Returns:
        Two arrays of int64 that sum to the counts.

    Raises:
        OptionError: If the share is not between 0 and 1.
        InvalidDataError: If a count is negative or no integer.
    """
    if not 0 < number("share", share) < 1:
        raise OptionError(f"share: got {share}, expected a number between 0 and 1")
    counts = whole_numbers(counts)
    first = rng.binomial(counts, share)
    return first, counts - first


def whole_numbers(counts) -> np.ndarray:
    """Counts as int64, of the same shape.

    Raises:
        InvalidDataError: If one is negative, no integer, not finite or beyond 2^53; the message names the first one.
    """
    counts = real_numbers("counts", counts)
    wrong = ~((counts >= 0) & (counts == np.floor(counts)) & (counts < _MOST))
    if wrong.any():
        entry = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidDataError(
            f"counts: entry {entry} is {counts[entry]:g}, expected an integer >= 0; the Poisson likelihood needs the "
            "counts themselves, before any correction"
        )
    return counts.astype(np.int64)
