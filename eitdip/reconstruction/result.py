"""Steps of a reconstruction and what comes out of it."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from eitdip.objective import Terms


class Status(StrEnum):
    """How a reconstruction ended."""

    DONE = "done"  # the stopping rule was satisfied
    BUDGET = "budget"  # all allowed steps were used
    INTERRUPTED = "interrupted"  # asked to stop; the last checkpoint can be resumed
    DIVERGED = "diverged"  # the loss became infinite or NaN


@dataclass(frozen=True)
class Step:
    """One step: the terms at the parameters *before* the update, and the seconds that the step took."""

    iteration: int
    terms: Terms
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Result:
    """A finished or interrupted reconstruction.

    Args:
        estimate: Conductivity on the parameterization's grid, (H, W) or (N,), S/m.
        sigma: Conductivity of the model's unknowns, shape (N,), file order, S/m.
        status: How it ended.
        reason: The same in words.
        iterations: Steps taken in all, resumed ones included.
        kept: The iteration whose conductivity this is.
        history: Name to values per step: "loss", "chi2", "held_out", each weighted term, what else was watched,
            and "seconds" since the first step, without what lies between steps.
    """

    estimate: np.ndarray
    sigma: np.ndarray
    status: Status
    reason: str
    iterations: int
    kept: int
    history: dict[str, np.ndarray]

    @property
    def chi2(self) -> float:
        """chi^2 / N of the kept iterate."""
        return float(self.history["chi2"][self.kept])
