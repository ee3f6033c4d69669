"""What tuning does to simulated tanks, by which misfit it is led, and how its answer is best read.

Tanks and errors are those of `simulated_tanks`: larger and more varied than in training. For each the first network of
the Kuopio challenge is tuned: all weights by Adam, or in the subspace of snapshots by the natural gradient; with the
deviations of the data, or with the error of the model, estimated from tanks with the errors of training, as part of the
noise. Answers are read by the thresholds of the untrained entry, and as the likeliest class of the tuned network.

    python -m benchmarks.quality.tuned_tanks DATA.mat [--tanks 35] [--weights FIRST.safetensors]

DATA.mat is a complete data file with ref.mat beside it, of which the objects are never looked at. Weights with
snapshots beside them are made by `eitdip.pretraining.snapshots`; without any that row is left out.
"""

import argparse
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

import eitdip
from benchmarks.quality.kept import finished, kept, show
from benchmarks.quality.simulated_tanks import FAMILY, SEED, objects
from eitdip.challenges.ktc2023 import FIRST_NAME, WEIGHTS, classify, most_likely, to_challenge_grid
from eitdip.challenges.ktc2023_training import layouts
from eitdip.data import model_error as files
from eitdip.data import transfers
from eitdip.data.ktc2023 import TANK
from eitdip.data.streams import stream
from eitdip.methods.educated import probabilities
from eitdip.methods.options import method
from eitdip.metrics import ktc_score
from eitdip.objective.misfit import misfit_of
from eitdip.pretraining.snapshots import snapshots_beside
from eitdip.pretraining.tanks import TankErrors, TankPairs
from eitdip.problems.problem import Problem
from eitdip.problems.simulate_transfer import TankFamily, record_tanks
from eitdip.runs.model_error import model_error, sample
from eitdip.writing import make_folder

ADAM = {"steps": 40}
NATURAL = {"steps": 6, "rank": 8}
ROWS = {
    "network alone": ("educated", False, {"steps": 1, "warm_up": 1}),
    "all weights": ("educated", False, ADAM),
    "all weights, model error": ("educated", True, ADAM),
    "all weights, model error, until chi2 is 1": ("educated", True, ADAM | {"stop": "discrepancy"}),
    "all weights, proximity": ("educated", False, ADAM | {"proximity": 1.0}),
    "all weights, model error, proximity": ("educated", True, ADAM | {"proximity": 1.0}),
    "snapshots": ("educated-snapshots", False, NATURAL),
    "snapshots, model error": ("educated-snapshots", True, NATURAL),
}


def problem_of(problem: Problem, difference: np.ndarray, reference: np.ndarray, error=None) -> Problem:
    """A tank with simulated difference data, whose noise has the error of the model or not."""
    noise = replace(problem.data.noise, error=error)
    return replace(problem, data=replace(problem.data, values=reference + difference, noise=noise))


def run(tank: tuple, layout, error, name: str, weights: Path) -> dict:
    """One row of one tank."""
    which, data, shares = tank
    base, with_error, settings = ROWS[name]
    given = [problem_of(layout.problem, data, layout.images.reference, each) for each in (None, error)]
    chosen = method(base, settings | {"weights": str(weights)})
    began = time.perf_counter()
    solution = finished(eitdip.solve(given[with_error], chosen, quiet=True))
    seconds = time.perf_counter() - began
    truth, prediction = most_likely(shares), torch.from_numpy(solution.prediction)
    likeliest = most_likely(probabilities(given[with_error], chosen, solution.results[0].state))
    thresholds = classify(to_challenge_grid(solution.field / layout.problem.unknown.start))
    chi2 = [float(misfit_of(each.data)(prediction)) for each in given]
    row = {"level": which + 1, "seconds": seconds, "chi2": chi2[0], "chi2 with model error": chi2[1]}
    row |= {"thresholds": ktc_score(truth, thresholds), "likeliest": ktc_score(truth, likeliest)}
    return row | objects(truth, likeliest)


def table(found: dict[str, list[dict]]) -> str:
    """Markdown: medians of chi^2, mean scores with their gain over the likeliest classes of the network alone."""
    lines = [
        "| tuned | chi^2/N | with model error | score by thresholds, gain | by the likeliest class, gain | missed | "
        "invented | s |",
        "|" + "---|" * 8,
    ]
    alone = np.array([row["likeliest"] for row in found["network alone"]])
    for name, rows in found.items():
        mine = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        scores = []
        for reading in ("thresholds", "likeliest"):
            gain = mine[reading] - alone
            error = gain.std() / len(gain) ** 0.5
            scores.append(f"{mine[reading].mean():.3f}, {gain.mean():+.3f} +- {error:.3f}")
        lines.append(
            f"| {name} | {np.median(mine['chi2']):.2f} | {np.median(mine['chi2 with model error']):.2f} | "
            f"{' | '.join(scores)} | {mine['missed'].sum()} of {mine['true'].sum()} | {mine['invented'].sum()} | "
            f"{np.median(mine['seconds']):.1f} |"
        )
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a complete data file, with ref.mat beside it")
    parser.add_argument("--tanks", type=int, default=35)
    parser.add_argument("--weights", type=Path, default=WEIGHTS / FIRST_NAME)
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--out", type=Path, default=Path("results/tuned_tanks"))
    arguments = parser.parse_args(words)
    make_folder(arguments.out)
    path = record_tanks(arguments.out / "tanks.h5", FAMILY, max(60, arguments.tanks), SEED)
    known, tanks = layouts(arguments.data), transfers.load(path)
    pairs = TankPairs(known, tanks, held=min(arguments.tanks, len(tanks) - 1),
                      errors=TankErrors(spread=0.8), seed=SEED)  # fmt: skip
    complete, where = known[0].problem, arguments.out / "error.h5"
    if not where.exists():
        errors = TankErrors()
        made = model_error(complete, sample(complete, TankFamily(TANK), errors, 0, 600), errors, 50)
        files.save(where, made, complete.measurements, complete.unknown.start, {"errors": asdict(errors)})
    names = [name for name in arguments.rows if "snapshots" not in name or snapshots_beside(arguments.weights).is_dir()]
    found = {name: [] for name in names}
    for i in range(pairs.held):
        tank = pairs.drawn(stream(SEED, "errors of tanks", 1, i), i)
        layout = known[tank[0]]
        error = files.load(where, layout.problem.measurements, layout.problem.unknown.start)
        for name in names:
            row = arguments.out / f"{i}-{name.replace(',', '').replace(' ', '-')}.json"
            found[name].append(kept(row, partial(run, tank, layout, error, name, arguments.weights)))
        print(i, *(f"{found[name][-1]['likeliest']:.3f}" for name in names), flush=True)
    show(arguments.out, table(found))


if __name__ == "__main__":
    main()
