"""Names become optimizers, with a schedule of their rate or none."""

import torch

from eitdip.classical.gauss_newton import GaussNewton
from eitdip.methods.options import Method
from eitdip.objective import Objective
from eitdip.ranks.collectives import from_root


def optimizer(objective: Objective, method: Method, comm):
    """Optimizer, and a learning-rate scheduler or None.

    Args:
        objective: What is minimized.
        method: Completed settings.
        comm: The ranks of the model, on all of which updates must be the same.
    """
    return OPTIMIZERS[method.optimizer](objective, method, comm)


def _adam(objective: Objective, method: Method, comm):
    adam = torch.optim.Adam(objective.parameters(), lr=method.learning_rate)
    if method.schedule == "constant":
        return adam, None
    floor = 0.05 * method.learning_rate
    return adam, torch.optim.lr_scheduler.CosineAnnealingLR(adam, method.steps, floor)


def _lbfgs(objective: Objective, method: Method, comm):
    return torch.optim.LBFGS(
        objective.parameters(), lr=method.learning_rate, max_iter=4, history_size=20, line_search_fn="strong_wolfe"
    ), None


def _gauss_newton(objective: Objective, method: Method, comm):
    target = 0.98 if method.stop == "discrepancy" else None  # a little further than where the rule stops
    return GaussNewton(objective, target=target, agree=lambda value: from_root(value, comm)), None


def _linearized(objective: Objective, method: Method, comm):
    agree = lambda value: from_root(value, comm)  # noqa: E731
    return GaussNewton(objective, damping=0.0, continuation=float("inf"), agree=agree), None


OPTIMIZERS = {"adam": _adam, "lbfgs": _lbfgs, "gauss-newton": _gauss_newton, "linearized": _linearized}
