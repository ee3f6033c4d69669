"""Official scores on the KTC2023 training tanks.

Levels above 1 are made from the complete data by dropping electrodes. One setting and one pair of
thresholds for each method serves all tanks and levels; they were chosen on these tanks. The networks of "educated" know
simulated tanks only. Needs EITDIP_DATA.

    python -m benchmarks.quality.ktc_training [--method gn-tv] [--levels 1 4 7]
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.challenges.ktc2023 import SETTINGS, WEIGHTS, Educated, classify, segment
from eitdip.data import data_root, load
from eitdip.data.ktc2023 import truth
from eitdip.methods.names import METHODS
from eitdip.metrics import ktc_score, label_image
from eitdip.writing import write_atomically


@dataclass(frozen=True)
class Entry:
    """A reconstruction as it takes part.

    Args:
        settings: Options that differ from those of the challenge's command.
        label: Conductivity over the background, (256, 256), to classes.
    """

    settings: dict
    label: Callable[[np.ndarray], np.ndarray]

    def __call__(self, measurements, changes: dict) -> dict[str, np.ndarray]:
        """Labels and image, from measurements and further settings."""
        _, image = segment(measurements, self.settings | changes)
        return {"labels": self.label(image), "image": image}


class Networks:
    """Trained networks; `--set weights=FOLDER` takes others than the committed ones."""

    _answer: Educated | None = None

    def __call__(self, measurements, changes: dict) -> dict[str, np.ndarray]:
        """Labels, from measurements."""
        self._answer = self._answer or Educated(Path(changes.get("weights", WEIGHTS)))
        return {"labels": self._answer(measurements)}


def by_conductivity(image: np.ndarray, low: float = 0.2, high: float = 2.5) -> np.ndarray:
    """Classes by two conductivities over that of the water, which is the median inside the tank."""
    return label_image(image / np.median(image[image != 1]), low, high)  # outside it is exactly 1


ENTRIES = {
    "dip-tv": Entry(SETTINGS, classify),
    "gn-tv": Entry(
        METHODS["gn-tv"] | {"generator": "pixels", "tv": 2.5, "steps": 15, "seeds": 1},
        by_conductivity,
    ),
    "educated": Networks(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=ENTRIES, default="dip-tv")
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7])
    parser.add_argument("--tanks", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--set", dest="pairs", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="default: results/ktc_training/METHOD")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        parser.error("no measured data: set EITDIP_DATA to a folder with ktc2023/")
    out = arguments.out or Path("results/ktc_training") / arguments.method
    out.mkdir(parents=True, exist_ok=True)
    entry = ENTRIES[arguments.method]
    changes = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in arguments.pairs)}
    rows = []
    for level in arguments.levels:
        mine = [row(root, out, entry, changes, level, tank) for tank in arguments.tanks]
        means = {year: np.mean([item[year] for item in mine]) for year in ("2024", "2023")}
        print(f"level {level} mean: {means['2024']:.3f} (2024) {means['2023']:.3f} (2023)", flush=True)
        rows += mine
    write_atomically(out / "scores.json", json.dumps(rows, indent=2).encode())


def row(root: Path, out: Path, entry: Callable, changes: dict, level: int, tank: int) -> dict:
    """Scores of one tank at one level; its arrays and its picture go to `out`."""
    began = time.perf_counter()
    data = load(root / f"ktc2023/training/data{tank}.mat", level=level)
    arrays = entry(data, changes)
    labels = arrays["labels"]
    seconds = time.perf_counter() - began
    truths = {year: truth(root / f"ktc2023/truth_{year}/true{tank}.mat") for year in ("2024", "2023")}
    scores = {year: ktc_score(true, labels) for year, true in truths.items()}
    name = f"level{level}_tank{tank}"
    np.savez(out / f"{name}.npz", **arrays)
    plot.labels(out / f"{name}.png", labels, truths["2023"])
    numbers = " ".join(f"{score:.3f} ({year})" for year, score in scores.items())
    print(f"level {level} tank {tank}: {numbers} {seconds:.1f} s", flush=True)
    return {"level": level, "tank": tank, "seconds": seconds} | scores


if __name__ == "__main__":
    main()
