"""Swap sigma = f_theta(z) by one argument; the forward model, misfit and loop stay.

Everything that `eitdip reconstruct` does is a handful of objects. Here they are made by hand, so
that you can replace any of them: the generator of the field, the positivity link, the penalty.
All generators that come with the package get the same data, and all explain them up to the noise. What
the data leave open, the generator fills in: the same three inclusions come out smooth, patchy or blocky,
and the worst relative error is half as large again as the best.

    python demos/swap_parameterization.py [--steps 200] [--out swap_parameterization.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from eitdip.objective.differences import MeshGradients, MeshJumps, PixelDifferences
from scipy import sparse

from eitdip import plot
from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.mesh.raster import plane_image
from eitdip.metrics import relative_l2
from eitdip.networks import CoordinateNetwork, Decoder, DeepDecoder, SkipNetwork, UNet
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.objective.penalty import TotalVariation
from eitdip.operator import Matrix
from eitdip.parameterization import (
    Bounded,
    CoordinateField,
    DeepImagePrior,
    Exp,
    FreeField,
    LevelSets,
    Parameterization,
    Softplus,
    TwoLayer,
)
from eitdip.phantoms import phantom
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Budget, reconstruct

ELECTRODES = {"electrodes": 16, "width": 0.2}
SHAPE = (32, 32)
TV = 2.0


def on_image() -> dict:
    """Generators of images: name to generator, positivity link and learning rate."""
    prior = lambda network: DeepImagePrior(network, SHAPE, seed=0)  # noqa: E731
    coordinates = lambda *how: CoordinateField(CoordinateNetwork(*how), SHAPE, seed=0)  # noqa: E731
    return {
        "decoder": (prior(Decoder(channels=24, levels=2)), Exp(1.0), 1e-2),
        "U-Net, bounded": (prior(UNet(channels=16, levels=2)), Bounded(1.0, 0.1, 10.0), 5e-3),
        "skip network": (prior(SkipNetwork(channels=16, levels=2)), Exp(1.0), 5e-3),
        "deep decoder": (prior(DeepDecoder(channels=24, levels=2)), Exp(1.0), 2e-2),
        "two-layer": (TwoLayer(SHAPE, 16), Exp(1.0), 4e-2),
        "Fourier features": (coordinates("fourier", 32), Exp(1.0), 1e-2),
        "sine layers": (coordinates("sine", 32), Exp(1.0), 4e-3),
        "level sets": (LevelSets(SHAPE), Exp(1.0), 2e-2),
        "pixels, softplus": (FreeField(SHAPE), Softplus(1.0), 5e-2),
    }


def simulate(objects) -> tuple[np.ndarray, float]:
    """What the objects change in the voltages, on a finer, curved mesh with 1 % noise, and its deviation, V."""
    fine = disk(h=0.04, degree=2, **ELECTRODES)
    model = CompleteElectrodeModel(fine, adjacent(16), 0.01)
    full, empty = model(objects.on_domain(fine, 1.0)), model(np.ones(len(fine.cells)))
    deviation = 0.01 * np.abs(full).mean()
    return full - empty + deviation * np.random.default_rng(0).standard_normal(full.shape), deviation


def on_mesh(model, domain) -> dict:
    """Generators that need no image: their map to the cells, and differences that fit them."""
    # A number per cell needs no map, and has jumps between cells instead of differences between pixels.
    cells = FreeField(model.domain.shape), None, MeshJumps(*domain.jumps)
    # Numbers at the vertices, linear between them: a cell sees their mean.
    rows = np.repeat(np.arange(len(domain.cells)), 3)
    mean = sparse.csr_array((np.full(domain.cells.size, 1 / 3), (rows, domain.cells.ravel())))
    vertices = FreeField((mean.shape[1],)), Matrix(mean, range=model.domain), MeshGradients(domain)
    return {
        name: (generator, Exp(1.0), to_cells, TotalVariation(differences), 5e-2)
        for name, (generator, to_cells, differences) in {"vertices": vertices, "cells": cells}.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("swap_parameterization.png"))
    arguments = parser.parse_args()
    use_threads()

    objects = phantom("three")
    domain = disk(h=0.07, **ELECTRODES)
    model = CompleteElectrodeModel(domain, adjacent(16), 0.01)
    truth, empty = objects.on_domain(domain, 1.0), np.ones(len(domain.cells))
    # Only the change from the empty tank is fitted: most of the coarser mesh's error is in both and drops out.
    change, deviation = simulate(objects)
    data = model(empty) + change

    # A generator of images needs a map to the mesh, here the mean over each cell; its penalty lives on the image.
    to_cells, image_tv = pixel_map(model.discretization, SHAPE), TotalVariation(PixelDifferences())
    choices = {
        name: (generator, link, to_cells, image_tv, rate) for name, (generator, link, rate) in on_image().items()
    }
    choices |= on_mesh(model, domain)

    panels, errors, misfits = {"truth": plane_image(domain, truth)}, {}, {}
    for name, (generator, link, field_map, tv, rate) in choices.items():
        sigma = Parameterization(generator, link, field_map)
        objective = Variational(model, sigma, LeastSquares(data, deviation), {"tv": (TV, tv)})
        optimizer = torch.optim.Adam(sigma.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps, 0.05 * rate)
        result = reconstruct(objective, optimizer, Budget(arguments.steps), schedule=schedule)
        errors[name], misfits[name] = relative_l2(result.sigma, truth, domain.cell_sizes), result.chi2
        panels[f"{name} ({errors[name]:.2f})"] = plane_image(domain, result.sigma)
        print(f"{name:<18} relative L2 {errors[name]:.3f}   chi^2/N {misfits[name]:.2f}", flush=True)
    plot.images(arguments.out, panels, background=1.0, title="the same data, relative L2 error in brackets")

    nothing = relative_l2(empty, truth, domain.cell_sizes)
    print(f"{'the empty disk':<18} relative L2 {nothing:.3f}")
    best, worst = min(errors.values()), max(errors.values())
    print(f"the worst of them is {worst / best:.2f} times the best")
    assert max(misfits.values()) < 1.75, "all of them explain the data up to the noise"
    assert worst < 0.75 * nothing, "and find the inclusions"
    assert worst > 1.25 * best, "but what the data leave open, the generator decides"


if __name__ == "__main__":
    main()
