"""Solid meshes: block low-rank factors, and conjugate gradients with the last factor."""

from collections.abc import Iterator

import numpy as np

from benchmarks.speed.measure import Figure, interleave, milliseconds, timed
from benchmarks.speed.problems import ELECTRODES, IMPEDANCE, Settings, solid
from benchmarks.speed.report import Check
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.ranks.collectives import alone

PART = "solids"
COMPRESSED = 0.8
LAST_FACTOR = 0.65
CHANGE = 0.05  # of the conductivity from step to step, relative


def run(settings: Settings) -> Iterator[Check]:
    """Three rows, on one mesh."""
    domain = solid(settings.solid)
    models = {
        name: CompleteElectrodeModel(domain, adjacent(ELECTRODES), IMPEDANCE, comm=alone(), solver=name)
        for name in ("cholesky", "cholesky-blr", "last-factor")
    }
    asked = settings.effort > 0
    repetitions = 5 if asked else 1
    rng, shape, nodes = np.random.default_rng(0), models["cholesky"].domain.shape, len(domain.points)

    base = np.exp(0.3 * rng.standard_normal(shape))
    codes = {name: timed(models[name].system.update) for name in ("cholesky", "cholesky-blr")}
    seconds = interleave(codes, lambda: (np.exp(0.3 * rng.standard_normal(shape)),), repetitions)
    figure = Figure.ratio(seconds["cholesky-blr"], seconds["cholesky"])
    name = "solid: block low-rank / full-rank numeric factor"
    yield Check(PART, name, nodes, figure, at_most=COMPRESSED if asked else None, details={"ms": milliseconds(seconds)})

    draws = {
        f"each cell by up to {CHANGE:.0%}": lambda: rng.uniform(-CHANGE, CHANGE, shape),
        f"{CHANGE:.0%} root mean square": lambda: CHANGE * rng.standard_normal(shape),
    }
    for number, (how, draw) in enumerate(draws.items()):
        models["last-factor"].restore({"factored": base, "tired": False})
        before = models["last-factor"].solver_report()["CG iterations"]
        codes = {name: timed(models[name]) for name in ("cholesky", "cholesky-blr", "last-factor")}
        seconds = interleave(codes, lambda draw=draw: (base * np.exp(draw()),), repetitions, _same_voltages)
        report = models["last-factor"].solver_report()
        figure = Figure.ratio(seconds["last-factor"], seconds["cholesky-blr"])
        note = f"{(report['CG iterations'] - before) / (repetitions + 2):.1f} iterations to 1e-10"
        limit = LAST_FACTOR if asked and number == 0 else None
        details = {"ms": milliseconds(seconds), "solver": report}
        name = f"solid: last-factor CG / refactor + solve, changed {how}"
        yield Check(PART, name, nodes, figure, at_most=limit, note=note, details=details)


def _same_voltages(results: dict[str, np.ndarray]) -> None:
    exact = results["cholesky"]
    for name, voltages in results.items():
        np.testing.assert_allclose(voltages, exact, rtol=0, atol=1e-8 * np.abs(exact).max(), err_msg=name)
