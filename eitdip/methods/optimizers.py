"""Names become optimizers, with a schedule of their rate or none."""

from functools import partial
from math import cos, pi

import torch

from eitdip.classical.gauss_newton import GaussNewton
from eitdip.classical.natural_gradient import NaturalGradient
from eitdip.methods.options import Method
from eitdip.objective import Objective
from eitdip.ranks.collectives import from_root

_FLOOR = 0.05  # of the rate at the end of the cosine


def optimizer(objective: Objective, method: Method, comm):
    """Optimizer, and a learning-rate scheduler or None.

    Args:
        objective: What is minimized.
        method: Completed settings.
        comm: The ranks of the model, on all of which updates must be the same.
    """
    return OPTIMIZERS[method.optimizer](objective, method, comm)


def _adam(objective: Objective, method: Method, comm):
    adam = torch.optim.Adam(_trained(objective), lr=method.learning_rate)
    if method.warm_up:
        return adam, torch.optim.lr_scheduler.LambdaLR(adam, partial(_warm, method))
    if method.schedule == "constant":
        return adam, None
    floor = _FLOOR * method.learning_rate
    return adam, torch.optim.lr_scheduler.CosineAnnealingLR(adam, method.steps, floor)


def _warm(method: Method, step: int) -> float:
    """The rate at a step over its height: it rises evenly, and falls as without that."""
    fall = 0.5 * (1 + cos(pi * min(1, step / method.steps))) if method.schedule == "cosine" else 1.0
    return min(1.0, (step + 1) / method.warm_up) * (_FLOOR + (1 - _FLOOR) * fall)


def _trained(objective: Objective) -> list:
    return [parameter for parameter in objective.parameters() if parameter.requires_grad]


def _lbfgs(objective: Objective, method: Method, comm):
    return torch.optim.LBFGS(
        _trained(objective), lr=method.learning_rate, max_iter=4, history_size=20, line_search_fn="strong_wolfe"
    ), None


def _natural_gradient(objective: Objective, method: Method, comm):
    return NaturalGradient(objective, agree=lambda value: from_root(value, comm)), None


def _gauss_newton(objective: Objective, method: Method, comm):
    target = 0.98 if method.stop == "discrepancy" else None  # a little further than where the rule stops
    return GaussNewton(objective, target=target, agree=lambda value: from_root(value, comm)), None


def _linearized(objective: Objective, method: Method, comm):
    agree = lambda value: from_root(value, comm)  # noqa: E731
    return GaussNewton(objective, damping=0.0, continuation=float("inf"), agree=agree), None


OPTIMIZERS = {
    "adam": _adam,
    "lbfgs": _lbfgs,
    "natural-gradient": _natural_gradient,
    "gauss-newton": _gauss_newton,
    "linearized": _linearized,
}
