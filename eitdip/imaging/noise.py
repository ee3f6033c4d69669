"""What is between A x and the measured data."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from eitdip.errors import InvalidDataError, NotPositiveError


class Noise(ABC):
    """Draws data from their mean."""

    @abstractmethod
    def sample(self, mean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Data of this mean, of the same shape and type; the generator is of the CPU."""

    @abstractmethod
    def deviation(self, data: torch.Tensor) -> torch.Tensor:
        """Standard deviation of each entry as far as the data tell; if complex, of each of its two parts."""


@dataclass(frozen=True)
class Gaussian(Noise):
    """Independent errors of one standard deviation; of complex data in the real and in the imaginary part.

    Args:
        sigma: Standard deviation in the unit of the data, > 0.
    """

    sigma: float = 1.0

    def __post_init__(self):
        if not 0 < self.sigma < float("inf"):
            raise NotPositiveError(f"sigma: got {self.sigma}, expected > 0 and finite")

    def sample(self, mean, generator):
        shape = (*mean.shape, 2) if mean.is_complex() else mean.shape
        error = torch.randn(shape, generator=generator, dtype=mean.real.dtype)
        return mean + self.sigma * (torch.view_as_complex(error) if mean.is_complex() else error).to(mean.device)

    def deviation(self, data):
        return torch.full(data.shape, self.sigma, dtype=data.real.dtype, device=data.device)


@dataclass(frozen=True)
class Poisson(Noise):
    """Counts of independent events."""

    def sample(self, mean, generator):
        if not bool((mean >= 0).all()):
            raise InvalidDataError(f"mean of counts: got {float(mean.min()):g}, expected >= 0")
        return torch.poisson(mean.cpu(), generator=generator).to(mean)

    def deviation(self, data):
        return data.clamp(min=1).sqrt()
