"""A solid in a few steps: a network that has seen a thousand simulated tanks with ellipsoids, and this one never.

A tank with two rings of 16 electrodes holds two balls, as in `tank_3d.py`. A deep image prior of voxels begins with
nothing, for each measurement anew. The educated one begins with what a small 3-D U-Net says of one-step linearized
volumes of the voltages; it has learned that from tanks like this one, on other meshes, with misplaced electrodes and
errors of the instrument. Then both are fitted to the voltages by the same loop.

The weights can be kept and used by name: `eitdip train FILE --out solid.safetensors` for a measurement of the tank,
then `--method educated --set weights=solid.safetensors`; here `--weights` takes such a file.

    python demos/impedance/educated_solid.py [--h 0.07] [--lessons 1500] [--out results/educated_solid]
"""

import argparse
from pathlib import Path

import numpy as np

import eitdip
from eitdip.mesh import Cylinder
from eitdip.phantoms import phantom
from eitdip.plot.solids import draw_section
from eitdip.plot.style import colour_scale, picture
from eitdip.pretraining.training import Network, Training
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.runs.educate import educate
from eitdip.writing import make_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/educated_solid"))
    parser.add_argument("--h", type=float, default=0.07, help="edge length over the radius; 0.0355 for 51,000 nodes")
    parser.add_argument("--tanks", type=int, default=1500, help="that are simulated")
    parser.add_argument("--lessons", type=int, default=1500, help="steps of training")
    parser.add_argument("--steps", type=int, default=200, help="of the untrained one")
    parser.add_argument("--few", type=int, default=15, help="of the educated one, each of a few evaluations")
    parser.add_argument("--weights", type=Path, help="of an earlier training")
    arguments = parser.parse_args()
    make_folder(arguments.out)

    tank = Cylinder(radius=0.14, height=0.14, rings=2, electrodes=16, width=0.024, electrode_height=0.03)
    data = simulate_electrodes(phantom("two-balls"), tank, noise=0.003, seed=0, h=0.95 * arguments.h)
    weights = arguments.weights or arguments.out / "solid.safetensors"
    if arguments.weights is None:
        network = Network(channels=24, levels=2, skips=8, patch=2, tanks=arguments.tanks)
        # A coarse mesh is enough to learn from.
        educate(prepare(data, Meshing(h=0.1)), network, Training(steps=arguments.lessons, batch=8), out=weights)

    problem = prepare(data, Meshing(h=arguments.h))
    # So near to the answer curvature pays: a step of L-BFGS is worth ten of Adam, which would first throw it back.
    curved = {"optimizer": "lbfgs", "learning_rate": 1.0, "warm_up": 0, "weights": str(weights), "tv": 2.0}
    solutions = {
        "network alone": eitdip.solve(problem, "educated", steps=1, **curved),
        "educated": eitdip.solve(problem, "educated", steps=arguments.few, **curved),
        "untrained": eitdip.solve(problem, "dip-tv", tv=2.0, steps=arguments.steps),
    }
    for name, solution in solutions.items():
        scores = solution.errors
        print(
            f"{name:<14} {solution.results[0].iterations:>4} steps, chi^2/N {solution.misfit:6.2f}, relative L2 error "
            f"{scores['relative L2']:.3f}, overlap with the balls {scores['dice conductive']:.2f} and "
            f"{scores['dice resistive']:.2f}"
        )
    compare(arguments.out, problem, solutions)
    curves = {name: solution.results[0].history["chi2"] for name, solution in solutions.items()}
    start, end = curves["educated"][0], curves["educated"][-1]
    assert start < curves["untrained"][0] / 2, "what is learned beforehand need not be found again"
    assert end < curves["untrained"][5 * arguments.few - 1], "and as many evaluations lead further"


def compare(out: Path, problem, solutions: dict) -> None:
    """Sections of all, and the misfit along the steps."""
    domain, low, height = problem.unknown.domain, *np.array([0.35, 0.7]) * 0.14
    columns = {"truth": problem.truth} | {name: solution.x for name, solution in solutions.items()}
    sizes = [None, *[domain.cell_sizes] * len(solutions)]
    style, draw_bar = colour_scale(list(columns.values()), problem.unknown.start, "S/m", sizes)
    with picture(out / "sections.png", (3.1 * len(columns) + 1, 7.8)) as figure:
        grid = figure.subplots(3, len(columns), squeeze=False, gridspec_kw={"height_ratios": [2, 2, 1.2]})
        for panels, (axis, at) in zip(grid, ((2, height), (2, low), (1, 0.0)), strict=True):
            for axes, (name, values) in zip(panels, columns.items(), strict=True):
                drawn = draw_section(axes, domain, values, style, f"{name}, ", axis, at)
        draw_bar(figure, drawn, grid)
    with picture(out / "misfit.png", (6.5, 3.6)) as figure:
        axes = figure.subplots()
        for name in ("educated", "untrained"):
            chi2 = solutions[name].results[0].history["chi2"]
            axes.loglog(np.arange(1, len(chi2) + 1), chi2, label=name)
        axes.axhline(1.05, color="gray", linewidth=0.8)
        axes.set(xlabel="step", ylabel="chi^2 / N")
        axes.legend()
    print(f"pictures: {out}/sections.png, misfit.png")


if __name__ == "__main__":
    main()
