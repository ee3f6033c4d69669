"""The reference disk: deep image prior, Gauss-Newton or another method.

Unit disk with three inclusions, 16 Dirichlet patterns, 32 flux moments each, 1 % noise at 128
boundary points; data from a curved second-order mesh (h = 0.02), inversion on a coarser one.
A prototype of Gauss-Newton with total variation reached a relative L2 error of 0.170 on this problem.

    python -m benchmarks.quality.reference_disk [--method gn-tv]
"""

import argparse
import json
from pathlib import Path

import numpy as np

import eitdip
from eitdip.methods.options import Method
from eitdip.metrics import relative_l2
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_bodies import simulate_dirichlet
from eitdip.settings import divided
from eitdip.writing import write_atomically

_CELLS = {"link": "exp", "h": 0.052, "fit_drift": False}
_NETWORK = {"link": "exp", "tv": 40.0, "steps": 600, "h": 0.09, "degree": 2, "fit_drift": False}
SETTINGS = {
    "dip-tv": _NETWORK | {"learning_rate": 5e-3},
    "skip-tv": _NETWORK,
    "gn-tv": _CELLS | {"tv": 40.0, "steps": 15},
    "gn-tv-discrepancy": _CELLS | {"stop": "discrepancy", "steps": 60},
    "gn-tikhonov": _CELLS,
    "gn-l1": _CELLS,
    "one-step": _CELLS,
    "cells-lbfgs": _CELLS | {"tv": 40.0, "tikhonov": 0.0, "steps": 60},
    "cells-kv": _CELLS,
    **{name: {"h": 0.052} for name in ("pinn", "bar-sochen", "deep-galerkin", "deep-ritz")},
}
# The same method under another name, where only its settings differ.
_METHOD = {"gn-tv-discrepancy": "gn-tv", "cells-lbfgs": "cells-tikhonov"}


def run(name: str = "dip-tv", seeds: int = 1, noise_seed: int = 0, noise: float = 0.01, changes: dict | None = None):
    """One row of numbers per network seed: error, chi^2/N of the FEM, steps, and chi^2/N or the like in each step."""
    objects = phantom("three")
    measurements = simulate_dirichlet(objects, noise=noise, seed=noise_seed)
    of_mesh, of_method = divided(SETTINGS[name] | (changes or {}), Meshing, Method)
    problem = prepare(measurements, Meshing(**of_mesh))
    domain, rows = problem.unknown.domain, []
    truth = objects.on_domain(domain, 1.0)
    for seed in range(seeds):
        solution = eitdip.solve(problem, _METHOD.get(name, name), seed=seed, quiet=True, **of_method)
        (result,) = solution.results
        error, history = relative_l2(solution.x, truth, domain.cell_sizes), result.history["chi2"].tolist()
        row = {"method": name, "noise": noise, "seed": seed, "relative L2": error, "misfit": solution.misfit}
        rows.append(row | {"steps": result.iterations, "misfits": history})
        print(
            f"{name}, noise {noise:.1%}, seed {seed}: relative L2 {error:.4f}, chi^2/N {solution.misfit:.3f}, "
            f"{result.iterations} steps, chi^2/N <= 1.1 from step {_first(history)}",
            flush=True,
        )
    return rows


def _first(history: list[float]) -> int | None:
    """Updates until the misfit is 1.1, or None: entry 0 is the misfit before the first one."""
    return next((step for step, value in enumerate(history) if value <= 1.1), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=SETTINGS, default="dip-tv")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.01])
    parser.add_argument("--seeds", type=int, default=5, help="of networks; other methods have one")
    parser.add_argument("--noise-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: results/disk_METHOD.json")
    arguments = parser.parse_args()
    seeds = 1 if arguments.method.startswith(("gn", "cells", "one")) else arguments.seeds
    rows = [row for noise in arguments.noise for row in run(arguments.method, seeds, arguments.noise_seed, noise)]
    if seeds > 1:
        print(f"median relative L2 {np.median([row['relative L2'] for row in rows]):.4f}")
    out = arguments.out or Path(f"results/disk_{arguments.method}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, json.dumps(rows, indent=2).encode())


if __name__ == "__main__":
    main()
