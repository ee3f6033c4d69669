"""How soon an educated prior is where an untrained one ends, on the training tanks of the Kuopio challenge.

For each tank and level: the deep image prior with total variation, 500 steps; and the first of the two networks that
have seen simulated tanks, whose weights are then tuned by the data. Told are the step in which the educated one's
chi^2/N is that of the untrained one after 60 and after 500 steps, and both scores, the educated one's before any step.
Score and chi^2 are not the same thing: tuning fits errors of the model too.

    python -m benchmarks.quality.educated_tanks [--levels 1 4 7]
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

import eitdip
from benchmarks.quality.kept import finished, kept, show
from eitdip.challenges.ktc2023 import FIRST_NAME, WEIGHTS, Educated, classify, most_likely, to_challenge_grid
from eitdip.data import data_root, load
from eitdip.data.ktc2023 import truth
from eitdip.errors import DivergenceError
from eitdip.metrics import ktc_score
from eitdip.pretraining.segmenter import Segmenter
from eitdip.pretraining.weights import Weights
from eitdip.problems.bodies import prepare
from eitdip.writing import make_folder

STEPS = {"untrained": 500, "educated": 100, "L-BFGS": 15}


def run(folder: Path, tank: int, level: int) -> dict:
    """Both methods on one tank at one level."""
    measurements = load(folder / "training" / f"data{tank}.mat", level=level)
    correct = truth(folder / "truth_2024" / f"true{tank}.mat")
    problem, file = prepare(measurements), WEIGHTS / FIRST_NAME
    untrained = finished(eitdip.solve(problem, "dip-tv", steps=STEPS["untrained"], quiet=True))
    educated = finished(eitdip.solve(problem, "educated", weights=str(file), steps=STEPS["educated"], quiet=True))
    aim, chi2 = untrained.results[0].history["chi2"], educated.results[0].history["chi2"]
    image = to_challenge_grid(untrained.field / problem.unknown.start)
    return {
        "tank": tank, "level": level,
        "chi2 after 60": float(aim[59]), "chi2 after 500": float(aim[-1]),
        "educated chi2": [float(chi2[step]) for step in (0, 20, len(chi2) - 1)],
        "steps to 60": _first(chi2, aim[59]), "steps to 500": _first(chi2, aim[-1]),
        "untrained score": ktc_score(correct, classify(image)),
        "network alone": ktc_score(correct, most_likely(Segmenter(problem, Weights.load(file))(problem))),
        "both networks": ktc_score(correct, Educated()(measurements)),
        "tuned": ktc_score(correct, classify(to_challenge_grid(educated.field / problem.unknown.start))),
        "seconds": [untrained.cost.seconds["total"], educated.cost.seconds["total"]],
    }  # fmt: skip


def by_curvature(folder: Path, tank: int, level: int, aim: float) -> dict:
    """The educated one tuned by L-BFGS, of which a step is up to five evaluations."""
    problem = prepare(load(folder / "training" / f"data{tank}.mat", level=level))
    settings = {"optimizer": "lbfgs", "learning_rate": 1.0, "warm_up": 0, "steps": STEPS["L-BFGS"], "quiet": True}
    try:
        weights = str(WEIGHTS / FIRST_NAME)
        (result,) = finished(eitdip.solve(problem, "educated", weights=weights, **settings)).results
    except DivergenceError as error:  # its line search may try fields that overflow: what was reached before counts
        result = error.result
    correct, chi2 = truth(folder / "truth_2024" / f"true{tank}.mat"), result.history["chi2"]
    score = ktc_score(correct, classify(to_challenge_grid(result.estimate / problem.unknown.start)))
    steps = _first(chi2, aim) if (chi2 <= aim).any() else STEPS["L-BFGS"]
    return {"steps by curvature": steps, "tuned by curvature": score, "last chi2": float(chi2[-1])}


def _first(chi2: np.ndarray, level: float) -> int:
    """The first step at or below a level; the number of steps if there is none."""
    below = chi2 <= level
    return int(np.argmax(below)) if below.any() else len(chi2)


def table(rows: list[dict]) -> str:
    """Markdown: a row for each case, and medians."""
    names = ("untrained score", "network alone", "both networks", "tuned", "tuned by curvature")
    lines = [
        "| tank | level | chi^2/N, untrained, 60 and 500 steps | educated, 0, 20 and 100 steps | steps to the first | "
        "to the second | by L-BFGS | " + " | ".join(names) + " |",
        "|" + "---|" * (7 + len(names)),
    ]
    for row in rows:
        scores = " | ".join(f"{row[name]:.3f}" for name in names)
        lines.append(
            f"| {row['tank']} | {row['level']} | {row['chi2 after 60']:.2f} {row['chi2 after 500']:.2f} | "
            f"{' '.join(f'{value:.2f}' for value in row['educated chi2'])} | {row['steps to 60']} | "
            f"{row['steps to 500']} | {row['steps by curvature']} | {scores} |"
        )
    steps = ("steps to 60", "steps to 500", "steps by curvature")
    middle = [f"{np.median([row[name] for row in rows]):.0f}" for name in steps]
    means = " | ".join(f"{np.mean([row[name] for row in rows]):.3f}" for name in names)
    lines.append(f"| all | median, mean | | | {' | '.join(middle)} | {means} |")
    ahead = sum(row["network alone"] >= row["untrained score"] for row in rows)
    return "\n".join([*lines, "", f"The network alone scores at least as much in {ahead} of {len(rows)} cases."]) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/educated_tanks"))
    parser.add_argument("--levels", type=int, nargs="+", choices=range(1, 8), default=list(range(1, 8)))
    parser.add_argument("--tanks", type=int, nargs="+", choices=range(1, 5), default=list(range(1, 5)))
    arguments = parser.parse_args(words)
    root = data_root()
    if root is None or not (root / "ktc2023").is_dir():
        raise SystemExit("no KTC2023 measurements: set EITDIP_DATA to the folder that has ktc2023/")
    make_folder(arguments.out)
    folder, rows = root / "ktc2023", []
    for level in arguments.levels:
        for tank in arguments.tanks:
            path = arguments.out / f"{tank}-{level}.json"
            row = kept(path, partial(run, folder, tank, level))
            more = partial(by_curvature, folder, tank, level, row["chi2 after 500"])
            rows.append(row | kept(path.with_name(f"{tank}-{level}-lbfgs.json"), more))
            print(f"{path.stem}: {rows[-1]['steps to 500']} steps", flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
