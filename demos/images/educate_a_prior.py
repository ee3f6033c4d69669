"""An educated deep image prior: minutes of lessons from ellipses, then a sinogram of something else in a few steps.

A deep image prior is trained anew for each sinogram, from random weights. Here a U-Net first learns to mend filtered
back-projections of random ellipses (Barbano et al. 2022); its weights and the filtered back-projection of the data then
start the same reconstruction as ever: the misfit of the one sinogram and total variation, no picture is learned from.
Told is the first step within 0.1 dB of the steady PSNR, which is the median over the last quarter: of its own, and of
the untrained one's. `python -m benchmarks.quality.educated_ct` does so for twenty pictures.

The weights can be kept and used by name: `eitdip train ct --out ct.safetensors`, then `--method educated --set
weights=ct.safetensors`.

    python demos/images/educate_a_prior.py [--size 64] [--lessons 1500] [--steps 1000] [--out DIR]
"""

import argparse
from pathlib import Path

import numpy as np

import eitdip
from eitdip import plot
from eitdip.data.streams import stream
from eitdip.phantoms import random_picture
from eitdip.plot.style import picture
from eitdip.pretraining.training import Network, Training
from eitdip.problems.simulate_images import tomography
from eitdip.runs.educate import educate


def steady(curve: np.ndarray) -> float:
    """Median PSNR of the last quarter of the steps."""
    return float(np.median(curve[-len(curve) // 4 :]))


def reached(curve: np.ndarray, level: float) -> int:
    """First step within 0.1 dB of a level; the number of steps if there is none."""
    above = curve >= level - 0.1
    return int(np.argmax(above)) if above.any() else len(curve)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--lessons", type=int, default=1500, help="steps of training")
    parser.add_argument("--steps", type=int, default=1000, help="of each reconstruction")
    parser.add_argument("--out", type=Path, default=Path("results/educate_a_prior"))
    arguments = parser.parse_args()

    # Polygons, stars and crescents: no ellipse among them.
    truth = random_picture(stream(7, "held-out pairs"), (arguments.size,) * 2, "shapes")
    problem = tomography(truth, views=30, sigma=0.05)
    weights = arguments.out / "ct.safetensors"
    educate(problem, Network(patch=2), Training(steps=arguments.lessons), out=weights)

    alike = {"steps": arguments.steps, "stop": "budget", "average": 0.0, "warm_up": 15, "schedule": "constant"}
    solutions = {
        "educated": eitdip.solve(problem, "educated", weights=str(weights), learning_rate=1e-3, **alike),
        "untrained": eitdip.solve(problem, "unet-tv", learning_rate=5e-3, **alike),
    }
    curves = {name: solution.results[0].history["PSNR"] for name, solution in solutions.items()}
    for name, curve in curves.items():
        own, other = (reached(curve, steady(curves[each])) for each in (name, "untrained"))
        print(
            f"{name:<10} first {curve[0]:.1f} dB, steady {steady(curve):.1f} dB in step {own}, "
            f"the untrained one's steady PSNR in step {other}"
        )
    plot.pictures(
        arguments.out / "pictures.png",
        {"truth": truth, "filtered back-projection": problem.model.pinv(problem.data.values)}
        | {name: solution.x for name, solution in solutions.items()},
        0.0, 1.0,
    )  # fmt: skip
    with picture(arguments.out / "rise.png", (6.5, 3.6)) as figure:
        axes = figure.subplots()
        for name, curve in curves.items():
            axes.semilogx(np.arange(1, len(curve) + 1), curve, label=name)
        axes.set(xlabel="step", ylabel="PSNR (dB)")
        axes.legend()
    print(f"pictures: {arguments.out}/pictures.png, rise.png")
    educated, untrained = curves["educated"], curves["untrained"]
    steps = [reached(curve, steady(untrained)) for curve in (educated, untrained)]
    assert steps[0] < steps[1] / 5, f"what is learned beforehand need not be found again: {steps}"
    assert steady(educated) > steady(untrained) - 0.5, "and nothing is lost by it"


if __name__ == "__main__":
    main()
