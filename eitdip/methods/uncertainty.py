"""Names of posteriors become posteriors of a finished reconstruction: a table."""

import numpy as np

from eitdip.methods.build import device_of
from eitdip.methods.objectives import objective
from eitdip.methods.options import Method, Running
from eitdip.methods.parameterizations import parameterization
from eitdip.objective import Variational
from eitdip.problems.problem import Problem
from eitdip.reconstruction import Result
from eitdip.uncertainty import Posterior, linearized_laplace, matrix_free_laplace
from eitdip.uncertainty.cells import cells_laplace
from eitdip.uncertainty.ensemble import Ensemble, seen_by
from eitdip.uncertainty.posterior import Variable
from eitdip.uncertainty.sampling import langevin, monte_carlo_dropout

# The settings that change no estimate: a run is resumed with others of these.
SETTINGS = ("uncertainty", "prior_factor", "smooth", "calibration", "samples")
_PATH = 2000  # steps of Langevin dynamics
_EXACT = 6000  # entries of a field up to which matrices are no dearer than products


def posterior(
    problem: Problem,
    method: Method,
    results: tuple[Result, ...],
    running: Running | None = None,
    comm=None,
    show: bool = False,
) -> Posterior | None:
    """How far to trust what was found; None if nobody asks.

    Args:
        problem: What was asked.
        method: Completed settings that were checked against the problem.
        results: One per seed, from `method.seed` on.
        running: Device, and where large arrays go.
        comm: Ranks of the model; all take part.
        show: Whether there are progress bars.
    """
    if method.uncertainty is None:
        return None
    running = running or Running()
    found = POSTERIORS[method.uncertainty](problem, method, results, running, comm, show)
    return found if method.calibration == 1 else found.rescaled(method.calibration)


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


def _laplace(problem, method, results, running, comm, show):
    made, estimate = trained(problem, method, results[0])
    made = made.to(device_of(running, comm or problem.comm))
    common = {"estimate": estimate, "aside": aside(problem, method), "show": show}
    if seen_by(made).sum() > _EXACT and not method.smooth:
        return matrix_free_laplace(
            made, problem.model, problem.data, seed=method.seed, factor=method.prior_factor, **common
        )
    exact = linearized_laplace(
        made, problem.model, problem.data, smooth=method.smooth or None, dimension=problem.unknown.dimension, comm=comm,
        scratch=running.scratch, **common,
    )  # fmt: skip
    return exact.scaled(method.prior_factor)


def _cells(problem, method, results, running, comm, show):
    made, grid = parameterization(problem, method, method.seed)
    made.load_state_dict(results[0].state, strict=False)
    estimate = results[0].estimate if method.average else None
    length = {"length": method.smooth} if method.smooth else {}
    found = cells_laplace(
        made, problem.model, problem.data, grid.differences, sizes=grid.sizes, estimate=estimate,
        aside=aside(problem, method), **length,
    )  # fmt: skip
    return found.scaled(method.prior_factor)


def _ensemble(problem, method, results, running, comm, show):
    made, _ = trained(problem, method, results[0])
    return Ensemble(np.stack([result.estimate for result in results]), Variable.of(made), seen_by(made))


def _dropout(problem, method, results, running, comm, show):
    return monte_carlo_dropout(_objective(problem, method, results[0], running), seed=method.seed, show=show)


def _langevin(problem, method, results, running, comm, show):
    made = _objective(problem, method, results[0], running)
    options = {"steps": _PATH, "burn": _PATH // 4, "count": min(100, _PATH // 2)}
    return langevin(made, problem.data.count, seed=method.seed, show=show, **options)


def _objective(problem: Problem, method: Method, result: Result, running: Running) -> Variational:
    """What was minimized, at the weights that were kept."""
    made = objective(problem, method, method.seed, device_of(running, problem.comm))
    made = made.objective if method.average else made
    made.parameterization.load_state_dict(result.state, strict=False)
    return made


POSTERIORS = {
    "laplace": _laplace,
    "ensemble": _ensemble,
    "dropout": _dropout,
    "langevin": _langevin,
    "cells": _cells,
}
