"""The terms of the cost model in docs/scaling.md, measured: python -m benchmarks.speed.scaling [2d|3d] [NODES ...].

CPU seconds of one thread, medians: symbolic analysis, assembly, numeric factorization, 16 solves, edge contraction;
memory of the factor as MUMPS reports it. The fitted exponents of the nodes are printed last.
"""

import sys
import time

import numpy as np

from benchmarks.speed.ranks import cube
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.direct import Cholesky
from eitdip.fem.linear_solver import COMPRESSION
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.ranks.collectives import alone


def phases(nodes: int, dimension: int, repetitions: int = 3) -> dict:
    """Median seconds of each phase and the factor's memory."""
    domain = disk(h=1.95 / nodes**0.5, electrodes=16, width=0.2) if dimension == 2 else cube(nodes)
    model = CompleteElectrodeModel(domain, adjacent(16), 0.1, comm=alone(), solver="cholesky")
    system, rng, clock = model.system, np.random.default_rng(0), time.process_time
    solver = Cholesky(system.matrix, 0.0 if dimension == 2 else COMPRESSION)
    rows, loads = system.row[model._covered], model._coupling
    times: dict[str, list[float]] = {name: [] for name in ("assembly", "factor", "solve", "contraction")}
    sigma = np.exp(0.3 * rng.standard_normal(model.domain.shape))
    start = clock()
    solver.update(system.assembled(sigma))
    first = clock() - start
    for _ in range(repetitions):
        sigma = np.exp(0.3 * rng.standard_normal(model.domain.shape))
        marks = [clock()]
        values = system.assembled(sigma)
        marks.append(clock())
        solver.update(values)
        marks.append(clock())
        solver.solve(rows, loads)
        marks.append(clock())
        for name, seconds in zip(times, np.diff(marks), strict=False):
            times[name].append(seconds)
    _, derivative = model.linearize(sigma)
    weight = model.range.random(rng)
    for _ in range(repetitions):
        start = clock()
        derivative.adjoint(weight)
        times["contraction"].append(clock() - start)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return (
        {"nodes": len(domain.points), "cells": len(domain.cells), "analysis": first - medians["factor"]}
        | medians
        | {"factor MB": solver.memory()}
    )


def main() -> None:
    dimension = int(sys.argv[1][0]) if len(sys.argv) > 1 else 3
    sizes = [int(word) for word in sys.argv[2:]] or ([10_000, 50_000, 200_000] if dimension == 2 else [10_000, 50_000])
    rows = [phases(size, dimension) for size in sizes]
    for row in rows:
        print("  ".join(f"{name} {value:.3g}" for name, value in row.items()), flush=True)
    for name in list(rows[0])[2:]:
        slope = np.polyfit(np.log([row["nodes"] for row in rows]), np.log([row[name] for row in rows]), 1)[0]
        print(f"{name}: nodes^{slope:.2f}")


if __name__ == "__main__":
    main()
