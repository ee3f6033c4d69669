"""What is minimized: a misfit plus penalties, as named terms."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

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
        self.model, self.parameterization, self.misfit = model, parameterization, misfit
        self.weights = {name: float(weight) for name, (weight, _) in penalties.items()}
        self.penalties = nn.ModuleDict({name: penalty for name, (_, penalty) in penalties.items()})

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
