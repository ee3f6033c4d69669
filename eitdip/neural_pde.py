"""From measurements and options to a neural-PDE objective: networks, sample points and losses by name."""

from functools import partial

import numpy as np
import torch

from eitdip.baselines.collocation import Collocation, Sampling
from eitdip.baselines.disk import DirichletDisk, unit_coordinates
from eitdip.baselines.fields import Conductivity, HardPotentials, drawn
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


def check(measurements: Measurements, options: Options) -> None:
    """Make sure that a neural-PDE method can work on these data.

    Raises:
        OptionError: If the data are not Dirichlet data of a disk, or the optimizer needs a finite-element model.
    """
    name = options.objective
    if measurements.model != "dirichlet" or measurements.geometry.dimension != 2:
        raise OptionError(
            f"option objective: got {name!r} for a body in {measurements.geometry.dimension}-D and data of model "
            f"{measurements.model!r}, expected Dirichlet data of a disk; use a finite-element method such as dip-tv"
        )
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
    cells = torch.from_numpy(unit_coordinates(domain, domain.centroids))
    disk = DirichletDisk(measurements.sources, measurements.moments, _radius(domain), _DTYPE)
    common = {
        "disk": disk,
        "conductivity": Conductivity(drawn(SmoothNetwork(1, (32, 32, 32)), generator, _DTYPE), link),
        "misfit": misfit,
        "cells": cells,
        "sampling": Sampling(options.points, seed=seed),
        "stopwatch": stopwatch,
    }
    return _OBJECTIVES[options.objective](disk, generator, options, common)


def _radius(domain: Domain) -> float:
    return float(np.linalg.norm(domain.points[domain.boundary_nodes] - domain.center, axis=1).max())


def _pinn(network, disk: DirichletDisk, generator: torch.Generator, options: Options, common: dict) -> Pinn:
    potentials = HardPotentials(disk, drawn(network(len(disk.sources)), generator, _DTYPE))
    return Pinn(potentials, equation=options.equation, tv=options.tv, **common)


_OBJECTIVES = {
    "pinn": partial(_pinn, SmoothNetwork),
    "deep-galerkin": partial(_pinn, GatedNetwork),
}
