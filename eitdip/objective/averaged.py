"""The average of iterates as the estimate."""

from dataclasses import replace

import torch

from eitdip.errors import OptionError
from eitdip.objective.bridge import apply
from eitdip.objective.terms import Objective, Terms
from eitdip.objective.variational import Variational


class Averaged(Objective):
    """An objective whose estimate is the exponential average of its iterates, which are more noisy than their mean.

    Fields are averaged as they are, conductivities too, and `x` with them: the map between them is linear. `chi2` and
    `held_out` are those of the average, which costs one more prediction a step; losses are those of the iterate, which
    is what is minimized.

    Args:
        objective: What is minimized.
        decay: Share of the average that survives a step, 0 <= decay < 1.

    Raises:
        OptionError: If the decay is out of range.
    """

    def __init__(self, objective: Variational, decay: float):
        super().__init__(objective.stopwatch)
        if not 0 <= decay < 1:
            raise OptionError(f"average: got a decay of {decay}, expected 0 <= decay < 1")
        self.objective, self.decay = objective, float(decay)
        with torch.no_grad():
            field = objective.parameterization.field()
            x = objective.parameterization.to_unknowns(field)
        self.register_buffer("_weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("_estimate", torch.zeros_like(field))
        self.register_buffer("_x", torch.zeros_like(x))

    def forward(self) -> Terms:
        terms = self.objective()
        with torch.no_grad():
            new = 1 - self.decay
            self._weight.mul_(self.decay).add_(new)
            self._estimate.mul_(self.decay).add_(new * terms.estimate)
            self._x.mul_(self.decay).add_(new * terms.x)
            estimate, x = self._estimate / self._weight, self._x / self._weight
            prediction, misfit = apply(self.objective.model, x, self.stopwatch), self.objective.misfit
            watched = {
                "chi2": float(misfit(prediction)),
                "held_out": misfit.held_out(prediction),
                "expected": misfit.expected(prediction),
            }
        return replace(terms, estimate=estimate, x=x, **watched)

    def state(self) -> dict[str, torch.Tensor]:
        """The iterate's own weights: no weights make the average."""
        return self.objective.state()
