"""Deep Ritz: energies of potentials and stream functions instead of the equation's residual; first derivatives only.

The energy 1/2 int sigma |grad u|^2 of a potential u with given boundary values is least where div(sigma grad u) = 0.
For the inverse problem that is not enough: for a given u the energy is linear in sigma and grows with it, so
whoever minimizes it over u and sigma together is led to sigma = 0 (`NaiveDeepRitz`). What is zero exactly at the
solution is the gap between two energies (`DeepRitzKV`).

References:
    E, Yu (2018), Commun. Math. Stat. 6. Kohn, Vogelius (1987), Comm. Pure Appl. Math. 40(6).
"""

import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.networks.jets import Jet
from eitdip.neural_pde.collocation import Collocation, LogVariation, normal_derivative
from eitdip.neural_pde.disk import DirichletDisk
from eitdip.neural_pde.fields import HardPotentials, distance
from eitdip.neural_pde.projection import Condition, basis, best_combination


def energies(functions: Jet, weight: torch.Tensor) -> torch.Tensor:
    """1/2 int weight |grad f|^2 over the unit disk, estimated from uniformly distributed points.

    Args:
        functions: K of them at P points.
        weight: sigma for potentials, 1 / sigma for stream functions, shape (P, 1).

    Returns:
        Shape (K,).
    """
    return torch.pi / 2 * (weight * functions.gradient.square().sum(dim=0)).mean(dim=0)


def curl(functions: Jet) -> torch.Tensor:
    """(d/dy, -d/dx) of K functions in the plane: shape (2, P, K), free of divergence."""
    return torch.stack([functions.gradient[1], -functions.gradient[0]])


def energy_gaps(u: Jet, psi: Jet, sigma: torch.Tensor) -> torch.Tensor:
    """Kohn-Vogelius gaps 1/2 int |sigma^(1/2) grad u - sigma^(-1/2) curl psi|^2, shape (K,).

    Zero exactly if sigma grad u = curl psi, which makes u a solution, and the tangential derivative of psi its flux.

    Args:
        u: K potentials at P uniformly distributed points of the unit disk.
        psi: Their stream functions.
        sigma: Shape (P, 1).
    """
    root = sigma.sqrt()
    return torch.pi / 2 * (root * u.gradient - curl(psi) / root).square().sum(dim=0).mean(dim=0)


_RIDGE = 1e-9  # larger coefficients would cancel beyond single precision


class ConjugatePairs(nn.Module):
    """K potentials u, then their K stream functions psi: sigma grad u = curl psi where both are right.

    Each is a harmonic extension of its boundary values + (1 - |x|^2) network. One network has all 2 K outputs, because
    u and psi bend at the same places. The boundary values of psi are a primitive of the flux sigma du/dn. Its
    coefficients are unknowns: measured moments are noisy, and psi must not be made to follow the noise.

    Args:
        disk: Boundary values of u.
        network: From coordinates to 2 K functions.
        background: Conductivity of a homogeneous disk, whose flux is the first guess, S/m.

    Attributes:
        flux: Coefficients of cos t, sin t, cos 2t, ... of K fluxes on the unit circle, shape (K, 2 n).
    """

    def __init__(self, disk: DirichletDisk, network: nn.Module, background: float = 1.0):
        super().__init__()
        self.disk, self.network, self.background = disk, network, float(background)
        orders = torch.arange(1, disk.orders + 1, device=disk.sources.device).repeat_interleave(2)
        self.flux = nn.Parameter(background * disk.sources * orders)

    def basis(self, x: Jet) -> Jet:
        """The C functions whose combinations the output layer adds, zero on the unit circle."""
        return distance(x) * basis(self.network, x)

    def forward(self, x: Jet, functions: Jet | None = None) -> tuple[Jet, Jet]:
        """Coordinates of P points to u and psi.

        Args:
            x: `Jet.coordinates`.
            functions: `basis` of them, if known.
        """
        functions, output = self.basis(x) if functions is None else functions, self.network.output
        known = self.disk.harmonic(x, torch.cat([self.disk.sources, primitive(self.flux)]))
        added = functions.linear(torch.cat([output.weight, output.bias[:, None]], dim=1))
        u, psi = (known + added).parts.chunk(2, dim=-1)
        return Jet(u, x.dimension), Jet(psi, x.dimension)

    @torch.no_grad()
    def combine(self, u: torch.Tensor, psi: torch.Tensor, flux: torch.Tensor) -> None:
        """Set the output layer, so that it adds combinations (C, K) of the basis to u and to psi, and the flux."""
        coefficients = torch.cat([u, psi], dim=1)
        self.network.output.weight.copy_(coefficients[:-1].T)
        self.network.output.bias.copy_(coefficients[-1])
        self.flux.copy_(flux)

    def moments(self) -> torch.Tensor:
        """Those of the flux, shape (K, M)."""
        return torch.pi * self.flux @ self.disk.moments.T


def primitive(coefficients: torch.Tensor) -> torch.Tensor:
    """From coefficients of cos t, sin t, cos 2t, ... to those of the primitive without a constant, shape (C, 2 n)."""
    cosines, sines = coefficients[:, 0::2], coefficients[:, 1::2]
    orders = torch.arange(1, cosines.shape[1] + 1, dtype=coefficients.dtype, device=coefficients.device)
    return torch.stack([-sines / orders, cosines / orders], dim=-1).flatten(-2)


class DeepRitzKV(Collocation):
    """Deep Ritz in Kohn and Vogelius' form: flux misfit, energy gaps, total variation of log sigma.

    The gaps are divided by what the noise alone makes of them in a homogeneous disk. So the patterns are
    balanced against each other, and the data against the equation, without a weight for each phantom or
    noise level. With an infinite weight of the equation this is total variation with finite elements; with a
    finite one the equation takes a share of the misfit upon itself, the larger the higher the frequency of the flux.

    Gaps and misfit are quadratic in the flux and in the output layer of the network. So these are solved for at every
    step (`eitdip.neural_pde.projection`), and the optimizer trains the hidden layers and sigma. The solution fits the
    points that it sees, so there should be ten or more of them for each unit of the last hidden layer.

    Args:
        pairs: u and psi.
        equation: Weight of the gaps.
        tv: Weight of the total variation.
        project: Solve for output layer and flux; else they are trained with the rest.
        common: The arguments of `Collocation`.
    """

    def __init__(
        self, pairs: ConjugatePairs, *, equation: float = 5.0, tv: float = 40.0, project: bool = True, **common
    ):
        super().__init__(**common)
        _check_weights(equation, tv)
        self.pairs, self.project = pairs, project
        self.equation, self.tv, self.variation = equation, tv, LogVariation()
        self.register_buffer("_per_gap", self._noise_units().to(self.cells.dtype), persistent=False)
        if project:
            for parameter in (pairs.flux, *pairs.network.output.parameters()):
                parameter.requires_grad_(False)

    def _noise_units(self) -> torch.Tensor:
        """What turns gaps into their mean ratio to those of the noise in a homogeneous disk, shape (K,)."""
        weight = self.misfit.weight
        precision = weight.square().sum(dim=1) / (weight > 0).sum(dim=1).clamp(min=1)
        precision = torch.where(precision > 0, precision, precision[precision > 0].mean())  # of unmeasured patterns
        # Noise of deviation s in the coefficients of cos nt and sin nt has the energies s^2 / (2 n sigma).
        inverse = (1 / torch.arange(1, self.disk.orders + 1)).sum() / self.pairs.background
        return precision / (inverse * len(precision))

    def losses(self):
        sigma, x = self.conductivity(self.interior), Jet.coordinates(self.interior, laplacian=False)
        functions = self.pairs.basis(x)
        if self.project:
            self._solve(x, functions, sigma.value.detach().sqrt())
        u, psi = self.pairs(x, functions)
        moments, ratios = self.pairs.moments(), self._per_gap * energy_gaps(u, psi, sigma.value)
        losses = {"misfit": self.misfit(moments), "equation": self.equation * ratios.sum()}
        if self.tv:
            losses["tv"] = self.tv * self.variation(sigma)
        return losses, moments

    @torch.no_grad()
    def _solve(self, x: Jet, functions: Jet, root: torch.Tensor) -> None:
        """Set output layer and flux to what minimizes gaps and misfit together: linear least squares.

        The best combinations for any flux are a linear function of it and the same for all patterns. With
        them a small problem is left, in which patterns differ by their noise.
        """
        disk, misfit, patterns = self.disk, self.misfit, len(self.pairs.flux)
        per_flux = disk.harmonic(x, primitive(torch.eye(2 * disk.orders).to(self.pairs.flux)))
        fields = torch.cat([root * functions.gradient, -curl(functions) / root], dim=-1).flatten(0, 1)  # (2 P, 2 C)
        wanted = [-root * disk.harmonic(x, disk.sources).gradient, curl(per_flux) / root]
        wanted = torch.cat(wanted, dim=-1).flatten(0, 1)  # (2 P, K + 2 n)
        best = best_combination([Condition(fields, wanted, root.new_ones(1, 1))], _RIDGE)
        left = wanted - fields @ best.to(fields.dtype)
        share = (torch.pi / 2 / len(root) * self.equation * self._per_gap).sqrt()
        flux = best_combination(
            [
                Condition(left[:, patterns:], -left[:, :patterns], share[None]),
                Condition(torch.pi * disk.moments, misfit.data.T, misfit.weight.T / misfit.count**0.5),
            ],
            _RIDGE,
        )
        self.pairs.combine(*(best[:, :patterns] + best[:, patterns:] @ flux).chunk(2), flux.T)


class NaiveDeepRitz(Collocation):
    """Energy, flux misfit and total variation, minimized over u and sigma together: a counter-example.

    It does not converge to the conductivity, whatever the networks and the weights: the energy falls with
    sigma. Inside, sigma goes to the lower bound of its link; the data only keep a rim from following.

    Args:
        potentials: u.
        equation: Weight of the energy, the sum of those of all patterns.
        tv: Weight of the total variation.
        common: The arguments of `Collocation`.
    """

    def __init__(self, potentials: HardPotentials, *, equation: float = 10.0, tv: float = 0.0, **common):
        super().__init__(**common)
        _check_weights(equation, tv)
        self.potentials, self.equation, self.tv, self.variation = potentials, equation, tv, LogVariation()

    def losses(self):
        sigma, rim = self.conductivity(self.interior), self.conductivity.values(self.boundary)[:, None]
        u = self.potentials(Jet.coordinates(self.interior, laplacian=False))
        edge = self.potentials(Jet.coordinates(self.boundary, laplacian=False))
        moments = self.disk.flux_moments(self.boundary, rim * normal_derivative(edge, self.boundary))
        losses = {"misfit": self.misfit(moments), "energy": self.equation * energies(u, sigma.value).sum()}
        if self.tv:
            losses["tv"] = self.tv * self.variation(sigma)
        return losses, moments


def _check_weights(equation: float, tv: float) -> None:
    if not equation > 0 or not tv >= 0:
        raise OptionError(f"equation, tv: got {equation}, {tv}, expected > 0 and >= 0")
