"""The meshes and models that all parts measure on."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from eitdip.fem import CompleteElectrodeModel, DirichletModel, trigonometric
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Domain, cylinder, disk
from eitdip.ranks.collectives import alone

ELECTRODES = 16
IMPEDANCE = 0.1


@dataclass(frozen=True)
class Settings:
    """How much of everything.

    Args:
        sizes: Nodes of the plane meshes, about.
        solid: Nodes of the solid mesh, about.
        effort: Seconds of CPU that eitdip's share of one comparison may take, about.
        evaluations: Of the memory check.
        peers: Whether other people's codes take part.
    """

    sizes: tuple[int, ...] = (2_000, 10_000, 50_000, 200_000)
    solid: int = 50_000
    effort: float = 0.6
    evaluations: int = 10_000
    peers: bool = True

    def repetitions(self, nodes: int) -> int:
        """Fewer on large meshes; one for a smoke run."""
        return int(np.clip(self.effort / (1.5e-6 * nodes), 5, 41)) if self.effort else 1


QUICK = Settings(sizes=(300, 600), solid=1_500, effort=0.0, evaluations=200, peers=False)


@dataclass(frozen=True, eq=False)
class Plane:
    """A disk with electrodes and what is solved on it."""

    domain: Domain

    @property
    def nodes(self) -> int:
        return len(self.domain.points)

    @cached_property
    def electrodes(self) -> CompleteElectrodeModel:
        """16 adjacent current patterns, voltages of all electrodes."""
        return CompleteElectrodeModel(self.domain, adjacent(ELECTRODES), IMPEDANCE, comm=alone())

    @cached_property
    def dirichlet(self) -> DirichletModel:
        """16 potentials and 16 other moments, so that adjoint states must be solved for as well."""
        waves = trigonometric(self.domain, ELECTRODES)
        return DirichletModel(self.domain, waves[:ELECTRODES], waves[ELECTRODES:], comm=alone())

    def draws(self, model, seed: int = 0):
        """Draws of a conductivity and a weight of the data."""
        rng = np.random.default_rng(seed)
        return lambda: (np.exp(0.3 * rng.standard_normal(model.domain.shape)), model.range.random(rng))


@cache
def plane(nodes: int) -> Plane:
    """A unit disk with about so many nodes and 16 electrodes of 0.2 m."""
    return Plane(disk(h=1.95 / nodes**0.5, electrodes=ELECTRODES, width=0.2))


@cache
def solid(nodes: int) -> Domain:
    """A cylinder with about so many nodes and a ring of 16 electrodes."""
    # An unstructured mesh of edge length h has about 0.735 nodes per h^3.
    h = (0.735 * np.pi * 0.8 / nodes) ** (1 / 3)
    return cylinder(1.0, 0.8, min(h, 0.3), rings=1, electrodes=ELECTRODES, width=0.2, electrode_height=0.2)


def value_and_gradient(model):
    """The work of one step of an inversion."""

    def work(sigma, weight):
        value, derivative = model.linearize(sigma)
        return value, derivative.adjoint(weight)

    return work
