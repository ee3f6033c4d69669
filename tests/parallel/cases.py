"""Small models that run the same on any number of ranks, however these share the work."""

from functools import partial

import numpy as np

from eitdip.fem import CompleteElectrodeModel, DirichletModel, NeumannModel, trigonometric
from eitdip.fem.patterns import trigonometric_currents
from tests.cases.meshes import ring_disk
from tests.cases.solids import box, box_with_electrodes


def _dirichlet(comm, mesh_ranks=1, solver="auto", degree: int = 1, sigma: str = "cells"):
    domain = ring_disk(6, degree=degree)
    waves = trigonometric(domain, 3)
    return DirichletModel(domain, waves[:5], waves, sigma, comm, mesh_ranks, solver)


def _neumann(comm, mesh_ranks=1, solver="auto"):
    domain = ring_disk(6)
    return NeumannModel(domain, trigonometric(domain, 3)[:5], comm=comm, mesh_ranks=mesh_ranks, solver=solver)


def _electrodes(comm, mesh_ranks=1, solver="auto", sigma: str = "cells"):
    currents, impedance = trigonometric_currents(4), [0.1, 0.2, 0.3, 0.4]
    return CompleteElectrodeModel(ring_disk(6, 4), currents, impedance, None, sigma, comm, mesh_ranks, solver)


def _one_pattern(comm, mesh_ranks=1, solver="auto"):
    """Fewer right-hand sides than ranks."""
    domain = ring_disk(6)
    return DirichletModel(domain, trigonometric(domain, 1)[:1], None, "cells", comm, mesh_ranks, solver)


def _solid_dirichlet(comm, mesh_ranks=1, solver="auto"):
    domain = box(5, 4, 3)
    x, y, z = domain.points[domain.boundary_nodes].T
    functions = np.array([x, y * z, x**2 - y**2])
    return DirichletModel(domain, functions, None, "cells", comm, mesh_ranks, solver)


def _solid_electrodes(comm, mesh_ranks=1, solver="auto", sigma: str = "cells"):
    currents = trigonometric_currents(4)
    return CompleteElectrodeModel(box_with_electrodes(4), currents, 0.1, None, sigma, comm, mesh_ranks, solver)


MODELS = {
    "dirichlet": _dirichlet,
    "dirichlet-curved": partial(_dirichlet, degree=2, sigma="vertices"),
    "neumann": _neumann,
    "electrodes": _electrodes,
    "electrodes-vertices": partial(_electrodes, sigma="vertices"),
    "one-pattern": _one_pattern,
    "solid-dirichlet": _solid_dirichlet,
    "solid-electrodes": _solid_electrodes,
    "solid-electrodes-vertices": partial(_solid_electrodes, sigma="vertices"),
}
# Solvers beside the one that "auto" takes, on one plane and one solid model.
SOLVERS = ("cholesky-blr", "last-factor", "multigrid")
WITH_SOLVERS = ("electrodes", "solid-dirichlet")


def variants(ranks: int, shapes: list[int] | None = None) -> dict[str, tuple[str, dict]]:
    """Ways to run: name of the model and keywords, by model, ranks per mesh (by default all) and solver."""
    shapes = shapes or [n for n in range(1, ranks + 1) if ranks % n == 0]
    ways = {f"{name}/{n}": (name, {"mesh_ranks": n}) for name in MODELS for n in shapes}
    for solver in SOLVERS:
        ways |= {
            f"{name}/{n}/{solver}": (name, {"mesh_ranks": n, "solver": solver}) for name in WITH_SOLVERS for n in shapes
        }
    return ways


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
    model.linearize(0.97 * sigma if sigma.size > 1 else sigma)  # some solvers remember an earlier factor
    value, derivative = model.linearize(sigma)
    return {
        "value": value,
        "change": derivative(direction),
        "gradient": derivative.adjoint(weights),
        "jacobian": derivative.dense(),
    }
