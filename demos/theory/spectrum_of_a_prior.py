"""What a network can show: the spectrum of its Jacobian, of an untrained prior and of an educated one.

Near its present weights a network shows the images g + J d(theta), so the singular values and left singular vectors of
J = d image / d weights say what it prefers. A deep image prior learns them while it fits a single sinogram: they move
far. An educated one has learnt them before, from many pictures: in fine-tuning they hardly move, which is why it is
fast and steady (Barbano et al. 2022). Both have the same network and see the same sinogram; the spectra are found by a
randomized singular value decomposition from products with J and its transpose alone.

    python demos/theory/spectrum_of_a_prior.py [--steps 400] [--out spectrum_of_a_prior.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from eitdip.data.streams import stream
from eitdip.networks import initialize
from eitdip.objective import Variational
from eitdip.objective.jacobian import field_jacobian
from eitdip.objective.misfit import misfit_of
from eitdip.objective.penalty import TotalVariation
from eitdip.parameterization import DeepImagePrior, Parameterization
from eitdip.phantoms import random_picture
from eitdip.plot.style import picture
from eitdip.pretraining.tasks import fitting
from eitdip.pretraining.training import Network, Training
from eitdip.problems.simulate_images import tomography
from eitdip.reconstruction import Budget, reconstruct
from eitdip.runs.educate import lesson
from eitdip.runs.training import train
from eitdip.spectrum import SpectrumAlong, drift

SIDE, RANK, LEADING = 32, 20, 10
RATES = {"DIP": 5e-3, "EDIP": 3e-4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400, help="of each reconstruction")
    parser.add_argument("--lessons", type=int, default=1500, help="steps of pretraining")
    parser.add_argument("--out", type=Path, default=Path("spectrum_of_a_prior.png"))
    arguments = parser.parse_args()

    # A picture of shapes; the network is trained on ellipses.
    shapes = random_picture(stream(0, "held-out pairs"), (SIDE, SIDE), "shapes")
    problem = tomography(shapes, views=20, sigma=0.05)
    architecture, pairs, loss = lesson(problem, Network(channels=16, levels=2, skips=8), Path())
    weights, _ = train(architecture, pairs, loss, Training(steps=arguments.lessons, batch=16, look=50))

    looks = [round(arguments.steps * share) for share in (0.1, 0.25, 0.5, 1.0)]
    spectra, psnr = {}, {}
    for name, rate in RATES.items():
        network, latent = weights.network().train(), fitting(problem, weights.task)[1]
        if name == "DIP":
            generator = torch.Generator().manual_seed(0)
            network, latent = initialize(network, generator), torch.randn(latent.shape, generator=generator)
        field = Parameterization(DeepImagePrior(network, latent), problem.unknown.bounded(None, None), unit=1.0)
        penalties = {"tv": (5.0, TotalVariation(problem.unknown.grid("pixels").differences))}
        objective = Variational(problem.model, field, misfit_of(problem.data), penalties)
        along = SpectrumAlong(lambda field=field: field_jacobian(field), looks, RANK, tolerance=1e-3)
        judge = problem.unknown.judge(problem.truth)
        result = reconstruct(
            objective, torch.optim.Adam(field.parameters(), rate), Budget(arguments.steps), callbacks=[along],
            watch=lambda step, judge=judge: judge.headline(step.terms.x.numpy()),
        )  # fmt: skip
        spectra[name], psnr[name] = along.spectra, result.history["PSNR"]

    print(f"drift of the leading {LEADING} singular values and left vectors in the course of {arguments.steps} steps")
    drifts = {}
    for name, found in spectra.items():
        drifts[name] = [drift(found[0], found[look], LEADING) for look in looks]
        for look, (change, angle) in zip(looks, drifts[name], strict=True):
            print(
                f"    {name:<5} step {look:4d}: values {100 * change:6.1f} %, subspace {np.rad2deg(angle):5.1f} degrees"
            )
    print("PSNR " + ", ".join(f"{name} {curve[0]:.1f} -> {curve[-1]:.1f} dB" for name, curve in psnr.items()))
    draw(arguments.out, spectra, psnr)
    last = {name: found[-1][0] for name, found in drifts.items()}
    assert last["EDIP"] < last["DIP"] / 3, f"an educated prior keeps its spectrum: {last}"
    assert psnr["EDIP"][0] > psnr["DIP"][len(psnr["DIP"]) // 10], "and starts where the other one has not yet come to"


def draw(out: Path, spectra: dict, psnr: dict) -> None:
    """Singular values at each look, and the course of the PSNR."""
    with picture(out, (12.5, 3.8)) as figure:
        left, middle, right = figure.subplots(1, 3)
        for axes, (name, found) in zip((left, middle), spectra.items(), strict=True):
            for number, (step, spectrum) in enumerate(found.items()):
                axes.semilogy(np.arange(1, RANK + 1), spectrum.values, color=f"C{number}", label=f"step {step}")
            axes.set(title=f"{name}: singular values of J", xlabel="number")
            axes.legend(fontsize=8)
            # An output layer of zeros lets its own weights through only: 17 of them.
            axes.set_ylim(0.1, 2 * max(each.values[0] for runs in spectra.values() for each in runs.values()))
        for name, curve in psnr.items():
            right.plot(curve, label=name)
        right.set(title="PSNR", xlabel="step", ylabel="dB")
        right.legend(fontsize=8)


if __name__ == "__main__":
    main()
