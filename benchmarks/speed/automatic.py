"""eitdip against automatic differentiation: Dirichlet energies and their gradient by dolfinx-adjoint."""

from collections.abc import Iterator

import numpy as np

from benchmarks.speed.environment import Peer, PeerError
from benchmarks.speed.measure import Figure, interleave, milliseconds, timed
from benchmarks.speed.problems import ELECTRODES, Plane, Settings, plane
from benchmarks.speed.report import Check
from eitdip.fem import DirichletModel, trigonometric
from eitdip.ranks.collectives import alone

PART = "automatic"
NAME = "Dirichlet energies and gradient: dolfinx-adjoint / eitdip"
LARGEST = 20_000  # nodes
REPETITIONS = 5


def run(settings: Settings) -> Iterator[Check]:
    """One row per size; nothing is asked."""
    for size in (size for size in settings.sizes if size <= LARGEST):
        problem = plane(size)
        if not settings.peers:
            yield Check(PART, NAME, problem.nodes, None, note="left out")
            continue
        try:
            seconds = _measure(problem)
        except PeerError as error:
            yield Check(PART, NAME, problem.nodes, None, note=str(error))
            continue
        figure = Figure.ratio(seconds["peer"], seconds["eitdip"])
        yield Check(PART, NAME, problem.nodes, figure, details={"ms": milliseconds(seconds)})


def _measure(problem: Plane) -> dict[str, np.ndarray]:
    domain, rng = problem.domain, np.random.default_rng(0)
    potentials, weights = trigonometric(domain, ELECTRODES // 2), rng.uniform(0.5, 1.5, ELECTRODES)
    model = DirichletModel(domain, potentials, comm=alone())

    def energies(sigma):
        moments, derivative = model.linearize(sigma)
        return float(weights @ np.diag(moments)), derivative.adjoint(np.diag(weights))

    def agree(results):
        (value, gradient), (their_value, their_gradient) = results["eitdip"], results["peer"]
        np.testing.assert_allclose(their_value, value, rtol=1e-9)
        np.testing.assert_allclose(their_gradient, gradient, rtol=0, atol=1e-8 * np.abs(gradient).max())

    peer = Peer("dolfinx-adjoint", (domain.points, domain.cells, domain.boundary_nodes, potentials, weights))
    try:
        codes = {"eitdip": timed(energies), "peer": lambda sigma: peer.ask("gradient", sigma)}
        draw = problem.draws(model)
        return interleave(codes, lambda: draw()[:1], REPETITIONS, agree)
    finally:
        peer.close()
