"""A misfit of a model's prediction plus penalties on the field."""

import torch
from torch import nn

from eitdip.cost import Stopwatch
from eitdip.errors import OptionError, ShapeError
from eitdip.objective.bridge import apply
from eitdip.objective.terms import Objective, Terms
from eitdip.operator import ForwardModel
from eitdip.parameterization import Parameterization
from eitdip.parameterization.weights import snapshot


class Variational(Objective):
    """misfit(F(x)) + sum of weight * penalty(contrast of the field).

    Args:
        model: F.
        parameterization: x and its field.
        misfit: Distance to the data: `LeastSquares`, `PoissonDeviance` or `EnergyGaps`.
        penalties: Name to (weight, penalty on the parameterization's contrast).
        stopwatch: Counts "network", "model", "data movement" and "penalties".

    Raises:
        ShapeError: If the data do not have the shape of the model's range.
        OptionError: If a weight is negative, or a penalty is named "misfit".
    """

    def __init__(
        self,
        model: ForwardModel,
        parameterization: Parameterization,
        misfit: nn.Module,
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
            x = self.parameterization.to_unknowns(field)
        prediction = apply(self.model, x, self.stopwatch)
        chi2 = self.misfit(prediction)
        losses = {"misfit": chi2}
        with self.stopwatch("penalties"):
            contrast = self.parameterization.contrast(field)
            for name, penalty in self.penalties.items():
                losses[name] = self.weights[name] * penalty(contrast)
        held_out, expected = self.misfit.held_out(prediction), self.misfit.expected(prediction)
        return Terms(losses, float(chi2.detach()), held_out, field.detach(), x.detach(), expected)

    def state(self) -> dict[str, torch.Tensor]:
        """Copies of the parameterization's parameters and persistent buffers, which it loads as a `state_dict`."""
        return snapshot(self.parameterization)

    def get_extra_state(self) -> dict:
        """The model's own state: a solver may start from what it did before."""
        return self.model.state()

    def set_extra_state(self, state: dict) -> None:
        """Give the model the state it had; under MPI all ranks of the model must do so."""
        self.model.restore(state)
