"""Learned reconstructions against a deep image prior: how good, and how stable.

CT of 48 x 48 pixels, 24 views, 2 % noise. The networks are trained on random ellipses. Then, on other images:
clean, PSNR on new ellipses; worst case, PSNR after the largest found perturbation of 2 % of the data; amplification,
relative change of the image over that of the data; shifted, PSNR on rectangles with fine stripes, which are no
ellipses; noisier, PSNR on ellipses with three times the noise. Perturbations are found by gradient ascent for methods
that can be differentiated. A deep image prior is trained anew for each; it gets all perturbations that were found
against the others, and its worst is reported.

    python -m benchmarks.quality.worst_perturbation
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

import eitdip
from benchmarks.quality.kept import finished, kept, show
from eitdip.classical.primal_dual import total_variation
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.data.streams import stream
from eitdip.imaging import ParallelCT
from eitdip.metrics import psnr
from eitdip.problems.images import image_problem
from eitdip.supervised import (
    LearnedADMM,
    LearnedGradient,
    LearnedISTA,
    LearnedPrimalDual,
    Pairs,
    PostProcessing,
    Training,
    amplification,
    ellipse_pairs,
    train,
    worst_case,
)
from eitdip.writing import make_folder

SIDE, VIEWS, NOISE, SIZE, TV, TV_STEPS = 48, 24, 0.02, 0.02, 5e-4, 300
PRIOR_STEPS = 50  # of a deep image prior for each of gradient ascent
LEARNED = {
    "FBP + U-Net": PostProcessing,
    "learned gradient": LearnedGradient,
    "learned ISTA": LearnedISTA,
    "learned ADMM": LearnedADMM,
    "learned primal-dual": LearnedPrimalDual,
}
METHODS = ("FBP", *LEARNED, "TV", "DIP", "DIP + TV")
PRIORS = {"DIP": ("dip", {}), "DIP + TV": ("dip-tv", {"tv": 26.7, "held_out": 0.1})}


def scanner() -> tuple[ParallelCT, Gaussian]:
    """The operator, and noise of `NOISE` of the data's root mean square."""
    angles = np.linspace(0, np.pi, VIEWS, endpoint=False)
    pixel = 2 / SIDE
    operator = ParallelCT((SIDE, SIDE), angles, 70, pixel_size=pixel, detector_size=pixel)
    clean = operator(ellipse_pairs(operator, 20, 99, Gaussian(1.0)).images)
    return operator, Gaussian(NOISE * float(clean.square().mean().sqrt()))


def rectangles(operator: ParallelCT, count: int, seed: int, noise: Gaussian) -> Pairs:
    """Rectangles and stripes one pixel wide: edges and details that ellipses do not have."""
    rng, images = np.random.default_rng(seed), np.zeros((count, SIDE, SIDE))
    for image in images:
        for _ in range(4):
            (top, left), (height, width) = rng.integers(8, 28, 2), rng.integers(5, 13, 2)
            image[top : top + height, left : left + width] += rng.uniform(0.2, 0.6)
        top, left = rng.integers(10, 26, 2)
        image[top : top + 10, left : left + 10 : 2] += 0.4
    images = images.clip(0, 1)
    data = noise.sample(operator(images), stream(seed, "noise of pairs"))
    return Pairs(torch.from_numpy(images).float(), torch.from_numpy(data).float())


class Experiment:
    """Test images, trained networks, and the perturbations that were found.

    Args:
        folder: Where trained networks are kept, or None.
        images: Test images of each kind.
        pairs: To train on.
        epochs: Of training.
        steps: Of gradient ascent, and a `PRIOR_STEPS`-th of those of a deep image prior.
    """

    def __init__(self, folder: Path | None, images: int, pairs: int, epochs: int, steps: int, quiet: bool = True):
        self.folder, self.steps, self.quiet = folder, steps, quiet
        self.pairs, self.training = pairs, Training(epochs=epochs)
        self.operator, self.noise = scanner()
        self.ellipses = ellipse_pairs(self.operator, images, 1, self.noise)
        self.kinds = {
            "clean": self.ellipses,
            "shifted": rectangles(self.operator, images, 2, self.noise),
            "noisier": ellipse_pairs(self.operator, images, 3, Gaussian(3 * self.noise.sigma)),
        }
        self.found: dict[str, list] = {}

    def reconstruction(self, name: str):
        """Data (B, ...) to images (B, H, W) of a method that can be differentiated."""
        if name == "FBP":
            return self.operator.pinv
        if name == "TV":
            bounds = {"lower": 0.0, "upper": 1.0}
            return lambda y: total_variation(self.operator, y, TV, steps=TV_STEPS, tolerance=0.0, **bounds)
        model = LEARNED[name](self.operator)
        path = None if self.folder is None else self.folder / f"{name.replace(' ', '-')}.safetensors"
        pairs = ellipse_pairs(self.operator, self.pairs, 0, self.noise)
        train(model, pairs, self.training, path=path, quiet=self.quiet)
        return model.requires_grad_(False)

    def prior(self, name: str, y: torch.Tensor) -> torch.Tensor:
        """A deep image prior trained on one sinogram."""
        method, settings = PRIORS[name]
        problem = image_problem("ct", self.operator, Data(y.detach(), Gaussian(None)), low=0.0, high=1.0)
        steps = PRIOR_STEPS * self.steps
        found = finished(eitdip.solve(problem, method, patience=300, steps=steps, quiet=True, **settings))
        return torch.from_numpy(found.x).to(y)

    def run(self, name: str) -> dict:
        """Row of the table, and the perturbations."""
        method = None if name in PRIORS else self.reconstruction(name)
        each = (lambda y: self.prior(name, y)) if method is None else (lambda y: method(y[None])[0])
        row, images = {"method": name}, {}
        with torch.no_grad():
            for kind, pairs in self.kinds.items():
                images[kind] = [each(y) for y in pairs.data]
                row[kind] = _mean_psnr(images[kind], pairs.images)
        worst = []
        for index, y in enumerate(self.ellipses.data):
            if method is None:
                # Those of the most different kinds: a whole network run for each.
                tried = [self.found[other][index] for other in ("FBP", "FBP + U-Net", "TV") if other in self.found]
                answers = [(r, each(y + r)) for r in tried]
                grow = [amplification(images["clean"][index], x, y, r) for r, x in answers]
                worst.append((*answers[int(np.argmax(grow))], max(grow)))
            else:
                attack = worst_case(method, y, SIZE, steps=self.steps, seed=index)
                worst.append((attack.perturbation, attack.perturbed, attack.amplification))
        row["worst case"] = _mean_psnr([x for _, x, _ in worst], self.ellipses.images)
        row["amplification"] = float(np.mean([grow for _, _, grow in worst]))
        return row | {"perturbations": [r.tolist() for r, _, _ in worst]}


def _mean_psnr(images, truths) -> float:
    pairs = zip(images, truths, strict=True)
    return float(np.mean([psnr(x.numpy().clip(0, 1), truth.numpy(), data_range=1.0) for x, truth in pairs]))


def table(rows: list[dict]) -> str:
    """Markdown: dB, and the amplification."""
    columns = ("clean", "worst case", "amplification", "shifted", "noisier")
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row['method']} | " + " | ".join(f"{row[name]:.1f}" for name in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/worst_perturbation"))
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args(words)
    make_folder(arguments.out)
    experiment = Experiment(arguments.out, arguments.images, arguments.pairs, arguments.epochs, arguments.steps)
    rows = []
    for name in METHODS:
        path = arguments.out / f"{name.replace(' ', '-')}.json"
        row = kept(path, partial(experiment.run, name))
        experiment.found[name] = [torch.tensor(r, dtype=torch.float32) for r in row.pop("perturbations")]
        rows.append(row)
        print(row, flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
