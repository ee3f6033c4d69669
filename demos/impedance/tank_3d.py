"""Two objects in a cylindrical tank, found by a deep image prior of voxels.

A tank with two rings of 16 electrodes holds a resistive and a conductive ball. Voltages with 0.3 %
noise are simulated on one mesh, and the conductivity is reconstructed on another of more than 50,000
nodes. A decoder with 3-D convolutions draws the voxels; the linear systems are solved by conjugate
gradients that lean on an earlier factor, since the conductivity changes little from step to step.

    python demos/impedance/tank_3d.py [--out results/tank_3d] [--steps 300] [--h 0.0355]
"""

import argparse
from pathlib import Path

import eitdip
from eitdip.mesh import Cylinder
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.ranks.collectives import together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/tank_3d"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--h", type=float, default=0.0355, help="edge length over the radius")
    arguments = parser.parse_args()

    tank = Cylinder(radius=0.14, height=0.14, rings=2, electrodes=16, width=0.024, electrode_height=0.03)
    data = simulate_electrodes(phantom("two-balls"), tank, noise=0.003, seed=0, h=0.95 * arguments.h)
    problem = prepare(data, Meshing(h=arguments.h))
    solution = eitdip.solve(problem, "dip-tv", tv=2.0, steps=arguments.steps, folder=arguments.out / "checkpoint")
    with together(problem.comm):
        if problem.comm.rank == 0:
            solution.save(arguments.out)
            report(solution, arguments.out)


def report(solution, out: Path) -> None:
    """Print the numbers, and assert that the extremes of the conductivity lie in the two balls."""
    domain, scores, solver = solution.problem.unknown.domain, solution.errors, solution.cost.solver
    print(f"{len(domain.points)} nodes, chi^2/N {solution.misfit:.2f}, pictures in {out}")
    print(f"relative L2 error {scores['relative L2']:.3f}, overlap with the conductive ball", end=" ")
    print(f"{scores['dice conductive']:.2f}, with the resistive {scores['dice resistive']:.2f}")
    steps = solution.results[0].iterations
    print(f"{solver['factorizations']} factorizations for {steps} steps: {solver['solver']}")
    truth = phantom("two-balls").on_domain(domain, 1.0)
    assert truth[solution.x.argmax()] > 1, "the most conductive cell lies in the conductive ball"
    assert truth[solution.x.argmin()] < 1, "the least conductive cell lies in the resistive ball"


if __name__ == "__main__":
    main()
