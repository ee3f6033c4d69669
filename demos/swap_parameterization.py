"""Swap sigma = f_theta(z) by one argument; the forward model, misfit and loop stay.

Everything that `eitdip reconstruct` does is a handful of objects. Here they are made by hand, so
that you can replace any of them: the generator of the field, the positivity link, the penalty.

    python demos/swap_parameterization.py [--steps 300]
"""

import argparse

import numpy as np
import torch

from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.misfit import LeastSquares
from eitdip.networks import Decoder, UNet
from eitdip.objective import Variational
from eitdip.parameterization import Bounded, DeepImagePrior, Exp, FreeField, Parameterization, Softplus
from eitdip.penalty import MeshJumps, PixelDifferences, TotalVariation
from eitdip.phantoms import phantom
from eitdip.reconstruction import Budget, reconstruct
from eitdip.threads import use_threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    use_threads()

    # Data from a finer, curved mesh.
    electrodes = {"electrodes": 16, "width": 0.2}
    objects, rng = phantom("three"), np.random.default_rng(0)
    fine = disk(h=0.04, degree=2, **electrodes)
    clean = CompleteElectrodeModel(fine, adjacent(16), 0.01)(objects.on_domain(fine, 1.0))
    deviation = 0.01 * np.abs(clean).mean()
    data = clean + deviation * rng.standard_normal(clean.shape)

    domain = disk(h=0.07, **electrodes)
    model = CompleteElectrodeModel(domain, adjacent(16), 0.01)
    shape, to_cells = (32, 32), pixel_map(model.discretization, (32, 32))
    image_tv, mesh_tv = TotalVariation(PixelDifferences()), TotalVariation(MeshJumps(*domain.jumps))
    choices = {
        # name: generator, link, map to the mesh, penalty, learning rate
        "decoder, exp": (DeepImagePrior(Decoder(channels=24, levels=2), shape), Exp(1.0), to_cells, image_tv, 5e-3),
        "U-Net, bounded": (
            DeepImagePrior(UNet(channels=16, levels=2), shape),
            Bounded(1, 0.1, 10),
            to_cells,
            image_tv,
            5e-3,
        ),
        "pixels, softplus": (FreeField(shape), Softplus(1.0), to_cells, image_tv, 5e-2),
        "cells, exp": (FreeField(model.domain.shape), Exp(1.0), None, mesh_tv, 5e-2),
    }
    truth = objects.on_domain(domain, 1.0)
    empty = np.linalg.norm(1 - truth) / np.linalg.norm(truth)
    for name, (generator, link, field_map, tv, rate) in choices.items():
        sigma = Parameterization(generator, link, field_map)
        objective = Variational(model, sigma, LeastSquares(data, deviation), {"tv": (1.0, tv)})
        result = reconstruct(objective, torch.optim.Adam(sigma.parameters(), lr=rate), Budget(steps))
        error = np.linalg.norm(result.sigma - truth) / np.linalg.norm(truth)
        print(f"{name:<18} relative L2 {error:.3f} (empty disk {empty:.3f})   chi^2/N {result.chi2:.2f}")
        assert error < empty


if __name__ == "__main__":
    main()
