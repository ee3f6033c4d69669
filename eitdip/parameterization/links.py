"""Smooth increasing maps from the reals to the values that a field may have."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from eitdip.errors import NotPositiveError, OptionError


class Link(nn.Module, ABC):
    """A smooth increasing map from the reals to the values that a field may have.

    Args:
        start: Value where the raw field is 0.
    """

    def __init__(self, start: float):
        super().__init__()
        self.start = float(start)

    @abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape as x, in the unit of `start`."""

    @abstractmethod
    def inverse(self, values: torch.Tensor) -> torch.Tensor:
        """x, such that forward(x) = values; infinite at a bound, NaN beyond."""


class Exp(Link):
    """start * exp(x).

    Args:
        start: > 0.
    """

    def __init__(self, start: float = 1.0):
        super().__init__(_positive(start))

    def forward(self, x):
        return self.start * torch.exp(x)

    def inverse(self, values):
        return torch.log(values / self.start)


class Softplus(Link):
    """start * log(1 + (e - 1) exp(x)): linear growth upwards, exponential decay downwards.

    Args:
        start: > 0.
    """

    def __init__(self, start: float = 1.0):
        super().__init__(_positive(start))

    def forward(self, x):
        return self.start * nn.functional.softplus(x + 0.541324854612918)  # log(e - 1)

    def inverse(self, values):
        scaled = values / self.start
        return scaled + torch.log(-torch.expm1(-scaled)) - 0.541324854612918  # log(exp(s) - 1), for large s too


class Bounded(Link):
    """Between `low` and `high`, sigmoid in the logarithm of the value, with slope 1 there at the start.

    Args:
        start: Strictly between the bounds.
        low: Smallest value, > 0.
        high: Largest value.
    """

    def __init__(self, start: float, low: float, high: float):
        super().__init__(_positive(start))
        if not 0 < low < start < high < float("inf"):
            raise OptionError(f"bounds: got {low} and {high}, expected 0 < low < start ({start:g}) < high")
        bottom, top = torch.tensor([low, high], dtype=torch.float64).log()
        share = float((torch.tensor(start, dtype=torch.float64).log() - bottom) / (top - bottom))
        self.low, self.high = float(low), float(high)
        self._bottom, self._span = float(bottom), float(top - bottom)
        self._shift = float(torch.logit(torch.tensor(share, dtype=torch.float64)))
        self._slope = 1 / (self._span * share * (1 - share))

    def forward(self, x):
        return torch.exp(self._bottom + self._span * torch.sigmoid(self._slope * x + self._shift))

    def inverse(self, values):
        return (torch.logit((torch.log(values) - self._bottom) / self._span) - self._shift) / self._slope


class Between(Link):
    """low + (high - low) * sigmoid(x): values between two bounds of any sign; the start is halfway.

    Args:
        low: Least value.
        high: Largest value, > low.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0):
        if not -float("inf") < low < high < float("inf"):
            raise OptionError(f"bounds: got {low} and {high}, expected low < high")
        super().__init__(low + (high - low) / 2)
        self.low, self.high = float(low), float(high)

    def forward(self, x):
        return self.low + (self.high - self.low) * torch.sigmoid(x)

    def inverse(self, values):
        return torch.logit((values - self.low) / (self.high - self.low))


class Affine(Link):
    """start + scale * x: any real values.

    Args:
        start: Finite.
        scale: Size of the structures in the field, > 0.
    """

    def __init__(self, start: float = 0.0, scale: float = 1.0):
        if not abs(start) < float("inf") or not 0 < scale < float("inf"):
            raise OptionError(f"start, scale: got {start} and {scale}, expected finite numbers, the scale > 0")
        super().__init__(start)
        self.scale = float(scale)

    def forward(self, x):
        return self.start + self.scale * x

    def inverse(self, values):
        return (values - self.start) / self.scale


def _positive(start: float) -> float:
    if not 0 < start < float("inf"):
        raise NotPositiveError(f"start: got {start}, expected > 0 and finite")
    return start
