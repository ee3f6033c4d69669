"""Potentials and conductivities as networks of coordinates on the unit disk, with their derivatives."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from eitdip.networks import initialize
from eitdip.networks.jets import Jet
from eitdip.neural_pde.disk import DirichletDisk
from eitdip.neural_pde.projection import basis
from eitdip.parameterization import Link


class Potentials(nn.Module, ABC):
    """K potentials, affine in the outputs of a network.

    Args:
        network: From coordinates to K functions, with a linear layer `output` at its end.
        scale: Of each network output, shape (K,).

    Attributes:
        exact: Whether the boundary values are right whatever the network; else a loss has to ask for them.
    """

    exact: bool

    def __init__(self, network: nn.Module, scale: torch.Tensor | None = None):
        super().__init__()
        self.network = network
        self.register_buffer("scale", scale, persistent=False)

    @abstractmethod
    def known(self, x: Jet) -> Jet:
        """The potentials if the network were zero."""

    @abstractmethod
    def shaped(self, x: Jet, functions: Jet) -> Jet:
        """What functions of the network add to the potentials."""

    def forward(self, x: Jet) -> Jet:
        """Coordinates of P points to K potentials."""
        functions = self.network(x)
        if self.scale is not None:
            functions = Jet(functions.parts * self.scale, x.dimension)
        return self.known(x) + self.shaped(x, functions)

    def basis(self, x: Jet) -> Jet:
        """The C functions of which the network adds a combination to each potential."""
        return self.shaped(x, basis(self.network, x))

    def combine(self, coefficients: torch.Tensor) -> None:
        """Set the output layer so that the network adds these combinations, shape (C, K), of the `basis`."""
        if self.scale is not None:
            coefficients = coefficients / self.scale
        with torch.no_grad():
            self.network.output.weight.copy_(coefficients[:-1].T)
            self.network.output.bias.copy_(coefficients[-1])


class HardPotentials(Potentials):
    """u = harmonic extension of f + (1 - |x|^2) network: the boundary values are exact whatever the network.

    A network whose output layer starts at zero starts at the potentials of a homogeneous disk.

    Args:
        disk: Boundary values, K of them.
        network: From coordinates to K functions.
        coefficients: Of other boundary values than the disk's sources, shape (K, 2 n).
        scale: Of each network output, shape (K,).
    """

    exact = True

    def __init__(self, disk: DirichletDisk, network: nn.Module, coefficients=None, scale=None):
        super().__init__(network, scale)
        self.disk = disk
        self.register_buffer("coefficients", disk.sources if coefficients is None else coefficients, persistent=False)

    def known(self, x: Jet) -> Jet:
        """Harmonic extensions."""
        return self.disk.harmonic(x, self.coefficients)

    def shaped(self, x: Jet, functions: Jet) -> Jet:
        """Zero on the unit circle."""
        return distance(x) * functions


class SoftPotentials(Potentials):
    """u = network: the boundary values are one more thing to ask for."""

    exact = False

    def known(self, x: Jet) -> Jet:
        """Zero."""
        shape = (*x.parts.shape[:2], self.network.output.weight.shape[0])
        return Jet(x.parts.new_zeros(shape), x.dimension)

    def shaped(self, x: Jet, functions: Jet) -> Jet:
        """The functions as they are."""
        return functions


def distance(x: Jet) -> Jet:
    """1 - |x|^2, one function, zero on the unit circle."""
    parts = [1 - x.value.square().sum(dim=1)[None], -2 * x.value.T]
    if x.has_laplacian:
        parts.append(torch.full_like(parts[0], -2.0 * x.dimension))
    return Jet(torch.cat(parts)[..., None], x.dimension)


class Conductivity(nn.Module):
    """sigma = link(network(x)).

    Args:
        network: From coordinates to one function; starts at the link's start if its output layer starts at zero.
        link: Positivity; None for sigma = network(x), which nothing keeps positive.
    """

    def __init__(self, network: nn.Module, link: Link | None):
        super().__init__()
        self.network, self.link = network, link

    def forward(self, points: torch.Tensor) -> Jet:
        """Conductivity and its gradient at points (P, d), S/m."""
        raw = self.network(Jet.coordinates(points, laplacian=False))
        if self.link is None:
            return raw
        with torch.enable_grad():  # the slope of any link, differentiable once more
            s = raw.value if raw.value.requires_grad else raw.value.detach().requires_grad_()
            sigma = self.link(s)
            (slope,) = torch.autograd.grad(sigma.sum(), s, create_graph=True)
        return raw.through(sigma, slope)

    def values(self, points: torch.Tensor) -> torch.Tensor:
        """Conductivity alone at points (P, d), without derivatives: shape (P,), S/m."""
        raw = self.network(Jet(points[None], 0)).value[:, 0]
        return raw if self.link is None else self.link(raw)


def drawn(network: nn.Module, generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
    """The network with weights drawn anew, in a precision."""
    return initialize(network, generator).to(dtype)
