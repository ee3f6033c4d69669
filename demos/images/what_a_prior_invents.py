"""What a network that has learned from ellipses makes of other things, and what fine-tuning repairs of it.

Computed tomography with few views. A network is trained on ellipses, and used alone, as post-processing of the filtered
back-projection; or as the start of a deep image prior, whose weights are then tuned to explain the data. Beside them
stand an untrained prior and total variation. They see pictures

- of the family that was trained on, ellipses;
- of another family: polygons, stars, crescents;
- of stripes, which no object of either family has;
- the ellipses again, with the worst perturbation of 2 % of the data that gradient ascent finds against the network.

An object is invented if nothing is there in truth, and missed if nothing is left of it. Fine-tuning repairs what
contradicts the data; what the data hardly tell stays as the network has learned it.

    python demos/images/what_a_prior_invents.py [--size 32] [--lessons 600] [--weights FILE] [--out DIR]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import eitdip
from eitdip import plot
from eitdip.data.streams import stream
from eitdip.metrics import invented_and_missed, psnr
from eitdip.phantoms import random_picture
from eitdip.pretraining.answers import PostProcessor
from eitdip.pretraining.training import Network, Training
from eitdip.pretraining.weights import Weights
from eitdip.problems.simulate_images import tomography
from eitdip.runs.educate import educate
from eitdip.supervised import worst_case

PERTURBATION, OBJECT = 0.02, 0.15  # of the data; value from which on a pixel is part of an object


def stripes(size: int) -> np.ndarray:
    """A square of stripes one pixel wide."""
    image, quarter = np.zeros((size, size)), size // 4
    image[quarter : 3 * quarter, quarter : 3 * quarter : 2] = 0.8
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--lessons", type=int, default=600, help="steps of training")
    parser.add_argument("--steps", type=int, default=80, help="of fine-tuning; five times as many without training")
    parser.add_argument("--count", type=int, default=2, help="pictures of each family")
    parser.add_argument("--weights", type=Path, help="of an earlier run, or of `eitdip train ct`")
    parser.add_argument("--out", type=Path, default=Path("results/what_a_prior_invents"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    def problem_of(image: np.ndarray, seed: int):
        return tomography(image, views=arguments.views, sigma=0.05, seed=seed)

    first, file = problem_of(stripes(arguments.size), 0), arguments.weights
    if file is None:
        file = arguments.out / "weights.safetensors"
        educate(first, Network(channels=16, levels=2), Training(steps=arguments.lessons, look=50), out=file)
    network = PostProcessor(first, Weights.load(file))

    def drawn(family: str, number: int) -> np.ndarray:
        return random_picture(stream(number, "held-out pairs"), (arguments.size,) * 2, family)

    cases = {"stripes": [problem_of(stripes(arguments.size), 0)]}
    for family in ("ellipses", "shapes"):
        cases[family] = [problem_of(drawn(family, 100 + k), k) for k in range(arguments.count)]
    cases["perturbed"] = []
    for number, problem in enumerate(cases["ellipses"]):
        y = torch.from_numpy(problem.data.values).float()
        attack = worst_case(network, y, PERTURBATION, steps=30, seed=number)
        moved = replace(problem.data, values=problem.data.values + attack.perturbation.numpy())
        cases["perturbed"].append(replace(problem, data=moved))

    def tuned(problem, **settings):
        return eitdip.solve(problem, quiet=True, **settings).x

    methods = {
        "network alone": lambda p: network(torch.from_numpy(p.data.values).float()[None])[0].detach().numpy(),
        "educated": lambda p: tuned(p, method="educated", weights=str(file), steps=arguments.steps, learning_rate=1e-3),
        "untrained": lambda p: tuned(
            p, method="dip-tv", steps=5 * arguments.steps, stop="budget", generator="unet", average=0.0
        ),
        "total variation": lambda p: tuned(p, method="tv"),
    }
    quality, panels = {}, {}
    print(
        f"{'':<17}" + "".join(f"{kind:>12}" for kind in cases) + "   (PSNR, dB; invented and missed objects of shapes)"
    )
    for name, method in methods.items():
        answers = {kind: [method(problem) for problem in problems] for kind, problems in cases.items()}
        quality[name] = {
            kind: np.mean([psnr(x, p.truth, data_range=1.0) for x, p in zip(answers[kind], problems, strict=True)])
            for kind, problems in cases.items()
        }
        counted = [
            invented_and_missed((x > OBJECT).astype(int), (p.truth > OBJECT).astype(int))
            for x, p in zip(answers["shapes"], cases["shapes"], strict=True)
        ]
        invented, missed = np.sum(counted, axis=0)
        words = "".join(f"{value:12.1f}" for value in quality[name].values())
        print(f"{name:<17}{words}   {invented} invented, {missed} missed")
        for kind in cases:
            panels[f"{name}: {kind}\n{quality[name][kind]:.1f} dB"] = answers[kind][0]
    panels |= {f"truth: {kind}\n": problems[0].truth for kind, problems in cases.items()}
    plot.pictures(arguments.out / "what_a_prior_invents.png", panels, 0.0, 1.0, columns=len(cases))
    print(f"picture: {arguments.out / 'what_a_prior_invents.png'}")

    alone, educated = quality["network alone"], quality["educated"]
    assert alone["ellipses"] > alone["stripes"] + 5, "what it has learned does not help with stripes"
    assert educated["stripes"] > alone["stripes"] + 2, "which the data show, so fine-tuning finds them"


if __name__ == "__main__":
    main()
