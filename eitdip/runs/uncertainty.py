"""What is written of a posterior: numbers, fields and pictures."""

from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.data.streams import stream
from eitdip.uncertainty.coverage import judge

_LEVEL = 0.9  # of the intervals in files: quantiles 5 % and 95 %
_DRAWN = 200  # samples by which patches are judged


def summary(solution) -> dict | None:
    """What result.json says of the posterior, and of its errors where the truth is known; None without one."""
    posterior, problem = solution.posterior, solution.problem
    if posterior is None:
        return None
    told = {"method": posterior.method, "seconds": round(solution.cost.seconds["uncertainty"], 3), **posterior.facts()}
    if problem.truth is not None:
        truth = problem.unknown.on_grid(problem.truth, posterior.shape)
        told |= judge(posterior, truth, stream(solution.method.seed, "samples of posteriors"), count=_DRAWN).plain()
    return told


def arrays(solution) -> dict[str, np.ndarray]:
    """For estimate.npz: deviation, quantiles and samples on the generator's grid; nothing without a posterior."""
    posterior = solution.posterior
    if posterior is None:
        return {}
    low, high = posterior.interval(_LEVEL)
    fields = {"deviation": posterior.deviation(), "quantile_5": low, "quantile_95": high}
    if count := solution.method.samples:
        fields["samples"] = posterior.sample(count, stream(solution.method.seed, "samples of posteriors"))
    return fields


def on_cells(solution) -> dict[str, np.ndarray]:
    """For ParaView: the same fields, but for samples, on the cells of a body."""
    fields = arrays(solution)
    fields.pop("samples", None)
    return {name.replace("_", " "): solution.problem.unknown.on_cells(field) for name, field in fields.items()}


def draw(path: Path, solution) -> None:
    """A picture of estimate, deviation, errors over deviation where the truth is known, objects, and a section."""
    posterior, problem, unknown = solution.posterior, solution.problem, solution.problem.unknown
    truth = None if problem.truth is None else unknown.on_grid(problem.truth, posterior.shape)
    low, high = posterior.interval(_LEVEL)
    middle = posterior.quantile(0.5)
    shown = {"estimate": middle, "low": low, "high": high, "deviation": posterior.deviation()}
    if truth is not None:
        error = np.abs(posterior.variable.scale(np.where(posterior.seen, truth, 1.0)) - posterior.mean)
        with np.errstate(divide="ignore", invalid="ignore"):
            shown |= {"truth": np.where(posterior.seen, truth, np.nan), "error": error / shown["deviation"]}
    chances = {}
    if posterior.variable.logarithmic:
        start = unknown.start
        chances = {
            "P(> 2 x background)": posterior.above(2 * start),
            "P(< background / 2)": 1 - posterior.above(start / 2),
        }
    flat = {name: unknown.flat(field) for name, field in (shown | chances).items()}
    plot.uncertainty(
        path, flat, tuple(chances), logarithmic=posterior.variable.logarithmic,
        unit=problem.measurements.unit if problem.measurements is not None else "", level=_LEVEL,
    )  # fmt: skip
