"""From a problem and a method to what is minimized."""

from dataclasses import replace

import numpy as np
import torch

from eitdip.cost import Stopwatch
from eitdip.data.streams import stream
from eitdip.methods import neural_pde
from eitdip.methods.options import Method
from eitdip.methods.parameterizations import LINKS, parameterization
from eitdip.objective import Averaged, Objective, Sure, Variational
from eitdip.objective.differences import Values
from eitdip.objective.misfit import LeastSquares, misfit_of
from eitdip.objective.penalty import Proximity, Tikhonov, TotalVariation
from eitdip.problems.problem import Problem

# Of the twin's perturbation over the noise. Training is chaotic: with less, the difference of the twins says little.
_PERTURBATION = 0.5
_DRIFT_STEPS = 12  # of one number; a handful is enough
_DRIFT_TOLERANCE = 1e-4  # of the misfit, whose noise is 1e-2 and more; each step is an evaluation, on solids a second


def objective(problem: Problem, method: Method, seed: int, device, stopwatch: Stopwatch | None = None) -> Objective:
    """Fresh weights: nothing is left of what was trained before.

    Args:
        problem: Model, data, unknown.
        method: Completed settings that were checked against the problem.
        seed: Of weights, latent tensor and held-out choice.
        device: Where networks and penalties run.
        stopwatch: Counts where the time goes.
    """
    if method.objective != "variational":
        return _collocation(problem, method, seed, stopwatch).to(device)
    if method.stop == "sure":
        return _sure(problem, method, seed, stopwatch).to(device)
    made = _variational(problem, method, seed, stopwatch).to(device)
    return Averaged(made, method.average).to(device) if method.average else made


def _variational(problem: Problem, method: Method, seed: int, stopwatch, shift: np.ndarray | None = None):
    field, grid = parameterization(problem, method, seed)
    if method.misfit == "likelihood":
        data = problem.data if shift is None else replace(problem.data, values=problem.data.values + shift)
        model, misfit = problem.model, misfit_of(data, method.held_out, seed)
    else:
        model, misfit = problem.misfits[method.misfit]()
    field.eval()  # no noise on the input yet
    if method.generator == "educated" and field.fit_drift:
        fit_drift(Variational(model, field, misfit))
    penalties = {
        "tv": (method.tv, TotalVariation(grid.differences)),
        "l1": (method.l1, TotalVariation(Values(grid.sizes))),
        "tikhonov": (method.tikhonov, Tikhonov(grid.differences)),
    }
    if method.proximity:
        penalties["proximity"] = method.proximity, Proximity(field.contrast(field.field()))
    field.train()
    penalties = {name: (weight, penalty) for name, (weight, penalty) in penalties.items() if weight}
    return Variational(model, field, misfit, penalties, stopwatch)


def fit_drift(objective: Variational) -> None:
    """Set the drift to what fits the data best, all else as it is.

    A pretrained network is right about objects and knows nothing of the background; unless that is right first, the
    first steps throw the objects about.
    """
    field = objective.parameterization
    stops = {"max_iter": _DRIFT_STEPS, "tolerance_change": _DRIFT_TOLERANCE}
    optimizer = torch.optim.LBFGS([field.drift], line_search_fn="strong_wolfe", **stops)

    def misfit() -> torch.Tensor:
        loss = objective().losses["misfit"]
        (field.drift.grad,) = torch.autograd.grad(loss, [field.drift])
        return loss

    optimizer.step(misfit)
    field.drift.grad = None


def _sure(problem: Problem, method: Method, seed: int, stopwatch) -> Sure:
    drawn = stream(seed, "perturbation").standard_normal(problem.data.shape)
    shift = _PERTURBATION * problem.data.deviation * drawn
    twins = (_variational(problem, method, seed, stopwatch, each) for each in (None, shift))
    return Sure(*twins, torch.from_numpy(shift))


def _collocation(problem: Problem, method: Method, seed: int, stopwatch) -> Objective:
    """Potentials as networks know no mesh, so the data are fitted as measured, not their difference to the model's."""
    measured = problem.measurements
    held = measured.data.held_out(method.held_out, seed) if method.held_out else None
    misfit = LeastSquares(measured.values, measured.deviation, measured.mask, held)
    link = LINKS[method.link](problem.unknown, method)
    return neural_pde.collocation(measured, problem.unknown.domain, link, misfit, method, seed, stopwatch)
