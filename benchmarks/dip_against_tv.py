"""Deep image prior with total variation against total variation alone. python -m benchmarks.dip_against_tv

64 x 64 pictures of scikit-image, CT with 30 views and 5 % noise, and inpainting of 50 % with noise 0.05; three seeds.
Total variation gets the best weight of a grid by the truth. The deep image prior has one weight for all; each network
is stopped by measurements of its own that are held out, and the images of four networks are averaged.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.early_stopping import OPERATORS, SIZE
from eitdip.atomic import make_folder, write_atomically
from eitdip.reconstruction import Status
from eitdip.restoration import image_options, restore
from eitdip.restoration.pictures import gray, read_picture, square
from eitdip.threads import use_threads

PICTURES = ("astronaut", "camera", "coins", "shepp_logan_phantom")
WEIGHTS = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
PRIOR = {"seeds": 4, "held_out": 0.1, "learning_rate": 0.003, "steps": 3000, "patience": 300}


def run(operator: str, picture: str, seed: int, tv: float) -> dict:
    """PSNR of both on the same data."""
    task = OPERATORS[operator](square(gray(read_picture(f"skimage:{picture}")), SIZE), seed)
    classical = {weight: restore(task, image_options("tv", {"tv": weight}), quiet=True).psnr for weight in WEIGHTS}
    best = max(classical, key=classical.get)
    # Networks of other tasks have other seeds.
    prior = restore(task, image_options("dip-tv", PRIOR | {"tv": tv, "seed": 100 * seed}), quiet=True)
    if prior.status == Status.INTERRUPTED:
        raise SystemExit("interrupted; the same command goes on")
    each = [float(result.history["PSNR"][result.kept]) for result in prior.results]
    return {
        "operator": operator, "picture": picture, "seed": seed, "dip-tv": prior.psnr, "one network": each,
        "tv": classical[best], "tv weight": best,
    }  # fmt: skip


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dip_against_tv", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/dip_against_tv"))
    parser.add_argument("--pictures", nargs="+", default=list(PICTURES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tv", type=float, default=20.0, help="weight for the deep image prior")
    arguments = parser.parse_args(words)
    use_threads(1)
    make_folder(arguments.out)
    rows = []
    for seed in range(arguments.seeds):
        for picture in arguments.pictures:
            for operator in ("ct", "inpaint"):
                path = arguments.out / f"{operator}-{picture}-{seed}-{arguments.tv:g}.json"
                if not path.exists():
                    write_atomically(path, json.dumps(run(operator, picture, seed, arguments.tv)).encode())
                rows.append(json.loads(path.read_text()))
                print(rows[-1], flush=True)
    text = table(rows)
    write_atomically(arguments.out / "table.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
