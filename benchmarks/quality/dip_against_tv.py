"""Deep image prior with total variation against total variation alone.

64 x 64 pictures of scikit-image, CT with 30 views and 5 % noise, and inpainting of 50 % with noise 0.05; three seeds.
Total variation gets the best weight of a grid by the truth. The deep image prior chooses its weight and when to stop by
measurements that are held out, without truth and noise level; the images of three networks are averaged.

    python -m benchmarks.quality.dip_against_tv
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

import eitdip
from benchmarks.quality.early_stopping import OPERATORS, SIZE
from benchmarks.quality.kept import finished, kept, show
from eitdip.data.pictures import gray, read_picture, square
from eitdip.writing import make_folder

PICTURES = ("astronaut", "camera", "coins", "shepp_logan_phantom")
WEIGHTS = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
PRIOR_WEIGHTS = (10.0, 20.0, 40.0)
PRIOR = {"held_out": 0.1, "learning_rate": 0.005, "steps": 2000, "patience": 200}
NETWORKS = 3


def run(operator: str, picture: str, seed: int) -> dict:
    """PSNR of both on the same data."""
    problem = OPERATORS[operator](square(gray(read_picture(f"skimage:{picture}")), SIZE), seed)
    classical = {weight: eitdip.solve(problem, "tv", tv=weight).errors["PSNR"] for weight in WEIGHTS}
    best = max(classical, key=classical.get)
    # The same held-out measurements and first weights for all candidates; other problems have other networks.
    first = {weight: _network(problem, weight, 100 * seed) for weight in PRIOR_WEIGHTS}
    chosen = min(first, key=lambda weight: first[weight].results[0].history["held_out"].min())
    networks = [first[chosen], *(_network(problem, chosen, 100 * seed + k) for k in range(1, NETWORKS))]
    mean = problem.unknown.mean([network.x for network in networks])
    return {
        "operator": operator, "picture": picture, "seed": seed,
        "dip-tv": problem.unknown.judge(problem.truth).metrics(mean)["PSNR"], "dip-tv weight": chosen,
        "one network": [network.errors["PSNR"] for network in networks], "tv": classical[best], "tv weight": best,
    }  # fmt: skip


def _network(problem, weight: float, seed: int):
    return finished(eitdip.solve(problem, "dip-tv", tv=weight, seed=seed, quiet=True, **PRIOR))


def table(rows: list[dict]) -> str:
    """Markdown: medians, dB."""
    lines = [
        "| operator | picture | runs | dip-tv | tv, best weight | ahead by | one network ahead by |",
        "|---|---|---|---|---|---|---|",
    ]
    pairs = sorted({(row["operator"], row["picture"]) for row in rows})
    for operator, picture in [*pairs, *((operator, "all") for operator in sorted({pair[0] for pair in pairs}))]:
        chosen = [row for row in rows if row["operator"] == operator and picture in ("all", row["picture"])]
        gains = [row["dip-tv"] - row["tv"] for row in chosen]
        alone = [one - row["tv"] for row in chosen for one in row["one network"]]
        medians = (np.median([row[name] for row in chosen]) for name in ("dip-tv", "tv"))
        numbers = " | ".join(f"{value:.2f}" for value in medians)
        lines.append(
            f"| {operator} | {picture} | {len(chosen)} | {numbers} | {np.median(gains):+.2f} dB | "
            f"{np.median(alone):+.2f} dB |"
        )
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/dip_against_tv"))
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args(words)
    make_folder(arguments.out)
    rows = []
    for seed in range(arguments.seeds):
        for picture in arguments.pictures:
            for operator in ("ct", "inpaint"):
                path = arguments.out / f"{operator}-{picture}-{seed}.json"
                rows.append(kept(path, partial(run, operator, picture, seed)))
                print(rows[-1], flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
