"""What is known of a field after the data: deviations, intervals, samples, probabilities.

A posterior is one of the field before its link, g, entry by entry on the generator's own grid. Quantiles go through the
link, which is increasing; so no interval leaves the values that are allowed. Deviations and scores are in the variable
that errors are judged in: the logarithm of conductivities, the value of everything else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from eitdip.errors import OptionError
from eitdip.parameterization import Parameterization
from eitdip.parameterization.links import Link

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)  # exact for polynomials of degree 29
_MOST = 1000  # samples at once in `probability`


@dataclass(frozen=True, eq=False)
class Variable:
    """From the field before the link to values, and to the scale on which deviations and errors are given.

    Args:
        link: g to values.
        logarithmic: Whether the scale is the logarithm of the values, as for conductivities, else the value.
    """

    link: Link
    logarithmic: bool

    @classmethod
    def of(cls, parameterization: Parameterization) -> "Variable":
        """That of a parameterization: logarithmic where it has no unit."""
        return cls(parameterization.link, parameterization.unit is None)

    def values(self, g: np.ndarray) -> np.ndarray:
        """link(g), any shape."""
        with torch.no_grad():
            return self.link(torch.as_tensor(g, dtype=torch.float64)).numpy()

    def raw(self, values: np.ndarray) -> np.ndarray:
        """g of values, infinite at a bound."""
        with torch.no_grad():
            return self.link.inverse(torch.as_tensor(values, dtype=torch.float64)).numpy()

    def slope(self, g: np.ndarray) -> np.ndarray:
        """link'(g)."""
        g = torch.as_tensor(g, dtype=torch.float64).clone().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(self.link(g).sum(), g)[0].numpy()

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Values on the scale of deviations and errors."""
        return np.log(values) if self.logarithmic else np.asarray(values)


class Posterior(ABC):
    """The distribution of a field after the data.

    Args:
        method: Its name, such as "laplace".
        variable: From the field before the link to values and their scale.
        shape: Of the field before the link, the generator's: complex images have two channels there.
        seen: Which entries the data depend on, booleans in that shape. Of others nothing is said: NaN.
    """

    stored: np.ndarray | None = None  # the samples that it consists of, values, shape (count, *shape), if it does

    def __init__(self, method: str, variable: Variable, shape: tuple[int, ...], seen: np.ndarray):
        self.method, self.variable, self.shape, self.seen = method, variable, tuple(shape), seen

    @property
    @abstractmethod
    def mean(self) -> np.ndarray:
        """Mean on the scale of deviations and errors, in the shape of the field; NaN where nothing is said."""

    @abstractmethod
    def deviation(self) -> np.ndarray:
        """Standard deviation on the same scale: of log conductivity, or of the value; in the shape of the field."""

    @abstractmethod
    def quantile(self, share: float) -> np.ndarray:
        """Values below which the truth of each entry is with this probability, in the shape of the field.

        Raises:
            OptionError: If the share is not between 0 and 1, or beyond what samples can tell.
        """

    @abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Fields drawn from it, values, shape (count, *shape)."""

    @abstractmethod
    def rescaled(self, factor: float) -> "Posterior":
        """The same with deviations of the field before the link times a factor: what calibration found.

        Raises:
            OptionError: If the factor is not > 0.
        """

    def interval(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds between which the truth of each entry is with this probability, with equal tails; values.

        Args:
            level: Such as 0.95.

        Raises:
            OptionError: As of `quantile`.
        """
        between(level, "level")
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    @abstractmethod
    def above(self, value: float) -> np.ndarray:
        """Probability that the truth is larger than a value, entry by entry, in the shape of the field."""

    def facts(self) -> dict:
        """What result.json says of it, as JSON values."""
        return {}

    def probability(
        self, event: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator, count: int = 500
    ) -> np.ndarray:
        """How often an event happens in samples.

        Args:
            event: From values, shape (n, *shape), to booleans, shape (n, ...): `lambda values: values > 2`.
            rng: Draws them.
            count: Samples; the error of a probability p is sqrt(p (1 - p) / count).

        Returns:
            Shape (...), between 0 and 1.

        Raises:
            OptionError: If the count is not positive.
        """
        if count < 1:
            raise OptionError(f"count: got {count} samples, expected at least 1")
        total = 0
        for begin in range(0, count, _MOST):
            values = self.sample(min(_MOST, count - begin), rng)
            total = total + np.asarray(event(values), dtype=float).sum(axis=0)
        return total / count

    def everywhere(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the seen entries, shape (..., n), in the shape of the field, NaN elsewhere."""
        filled = np.full((*values.shape[:-1], *self.shape), np.nan)
        filled[..., self.seen] = values
        return filled


class GaussianPosterior(Posterior):
    """A Gaussian in the field before the link.

    Subclasses set `centre`, its mean, shape (n,) over the seen entries, and `raw_deviation`, and draw `raw_samples`.
    """

    centre: np.ndarray
    raw_deviation: np.ndarray

    @abstractmethod
    def raw_samples(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Fields before the link at the seen entries, shape (count, n)."""

    @property
    def mean(self):
        return self.everywhere(self.moments[0])

    def deviation(self):
        return self.everywhere(self.moments[1])

    @property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation on the scale, at the seen entries, by Gauss-Hermite quadrature through the link."""
        nodes = self.centre + self.raw_deviation * _NODES[:, None]
        scaled, weights = self.variable.scale(self.variable.values(nodes)), _WEIGHTS[:, None] / _WEIGHTS.sum()
        mean = (weights * scaled).sum(axis=0)
        return mean, np.sqrt((weights * (scaled - mean) ** 2).sum(axis=0))

    def quantile(self, share):
        between(share, "share")
        return self.everywhere(self.variable.values(self.centre + self.raw_deviation * ndtri(share)))

    def above(self, value):
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.everywhere(ndtr((self.centre - self.variable.raw(np.float64(value))) / self.raw_deviation))

    def sample(self, count, rng):
        if count < 1:
            raise OptionError(f"count: got {count} samples, expected at least 1")
        return self.everywhere(self.variable.values(self.raw_samples(count, rng)))

    def rescaled(self, factor):
        return Rescaled(self, factor)


class Rescaled(GaussianPosterior):
    """A Gaussian with other deviations.

    Args:
        posterior: The Gaussian.
        factor: On the deviation of the field before the link, so that no interval leaves the values that are allowed.

    Raises:
        OptionError: If the factor is not > 0.
    """

    def __init__(self, posterior: GaussianPosterior, factor: float):
        super().__init__(posterior.method, posterior.variable, posterior.shape, posterior.seen)
        self.posterior, self.factor = posterior, positive(factor)
        self.centre, self.raw_deviation = posterior.centre, self.factor * posterior.raw_deviation

    def raw_samples(self, count, rng):
        return self.centre + self.factor * (self.posterior.raw_samples(count, rng) - self.centre)


def positive(factor: float) -> float:
    """A factor > 0.

    Raises:
        OptionError: If it is not.
    """
    if not 0 < factor < float("inf"):
        raise OptionError(f"factor: got {factor!r}, expected a number > 0")
    return float(factor)


def between(share: float, name: str) -> None:
    """Make sure that a share or level is one.

    Raises:
        OptionError: If it is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise OptionError(f"{name}: got {share!r}, expected a number between 0 and 1, such as 0.95")
