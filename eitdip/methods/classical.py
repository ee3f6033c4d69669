"""Names become solvers that need no loop: for images from linear data and from counts."""

import numpy as np
import torch

from eitdip.classical.counts import em, transmission
from eitdip.classical.primal_dual import total_variation
from eitdip.imaging import cgls
from eitdip.methods.options import Method
from eitdip.problems.problem import Problem


def solve(problem: Problem, method: Method, device) -> np.ndarray:
    """The image, shape of the model's domain.

    Args:
        problem: With an image as unknown.
        method: Completed settings that were checked against the problem.
        device: Where it is computed.
    """
    model = problem.model.to(device)
    return CLASSICAL[method.optimizer](problem, model, _data(problem, device), method).cpu().numpy()


def _data(problem: Problem, device) -> torch.Tensor:
    """Measured values in the model's own type, zero where there is none."""
    return torch.from_numpy(problem.data.values).to(device, getattr(torch, problem.model.range.dtype))


def _pinv(problem: Problem, model, data: torch.Tensor, method: Method) -> torch.Tensor:
    return model.pinv(data)


def _cgls(problem: Problem, model, data: torch.Tensor, method: Method) -> torch.Tensor:
    return cgls(model, data, method.steps, method.tikhonov * _deviation(problem) ** 2)


def _primal_dual(problem: Problem, model, data: torch.Tensor, method: Method) -> torch.Tensor:
    """The weight is that of networks: of the mean over pixels, against the mean over measurements."""
    unknown = problem.unknown
    sides = model.domain.shape[-unknown.dimension :]
    weight = float(method.tv * problem.data.count / (2 * np.prod(sides) * unknown.unit)) * (max(sides) / 64)
    bounds = {} if unknown.complex or method.link == "free" else {"lower": unknown.low, "upper": unknown.high}
    return total_variation(model, data, weight, deviation=_deviation(problem), steps=method.steps, **bounds)


def _em(problem: Problem, model, data: torch.Tensor, method: Method) -> torch.Tensor:
    if not model.linear:
        return transmission(model, data, method.steps)
    return em(model, data, method.steps, problem.data.noise.background)


def _deviation(problem: Problem) -> float:
    """These solvers know one deviation for all data."""
    return float(problem.data.deviation.flat[0])


CLASSICAL = {"pinv": _pinv, "cgls": _cgls, "primal-dual": _primal_dual, "em": _em}
