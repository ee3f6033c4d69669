"""Neural potentials against finite elements: PINN, deep Ritz, Gauss-Newton and a deep image prior on the same data.

In the first two the potentials are networks too: they know no mesh, and the equation is one more thing to be minimized,
as a residual at sample points (PINN) or as a gap between two energies (deep Ritz in the form of Kohn and Vogelius).
In the other two finite elements solve the equation exactly for every conductivity that is tried.

All get the same reference disk, the same noise and the same penalty: total variation of log conductivity, with the
weight 40. A network that bends the equation can call its own misfit small. So every conductivity is handed
to a finite-element model in the end, and its misfit is what counts: about 1 at the truth.

    python demos/pinn_and_deep_ritz_vs_fem.py [--steps 600] [--out pinn_and_deep_ritz_vs_fem.png]
"""

import argparse
from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.mesh.raster import plane_image
from eitdip.methods.build import options_for, prepare
from eitdip.metrics import relative_l2
from eitdip.phantoms import phantom
from eitdip.problems.simulate_bodies import simulate_dirichlet
from eitdip.ranks.collectives import alone
from eitdip.ranks.threads import use_threads
from eitdip.runs import session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of Adam")
    parser.add_argument("--out", type=Path, default=Path("pinn_and_deep_ritz_vs_fem.png"))
    arguments = parser.parse_args()
    use_threads()

    objects = phantom("three")
    measurements = simulate_dirichlet(objects, noise=0.01, seed=0)
    steps = {"pinn": arguments.steps, "deep-ritz": arguments.steps, "gn-tv": 15, "dip-tv": arguments.steps}
    panels, errors, fits = {}, {}, {}
    print("method       relative L2   chi^2/N its own   by finite elements   steps   seconds")
    for method, count in steps.items():
        options = options_for(method, {"link": "exp", "tv": 40.0, "steps": count})
        problem = prepare(measurements, options, alone())
        solution = session.solve(problem, options, comm=alone(), quiet=True)
        truth = objects.on_domain(problem.domain, 1.0)
        errors[method] = relative_l2(solution.sigma, truth, problem.domain.cell_sizes)
        own, fits[method] = solution.results[0].chi2, solution.chi2
        print(
            f"{method:<12} {errors[method]:11.3f} {own:17.2f} {fits[method]:20.2f} {solution.results[0].iterations:7} "
            f"{solution.seconds['total']:9.0f}"
        )
        panels[f"{method}: {errors[method]:.3f}"] = plane_image(problem.domain, solution.sigma)
    panels = {"truth": plane_image(problem.domain, truth)} | panels
    plot.images(arguments.out, panels, extent=(-1, 1, -1, 1), background=1.0)

    empty = relative_l2(np.ones_like(truth), truth, problem.domain.cell_sizes)
    assert max(errors.values()) < 0.75 * empty, "all of them find the objects ..."
    assert min(errors["pinn"], errors["deep-ritz"]) < 0.27
    assert min(fits["pinn"], fits["deep-ritz"]) > min(fits["gn-tv"], fits["dip-tv"]), (
        "... but solving the equation fits"
    )


if __name__ == "__main__":
    main()
