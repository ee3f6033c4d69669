"""Physics-informed networks: the equation in its strong form at sample points."""

import torch
from torch import nn

from eitdip.baselines.collocation import Collocation, LogVariation, normal_derivative
from eitdip.errors import OptionError
from eitdip.networks.jets import Jet


def residual(u: Jet, sigma: Jet) -> torch.Tensor:
    """div(sigma grad u) = sigma laplace u + grad sigma . grad u of K potentials at P points: shape (P, K).

    Args:
        u: K functions with Laplacians.
        sigma: One function.
    """
    return sigma.value * u.laplacian + (sigma.gradient * u.gradient).sum(dim=0)


class Pinn(Collocation):
    """Mean squared residual, flux misfit and total variation of log sigma.

    Residual and flux are both measured in units of the noise: a residual r_k perturbs the moments of
    pattern k by integrals of r_k, so it is divided by that pattern's deviation. This balances patterns and
    data against the equation without a weight for each phantom or noise level.

    Args:
        potentials: u, which keeps the boundary values; K functions.
        equation: Weight of the residuals.
        tv: Weight of the total variation.
        common: The arguments of `Collocation`.
    """

    def __init__(self, potentials: nn.Module, *, equation: float = 1.0, tv: float = 0.0, **common):
        super().__init__(**common)
        if not equation > 0 or not tv >= 0:
            raise OptionError(f"equation, tv: got {equation}, {tv}, expected > 0 and >= 0")
        self.potentials, self.equation, self.tv = potentials, equation, tv
        self.variation = LogVariation()
        weight = self.misfit.weight.square().sum(dim=1) / (self.misfit.weight > 0).sum(dim=1).clamp(min=1)
        self.register_buffer("_scale", weight.sqrt().to(self.cells.dtype), persistent=False)

    def losses(self):
        sigma = self.conductivity(self.interior)
        r = residual(self.potentials(Jet.coordinates(self.interior)), sigma) * self._scale
        u = self.potentials(Jet.coordinates(self.boundary, laplacian=False))
        flux = self.conductivity(self.boundary).value * normal_derivative(u, self.boundary)
        moments = self.disk.flux_moments(self.boundary, flux)
        losses = {"misfit": self.misfit(moments), "equation": self.equation * r.square().mean()}
        if self.tv:
            losses["tv"] = self.tv * self.variation(sigma)
        return losses, moments
