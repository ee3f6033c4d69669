"""What a deep image prior gains from being educated: rise time and steady PSNR, and what it does when it is not.

CT of 30 views with 5 % noise. A U-Net is trained on random ellipses; it then starts the reconstruction of pictures of
other families, ten of polygons, stars and crescents and ten photographs. The deep image prior beside it has the same
network and penalty, with random weights and a random latent tensor; both have the learning rate that was best for it
on two pictures that are not among the twenty. The protocol is that of Barbano et al. (2022), arXiv:2111.11926: the
steady PSNR is the median over the last quarter of the steps, and the rise time the first step within 0.1 dB of it.

    eitdip train ct --out results/educated_ct/64.safetensors --set size=64 --set patch=2 --set steps=3000
    python -m benchmarks.quality.educated_ct --weights results/educated_ct/64.safetensors --size 64
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality.kept import kept, show
from eitdip.data.pictures import gray, read_picture, square
from eitdip.data.streams import stream
from eitdip.networks import initialize
from eitdip.objective import Variational
from eitdip.objective.misfit import misfit_of
from eitdip.objective.penalty import TotalVariation
from eitdip.parameterization import DeepImagePrior, Parameterization
from eitdip.phantoms import random_picture
from eitdip.pretraining.tasks import fitting
from eitdip.pretraining.weights import Weights
from eitdip.problems.problem import Problem
from eitdip.problems.simulate_images import tomography
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Budget, reconstruct
from eitdip.writing import make_folder

PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "cell", "coffee", "coins", "moon", "rocket")
PHOTOGRAPHS += ("shepp_logan_phantom",)
PICTURES = (*PHOTOGRAPHS, *(f"shapes-{seed}" for seed in range(10)))
RATES = {"EDIP": 1e-3, "DIP": 5e-3}
TV, CLOSE, WARM_UP = 5.0, 0.1, 15


def picture(name: str, size: int) -> np.ndarray:
    """One of the twenty, (size, size), values from 0 to 1."""
    if name.startswith("shapes-"):
        return random_picture(stream(int(name.removeprefix("shapes-")), "held-out pairs"), (size, size), "shapes")
    return square(gray(read_picture(f"skimage:{name}")), size)


def objective(problem: Problem, weights: Weights, method: str, seed: int) -> Variational:
    """The network with trained weights on A^+ y, or with random ones on a random latent tensor."""
    task, latent = fitting(problem, weights.task)
    weights.check(task)
    network = weights.network().train()
    if method == "DIP":
        generator = torch.Generator().manual_seed(seed)
        network = initialize(network, generator)
        latent = torch.randn(latent.shape, generator=generator)
    unknown = problem.unknown
    field = Parameterization(DeepImagePrior(network, latent), unknown.bounded(None, None), unit=unknown.unit)
    penalties = {"tv": (TV, TotalVariation(unknown.grid("pixels").differences))}
    return Variational(problem.model, field, misfit_of(problem.data), penalties)


def run(
    weights: Weights, make: Callable[[], Problem], method: str, name: str, seed: int, steps: int, rate: float
) -> dict:
    """The course of the PSNR of one reconstruction, of the problem that `make` gives."""
    problem = make()
    made = objective(problem, weights, method, seed)
    judge = problem.unknown.judge(problem.truth)
    adam = torch.optim.Adam(made.parameters(), lr=rate)
    warm = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, (step + 1) / WARM_UP))
    watch = lambda step: judge.headline(step.terms.x.numpy())  # noqa: E731
    result = reconstruct(made, adam, Budget(steps), schedule=warm, watch=watch)
    curve = result.history["PSNR"]
    steady = float(np.median(curve[-len(curve) // 4 :]))
    return {
        "method": method, "picture": name, "seed": seed, "steady": steady, "first": float(curve[0]),
        "rise": int(np.argmax(curve >= steady - CLOSE)), "peak": float(curve.max()), "steps": steps,
        "seconds": float(result.history["seconds"][-1]), "curve": [round(float(value), 3) for value in curve],
    }  # fmt: skip


def table(rows: list[dict], families: dict[str, tuple[str, ...]] | None = None) -> str:
    """Markdown: EDIP beside DIP, by family (names of pictures), medians over pictures of medians over seeds."""
    lines = [
        "| pictures | runs | rise time EDIP | rise time DIP | ratio | EDIP to DIP's steady PSNR | steady EDIP | "
        "steady DIP | gain | first EDIP |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    families = families or {"photographs": PHOTOGRAPHS, "shapes": PICTURES[len(PHOTOGRAPHS) :], "all": PICTURES}
    for family, names in families.items():
        pairs = [
            [[row for row in rows if (row["picture"], row["method"]) == (name, method)] for method in RATES]
            for name in names
        ]
        pairs = [(edip, dip) for edip, dip in pairs if edip and dip]
        if not pairs:
            continue
        median = lambda runs, key: float(np.median([row[key] for row in runs]))  # noqa: E731
        each = {key: np.array([[median(runs, key) for runs in pair] for pair in pairs]) for key in ("rise", "steady")}
        rise, steady = each["rise"], each["steady"]
        ratio = np.median(rise[:, 0] / np.maximum(rise[:, 1], 1))
        # When EDIP is where DIP ends, which is what counts for a user; the number of steps where it never is.
        reached = np.median([np.median([_reached(row, median(dip, "steady")) for row in edip]) for edip, dip in pairs])
        first = np.median([median(edip, "first") for edip, _ in pairs])
        lines.append(
            f"| {family} | {sum(len(edip) for edip, _ in pairs)} | {np.median(rise[:, 0]):.0f} | "
            f"{np.median(rise[:, 1]):.0f} | {ratio:.3f} | {reached:.0f} | {np.median(steady[:, 0]):.2f} dB | "
            f"{np.median(steady[:, 1]):.2f} dB | {np.median(steady[:, 0] - steady[:, 1]):+.2f} dB | {first:.2f} dB |"
        )
    return "\n".join(lines) + "\n"


def _reached(row: dict, level: float) -> int:
    """First step within `CLOSE` of a level, else the number of steps."""
    above = np.array(row["curve"]) >= level - CLOSE
    return int(np.argmax(above)) if above.any() else row["steps"]


def _problem(name: str, size: int, seed: int) -> Problem:
    return tomography(picture(name, size), seed=seed)


def courses(weights: Weights, make: Callable[..., Problem], names, folder: Path, arguments) -> list[dict]:
    """Rows of all seeds, images and methods, each kept in the folder.

    Args:
        weights: Of the educated prior.
        make: The problem of a name and a seed.
        names: Of images.
        folder: For the rows.
        arguments: With `seeds`, `steps` and `rates`.
    """
    rows = []
    for seed in range(arguments.seeds):
        for name in names:
            for method, rate in zip(RATES, arguments.rates, strict=True):
                path = folder / f"{method}-{name}-{seed}-{arguments.steps}-{rate:g}.json"
                one = partial(run, weights, partial(make, name, seed=seed), method, name, seed, arguments.steps, rate)
                rows.append(kept(path, one))
                print(f"{path.stem}: steady {rows[-1]['steady']:.2f} dB after {rows[-1]['rise']} steps", flush=True)
    return rows


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("results/educated_ct"))
    parser.add_argument("--pictures", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rates", type=float, nargs=2, default=list(RATES.values()), help="of EDIP and DIP")
    arguments = parser.parse_args(words)
    use_threads()
    folder = arguments.out / str(arguments.size)
    make_folder(folder)
    make = partial(_problem, size=arguments.size)
    show(folder, table(courses(Weights.load(arguments.weights), make, arguments.pictures, folder, arguments)))


if __name__ == "__main__":
    main()
