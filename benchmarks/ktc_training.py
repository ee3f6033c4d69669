"""Official scores on the KTC2023 training tanks: python -m benchmarks.ktc_training [--levels 1 4 7].

Levels above 1 are made from the complete data by dropping electrodes. Needs EITDIP_DATA.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from eitdip.atomic import write_atomically
from eitdip.challenges.ktc2023 import segment
from eitdip.data import data_root, load
from eitdip.data.ktc2023 import truth
from eitdip.metrics import ktc_score
from eitdip.threads import use_threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7])
    parser.add_argument("--tanks", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("results/ktc_training"))
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        parser.error("no measured data: set EITDIP_DATA to a folder with ktc2023/")
    use_threads()
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in arguments.pairs)}
    rows = []
    for level in arguments.levels:
        for tank in arguments.tanks:
            began = time.perf_counter()
            labels, image = segment(load(root / f"ktc2023/training/data{tank}.mat", level=level), settings)
            seconds = time.perf_counter() - began
            scores = {
                year: ktc_score(truth(root / f"ktc2023/truth_{year}/true{tank}.mat"), labels) for year in (2024, 2023)
            }
            rows.append({"level": level, "tank": tank, "seconds": seconds} | {str(y): s for y, s in scores.items()})
            np.savez(arguments.out / f"level{level}_tank{tank}.npz", image=image, labels=labels)
            print(
                f"level {level} tank {tank}: {scores[2024]:.3f} (2024) {scores[2023]:.3f} (2023) {seconds:.0f} s",
                flush=True,
            )
        mine = [row for row in rows if row["level"] == level]
        means = {year: np.mean([row[year] for row in mine]) for year in ("2024", "2023")}
        print(f"level {level} mean: {means['2024']:.3f} (2024) {means['2023']:.3f} (2023)", flush=True)
    write_atomically(arguments.out / "scores.json", json.dumps(rows, indent=2).encode())


if __name__ == "__main__":
    main()
