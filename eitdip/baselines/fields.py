"""Potentials and conductivities as networks of coordinates on the unit disk, with their derivatives."""

import torch
from torch import nn

from eitdip.baselines.disk import DirichletDisk
from eitdip.networks import initialize
from eitdip.networks.jets import Jet
from eitdip.parameterization import Link


class HardPotentials(nn.Module):
    """u = harmonic extension of f + (1 - |x|^2) network: the boundary values are exact whatever the network.

    A network whose output layer starts at zero starts at the potentials of a homogeneous disk.

    Args:
        disk: Boundary values, K of them.
        network: From coordinates to K functions.
        coefficients: Of other boundary values than the disk's sources, shape (K, 2 n).
        scale: Of each network output, shape (K,).
    """

    def __init__(self, disk: DirichletDisk, network: nn.Module, coefficients=None, scale=None):
        super().__init__()
        self.disk, self.network = disk, network
        self.register_buffer("coefficients", disk.sources if coefficients is None else coefficients, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, x: Jet) -> Jet:
        """Coordinates of P points to K potentials."""
        correction = self.network(x)
        if self.scale is not None:
            correction = Jet(correction.parts * self.scale, x.dimension)
        return self.disk.harmonic(x, self.coefficients) + distance(x) * correction


def distance(x: Jet) -> Jet:
    """1 - |x|^2, one function, zero on the unit circle."""
    parts = [1 - x.value.square().sum(dim=1)[None], -2 * x.value.T]
    if x.has_laplacian:
        parts.append(torch.full_like(parts[0], -2.0 * x.dimension))
    return Jet(torch.cat(parts)[..., None], x.dimension)


class Conductivity(nn.Module):
    """sigma = link(network(x)).

    Args:
        network: From coordinates to one function; starts at the background if its output layer starts at zero.
        link: Positivity.
    """

    def __init__(self, network: nn.Module, link: Link):
        super().__init__()
        self.network, self.link = network, link

    def forward(self, points: torch.Tensor) -> Jet:
        """Conductivity and its gradient at points (P, 2), S/m."""
        raw = self.network(Jet.coordinates(points, laplacian=False))
        with torch.enable_grad():  # the slope of any link, differentiable once more
            s = raw.value if raw.value.requires_grad else raw.value.detach().requires_grad_()
            sigma = self.link(s)
            (slope,) = torch.autograd.grad(sigma.sum(), s, create_graph=True)
        return raw.through(sigma, slope)


def drawn(network: nn.Module, generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
    """The network with weights drawn anew, in a precision."""
    return initialize(network, generator).to(dtype)
