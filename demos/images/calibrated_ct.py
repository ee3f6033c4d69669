"""Intervals that hold what they promise: a posterior for tomography, calibrated on other pictures.

A deep image prior finds a picture from 30 views with 5 % noise. Its linearized Laplace posterior gives each pixel an
interval, of which 95 % should cover the truth. They do not: the network is surer than it should be, of what it has not
drawn at all. One factor on all deviations, learnt on other pictures whose truth is known, mends how often; it cannot
mend where. Which pixels are wrong the deviation knows quite well: its rank correlation with the error is printed.

    python demos/images/calibrated_ct.py [--others 3] [--size 48] [--out calibrated_ct.png]
"""

import argparse
from pathlib import Path

import numpy as np

import eitdip
from eitdip import plot
from eitdip.data.streams import stream
from eitdip.phantoms import random_picture
from eitdip.problems.simulate_images import tomography
from eitdip.uncertainty.calibration import conformal_factor
from eitdip.uncertainty.coverage import judge


def posterior(number: int, size: int, steps: int):
    """That of one picture, and the picture."""
    picture = random_picture(stream(number, "held-out pairs"), (size, size), "shapes")
    problem = tomography(picture, views=30, sigma=0.05, seed=number)
    settings = {"link": "free", "steps": steps, "stop": "budget", "held_out": 0.0, "channels": 16}
    return eitdip.solve(
        problem, "dip-tv", uncertainty="laplace", title=f"picture {number}, ", **settings
    ).posterior, picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--others", type=int, default=3, help="pictures on which the factor is learnt")
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("calibrated_ct.png"))
    arguments = parser.parse_args()

    known = [posterior(number, arguments.size, arguments.steps) for number in range(1, arguments.others + 1)]
    raw, picture = posterior(0, arguments.size, arguments.steps)
    factor = conformal_factor([each for each, _ in known], [truth for _, truth in known], 0.95)
    calibrated = raw.rescaled(factor)
    for name, each in {"raw": raw, f"deviations x {factor:.2f}": calibrated}.items():
        found = judge(each, picture)
        print(
            f"{name:<18} 95 % intervals cover {found.coverage[0.95].value:.3f}, log-density {found.log_density:.2f} "
            f"(best constant {found.constant_log_density:.2f}), rank correlation {found.rank_correlation:.2f}"
        )
    low, high = calibrated.interval(0.9)
    error = np.abs(picture - calibrated.mean) / calibrated.deviation()
    fields = {"truth": picture, "estimate": calibrated.mean, "low": low, "high": high, "error": error}
    plot.uncertainty(arguments.out, fields | {"deviation": calibrated.deviation()})
    print(f"picture: {arguments.out}")
    before, after = (judge(each, picture).coverage[0.95].value for each in (raw, calibrated))
    assert abs(after - 0.95) < abs(before - 0.95) or abs(after - 0.95) < 0.03, (
        "calibration brings coverage to its level"
    )


if __name__ == "__main__":
    main()
