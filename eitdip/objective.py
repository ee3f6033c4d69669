"""What is minimized: a misfit plus penalties, as named terms."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import nn

from eitdip.bridge import apply
from eitdip.errors import OptionError, ShapeError
from eitdip.misfit import LeastSquares
from eitdip.operator import ForwardModel
from eitdip.parameterization import Parameterization
from eitdip.timing import Stopwatch


@dataclass(frozen=True)
class Terms:
    """One evaluation of an objective.

    Args:
        losses: Named scalars that add up to the loss, weights included.
        chi2: chi^2 / N of the fitted measurements.
        held_out: chi^2 / N of the held-out measurements; NaN without any.
        estimate: The conductivity field that was evaluated, detached, S/m.
        sigma: The same on the model's unknowns, shape (N,), detached, S/m.
    """

    losses: dict[str, torch.Tensor]
    chi2: float
    held_out: float
    estimate: torch.Tensor
    sigma: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """The loss."""
        return sum(self.losses.values())


class Objective(nn.Module, ABC):
    """A differentiable loss over its own parameters.

    Args:
        stopwatch: Counts where the time of evaluations goes.
    """

    def __init__(self, stopwatch: Stopwatch | None = None):
        super().__init__()
        self.stopwatch = Stopwatch() if stopwatch is None else stopwatch

    @abstractmethod
    def forward(self) -> Terms:
        """Evaluate all terms at the present parameters."""

    def estimate(self) -> torch.Tensor:
        """The present conductivity field, S/m."""
        with torch.no_grad():
            return self.forward().estimate


class Variational(Objective):
    """misfit(F(sigma)) + sum of weight * penalty(log(field / background)).

    Args:
        model: F.
        parameterization: sigma.
        misfit: Distance to the data.
        penalties: Name to (weight, penalty on the parameterization's field).
        stopwatch: Counts "network", "finite elements", "data movement" and "penalties".

    Raises:
        ShapeError: If the data do not have the shape of the model's range.
        OptionError: If a weight is negative, or a penalty is named "misfit".
    """

    def __init__(
        self,
        model: ForwardModel,
        parameterization: Parameterization,
        misfit: LeastSquares,
        penalties: dict[str, tuple[float, nn.Module]] | None = None,
        stopwatch: Stopwatch | None = None,
    ):
        super().__init__(stopwatch)
        if tuple(misfit.data.shape) != model.range.shape:
            raise ShapeError(f"data: got shape {tuple(misfit.data.shape)}, expected {model.range.shape} for this model")
        penalties = penalties or {}
        if "misfit" in penalties:
            raise OptionError("penalties: got one named 'misfit', which is the name of the data term; rename it")
        for name, (weight, _) in penalties.items():
            if not weight >= 0:
                raise OptionError(f"weight of {name}: got {weight}, expected >= 0")
        self.parameterization, self.misfit = parameterization, misfit
        self._model = (model,)  # no submodule: an operator's matrices do not belong into checkpoints
        self.weights = {name: float(weight) for name, (weight, _) in penalties.items()}
        self.penalties = nn.ModuleDict({name: penalty for name, (_, penalty) in penalties.items()})

    @property
    def model(self) -> ForwardModel:
        """F."""
        return self._model[0]

    def forward(self) -> Terms:
        with self.stopwatch("network"):
            field = self.parameterization.field()
            sigma = self.parameterization.to_unknowns(field)
        prediction = apply(self.model, sigma, self.stopwatch)
        chi2 = self.misfit(prediction)
        losses = {"misfit": chi2}
        with self.stopwatch("penalties"):
            contrast = self.parameterization.contrast(field)
            for name, penalty in self.penalties.items():
                losses[name] = self.weights[name] * penalty(contrast)
        return Terms(losses, float(chi2.detach()), self.misfit.held_out(prediction), field.detach(), sigma.detach())

    def get_extra_state(self) -> dict:
        """The model's own state: a solver may start from what it did before."""
        return self.model.state()

    def set_extra_state(self, state: dict) -> None:
        """Give the model the state it had; under MPI all ranks of the model must do so."""
        self.model.restore(state)


class Averaged(Objective):
    """An objective whose estimate is the exponential average of its iterates, which are more noisy than their mean.

    Args:
        objective: What is minimized.
        decay: Share of the average that survives a step, 0 <= decay < 1.

    Raises:
        OptionError: If the decay is out of range.
    """

    def __init__(self, objective: Variational, decay: float = 0.99):
        super().__init__(objective.stopwatch)
        if not 0 <= decay < 1:
            raise OptionError(f"average: got a decay of {decay}, expected 0 <= decay < 1")
        self.objective, self.decay = objective, float(decay)
        with torch.no_grad():
            terms = objective()
        self.register_buffer("_weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("_estimate", torch.zeros_like(terms.estimate))
        self.register_buffer("_sigma", torch.zeros_like(terms.sigma))

    def forward(self) -> Terms:
        terms = self.objective()
        with torch.no_grad():
            new = 1 - self.decay
            self._weight.mul_(self.decay).add_(new)
            self._estimate.mul_(self.decay).add_(new * terms.estimate)
            self._sigma.mul_(self.decay).add_(new * terms.sigma)
            estimate, sigma = self._estimate / self._weight, self._sigma / self._weight
            held_out = terms.held_out
            if held_out == held_out:  # else nothing is held out
                prediction = apply(self.objective.model, sigma, self.stopwatch)
                held_out = self.objective.misfit.held_out(prediction)
        return replace(terms, held_out=held_out, estimate=estimate, sigma=sigma)


class Sure(Objective):
    """A denoising objective that estimates its own error without the truth: Stein's unbiased risk estimate.

    A twin is trained on data with a small known perturbation; how much of that returns in its image is how much of
    the noise returns too. `Terms.held_out` is the estimated mean square error over the noise variance:
    chi^2 / N - 1 + 2 * divergence / N.

    Args:
        objective: Fits the data with a model that is the identity.
        twin: The same, from the same start, fits the data plus `perturbation`.
        perturbation: Independent normal numbers times a small factor, in the shape of the data.

    References:
        Ramani, Blu, Unser (2008), IEEE Trans. Image Process. 17(9), the estimate by perturbation.
    """

    def __init__(self, objective: Variational, twin: Variational, perturbation: torch.Tensor):
        super().__init__(objective.stopwatch)
        self.objective, self.twin = objective, twin
        self.register_buffer("_perturbation", perturbation)

    def forward(self) -> Terms:
        terms, other = self.objective(), self.twin()
        shift = self._perturbation
        divergence = ((other.sigma - terms.sigma) * shift).sum() / shift.square().mean()
        risk = terms.chi2 - 1 + 2 * float(divergence) / shift.numel()
        losses = terms.losses | {f"twin {name}": loss for name, loss in other.losses.items()}
        return replace(terms, losses=losses, held_out=risk)
