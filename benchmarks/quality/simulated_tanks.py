"""Scores of `ktc2023 --method educated` on simulated tanks with larger and more varied errors than in training.

Electrodes are out of place by 1 mm (trained: 0.5 mm), the wall by 0.6 % (0.3 %), contacts change by up to 0.6 (0.3) in
the logarithm, errors of data vary by a factor of 2.2 (1.8); meshes are finer. An object is invented if no pixel of it
is in a true one of its class, missed if no pixel of it is found; objects of less than 0.2 % of the square do not count.

    python -m benchmarks.quality.simulated_tanks DATA.mat [--tanks 504] [--size 2.5] [--weights weights]
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import label

from eitdip.challenges.ktc2023 import FIRST_NAME, SECOND_NAME, WEIGHTS, most_likely
from eitdip.challenges.ktc2023_training import layouts
from eitdip.data import transfers
from eitdip.data.ktc2023 import TANK
from eitdip.data.streams import stream
from eitdip.metrics import ktc_score
from eitdip.pretraining.segmenter import Segmenter
from eitdip.pretraining.tanks import TankErrors, TankPairs
from eitdip.pretraining.weights import Weights
from eitdip.problems.simulate_transfer import TankFamily, record_tanks
from eitdip.writing import make_folder, write_atomically

SEED = 1  # training has 0
FAMILY = replace(
    TankFamily(TANK), edges=(0.03, 0.036), electrode_error=0.009, wall_error=0.006, contact_change=0.6,
    contact_spread=0.8, water=0.04,
)  # fmt: skip
STEPS = ("network", "corrected once", "corrected twice")
_LEAST = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a complete data file, with ref.mat beside it")
    parser.add_argument("--tanks", type=int, default=504)
    parser.add_argument("--size", type=float, default=2.5, help="of the errors of data")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--out", type=Path, default=Path("results/simulated_tanks"))
    arguments = parser.parse_args()
    make_folder(arguments.out)
    path = record_tanks(arguments.out / f"tanks{arguments.tanks}.h5", FAMILY, arguments.tanks, SEED)
    known, tanks = layouts(arguments.data), transfers.load(path)
    count = min(arguments.tanks, len(tanks) - 1)
    pairs = TankPairs(known, tanks, held=count, errors=TankErrors(size=arguments.size, spread=0.8), seed=SEED)
    weights = [Weights.load(arguments.weights / name) for name in (FIRST_NAME, SECOND_NAME)]
    # All three answers come from the same preparation.
    segmenters = [Segmenter(layout.problem, *weights) for layout in known]
    rows = []
    for i in range(count):
        which, data, shares = pairs.drawn(stream(SEED, "errors of tanks", 1, i), i)
        truth = most_likely(shares)
        for corrections, step in enumerate(STEPS):
            began = time.perf_counter()
            labels = most_likely(segmenters[which].answer(data, corrections))
            row = {"level": which + 1, "step": step, "seconds": time.perf_counter() - began}
            rows.append(row | {"score": ktc_score(truth, labels)} | objects(truth, labels))
    for step in STEPS:
        mine = [row for row in rows if row["step"] == step]
        levels = [np.mean([row["score"] for row in mine if row["level"] == level]) for level in range(1, 8)]
        counts = {name: sum(row[name] for row in mine) for name in ("true", "invented", "missed")}
        print(f"{step:16}", *(f"{score:.3f}" for score in levels), f" mean {np.mean(levels):.4f} ", counts, flush=True)
    write_atomically(arguments.out / "scores.json", json.dumps(rows, indent=1).encode())


def objects(truth: np.ndarray, labels: np.ndarray) -> dict:
    """How many objects there are, and how many were invented and missed."""
    count = {"true": 0, "invented": 0, "missed": 0}
    for value in (1, 2):
        for one, other, name in ((truth, labels, "missed"), (labels, truth, "invented")):
            parts, number = label(one == value)
            for part in range(1, number + 1):
                mine = parts == part
                if mine.mean() >= _LEAST:
                    count["true"] += name == "missed"
                    count[name] += not (other[mine] == value).any()
    return count


if __name__ == "__main__":
    main()
