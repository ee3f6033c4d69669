"""A tank in a second: networks that have seen ten thousand simulated tanks, and none that is real.

A first network sees one-step linearized images of the voltages and says for each pixel: water, resistive, conductive.
A second one sees what the nonlinear electrode model leaves unexplained by that answer, and corrects it, twice. Their
weights lie in weights/ (`python -m eitdip.challenges.ktc2023_training` made them). Beside them stands the deep image
prior, which has learned nothing and takes a hundred times as long. It needs the measurements of the Kuopio Tomography
Challenge 2023 and says so where they are not at hand.

    python demos/impedance/educated_tank.py [--tank 2] [--level 1] [--out educated_tank.png]
"""

import argparse
import time
from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.challenges.ktc2023 import Educated, segment
from eitdip.data import data_root, load
from eitdip.data.ktc2023 import truth as read_truth
from eitdip.metrics import ktc_score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tank", type=int, default=2, choices=range(1, 5))
    parser.add_argument("--level", type=int, default=1, choices=range(1, 8))
    parser.add_argument("--steps", type=int, default=500, help="of the deep image prior")
    parser.add_argument("--out", type=Path, default=Path("educated_tank.png"))
    arguments = parser.parse_args()

    ktc = data_root() / "ktc2023" if data_root() else None
    if ktc is None or not ktc.is_dir():
        print("no KTC2023 measurements here: set EITDIP_DATA to the folder that has ktc2023/")
        return
    measurements = load(ktc / "training" / f"data{arguments.tank}.mat", level=arguments.level)
    truth = read_truth(ktc / "truth_2024" / f"true{arguments.tank}.mat")

    answers, seconds = {}, {}
    educated = Educated()
    for name, segmented in {
        "educated": educated,
        "educated, once more": educated,
        "deep image prior": lambda tank: segment(tank, {"steps": arguments.steps})[0],
    }.items():
        began = time.perf_counter()
        answers[name] = segmented(measurements)
        seconds[name] = time.perf_counter() - began
    scores = {name: ktc_score(truth, labels) for name, labels in answers.items()}
    for name, score in scores.items():
        print(f"{name:<20} score {score:.3f}  {seconds[name]:6.2f} s")
    del answers["educated, once more"]
    plot.pictures(
        arguments.out,
        {"truth": truth / 2} | {f"{name}: {scores[name]:.3f}": np.asarray(each) / 2 for name, each in answers.items()},
        0.0, 1.0, columns=3,
    )  # fmt: skip
    print(f"picture: {arguments.out}")
    assert scores["educated"] > 0.7, "it has never seen a real tank, yet knows what is in this one"


if __name__ == "__main__":
    main()
