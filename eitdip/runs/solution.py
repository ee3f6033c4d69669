"""What was found, and what it cost."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from eitdip.methods.options import Method, Running
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import alone, from_root, together
from eitdip.reconstruction import Result, Status
from eitdip.uncertainty import Posterior

PARTS = ("network", "model", "penalties", "data movement", "uncertainty", "other")


@dataclass(frozen=True)
class Cost:
    """Time, memory and ranks of a session.

    Args:
        seconds: Wall seconds of rank 0: "total", and the `PARTS` that add up to it. The backward pass
            counts to "network", but for the model's adjoint; waiting for other ranks to "other".
        memory: Largest resident memory of each rank, MiB.
        memory_of: "session", or "process" where the system cannot count anew: then that of its whole life.
        parallel: "ranks", "teams" that divided the seeds, "threads per rank" and "mesh ranks".
        solver: What the linear solver of rank 0 did, as JSON values.
    """

    seconds: dict[str, float]
    memory: tuple[float, ...]
    memory_of: str
    parallel: dict[str, int]
    solver: dict


@dataclass(frozen=True, eq=False)
class Solution:
    """What a session found; the same on all ranks.

    Args:
        problem: What was asked.
        method: How it was answered.
        name: The method's name, for the record.
        x: The unknowns, mean over seeds (geometric for conductivities), as the model takes them.
        field: The same on the generator's own grid, such as (H, W).
        prediction: F(x), shape of the data.
        misfit: chi^2 / N of that prediction over all measurements, for counts the mean deviance: about 1 if data are
            explained to the noise. Where the deviation is unknown its unit is a twentieth of the data's size.
        expected: What noise alone would make of the misfit: 1, but for few counts.
        results: One per seed, by increasing seed; none for methods without a loop.
        cost: Time, memory and ranks.
        running: How it was run.
        posterior: How far to trust each entry of the field, if that was asked.
    """

    problem: Problem
    method: Method
    name: str
    x: np.ndarray
    field: np.ndarray
    prediction: np.ndarray
    misfit: float
    expected: float
    results: tuple[Result, ...]
    cost: Cost
    running: Running
    posterior: Posterior | None = None

    @property
    def status(self) -> Status:
        """Interrupted if any seed was, else that of the last."""
        every = [result.status for result in self.results] or [Status.DONE]
        return Status.INTERRUPTED if Status.INTERRUPTED in every else every[-1]

    @cached_property
    def errors(self) -> dict[str, float | None]:
        """Distances to the truth, by the names of `eitdip.metrics.BETTER`; empty if the truth is not known."""
        truth = self.problem.truth
        return {} if truth is None else self.problem.unknown.judge(truth).metrics(self.x)

    def plot(self, ax=None):
        """Draw x, of a solid its middle section, of a complex image the magnitude.

        Args:
            ax: matplotlib axes to draw into; by default new ones.

        Returns:
            The axes.
        """
        from eitdip.runs.pictures import draw

        return draw(self, ax)

    def save(self, folder) -> dict:
        """Write numbers, pictures and result.json into a folder; returns what is in result.json.

        All ranks of the problem call it, rank 0 writes. What an earlier run has left there is replaced, with a warning.

        Raises:
            OutputError: If it cannot be written.
        """
        from eitdip.runs.earlier import results
        from eitdip.runs.output import write
        from eitdip.writing import check_folder

        comm, summary = self.problem.comm or alone(), None
        with together(comm):
            if comm.rank == 0:
                check_folder(Path(folder))
                if found := results(Path(folder)):
                    warnings.warn(f"{folder}: held {found}, which are replaced", stacklevel=2)
                summary = write(Path(folder), self)
        return from_root(summary, comm)
