"""How much is lost by stopping without the truth and without the noise level.

Ten pictures of scikit-image, 64 x 64, three operators, three seeds (of noise, weights and held-out choice). The deep
image prior is stopped by held-out measurements; what is reported is the PSNR of the kept iterate below the largest
PSNR of the whole run, which goes on for many steps after it.

    python -m benchmarks.quality.early_stopping
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import eitdip
from benchmarks.quality.kept import finished, kept, show
from eitdip.data.noise import Gaussian
from eitdip.data.pictures import gray, read_picture, square
from eitdip.problems import simulate_images as simulate
from eitdip.writing import make_folder

PICTURES = ("astronaut", "brick", "camera", "cat", "cell", "coffee", "coins", "moon", "rocket", "shepp_logan_phantom")
OPERATORS = {
    "denoise": lambda picture, seed: simulate.denoise(picture, sigma=0.1, seed=seed),
    "inpaint": lambda picture, seed: simulate.inpaint(picture, missing=0.5, sigma=0.05, seed=seed),
    "ct": lambda picture, seed: simulate.tomography(picture, views=30, sigma=0.05, seed=seed),
}
SIZE = 64


def run(operator: str, picture: str, seed: int, patience: int = 300) -> dict:
    """One reconstruction: what was kept, and what the truth would have kept."""
    problem = OPERATORS[operator](square(gray(read_picture(f"skimage:{picture}")), SIZE), seed)
    # The noise level is hidden: only held-out measurements decide.
    problem = replace(problem, data=replace(problem.data, noise=Gaussian(None)))
    (result,) = finished(eitdip.solve(problem, "dip", seed=seed, patience=patience, quiet=True)).results
    curve = result.history["PSNR"]
    return {
        "operator": operator, "picture": picture, "seed": seed, "kept": result.kept, "steps": result.iterations,
        "peak at": int(curve.argmax()), "PSNR": float(curve[result.kept]), "peak": float(curve.max()),
        "last": float(curve[-1]),
    }  # fmt: skip


def table(rows: list[dict]) -> str:
    """Markdown: gap to the peak, dB, by operator."""
    lines = [
        "| operator | runs | median gap | 90th percentile | largest | median PSNR | without stopping |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (*OPERATORS, "all"):
        chosen = [row for row in rows if name in ("all", row["operator"])]
        if chosen:
            gaps = [row["peak"] - row["PSNR"] for row in chosen]
            kept, last = (np.median([row[key] for row in chosen]) for key in ("PSNR", "last"))
            lines.append(
                f"| {name} | {len(chosen)} | {np.median(gaps):.2f} dB | {np.percentile(gaps, 90):.2f} dB | "
                f"{max(gaps):.2f} dB | {kept:.2f} dB | {last:.2f} dB |"
            )
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/early_stopping"))
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=list(OPERATORS))
    parser.add_argument("--pictures", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patience", type=int, default=300)
    arguments = parser.parse_args(words)
    make_folder(arguments.out)
    rows = []
    for seed in range(arguments.seeds):
        for picture in arguments.pictures:
            for operator in arguments.operators:
                path = arguments.out / f"{operator}-{picture}-{seed}-{arguments.patience}.json"
                rows.append(kept(path, partial(run, operator, picture, seed, arguments.patience)))
                print(f"{path.stem}: {rows[-1]['peak'] - rows[-1]['PSNR']:.2f} dB below the peak", flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
