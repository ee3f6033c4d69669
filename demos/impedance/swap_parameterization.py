"""Swap sigma = f_theta(z) by one argument; the forward model, misfit and loop stay.

Everything that `eitdip.solve` does is a handful of objects. Here they are made by hand, so
that you can replace any of them: the generator of the field, the positivity link, the penalty.
All generators that come with the package get the same data, and all explain them up to the noise. What
the data leave open, the generator fills in: the same three inclusions come out smooth, patchy or blocky,
and the worst relative error is half as large again as the best.

    python demos/impedance/swap_parameterization.py [--steps 200] [--out swap_parameterization.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from eitdip import plot
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.metrics import relative_l2
from eitdip.networks import CoordinateNetwork, Decoder, DeepDecoder, SkipNetwork, UNet, initialize
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.objective.penalty import TotalVariation
from eitdip.parameterization import (
    Bounded,
    CoordinateField,
    Exp,
    FreeField,
    LevelSets,
    Parameterization,
    Softplus,
    draw_prior,
    draw_two_layer,
)
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Body
from eitdip.reconstruction import Budget, reconstruct

ELECTRODES = {"electrodes": 16, "width": 0.2}
SHAPE = (32, 32)
TV = 2.0


def generators(vertices: tuple[int], cells: tuple[int]) -> dict:
    """Name to the grid on which the field lives, generator, positivity link and learning rate."""
    one, prior = Exp(1.0), lambda network: draw_prior(network, SHAPE, seed=0)

    def coordinates(*how):
        return CoordinateField(initialize(CoordinateNetwork(*how), torch.Generator().manual_seed(0)), SHAPE)

    return {
        "decoder": ("pixels", prior(Decoder(channels=24, levels=2)), one, 1e-2),
        "U-Net, bounded": ("pixels", prior(UNet(channels=16, levels=2)), Bounded(1.0, 0.1, 10.0), 5e-3),
        "skip network": ("pixels", prior(SkipNetwork(channels=16, levels=2)), one, 5e-3),
        "deep decoder": ("pixels", prior(DeepDecoder(channels=24, levels=2)), one, 1e-2),
        "two-layer": ("pixels", draw_two_layer(SHAPE, 16), one, 4e-2),
        "Fourier features": ("pixels", coordinates("fourier", 32), one, 1e-2),
        "sine layers": ("pixels", coordinates("sine", 32), one, 4e-3),
        "level sets": ("pixels", LevelSets(SHAPE), one, 2e-2),
        "pixels, softplus": ("pixels", FreeField(SHAPE), Softplus(1.0), 5e-2),
        "vertices": ("vertices", FreeField(vertices), one, 5e-2),
        "cells": ("cells", FreeField(cells), one, 5e-2),
    }


def simulate(objects) -> tuple[np.ndarray, float]:
    """What the objects change in the voltages, on a finer, curved mesh with 1 % noise, and its deviation, V."""
    fine = disk(h=0.04, degree=2, **ELECTRODES)
    model = CompleteElectrodeModel(fine, adjacent(16), 0.01)
    full, empty = model(objects.on_domain(fine, 1.0)), model(np.ones(len(fine.cells)))
    deviation = 0.01 * np.abs(full).mean()
    return full - empty + deviation * np.random.default_rng(0).standard_normal(full.shape), deviation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("swap_parameterization.png"))
    arguments = parser.parse_args()

    objects = phantom("three")
    domain = disk(h=0.07, **ELECTRODES)
    model = CompleteElectrodeModel(domain, adjacent(16), 0.01)
    truth, empty = objects.on_domain(domain, 1.0), np.ones(len(domain.cells))
    # Only the change from the empty tank is fitted: most of the coarser mesh's error is in both and drops out.
    change, deviation = simulate(objects)
    data = model(empty) + change

    # A field of pixels or vertices needs a map to the cells, the mean over each; a penalty lives where the field does.
    body = Body(model.discretization, background=1.0)
    grids = {name: body.grid(name, size=SHAPE[0]) for name in ("pixels", "vertices", "cells")}

    panels, errors, misfits = {"truth": body.picture(truth)}, {}, {}
    for name, (where, generator, link, rate) in generators(grids["vertices"].shape, grids["cells"].shape).items():
        sigma = Parameterization(generator, link, grids[where].field_map)
        tv = TotalVariation(grids[where].differences)
        objective = Variational(model, sigma, LeastSquares(data, deviation), {"tv": (TV, tv)})
        optimizer = torch.optim.Adam(sigma.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps, 0.05 * rate)
        result = reconstruct(objective, optimizer, Budget(arguments.steps), schedule=schedule)
        errors[name], misfits[name] = relative_l2(result.x, truth, domain.cell_sizes), result.chi2
        panels[f"{name} ({errors[name]:.2f})"] = body.picture(result.x)
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
