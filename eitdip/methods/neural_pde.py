"""From measurements and method to a neural-PDE objective: networks, sample points and losses by name."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from eitdip.cost import Stopwatch
from eitdip.data import Measurements
from eitdip.errors import OptionError
from eitdip.mesh import Domain
from eitdip.methods.options import Method
from eitdip.networks.potentials import GatedNetwork, SmoothNetwork
from eitdip.neural_pde.bar_sochen import PRESETS, BarSochen, Prior, paper_network
from eitdip.neural_pde.collocation import Collocation, Sampling
from eitdip.neural_pde.deep_ritz import ConjugatePairs, DeepRitzKV, NaiveDeepRitz
from eitdip.neural_pde.disk import DirichletDisk, unit_coordinates
from eitdip.neural_pde.fields import Conductivity, HardPotentials, Potentials, SoftPotentials, drawn
from eitdip.neural_pde.strong_form import Pinn
from eitdip.objective.misfit import LeastSquares
from eitdip.parameterization import Link

_DTYPE = torch.float32
_LEAST = (
    256  # points: about 130 functions are combined, and with fewer points could satisfy the equation at all of them
)


def collocation(
    measurements: Measurements,
    domain: Domain,
    link: Link,
    misfit: LeastSquares,
    method: Method,
    seed: int,
    stopwatch: Stopwatch | None = None,
) -> Collocation:
    """A fresh objective for one seed.

    Args:
        measurements: Dirichlet data of a disk.
        domain: The mesh at whose cells the conductivity is reported.
        link: Positivity and background.
        misfit: Distance of flux moments to the measured ones.
        method: Completed settings.
        seed: Of weights and sample points.
        stopwatch: Counts the time.

    Raises:
        OptionError: If the points are too few.
        InvalidDataError: If the body is not a disk.
    """
    if method.points < _LEAST:
        raise OptionError(
            f"option points: got {method.points}, expected at least {_LEAST} for the objective {method.objective!r}"
        )
    generator = torch.Generator().manual_seed(seed)
    made = _OBJECTIVES[method.objective]
    networks = _Networks(method, generator, len(measurements.sources))
    common = {
        "disk": DirichletDisk(measurements.sources, measurements.moments, _radius(domain), _DTYPE),
        "conductivity": Conductivity(networks.conductivity(), link),
        "misfit": misfit,
        "cells": torch.from_numpy(unit_coordinates(domain, domain.centroids)),
        # A line search compares losses at the same points.
        "sampling": Sampling(method.points, every=0 if method.optimizer == "lbfgs" else 1, seed=seed),
        "stopwatch": stopwatch,
    }
    return made(networks, method, link.start, common)


def _radius(domain: Domain) -> float:
    return float(np.linalg.norm(domain.points[domain.boundary_nodes] - domain.center, axis=1).max())


@dataclass(frozen=True)
class _Networks:
    """Networks drawn one after the other. Fourier features of about a period per radius suit all phantoms alike."""

    method: Method
    generator: torch.Generator
    patterns: int

    def conductivity(self) -> nn.Module:
        width = self.method.channels
        return drawn(SmoothNetwork(1, (width, width), features=width, frequency=1.0), self.generator, _DTYPE)

    def smooth(self) -> nn.Module:
        # Soft boundary values are fitted like all else, and high frequencies make that harder.
        features = 32 if self.method.boundary == "hard" else 0
        network = SmoothNetwork(self.patterns, (64, 64, 128), features=features, frequency=0.6)
        return drawn(network, self.generator, _DTYPE)

    def pairs(self) -> nn.Module:
        network = SmoothNetwork(2 * self.patterns, (64, 64, 64, 96), features=32, frequency=0.7)
        return drawn(network, self.generator, _DTYPE)

    def gated(self) -> nn.Module:
        return drawn(GatedNetwork(self.patterns), self.generator, _DTYPE)

    def potentials(self, network: nn.Module, disk: DirichletDisk) -> Potentials:
        return HardPotentials(disk, network) if self.method.boundary == "hard" else SoftPotentials(network)


def _pinn(networks: _Networks, method: Method, background: float, common: dict) -> Pinn:
    potentials = networks.potentials(networks.smooth(), common["disk"])
    return Pinn(potentials, equation=method.equation, tv=method.tv, **common)


def _deep_galerkin(networks: _Networks, method: Method, background: float, common: dict) -> Pinn:
    potentials = networks.potentials(networks.gated(), common["disk"])
    return Pinn(potentials, equation=method.equation, tv=method.tv, **common)


def _bar_sochen(networks: _Networks, method: Method, background: float, common: dict) -> BarSochen:
    if method.preset == "balanced":
        weights = replace(PRESETS["balanced"], equation=method.equation)
        potentials = networks.potentials(networks.smooth(), common["disk"])
        return BarSochen(potentials, weights=weights, prior=Prior(background), **common)
    drawn_as_theirs = partial(paper_network, generator=networks.generator, dtype=_DTYPE)
    common = common | {"conductivity": Conductivity(drawn_as_theirs(1), None)}
    prior = Prior(background, rim=background, floor=0.01 * background)
    potentials = SoftPotentials(drawn_as_theirs(networks.patterns))
    return BarSochen(potentials, weights=method.preset, prior=prior, project=False, **common)


def _deep_ritz(networks: _Networks, method: Method, background: float, common: dict) -> DeepRitzKV:
    pairs = ConjugatePairs(common["disk"], networks.pairs(), background)
    return DeepRitzKV(pairs, equation=method.equation, tv=method.tv, **common)


def _naive(networks: _Networks, method: Method, background: float, common: dict) -> NaiveDeepRitz:
    potentials = HardPotentials(common["disk"], networks.smooth())
    return NaiveDeepRitz(potentials, equation=method.equation, tv=method.tv, **common)


_OBJECTIVES = {
    "pinn": _pinn,
    "bar-sochen": _bar_sochen,
    "deep-galerkin": _deep_galerkin,
    "deep-ritz": _deep_ritz,
    "deep-ritz-naive": _naive,
}
