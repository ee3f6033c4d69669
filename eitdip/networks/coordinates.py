"""Networks of coordinates: from points to values."""

import math

import torch
from torch import nn

from eitdip.errors import OptionError


class FourierFeatures(nn.Module):
    """sin and cos of 2 pi B x with fixed random frequencies B.

    Args:
        dimension: Of the points.
        count: Number of frequencies; twice as many features.
        scale: Standard deviation of the frequencies, in periods per unit of length; high ones give sharp, noisy fields.

    References:
        Tancik et al. (2020), NeurIPS.
    """

    def __init__(self, dimension: int, count: int, scale: float):
        super().__init__()
        self.scale = float(scale)
        self.register_buffer("frequencies", torch.zeros(dimension, count))

    def draw(self, generator: torch.Generator) -> None:
        """Draw the frequencies anew."""
        self.frequencies.normal_(0, self.scale, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Points (P, d) to features (P, 2 count)."""
        phase = 2 * math.pi * (x @ self.frequencies)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class SineLayer(nn.Module):
    """sin(omega (W x + b)), with weights such that values and slopes keep their size from layer to layer.

    Args:
        inputs: Features in.
        outputs: Features out.
        omega: Frequency, radians per unit of length.
        first: Whether x are coordinates, not the values of another sine layer.

    References:
        Sitzmann et al. (2020), NeurIPS.
    """

    def __init__(self, inputs: int, outputs: int, omega: float, first: bool = False):
        super().__init__()
        self.omega, self.first = float(omega), first
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def draw(self, generator: torch.Generator) -> None:
        """Draw the weights anew."""
        inputs = self.weight.shape[1]
        bound = 1 / inputs if self.first else math.sqrt(6 / inputs) / self.omega
        self.weight.uniform_(-bound, bound, generator=generator)
        self.bias.uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (P, inputs) to (P, outputs)."""
        return torch.sin(self.omega * nn.functional.linear(x, self.weight, self.bias))


class CoordinateNetwork(nn.Module):
    """A fully connected network of coordinates, with Fourier features or with sine layers.

    Args:
        kind: "fourier" or "sine".
        channels: Width of all hidden layers.
        depth: Number of hidden layers, at least 1.
        frequency: Scale of the Fourier features (1.5 by default), or omega of the sine layers (10).
        dimension: Of the points.

    Raises:
        OptionError: If there is no such kind, or no hidden layer.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(
        self,
        kind: str = "fourier",
        channels: int = 64,
        depth: int = 3,
        frequency: float | None = None,
        dimension: int = 2,
    ):
        super().__init__()
        if kind not in ("fourier", "sine") or depth < 1:
            raise OptionError(f"kind, depth: got {kind!r}, {depth}, expected 'fourier' or 'sine', and at least 1")
        self.dimension = dimension
        layers: list[nn.Module] = []
        if kind == "sine":
            omega = 10.0 if frequency is None else frequency
            for number in range(depth):
                layers.append(SineLayer(channels if number else dimension, channels, omega, first=number == 0))
        else:
            layers.append(FourierFeatures(dimension, channels, 1.5 if frequency is None else frequency))
            for number in range(depth):
                layers += [nn.Linear(channels if number else 2 * channels, channels), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.output = nn.Linear(channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Points (P, d), with coordinates between -1 and 1, to values (P,)."""
        return self.output(self.body(x))[:, 0]
