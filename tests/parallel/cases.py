"""Small models that run the same on any number of ranks."""

from functools import partial

import numpy as np

from eitdip.fem import CompleteElectrodeModel, DirichletModel, NeumannModel, trigonometric
from eitdip.fem.patterns import trigonometric_currents
from tests.shapes import ring_disk


def _dirichlet(comm, degree: int = 1, sigma: str = "cells"):
    domain = ring_disk(6, degree=degree)
    waves = trigonometric(domain, 3)
    return DirichletModel(domain, waves[:5], waves, sigma, comm)


def _neumann(comm):
    domain = ring_disk(6)
    return NeumannModel(domain, trigonometric(domain, 3)[:5], comm=comm)


def _electrodes(comm, sigma: str = "cells"):
    currents = trigonometric_currents(4)
    return CompleteElectrodeModel(ring_disk(6, 4), currents, [0.1, 0.2, 0.3, 0.4], sigma_element=sigma, comm=comm)


def _one_pattern(comm):
    """Fewer right-hand sides than ranks."""
    domain = ring_disk(6)
    return DirichletModel(domain, trigonometric(domain, 1)[:1], comm=comm)


MODELS = {
    "dirichlet": _dirichlet,
    "dirichlet-curved": partial(_dirichlet, degree=2, sigma="vertices"),
    "neumann": _neumann,
    "electrodes": _electrodes,
    "electrodes-vertices": partial(_electrodes, sigma="vertices"),
    "one-pattern": _one_pattern,
}


def evaluate(model, wrong_on_other_ranks: bool = False) -> dict[str, np.ndarray]:
    """Value, derivative and gradient at fixed points.

    Args:
        model: The model.
        wrong_on_other_ranks: Pass nonsense; the copy of rank 0 must count, so this changes nothing.
    """
    rng = np.random.default_rng(17)
    sigma = rng.uniform(0.5, 2.0, model.domain.shape)
    direction, weights = model.domain.random(rng), model.range.random(rng)
    if wrong_on_other_ranks:
        sigma, weights = np.zeros(1), np.zeros(1)
    value, derivative = model.linearize(sigma)
    return {
        "value": value,
        "change": derivative(direction),
        "gradient": derivative.adjoint(weights),
        "jacobian": derivative.dense(),
    }
