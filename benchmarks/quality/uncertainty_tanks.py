"""Posteriors of the real KTC2023 tanks, judged by electrodes that no method saw, and by the true classes.

All that level 4 leaves out, the 1,156 voltages of patterns that touch electrodes 1 to 6, is set aside from a
reconstruction of the rest, and predicted. The factor on prior variances is found on voltages of some of these
electrodes (1 to 3) and scored on others (4 to 6), and the other way round; and by the factors of the other tanks.
With all data, the probabilities of classes are compared with the true classes. Needs EITDIP_DATA.

    python -m benchmarks.quality.uncertainty_tanks
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import eitdip
from benchmarks.quality.kept import finished, kept, show
from eitdip.data import data_root
from eitdip.data import load as load_data
from eitdip.data.ktc2023 import load, truth
from eitdip.methods.options import method
from eitdip.methods.uncertainty import posterior, trained
from eitdip.plot.style import BLUE, DARK, RED, picture
from eitdip.problems.bodies import prepare
from eitdip.ranks.threads import use_threads
from eitdip.uncertainty import linearized_laplace
from eitdip.uncertainty.calibration import held_out_factor
from eitdip.uncertainty.reliability import reliability
from eitdip.writing import make_folder

LEVEL, FACTORS = 4, (1.0, 3.0, 10.0, 30.0, 100.0)
# Between water and objects, over the water: objects of these tanks are insulators and metal.
RESISTIVE, CONDUCTIVE = 0.5, 2.0


def set_aside(folder: Path, tank: int, seed: int) -> dict:
    """Scores of what level 4 leaves out, by factor on the prior variances."""
    file = folder / "training" / f"data{tank}.mat"
    whole = load_data(file)
    problem, kept_ones = prepare(whole), load(file, level=LEVEL).mask
    out = problem.data.mask & ~kept_ones
    fitted = replace(problem, data=replace(problem.data, mask=problem.data.mask & kept_ones))
    wanted = method("dip-tv", {"seed": seed})
    solution = finished(eitdip.solve(fitted, wanted, quiet=True))
    problem.model.restore(problem.state)
    made, _ = trained(fitted, wanted.completed("plane"), solution.results[0])
    laplace = linearized_laplace(made, problem.model, problem.data, aside=out)
    first, second = _groups(whole, problem.data.mask, out)
    best = held_out_factor(laplace)
    row = {"tank": tank, "seed": seed, "voltages": int(out.sum()), "misfit": solution.misfit, "best factor": best}
    noise = laplace.linear.point.residual[~laplace.linear.point.fitted]
    row["noise alone"] = float(np.mean(-0.5 * noise**2 - 0.5 * np.log(2 * np.pi)))
    row["constant"] = laplace.predict().constant_log_likelihood()
    for factor in (*FACTORS, best):
        predicted = laplace.scaled(factor).predict()
        name = "best" if factor == best else f"{factor:g}"
        row[name] = {"c95": predicted.coverage(0.95), "c50": predicted.coverage(0.5), "log": predicted.log_likelihood()}
    row["other electrodes"] = [_crossed(laplace, *pair) for pair in ((first, second), (second, first))]
    return row


def _groups(measured, mask: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that touch electrodes 1 to 3 and none of 4 to 6, and the other way round, among the measured ones."""
    touched = (measured.sources != 0)[:, None, :] | (measured.moments != 0)[None, :, :]
    low, high = touched[..., :3].any(axis=2), touched[..., 3:6].any(axis=2)
    return (out & low & ~high)[mask], (out & high & ~low)[mask]


def _crossed(laplace, chosen: np.ndarray, scored: np.ndarray) -> dict:
    """The factor found on some voltages, and the scores of others."""
    logs = np.linspace(0, np.log(1000), 25)
    found = [laplace.scaled(float(np.exp(log))).predict(chosen).log_likelihood() for log in logs]
    factor = float(np.exp(logs[int(np.argmax(found))]))
    predicted = laplace.scaled(factor).predict(scored)
    over = predicted.log_likelihood() - predicted.constant_log_likelihood()
    return {"factor": factor, "count": int(scored.sum()), "c95": predicted.coverage(0.95), "over constant": over}


def classes(folder: Path, tank: int, seed: int) -> dict:
    """Brier score and reliability of the classes' probabilities, with all data."""
    problem = prepare(load_data(folder / "training" / f"data{tank}.mat"))
    wanted = method("dip-tv", {"seed": seed})
    solution = finished(eitdip.solve(problem, wanted, quiet=True))
    problem.model.restore(problem.state)
    laplace = posterior(problem, replace(wanted, uncertainty="laplace").completed("plane"), solution.results)
    true = truth(folder / "truth_2024" / f"true{tank}.mat")
    shares = [problem.unknown.on_grid((true == number).astype(float), laplace.shape) for number in range(3)]
    happened = np.stack([share > 0.5 for share in shares])
    row = {"tank": tank, "seconds": solution.cost.seconds["total"]}
    background = problem.unknown.start * float(np.exp(np.nanmedian(np.log(solution.field / problem.unknown.start))))
    for factor in FACTORS:
        scaled = laplace.scaled(factor)
        low, high = 1 - scaled.above(RESISTIVE * background), scaled.above(CONDUCTIVE * background)
        probability = np.stack([1 - low - high, low, high])
        probability[:, ~np.isfinite(shares[0])] = np.nan
        judged = reliability(np.clip(probability, 0, 1), happened)
        sure = np.where(np.isfinite(probability), probability > 0.5, np.nan)
        plain = reliability(sure.astype(float), happened)
        row[f"{factor:g}"] = {
            "brier": judged.brier, "of certainty": plain.brier, "base": judged.base_brier,
            "predicted": judged.predicted, "observed": [share.value for share in judged.observed],
        }  # fmt: skip
    return row


def table(aside: list[dict], labels: list[dict]) -> str:
    """Both, by tank."""
    lines = [
        "| tank | voltages | noise alone | best constant | x 1 | x 10 | x 30 | best factor | c95 x 1, 10, 30, best | "
        "factor of the other tanks: c95, over constant | found on electrodes 1-3, scored on 4-6, and back: the same |",
        "| --- |" + " --- |" * 10,
    ]
    for row in aside:
        others = float(np.exp(np.mean([np.log(each["best factor"]) for each in aside if each is not row])))
        logs = np.log(FACTORS)

        def at(key, row=row, logs=logs, others=others):
            return float(np.interp(np.log(others), logs, [row[f"{factor:g}"][key] for factor in FACTORS]))

        crossed = "; ".join(
            f"x {each['factor']:.0f}: {each['c95']:.3f}, {each['over constant']:+.2f}"
            for each in row["other electrodes"]
        )
        covered = ", ".join(f"{row[name]['c95']:.3f}" for name in ("1", "10", "30", "best"))
        lines.append(
            f"| {row['tank']} | {row['voltages']} | {row['noise alone']:.2f} | {row['constant']:.2f} | "
            f"{row['1']['log']:.2f} | {row['10']['log']:.2f} | {row['30']['log']:.2f} | "
            f"{row['best factor']:.1f}: {row['best']['log']:.2f} | {covered} | "
            f"x {others:.0f}: {at('c95'):.3f}, {at('log') - row['constant']:+.2f} | {crossed} |"
        )
    lines += [
        "",
        "| tank | Brier score of classes x 1, 10, 30 | of the likeliest class | of constant shares |",
        "| --- |" + " --- |" * 3,
    ]
    for row in labels:
        scores = ", ".join(f"{row[name]['brier']:.4f}" for name in ("1", "10", "30"))
        lines.append(f"| {row['tank']} | {scores} | {row['1']['of certainty']:.4f} | {row['1']['base']:.4f} |")
    return "\n".join(lines) + "\n"


def draw(path: Path, labels: list[dict]) -> None:
    """How often a class was there, against its probability: of all tanks, by factor on the prior variances."""
    with picture(path, (4.6, 4.2)) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=DARK, lw=0.8, ls="--")
        for name, colour in (("1", RED), ("10", BLUE)):
            predicted = np.mean([row[name]["predicted"] for row in labels], axis=0)
            observed = np.mean([row[name]["observed"] for row in labels], axis=0)
            axes.plot(predicted, observed, marker="o", color=colour, label=f"prior variances x {name}")
        axes.set(xlabel="probability of the class", ylabel="share of the pixels where it is", aspect="equal")
        axes.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tanks", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/uncertainty_tanks"))
    chosen = parser.parse_args()
    use_threads(1)
    folder = data_root() / "ktc2023"
    make_folder(chosen.out)
    aside, labels = [], []
    for tank in chosen.tanks:
        for rows, name, compute in ((aside, "aside", set_aside), (labels, "classes", classes)):
            path = chosen.out / f"{name}-{tank}-{chosen.seed}.json"
            rows.append(kept(path, partial(compute, folder, tank, chosen.seed)))
            print(name, json.dumps(rows[-1])[:400], flush=True)
    show(chosen.out, table(aside, labels))
    draw(chosen.out / "reliability.png", labels)


if __name__ == "__main__":
    main()
