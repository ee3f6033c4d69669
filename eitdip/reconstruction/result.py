"""Steps of a reconstruction and what comes out of it."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import torch

from eitdip.objective import Terms


class Status(StrEnum):
    """How a reconstruction ended."""

    DONE = "done"  # the stopping rule was satisfied
    BUDGET = "budget"  # all allowed steps were used
    INTERRUPTED = "interrupted"  # asked to stop; the last checkpoint can be resumed
    DIVERGED = "diverged"  # the loss became infinite or NaN


@dataclass(frozen=True)
class Step:
    """One step: terms and weights *before* the update, and the seconds that the step took.

    Args:
        iteration: Its number.
        terms: The objective at those weights.
        seconds: Of the step.
        state: The weights, as `Objective.state` gives them: reloaded, they make `terms.estimate`.
    """

    iteration: int
    terms: Terms
    seconds: float = 0.0
    state: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Result:
    """A finished or interrupted reconstruction.

    Args:
        estimate: Field on the parameterization's grid; conductivities in S/m.
        x: The same as the model takes it; for bodies shape (N,), file order.
        status: How it ended.
        reason: The same in words.
        iterations: Steps taken in all, resumed ones included.
        kept: The iteration whose estimate this is.
        history: Name to values per step: "loss", "chi2", "held_out", each weighted term, what else was watched,
            and "seconds" since the first step, without what lies between steps.
        state: Weights of the kept iterate, on the CPU: what `Objective.state` gives, for `load_state_dict` of the
            parameterization. Of an `Averaged` objective those of the iterate, not of the average.
        sessions: The step at which the run began and those at which it was resumed, each with its limits.
    """

    estimate: np.ndarray
    x: np.ndarray
    status: Status
    reason: str
    iterations: int
    kept: int
    history: dict[str, np.ndarray]
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    sessions: tuple[dict[str, float], ...] = ()

    @property
    def chi2(self) -> float:
        """chi^2 / N of the kept iterate."""
        return float(self.history["chi2"][self.kept])
