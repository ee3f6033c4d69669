"""Neural potentials against finite elements: PINN, deep Ritz, Gauss-Newton and a deep image prior on the same data.

In the first two the potentials are networks too: they know no mesh, and the equation is one more thing to be minimized,
as a residual at sample points (PINN) or as a gap between two energies (deep Ritz in the form of Kohn and Vogelius).
In the other two finite elements solve the equation exactly for every conductivity that is tried.

All get the same reference disk, the same noise and the same penalty: total variation of log conductivity, with the
weight 40. A network that bends the equation can call its own misfit small. So every conductivity is handed
to a finite-element model in the end, and its misfit is what counts: about 1 at the truth.

    python demos/impedance/pinn_and_deep_ritz_vs_fem.py [--steps 600] [--out pinn_and_deep_ritz_vs_fem.png]
"""

import argparse
from pathlib import Path

import numpy as np

import eitdip
from eitdip import plot
from eitdip.metrics import relative_l2
from eitdip.phantoms import phantom
from eitdip.problems.bodies import prepare
from eitdip.problems.simulate_bodies import simulate_dirichlet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of Adam")
    parser.add_argument("--out", type=Path, default=Path("pinn_and_deep_ritz_vs_fem.png"))
    arguments = parser.parse_args()

    objects = phantom("three")
    problem = prepare(simulate_dirichlet(objects, noise=0.01, seed=0))
    domain, picture = problem.unknown.domain, problem.unknown.picture
    truth = objects.on_domain(domain, 1.0)
    panels, errors, fits = {"truth": picture(truth)}, {}, {}
    print("method       relative L2   chi^2/N its own   by finite elements   steps   seconds")
    for method in ("pinn", "deep-ritz", "gn-tv", "dip-tv"):
        steps = 15 if method == "gn-tv" else arguments.steps
        solution = eitdip.solve(problem, method, link="exp", tv=40.0, steps=steps)
        (result,) = solution.results
        errors[method], fits[method] = relative_l2(solution.x, truth, domain.cell_sizes), solution.misfit
        print(
            f"{method:<12} {errors[method]:11.3f} {result.chi2:17.2f} {solution.misfit:20.2f} {result.iterations:7} "
            f"{solution.cost.seconds['total']:9.0f}"
        )
        panels[f"{method}: {errors[method]:.3f}"] = picture(solution.x)
    plot.images(arguments.out, panels, extent=(-1, 1, -1, 1), background=1.0)

    empty = relative_l2(np.ones_like(truth), truth, domain.cell_sizes)
    assert max(errors.values()) < 0.75 * empty, "all of them find the objects ..."
    assert min(errors["pinn"], errors["deep-ritz"]) < 0.27
    assert min(fits["pinn"], fits["deep-ritz"]) > min(fits["gn-tv"], fits["dip-tv"]), (
        "... but solving the equation fits"
    )


if __name__ == "__main__":
    main()
