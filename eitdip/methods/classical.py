"""Names become solvers that need no loop: for images from linear data and from counts."""

import numpy as np
import torch

from eitdip.classical.counts import em, transmission
from eitdip.classical.primal_dual import total_variation
from eitdip.imaging import Diagonal, cgls
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
    model, data, unit = _in_units_of_noise(problem, model, data)
    return cgls(model, data, method.steps, method.tikhonov * unit**2)


def _primal_dual(problem: Problem, model, data: torch.Tensor, method: Method) -> torch.Tensor:
    """The weight is that of networks: of the mean over pixels, against the mean over measurements."""
    model, data, unit = _in_units_of_noise(problem, model, data)
    unknown = problem.unknown
    sides = model.domain.shape[-unknown.dimension :]
    weight = float(method.tv * problem.data.count / (2 * np.prod(sides) * unknown.unit)) * (max(sides) / 64)
    bounds = {} if unknown.complex or method.link == "free" else {"lower": unknown.low, "upper": unknown.high}
    return total_variation(model, data, weight, deviation=unit, steps=method.steps, **bounds)


def _em(problem: Problem, model, data: torch.Tensor, method: Method) -> torch.Tensor:
    if not model.linear:
        return transmission(model, data, method.steps)
    return em(model, data, method.steps, problem.data.noise.background)


def _in_units_of_noise(problem: Problem, model, data: torch.Tensor):
    """Model and data for solvers that know one deviation for all data, and that: the least of those that are there.

    Entries are weighted by it over their own, and those where nothing was measured by 0, so that no zeros are fitted.
    """
    deviation, mask = problem.data.deviation, problem.data.mask
    unit = float(deviation[mask].min())
    weight = np.where(mask, unit / deviation, 0.0)
    if (weight == 1).all():
        return model, data, unit
    factors = torch.from_numpy(weight).to(data)
    return Diagonal(factors, model.range) @ model, factors * data, unit


CLASSICAL = {"pinv": _pinv, "cgls": _cgls, "primal-dual": _primal_dual, "em": _em}
