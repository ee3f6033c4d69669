"""From measurements and options to a neural-PDE objective: networks, sample points and losses by name."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from eitdip.baselines.bar_sochen import PRESETS, BarSochen, Prior, paper_network
from eitdip.baselines.collocation import Collocation, Sampling
from eitdip.baselines.deep_ritz import ConjugatePairs, DeepRitzKV, NaiveDeepRitz
from eitdip.baselines.disk import DirichletDisk, unit_coordinates
from eitdip.baselines.fields import Conductivity, HardPotentials, Potentials, SoftPotentials, drawn
from eitdip.baselines.strong_form import Pinn
from eitdip.data import Measurements
from eitdip.errors import OptionError
from eitdip.mesh import Domain
from eitdip.misfit import LeastSquares
from eitdip.networks.potentials import GatedNetwork, SmoothNetwork
from eitdip.options import Options
from eitdip.parameterization import Link
from eitdip.timing import Stopwatch

_DTYPE = torch.float32
_LEAST = (
    256  # points: about 130 functions are combined, and with fewer points could satisfy the equation at all of them
)


def check(measurements: Measurements, options: Options) -> None:
    """Make sure that a neural-PDE method can work on these data.

    Raises:
        OptionError: If the data are not Dirichlet data of a disk, the points are too few, or the optimizer needs
            a finite-element model.
    """
    name = options.objective
    if measurements.model != "dirichlet" or measurements.geometry.dimension != 2:
        raise OptionError(
            f"option objective: got {name!r} for a body in {measurements.geometry.dimension}-D and data of model "
            f"{measurements.model!r}, expected Dirichlet data of a disk; use a finite-element method such as dip-tv"
        )
    if options.points < _LEAST:
        raise OptionError(f"option points: got {options.points}, expected at least {_LEAST} for the objective {name!r}")
    if options.optimizer not in ("adam", "lbfgs"):
        raise OptionError(
            f"option optimizer: got {options.optimizer!r}, expected adam or lbfgs for the objective {name!r}"
        )


def collocation(
    measurements: Measurements,
    domain: Domain,
    link: Link,
    misfit: LeastSquares,
    options: Options,
    seed: int,
    stopwatch: Stopwatch | None = None,
) -> Collocation:
    """A fresh objective for one seed.

    Args:
        measurements: Dirichlet data of a disk.
        domain: The mesh at whose cells the conductivity is reported.
        link: Positivity and background.
        misfit: Distance of flux moments to the measured ones.
        options: Settings.
        seed: Of weights and sample points.
        stopwatch: Counts the time.

    Raises:
        OptionError: As `check`.
        InvalidDataError: If the body is not a disk.
    """
    check(measurements, options)
    generator = torch.Generator().manual_seed(seed)
    made = _OBJECTIVES[options.objective]
    networks = _Networks(options, generator, len(measurements.sources))
    common = {
        "disk": DirichletDisk(measurements.sources, measurements.moments, _radius(domain), _DTYPE),
        "conductivity": Conductivity(networks.conductivity(), link),
        "misfit": misfit,
        "cells": torch.from_numpy(unit_coordinates(domain, domain.centroids)),
        # A line search compares losses at the same points.
        "sampling": Sampling(options.points, every=0 if options.optimizer == "lbfgs" else 1, seed=seed),
        "stopwatch": stopwatch,
    }
    return made(networks, options, link.background, common)


def _radius(domain: Domain) -> float:
    return float(np.linalg.norm(domain.points[domain.boundary_nodes] - domain.center, axis=1).max())


@dataclass(frozen=True)
class _Networks:
    """Networks drawn one after the other. Fourier features of about a period per radius suit all phantoms alike."""

    options: Options
    generator: torch.Generator
    patterns: int

    def conductivity(self) -> nn.Module:
        width = self.options.channels
        return drawn(SmoothNetwork(1, (width, width), features=width, frequency=1.0), self.generator, _DTYPE)

    def smooth(self) -> nn.Module:
        # Soft boundary values are fitted like all else, and high frequencies make that harder.
        features = 32 if self.options.boundary == "hard" else 0
        network = SmoothNetwork(self.patterns, (64, 64, 128), features=features, frequency=0.6)
        return drawn(network, self.generator, _DTYPE)

    def pairs(self) -> nn.Module:
        network = SmoothNetwork(2 * self.patterns, (64, 64, 64, 96), features=32, frequency=0.7)
        return drawn(network, self.generator, _DTYPE)

    def gated(self) -> nn.Module:
        return drawn(GatedNetwork(self.patterns), self.generator, _DTYPE)

    def potentials(self, network: nn.Module, disk: DirichletDisk) -> Potentials:
        return HardPotentials(disk, network) if self.options.boundary == "hard" else SoftPotentials(network)


def _pinn(networks: _Networks, options: Options, background: float, common: dict) -> Pinn:
    potentials = networks.potentials(networks.smooth(), common["disk"])
    return Pinn(potentials, equation=options.equation, tv=options.tv, **common)


def _deep_galerkin(networks: _Networks, options: Options, background: float, common: dict) -> Pinn:
    potentials = networks.potentials(networks.gated(), common["disk"])
    return Pinn(potentials, equation=options.equation, tv=options.tv, **common)


def _bar_sochen(networks: _Networks, options: Options, background: float, common: dict) -> BarSochen:
    if options.preset == "balanced":
        weights = replace(PRESETS["balanced"], equation=options.equation)
        potentials = networks.potentials(networks.smooth(), common["disk"])
        return BarSochen(potentials, weights=weights, prior=Prior(background), **common)
    drawn_as_theirs = partial(paper_network, generator=networks.generator, dtype=_DTYPE)
    common = common | {"conductivity": Conductivity(drawn_as_theirs(1), None)}
    prior = Prior(background, rim=background, floor=0.01 * background)
    potentials = SoftPotentials(drawn_as_theirs(networks.patterns))
    return BarSochen(potentials, weights=options.preset, prior=prior, project=False, **common)


def _deep_ritz(networks: _Networks, options: Options, background: float, common: dict) -> DeepRitzKV:
    pairs = ConjugatePairs(common["disk"], networks.pairs(), background)
    return DeepRitzKV(pairs, equation=options.equation, tv=options.tv, **common)


def _naive(networks: _Networks, options: Options, background: float, common: dict) -> NaiveDeepRitz:
    potentials = HardPotentials(common["disk"], networks.smooth())
    return NaiveDeepRitz(potentials, equation=options.equation, tv=options.tv, **common)


_OBJECTIVES = {
    "pinn": _pinn,
    "bar-sochen": _bar_sochen,
    "deep-galerkin": _deep_galerkin,
    "deep-ritz": _deep_ritz,
    "deep-ritz-naive": _naive,
}
