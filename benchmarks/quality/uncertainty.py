"""Is the posterior of a deep image prior right? Coverage and densities of tanks and of tomography, raw and calibrated.

Each image is reconstructed with several seeds; the first network's linearized Laplace posterior is compared with the
ensemble of all seeds and with the one deviation that is best for the image, which knows the truth. Factors are learnt
on all *other* images (95 % of their entries are to be covered), or, of tanks, without any truth from whole patterns
that were set aside. Rows are kept in --out, so an interrupted benchmark goes on.

    python -m benchmarks.quality.uncertainty disk --noise 0.01
    python -m benchmarks.quality.uncertainty ct
"""

import argparse
import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import eitdip
from benchmarks.quality.educated_ct import PICTURES, picture
from benchmarks.quality.kept import finished, show
from benchmarks.quality.reference_disk import SETTINGS
from eitdip.methods.options import Method, method
from eitdip.methods.uncertainty import posterior, trained
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_bodies import simulate_dirichlet
from eitdip.problems.simulate_images import tomography
from eitdip.ranks.threads import use_threads
from eitdip.settings import configured, divided
from eitdip.uncertainty import linearized_laplace
from eitdip.uncertainty.calibration import held_out_factor
from eitdip.uncertainty.coverage import rank_correlation
from eitdip.uncertainty.prediction import log_density
from eitdip.writing import make_folder, write_atomically

PHANTOMS = ("three", "heart-lungs", "touching", "smooth", *map(str, range(1, 17)))
FACTORS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # on prior variances
LEVELS = {0.5: 0.6744897501960817, 0.9: 1.6448536269514722, 0.95: 1.959963984540054}


def disk(name: str, noise: float):
    """Problem and method of a phantom in the reference disk."""
    of_mesh, of_method = divided(SETTINGS["skip-tv"], Meshing, Method)
    measured = simulate_dirichlet(phantom(name), noise=noise, seed=0)
    return prepare(measured, Meshing(**of_mesh)), configured(method("skip-tv"), of_method)


def ct(name: str, noise: float):
    """Problem and method of a picture in computed tomography of 30 views; values are not bounded by a link."""
    problem = tomography(picture(name, 64), views=30, sigma=noise, seed=0)
    return problem, configured(method("dip-tv"), {"link": "free", "steps": 1500, "held_out": 0.0, "stop": "budget"})


# Photographs and shapes by turns, so that a few are of both kinds.
_MIXED = tuple(name for pair in zip(PICTURES[:10], PICTURES[10:], strict=True) for name in pair)
PROBLEMS = {"disk": (disk, PHANTOMS), "ct": (ct, _MIXED)}


def row(kind: str, name: str, noise: float) -> dict[str, np.ndarray]:
    """Errors and deviations of one image on the scale, over the entries where the truth is known."""
    problem, wanted = PROBLEMS[kind][0](name, noise)
    solution = finished(eitdip.solve(problem, wanted, quiet=True))
    problem.model.restore(problem.state)
    completed = wanted.completed(problem.unknown.kind)
    laplace = posterior(problem, replace(completed, uncertainty="laplace"), solution.results)
    true, compared = _truth(problem, laplace)
    return {
        "error": true - laplace.mean[compared],
        "deviation": np.stack([laplace.scaled(factor).deviation()[compared] for factor in FACTORS]),
        "amplitude": laplace.prior.amplitudes.values,
        "misfit": np.array(solution.misfit),
    }


def ensemble(kind: str, name: str, noise: float, seeds: int) -> dict[str, np.ndarray]:
    """The same of the Gaussian through the fields of several seeds."""
    problem, wanted = PROBLEMS[kind][0](name, noise)
    asked = replace(wanted, seeds=seeds, uncertainty="ensemble")
    found = finished(eitdip.solve(problem, asked, quiet=True)).posterior
    true, compared = _truth(problem, found)
    return {"ensemble error": true - found.mean[compared], "ensemble deviation": found.deviation()[compared]}


def aside(kind: str, name: str, noise: float) -> dict[str, np.ndarray]:
    """What patterns that were set aside ask for."""
    problem, wanted = PROBLEMS[kind][0](name, noise)
    return {"held-out factor": np.array(patterns_aside(problem, wanted))}


def _truth(problem, found) -> tuple[np.ndarray, np.ndarray]:
    """On the scale, (n,), and where it is known, in the shape of the field."""
    truth = problem.unknown.on_grid(problem.truth, found.shape)
    compared = found.seen & np.isfinite(truth)
    return found.variable.scale(truth[compared]), compared


def patterns_aside(problem, wanted) -> float:
    """The factor on prior variances by which every fourth pattern, its moments too, is predicted best."""
    hidden = np.arange(problem.data.shape[0]) % 4 == 3
    moments = np.zeros(problem.data.shape[1], bool)
    moments[: len(hidden)] = hidden  # by reciprocity a moment of a pattern is the same as a pattern of a moment
    out = (hidden[:, None] | moments) & problem.data.mask
    fitted = replace(problem, data=replace(problem.data, mask=problem.data.mask & ~out))
    solution = finished(eitdip.solve(fitted, wanted, quiet=True))
    made, estimate = trained(fitted, wanted.completed("plane"), solution.results[0])
    return held_out_factor(linearized_laplace(made, problem.model, problem.data, estimate=estimate, aside=out))


def scores(error: np.ndarray, deviation: np.ndarray) -> dict[str, float]:
    """Coverage, log-density per entry, and rank correlation of error and deviation."""
    size = np.abs(error)
    covered = {f"c{100 * level:g}": float((size <= z * deviation).mean()) for level, z in LEVELS.items()}
    order = rank_correlation(size, deviation)
    density = float(log_density(error, np.maximum(deviation, 1e-12)).mean())
    return covered | {"log-density": density, "rank": np.nan if order is None else order}


def needed(error: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Factors on the deviation that the entries need to be just in their 95 % interval."""
    return np.abs(error) / (LEVELS[0.95] * np.maximum(deviation, 1e-300))


def learnt(rows: list[dict], number: int, error: str, deviation) -> float:
    """The factor that covers 95 % of the entries of all other images, which count equally."""
    parts = [needed(row[error], deviation(row)) for other, row in enumerate(rows) if other != number]
    values, weights = np.concatenate(parts), np.concatenate([np.full(len(part), 1 / len(part)) for part in parts])
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), 0.95 * len(parts))])


def judged(rows: list[dict]) -> dict[str, list[dict[str, float]]]:
    """Form of posterior to the scores of each image."""
    forms: dict[str, list] = {}

    def add(form: str, error: np.ndarray, deviation: np.ndarray) -> None:
        forms.setdefault(form, []).append(scores(error, deviation))

    def own(place):
        return lambda row: row["deviation"][place]

    for number, row in enumerate(rows):
        error = row["error"]
        add("best constant of the image", error, np.full(error.shape, np.sqrt(np.mean(error**2))))
        add("constant, learnt on others", error,
            np.full(error.shape, learnt(rows, number, "error", lambda row: np.ones_like(row["error"]))))  # fmt: skip
        for place, factor in enumerate(FACTORS):
            add(f"Laplace, prior x {factor:g}", error, row["deviation"][place])
        add("Laplace, learnt on others", error, learnt(rows, number, "error", own(0)) * row["deviation"][0])
        if all("held-out factor" in each for each in rows):
            logs = np.log([np.maximum(each, 1e-300) for each in row["deviation"]])
            place = np.clip(np.interp(np.log(row["held-out factor"]), np.log(FACTORS), range(len(FACTORS))), 0, 5)
            low = min(int(place), len(FACTORS) - 2)
            add("Laplace, patterns set aside", error, np.exp(logs[low] + (place - low) * (logs[low + 1] - logs[low])))
        if all("ensemble deviation" in each for each in rows):
            spread = lambda row: row["ensemble deviation"]  # noqa: E731
            add("ensemble, raw", row["ensemble error"], spread(row))
            factor = learnt(rows, number, "ensemble error", spread)
            add("ensemble, learnt on others", row["ensemble error"], factor * spread(row))
    return forms


def table(rows: list[dict], names: list[str]) -> str:
    """Means over images, and the worst image."""
    lines = ["| form | c50 | c90 | c95 | c95 worst | log-density | worst | over the best constant, least | rank |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    forms = judged(rows)
    constant = np.array([each["log-density"] for each in forms["best constant of the image"]])
    for form, each in forms.items():
        values = {key: np.array([score[key] for score in each]) for key in each[0]}
        density = values["log-density"]
        over = (
            f"{(density - constant).mean():+.2f}, {(density - constant).min():+.2f}"
            if len(density) == len(constant)
            else "-"
        )
        lines.append(
            f"| {form} ({len(density)}) | {values['c50'].mean():.2f} | {values['c90'].mean():.3f} | "
            f"{values['c95'].mean():.3f} | {values['c95'].min():.2f} | {density.mean():.2f} | {density.min():.2f} | "
            f"{over} | {np.nanmean(values['rank']):.2f} |"
        )
    return "\n".join(lines) + f"\n\n{len(rows)} images: {', '.join(names)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", choices=PROBLEMS)
    parser.add_argument("--noise", type=float, help="default 0.01 for the disk, 0.05 for tomography")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5, help="of the ensemble; 1 for none")
    parser.add_argument("--aside", action="store_true", help="disk: learn the factor from patterns set aside, too")
    parser.add_argument("--out", type=Path, default=Path("results/uncertainty"))
    chosen = parser.parse_args()
    use_threads(1)
    noise = chosen.noise or {"disk": 0.01, "ct": 0.05}[chosen.problem]
    folder, rows, names = chosen.out / f"{chosen.problem}-{noise:g}", [], PROBLEMS[chosen.problem][1][: chosen.images]
    make_folder(folder)
    for name in names:
        known = {"": partial(row, chosen.problem, name, noise)}
        known |= {"-ensemble": partial(ensemble, chosen.problem, name, noise, chosen.seeds)} if chosen.seeds > 1 else {}
        known |= {"-aside": partial(aside, chosen.problem, name, noise)} if chosen.aside else {}
        rows.append({})
        for ending, compute in known.items():
            path = folder / f"{name}{ending}.npz"
            if not path.exists():
                buffer = io.BytesIO()
                np.savez(buffer, **compute())
                write_atomically(path, buffer.getvalue())
            with np.load(path) as kept:
                rows[-1] |= dict(kept)
        raw = scores(rows[-1]["error"], rows[-1]["deviation"][0])
        print(name, *(f"{key} {value:.3g}" for key, value in raw.items()), flush=True)
    show(folder, table(rows, list(names)))


if __name__ == "__main__":
    main()
