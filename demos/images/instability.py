"""What a network has learned, and what that costs: tiny changes of the data, and images of another kind.

Computed tomography of 32 x 32 pixels from 16 views. A U-Net that mends filtered back-projections and an unrolled
gradient descent are trained on random ellipses. Against total variation they see

- new ellipses: what they were trained for;
- the same data with the worst perturbation of 2 % that gradient ascent finds for each method;
- stripes, which no ellipse has.

The amplification is the relative change of the image over that of the data. Noise of the same size does far less: it is
the direction that counts. On this small, rather well-posed problem the worst perturbation is no worse for the networks
than for total variation; it is the stripes that they get wrong, though the data determine them.
`python -m benchmarks.quality.worst_perturbation` has more methods, also a deep image prior, and means over images.

    python demos/images/instability.py [--pairs 300] [--epochs 6] [--out instability.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from eitdip import plot
from eitdip.classical.primal_dual import total_variation
from eitdip.data.noise import Gaussian
from eitdip.imaging import ParallelCT
from eitdip.metrics import psnr
from eitdip.supervised import LearnedGradient, PostProcessing, Training, ellipse_pairs, train, worst_case

SIDE, VIEWS, SIZE = 32, 16, 0.02


def stripes() -> torch.Tensor:
    image = torch.zeros(SIDE, SIDE)
    image[8:24, 8:24:2] = 0.8
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("instability.png"))
    arguments = parser.parse_args()

    angles, pixel = np.linspace(0, np.pi, VIEWS, endpoint=False), 2 / SIDE
    operator = ParallelCT((SIDE, SIDE), angles, 47, pixel_size=pixel, detector_size=pixel)
    noise = Gaussian(0.01)
    unet, unrolled = PostProcessing(operator), LearnedGradient(operator, iterations=5)
    pairs = ellipse_pairs(operator, arguments.pairs, 0, noise)
    for model in (unet, unrolled):
        train(model, pairs, Training(epochs=arguments.epochs, learning_rate=2e-3))
        model.requires_grad_(False)
    methods = {
        "FBP": operator.pinv,
        "FBP + U-Net": unet,
        "learned gradient": unrolled,
        "total variation": lambda y: total_variation(operator, y, 1e-3, steps=300, tolerance=0.0, lower=0.0, upper=1.0),
    }

    new = ellipse_pairs(operator, 1, 1, noise)
    truth, y = new.images[0], new.data[0]
    other = stripes()
    shifted = torch.from_numpy(noise.sample(operator(other.numpy()), np.random.default_rng(2))).float()
    truths = {"new ellipses": truth, "perturbed": truth, "stripes": other}
    rows = {kind: {f"{kind}: truth\n": image} for kind, image in truths.items()}
    quality = {}
    for name, method in methods.items():
        attack = worst_case(method, y, SIZE, steps=30)
        images = dict(zip(truths, (attack.clean, attack.perturbed, method(shifted[None])[0]), strict=True))
        quality[name] = {kind: psnr(x.numpy(), truths[kind].numpy(), data_range=1.0) for kind, x in images.items()}
        words = ", ".join(f"{kind} {value:.1f} dB" for kind, value in quality[name].items())
        print(f"{name:<17} amplification {attack.amplification:.1f} (noise of that size: {attack.random:.1f}); {words}")
        for kind, image in images.items():
            rows[kind][f"{kind}: {name}\n{quality[name][kind]:.1f} dB"] = image
    panels = {title: image.numpy() for row in rows.values() for title, image in row.items()}
    plot.pictures(arguments.out, panels, 0.0, 1.0, columns=5)
    print(f"picture: {arguments.out}")

    for name in ("FBP + U-Net", "learned gradient"):
        behind = {kind: quality["total variation"][kind] - quality[name][kind] for kind in truths}
        assert behind["stripes"] > behind["new ellipses"] + 5, f"{name}: learned from ellipses, of no use for stripes"
        assert quality[name]["perturbed"] < quality[name]["new ellipses"], f"{name}: 2 % spoil the image"


if __name__ == "__main__":
    main()
