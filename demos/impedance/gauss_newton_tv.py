"""Gauss-Newton beside Adam: the same objective, a twentieth of the steps.

The reference disk again (see `deep_image_prior_disk.py`): three inclusions, sixteen boundary potentials, 1 % noise.
Free pixels with total variation are found by Adam, which knows only the gradient, and by Gauss-Newton, which knows the
whole Jacobian. Each of its steps replaces the model by its linearization and total variation by a quadratic form that
touches it from above (lagged diffusivity), and accepts the minimizer only if the true objective falls.

With a tenth of the noise the data term is a hundred times as steep. Starting from nothing, it would drag the
linearization astray, so at first the penalty counts more; its weight falls as the fit improves.

    python demos/impedance/gauss_newton_tv.py [--steps 250]
"""

import argparse

import eitdip
from eitdip.metrics import relative_l2
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_bodies import simulate_dirichlet


def solve(name: str, problem, method: str, **settings):
    """Relative L2 error, and the course of the steps."""
    solution = eitdip.solve(problem, method, link="exp", **settings)
    (result,) = solution.results
    domain = problem.unknown.domain
    error = relative_l2(solution.x, phantom("three").on_domain(domain, 1.0), domain.cell_sizes)
    print(f"{name:<24} {result.iterations:>4} steps   relative L2 {error:.3f}   chi^2/N {result.chi2:.2f}")
    return error, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=250, help="of Adam")
    steps = parser.parse_args().steps

    problem = prepare(simulate_dirichlet(phantom("three"), noise=0.01, seed=0), Meshing(h=0.09, degree=2))
    _, adam = solve("Adam, pixels", problem, "pixels-tv", tv=40.0, size=48, steps=steps)
    _, newton = solve("Gauss-Newton, pixels", problem, "gn-tv", generator="pixels", tv=40.0, size=48, steps=12)
    error, _ = solve("Gauss-Newton, cells", problem, "gn-tv", tv=40.0, steps=15)
    chosen, morozov = solve("the weight by chi^2/N", problem, "gn-tv", stop="discrepancy")

    quiet = prepare(simulate_dirichlet(phantom("three"), noise=0.001, seed=0), Meshing(h=0.052, degree=2))
    _, small = solve("0.1 % noise, cells", quiet, "gn-tv", tv=40.0, steps=8)

    assert newton.history["loss"][-1] < 1.02 * adam.history["loss"][-1], "twelve steps do what Adam's hundreds do"
    assert error < 0.165, "the inclusions were not found (the empty disk scores 0.36)"
    assert morozov.chi2 <= 1 and chosen < 0.2, "without a weight given, the noise level chooses it"
    assert small.chi2 < 1.1, "a small noise must not stall it"


if __name__ == "__main__":
    main()
