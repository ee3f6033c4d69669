"""Smooth networks of coordinates that carry derivatives: potentials and conductivities of the neural-PDE methods."""

import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.networks.coordinates import FourierFeatures
from eitdip.networks.jets import Jet


class SmoothNetwork(nn.Module):
    """A fully connected tanh network, optionally on Fourier features of the coordinates.

    Args:
        outputs: Functions C.
        widths: Of the hidden layers, at least one.
        dimension: Of the points.
        features: Number of random Fourier frequencies; 0 for plain coordinates.
        frequency: Their scale, periods per unit of length.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(
        self,
        outputs: int,
        widths: tuple[int, ...] = (64, 64, 64, 64),
        dimension: int = 2,
        features: int = 0,
        frequency: float = 0.5,
    ):
        super().__init__()
        _check(outputs, widths)
        self.features = FourierFeatures(dimension, features, frequency) if features else None
        inputs = dimension + 2 * features
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip((inputs, *widths), widths, strict=False))
        self.output = nn.Linear(widths[-1], outputs)

    def forward(self, x: Jet) -> Jet:
        """Coordinates, as `Jet.coordinates` of P points, to the C functions there."""
        if self.features is not None:
            phase = x.linear(2 * torch.pi * self.features.frequencies.T)
            x = Jet(torch.cat([x.parts, phase.sin().parts, phase.cos().parts], dim=-1), x.dimension)
        for layer in self.hidden:
            x = x.linear(layer.weight).tanh(layer.bias)
        return x.linear(self.output.weight, self.output.bias)


class GatedNetwork(nn.Module):
    """The gated network of the deep Galerkin method, in which every layer sees the coordinates again.

    Args:
        outputs: Functions C.
        width: Of all hidden layers.
        depth: Number of gated layers, at least one.
        dimension: Of the points.

    References:
        Sirignano, Spiliopoulos (2018), J. Comput. Phys. 375, equation (4.2).
    """

    @torch.random.fork_rng(devices=[])
    def __init__(self, outputs: int, width: int = 48, depth: int = 3, dimension: int = 2):
        super().__init__()
        _check(outputs, (width,) * depth)
        self.first = nn.Linear(dimension, width)
        self.coordinates = nn.ModuleList(nn.Linear(dimension, 4 * width) for _ in range(depth))
        self.gates = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(depth))
        self.candidates = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Jet) -> Jet:
        """Coordinates, as `Jet.coordinates` of P points, to the C functions there."""
        state = x.linear(self.first.weight).tanh(self.first.bias)
        for coordinates, gates, candidate in zip(self.coordinates, self.gates, self.candidates, strict=True):
            from_x = x.linear(coordinates.weight, coordinates.bias).parts
            width = state.parts.shape[-1]
            sums = Jet(from_x[..., : 3 * width], x.dimension) + state.linear(gates.weight)
            keep, forget, reset = (Jet(part, x.dimension) for part in sums.tanh().parts.split(width, dim=-1))
            new = Jet(from_x[..., 3 * width :], x.dimension) + (state * reset).linear(candidate.weight)
            state = (1.0 - forget) * new.tanh() + keep * state
        return state.linear(self.output.weight, self.output.bias)


def _check(outputs: int, widths: tuple[int, ...]) -> None:
    if outputs < 1 or not widths or min(widths) < 1:
        raise OptionError(f"outputs, widths: got {outputs}, {widths}, expected at least 1, and one hidden layer")
