"""The loss of Bar and Sochen: the strong form in mean square and at its worst points, with robust data terms.

Their published programs cover the forward problem and the semi-inverse one (`semi_inverse`), where the potentials
are known inside. Here is the full one, from boundary data alone: boundary values and flux join the loss.

References:
    Bar, Sochen (2021), SIAM J. Imaging Sci. 14(1).
"""

from dataclasses import dataclass

import torch
from torch import nn

from eitdip.errors import OptionError, choose
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.fields import Potentials
from eitdip.neural_pde.strong_form import StrongForm


@dataclass(frozen=True)
class Weights:
    """Of the terms of the loss.

    Args:
        equation: Of the mean squared residuals.
        worst: Of the mean of the largest residuals.
        count: How many are the largest.
        boundary: Of the mean absolute error of boundary potentials, unless these are exact.
        flux: Of the mean absolute error of flux moments.
        rim: Of the mean absolute error of sigma at the boundary, over the background, where it is known.
        variation: Of the mean of |grad sigma|^power, sigma over the background, in the unit disk.
        power: Its exponent, >= 1.
        floor: Of the mean by which sigma falls below its lower bound.
        decay: Of half the sum of all squared network weights.
        noise_units: Whether residuals, flux and boundary errors are divided by the noise.
    """

    equation: float = 0.5
    worst: float = 0.02
    count: int = 40
    boundary: float = 1.0
    flux: float = 1.0
    rim: float = 10.0
    variation: float = 0.3
    power: float = 1.0
    floor: float = 10.0
    decay: float = 0.0
    noise_units: bool = True

    def __post_init__(self):
        numbers = (self.worst, self.boundary, self.flux, self.rim, self.variation, self.floor, self.decay)
        if not self.equation > 0 or min(numbers) < 0 or self.count < 1 or self.power < 1:
            raise OptionError(f"weights: got {self}, expected equation > 0, count and power >= 1, others >= 0")


PRESETS = {
    "balanced": Weights(),
    # Theirs; `boundary`, `flux` and `floor` have no counterpart in the programs that they published.
    "paper": Weights(
        equation=0.01, worst=0.01, rim=1.0, variation=0.01, floor=1.0, decay=1e-8, noise_units=False
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """What is known of a conductivity.

    Args:
        background: S/m: the unit of the terms below.
        rim: At the boundary, S/m: a number, or one per boundary point (B,); None if unknown.
        floor: Lower bound, S/m, for a `Conductivity` whose link does not keep one.
    """

    background: float = 1.0
    rim: torch.Tensor | float | None = None
    floor: float | None = None

    def losses(self, weights: Weights, sigma: Jet, edge: torch.Tensor) -> dict[str, torch.Tensor]:
        """The terms "variation", "rim" and "floor".

        Args:
            weights: Of them.
            sigma: At interior points (P, 1).
            edge: At boundary points (B,).
        """
        slopes = torch.linalg.vector_norm(sigma.gradient / self.background, dim=0)
        losses = {"variation": weights.variation * slopes.pow(weights.power).mean()}
        if self.rim is not None:
            losses["rim"] = weights.rim * (edge - self.rim).abs().mean() / self.background
        if self.floor is not None:
            losses["floor"] = weights.floor * torch.relu(self.floor - sigma.value).mean() / self.background
        return losses


class BarSochen(StrongForm):
    """Boundary data to a conductivity: all terms of `Weights`.

    Args:
        potentials: u.
        weights: A `Weights`, or the name of one of `PRESETS`. "paper" is meant for `project=False`, soft
            boundary values and networks from `paper_network`, and needs tens of thousands of steps.
        prior: What is known of the conductivity.
        project: As for `StrongForm`.
        common: The arguments of `eitdip.neural_pde.collocation.Collocation`.
    """

    def __init__(
        self,
        potentials: Potentials,
        *,
        weights: Weights | str = "balanced",
        prior: Prior | None = None,
        project: bool = True,
        **common,
    ):
        weights = weights if isinstance(weights, Weights) else choose("preset", weights, PRESETS)
        super().__init__(potentials, project=project, noise_units=weights.noise_units, reweightings=2, **common)
        if weights.count > len(self.interior):
            raise OptionError(f"count: got {weights.count} of {len(self.interior)} points; draw more points")
        self.weights, self.prior = weights, Prior() if prior is None else prior

    def _ease(self, errors: dict[str, torch.Tensor]) -> torch.Tensor:
        """1 over the present size of the flux misfit, if above 1: a factor for the residuals.

        Terms of first power pull with the same force however large they are, residuals squared do not, and a
        constant conductivity has none. Until the data are nearly fitted they must not win against them.
        """
        return 1 / _norms(errors["misfit"].detach().reshape(-1), dim=0).clamp(min=1)

    def factors(self, errors):
        w, (points, patterns) = self.weights, errors["equation"].shape
        norms = _norms(errors["equation"], dim=1)  # (P, 1)
        bound = norms.topk(w.count, dim=0).values.min()
        share = w.equation / points + (norms >= bound) * w.worst / (2 * w.count * norms.clamp(min=_TINY))
        flux = w.flux / (2 * errors["misfit"].numel() * _norms(errors["misfit"], dim=0).clamp(min=_TINY))
        factors = {"equation": (self._ease(errors) * share / patterns).sqrt(), "misfit": flux.sqrt()}
        if "boundary" in errors:
            error = errors["boundary"].abs().clamp(min=_TINY)
            factors["boundary"] = (w.boundary / (2 * error.numel() * error)).sqrt()
        return factors

    def losses(self):
        w, sigma = self.weights, self.conductivity(self.interior)
        edge = self.conductivity.values(self.boundary)
        conditions = self.conditions(sigma, edge[:, None])
        errors = {name: condition.error() for name, condition in conditions.items()}
        ease = self._ease(errors)
        losses = {
            "misfit": w.flux * _norms(errors["misfit"], dim=0).mean(),
            "equation": ease * w.equation * errors["equation"].square().mean(),
            "worst": ease * w.worst * largest(_norms(errors["equation"], dim=1), w.count),
        }
        if "boundary" in errors:
            losses["boundary"] = w.boundary * errors["boundary"].abs().mean()
        losses |= self.prior.losses(w, sigma, edge)
        if w.decay:
            losses["decay"] = w.decay / 2 * sum(p.square().sum() for p in self.parameters())
        return losses, conditions["misfit"].rows.T


_TINY = 1e-2  # errors below count as this in the weights of least squares


def _norms(errors: torch.Tensor, dim: int) -> torch.Tensor:
    """Root mean squares along one dimension, which is kept; with slope 0 where they are 0."""
    size = errors.shape[dim]
    return torch.linalg.vector_norm(errors, dim=dim, keepdim=True) / size**0.5


def largest(errors: torch.Tensor, count: int) -> torch.Tensor:
    """Mean of the `count` largest absolute errors (P, K) of each pattern, and over patterns."""
    return errors.abs().topk(count, dim=0).values.mean()


def paper_network(outputs: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Their network: 2-26-26-26-10-outputs, tanh, all weights and biases drawn from N(0, 1)."""
    network = SmoothNetwork(outputs, (26, 26, 26, 10)).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=generator)
    return network
