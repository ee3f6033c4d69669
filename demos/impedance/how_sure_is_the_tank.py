"""How sure is a picture of a tank? The chances of metal and of insulators, pixel by pixel, beside what was in it.

A deep image prior gives one picture. Its linearized Laplace posterior says what other fields the network can draw that
explain the voltages as well: a Gaussian in log conductivity, whose quantiles go through the link. How wide it is
decides one amplitude, that of the prior variances: the evidence of the data finds it, and 10 times as much is what
electrodes that were set aside have asked for on such tanks (docs/uncertainty.md).

It needs the measurements of the Kuopio Tomography Challenge 2023 and says so where they are not at hand.

    python demos/impedance/how_sure_is_the_tank.py [--tank 2] [--level 4] [--out how_sure.png]
"""

import argparse
from pathlib import Path

import numpy as np

import eitdip
from eitdip import plot
from eitdip.data import data_root
from eitdip.data.ktc2023 import load, truth
from eitdip.problems.bodies import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tank", type=int, default=2, choices=range(1, 5))
    parser.add_argument("--level", type=int, default=4, choices=range(1, 8))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--prior-factor", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("how_sure.png"))
    arguments = parser.parse_args()

    ktc = data_root() / "ktc2023" if data_root() else None
    if ktc is None or not ktc.is_dir():
        print("no KTC2023 measurements here: set EITDIP_DATA to the folder that has ktc2023/")
        return
    problem = prepare(load(ktc / "training" / f"data{arguments.tank}.mat", level=arguments.level))
    solution = eitdip.solve(
        problem, "dip-tv", steps=arguments.steps, uncertainty="laplace", prior_factor=arguments.prior_factor
    )
    posterior, water = solution.posterior, problem.unknown.start
    metal, insulator = posterior.above(2 * water), 1 - posterior.above(water / 2)

    true = truth(ktc / "truth_2024" / f"true{arguments.tank}.mat")
    on_pixels = [problem.unknown.on_grid((true == number).astype(float), posterior.shape) > 0.5 for number in (1, 2)]
    for name, chance, inside in zip(("insulator", "metal"), (insulator, metal), on_pixels, strict=True):
        if inside.any():
            print(
                f"{name:<10} mean chance {np.nanmean(chance[inside]):.2f} where it is, "
                f"{np.nanmean(chance[~inside]):.3f} elsewhere"
            )
    low, high = posterior.interval(0.9)
    print(f"laplace: {solution.cost.seconds['uncertainty']:.0f} s, widest 90 % interval x {np.nanmax(high / low):.1f}")
    fields = {"estimate": posterior.quantile(0.5), "low": low, "high": high, "deviation": posterior.deviation()}
    chances = {
        "metal, truth": on_pixels[1],
        "P(metal)": metal,
        "insulators, truth": on_pixels[0],
        "P(insulator)": insulator,
    }
    chances = {name: np.where(posterior.seen, chance, np.nan) for name, chance in chances.items()}
    unit = problem.measurements.unit
    plot.uncertainty(arguments.out, fields | chances, tuple(chances), logarithmic=True, unit=unit)
    print(f"picture: {arguments.out}")
    rim = np.nanmax(posterior.deviation())
    assert rim > 5 * np.nanmedian(posterior.deviation()), "it is surest of the water, least of what is in it"


if __name__ == "__main__":
    main()
