"""Why deep Ritz, minimized over potentials and conductivity together, finds no conductivity; and what does.

With given boundary values, the potential is what makes the energy

    E(u, sigma) = 1/2 int sigma |grad u|^2

least. So it is tempting to let networks of u and sigma minimize E together, with a penalty on the flux that was
measured. But for any u the energy is linear in sigma and grows with it: there is no minimum over sigma but at its lower
bound. The networks find that out: sigma goes to the bound, the energy goes down with it, and a thin rim keeps the flux
at the boundary so right that the method's own misfit says that all is well. The misfit of a finite-element model,
which knows what current such a conductivity would carry, tells the truth.

The same kind of networks find the conductivity from the gap between two energies. A stream function psi, whose
tangential derivative is the flux, makes 1/2 int |curl psi|^2 / sigma least, which falls with sigma; and

    1/2 int |sigma^(1/2) grad u - sigma^(-1/2) curl psi|^2 = E(u, sigma) + E(psi, 1 / sigma) - (a constant)

is zero at the solution and nowhere else (Kohn and Vogelius).

    python demos/impedance/why_naive_deep_ritz_fails.py [--steps 300] [--out why_naive_deep_ritz_fails.png]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import eitdip
from eitdip import plot
from eitdip.methods.build import start
from eitdip.networks.jets import Jet
from eitdip.neural_pde.deep_ritz import NaiveDeepRitz, energies
from eitdip.phantoms import phantom
from eitdip.problems.bodies import prepare
from eitdip.problems.simulate_bodies import simulate_dirichlet

LOWEST, HIGHEST = 0.1, 10.0  # over the background


def check_that_energy_is_linear(objective: NaiveDeepRitz) -> None:
    """A tenth of the conductivity has a tenth of the energy, whatever the potentials are."""
    with torch.no_grad():
        u = objective.potentials(Jet.coordinates(objective.interior, laplacian=False))
        sigma = objective.conductivity(objective.interior).value
        assert torch.allclose(energies(u, 0.1 * sigma), 0.1 * energies(u, sigma))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("why_naive_deep_ritz_fails.png"))
    arguments = parser.parse_args()

    problem = prepare(simulate_dirichlet(phantom("three"), noise=0.01, seed=0))
    panels, results = {"truth": problem.truth}, {}
    for method, equation in (("deep-ritz-naive", "energy"), ("deep-ritz", "equation")):
        solution = eitdip.solve(
            problem, method, link="bounded", low=LOWEST, high=HIGHEST, steps=arguments.steps
        )  # fmt: skip
        history, sigma = solution.results[0].history, solution.x
        error = history["relative L2"]
        print(f"{method}:\n    step   {equation:>8}   own chi^2/N   relative L2")
        for i in np.linspace(0, arguments.steps - 1, 6).astype(int):
            print(f"    {i:4}   {history[equation][i]:8.2f}   {history['chi2'][i]:11.2f}   {error[i]:11.3f}")
        span = f"sigma from {sigma.min():.2f} to {sigma.max():.2f} S/m"
        print(f"    chi^2/N by finite elements {solution.misfit:.2f}, {span}")
        panels[f"{method}: error {error[-1]:.2f}"] = problem.unknown.picture(sigma)
        results[method] = history, error, solution
    plot.images(arguments.out, panels, extent=(-1, 1, -1, 1), background=1.0)

    history, error, solution = results["deep-ritz-naive"]
    naive = start(problem, solution.method, seed=0).objective
    naive.load_state_dict(solution.results[0].state, strict=False)  # all but where its sample points go on
    check_that_energy_is_linear(naive)
    assert history["energy"][-1] < 0.6 * history["energy"][0], "the energy falls ..."
    assert error[-1] > 1.5 * error[0], "... and the conductivity gets worse than none,"
    assert np.median(solution.x) < 2 * LOWEST, "down to the lower bound,"
    assert history["chi2"][-1] < 0.1 * history["chi2"][0] and solution.misfit > 1000, "with a misfit that deceives"
    _, error, solution = results["deep-ritz"]
    assert error[-1] < 0.25 and solution.misfit < 5, "the gap finds the three objects"


if __name__ == "__main__":
    main()
