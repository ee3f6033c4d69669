"""Names of posteriors become posteriors of a finished reconstruction: a table."""

import numpy as np

from eitdip.methods.options import Method
from eitdip.methods.parameterizations import parameterization
from eitdip.problems.problem import Problem
from eitdip.reconstruction import Result
from eitdip.uncertainty import Posterior, linearized_laplace

# The settings that change no estimate: a run is resumed with others of these.
SETTINGS = ("uncertainty", "prior_factor", "smooth", "samples")


def posterior(
    problem: Problem, method: Method, results: tuple[Result, ...], comm=None, scratch=None, show: bool = False
) -> Posterior | None:
    """How far to trust what was found; None if nobody asks.

    Args:
        problem: What was asked.
        method: Completed settings that were checked against the problem.
        results: One per seed, from `method.seed` on.
        comm: Ranks of the model; all take part.
        scratch: Folder for large arrays; None keeps them in memory.
        show: Whether there is a progress bar.
    """
    if method.uncertainty is None:
        return None
    return POSTERIORS[method.uncertainty](problem, method, results, comm, scratch, show)


def aside(problem: Problem, method: Method) -> np.ndarray | None:
    """Measurements that were watched, not fitted, booleans in the shape of the data; of counts there are none."""
    if not method.held_out or problem.data.noise.name == "poisson":
        return None
    return problem.data.held_out(method.held_out, method.seed)


def trained(problem: Problem, method: Method, result: Result):
    """The parameterization at the weights that were kept, and the field that is delivered if it is not theirs."""
    made, _ = parameterization(problem, method, method.seed)
    made.load_state_dict(result.state, strict=False)  # what is no tensor, such as the state of a noise, is not kept
    return made, result.estimate if method.average else None


def _laplace(problem, method, results, comm, scratch, show):
    made, estimate = trained(problem, method, results[0])
    found = linearized_laplace(
        made, problem.model, problem.data, estimate=estimate, aside=aside(problem, method),
        smooth=method.smooth or None, comm=comm, scratch=scratch, show=show,
    )  # fmt: skip
    return found.scaled(method.prior_factor)


POSTERIORS = {"laplace": _laplace}
