"""One evaluation of an objective, and what an objective is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from eitdip.cost import Stopwatch
from eitdip.parameterization.weights import snapshot


@dataclass(frozen=True)
class Terms:
    """One evaluation of an objective.

    Args:
        losses: Named scalars that add up to the loss, weights included.
        chi2: chi^2 / N of the fitted measurements, by the field that is delivered: `estimate`.
        held_out: chi^2 / N of the held-out measurements; NaN without any.
        estimate: The field that was evaluated, on the parameterization's grid, detached; conductivities in S/m.
        x: The same as the model takes it, detached.
        expected: What noise alone would make of `chi2`: 1, but for few counts.
    """

    losses: dict[str, torch.Tensor]
    chi2: float
    held_out: float
    estimate: torch.Tensor
    x: torch.Tensor
    expected: float = 1.0

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
        """The present field."""
        with torch.no_grad():
            return self.forward().estimate

    def state(self) -> dict[str, torch.Tensor]:
        """Copies of the weights that make the present estimate: trained parameters and persistent buffers, by name.

        The loop takes one before each step, which costs a copy of all weights: little beside their gradient.
        """
        return snapshot(self)
