"""Gauss-Newton beside Adam: the same objective, a twentieth of the steps.

The reference disk again (see `deep_image_prior_disk.py`): three inclusions, sixteen boundary potentials, 1 % noise.
Free pixels with total variation are found by Adam, which knows only the gradient, and by Gauss-Newton, which knows the
whole Jacobian. Each of its steps replaces the model by its linearization and total variation by a quadratic form that
touches it from above (lagged diffusivity), and accepts the minimizer only if the true objective falls.

With a tenth of the noise the data term is a hundred times as steep. Starting from nothing, it would drag the
linearization astray, so at first the penalty counts more; its weight falls as the fit improves.

    python demos/gauss_newton_tv.py [--steps 250]
"""

import argparse

import numpy as np

from eitdip.methods.build import options_for, prepare, start
from eitdip.phantoms import phantom
from eitdip.problems.simulate_bodies import simulate_dirichlet
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import reconstruct


def solve(name: str, measurements, method: str, settings: dict):
    """Relative L2 error, and the result."""
    options = options_for(method, {"link": "exp", "degree": 2} | settings)
    problem = prepare(measurements, options)
    run = start(problem, options, seed=0)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    truth, areas = phantom("three").on_domain(problem.domain, 1.0), problem.domain.cell_sizes
    error = np.sqrt((areas * (result.sigma - truth) ** 2).sum() / (areas * truth**2).sum())
    print(f"{name:<24} {result.iterations:>4} steps   relative L2 {error:.3f}   chi^2/N {result.chi2:.2f}")
    return error, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=250, help="of Adam")
    steps = parser.parse_args().steps
    use_threads()

    measurements = simulate_dirichlet(phantom("three"), noise=0.01, seed=0)
    pixels = {"h": 0.09, "tv": 40.0, "size": 48}
    _, adam = solve(
        "Adam, pixels", measurements, "pixels-tv", pixels | {"learning_rate": 0.05, "steps": steps}
    )  # fmt: skip
    _, newton = solve("Gauss-Newton, pixels", measurements, "gn-tv", pixels | {"generator": "pixels", "steps": 12})
    cells = {"h": 0.09, "tv": 40.0}
    error, _ = solve("Gauss-Newton, cells", measurements, "gn-tv", cells | {"steps": 15})
    chosen, morozov = solve("the weight by chi^2/N", measurements, "gn-tv", {"h": 0.09, "stop": "discrepancy"})

    quiet = simulate_dirichlet(phantom("three"), noise=0.001, seed=0)
    _, small = solve("0.1 % noise, cells", quiet, "gn-tv", {"h": 0.052, "tv": 40.0, "steps": 8})

    assert newton.history["loss"][-1] < 1.02 * adam.history["loss"][-1], "twelve steps do what Adam's hundreds do"
    assert error < 0.165, "the inclusions were not found (the empty disk scores 0.36)"
    assert morozov.chi2 <= 1 and chosen < 0.2, "without a weight given, the noise level chooses it"
    assert small.chi2 < 1.1, "a small noise must not stall it"


if __name__ == "__main__":
    main()
