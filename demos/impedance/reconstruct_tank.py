"""A water tank, from electrode voltages to a picture: what `make demo` runs.

A tank with one resistive and one conductive object is simulated on a fine curved mesh with 1 %
noise, and its conductivity is reconstructed on a coarser mesh by a deep image prior with total
variation. Where the KTC2023 measurements are at hand, a real tank follows, with the very same call:
only the problem differs.

    python demos/impedance/reconstruct_tank.py [--out results/demo] [--steps 500]
"""

import argparse
from pathlib import Path

import eitdip
from eitdip.data import data_root
from eitdip.mesh import Tank
from eitdip.metrics import ktc_score
from eitdip.phantoms import phantom
from eitdip.problems.bodies import prepare
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.ranks.collectives import together


def reconstruct(name: str, problem, out: Path, steps: int):
    """One tank: solve, write; the solution, and a row of numbers."""
    solution = eitdip.solve(problem, "dip-tv", steps=steps, folder=out / name / "checkpoint")
    with together(problem.comm):
        if problem.comm.rank == 0:
            solution.save(out / name)
    row = {"tank": name, "chi^2/N": f"{solution.misfit:.2f}", "seconds": f"{solution.cost.seconds['total']:.0f}"}
    return solution, row | {error: f"{value:.3f}" for error, value in solution.errors.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/demo"))
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()

    tank = Tank(radius=0.14, electrodes=16, width=0.0275)
    problem = prepare(simulate_electrodes(phantom("tank"), tank, noise=0.01, seed=0))
    _, row = reconstruct("simulated", problem, arguments.out, arguments.steps)
    rows = [row]

    ktc = data_root() / "ktc2023" if data_root() else None
    if ktc is not None and ktc.is_dir():
        from eitdip.challenges.ktc2023 import classify, to_challenge_grid
        from eitdip.data.ktc2023 import truth

        problem = eitdip.load(ktc / "training" / "data2.mat")
        solution, row = reconstruct("ktc2023-2", problem, arguments.out, arguments.steps)
        labels = classify(to_challenge_grid(solution.field / problem.unknown.start))
        rows.append(row | {"KTC score": f"{ktc_score(truth(ktc / 'truth_2024' / 'true2.mat'), labels):.3f}"})

    if problem.comm.rank == 0:
        names = ["tank", "chi^2/N", "relative L2", "KTC score", "seconds"]
        for line in [dict(zip(names, names, strict=True)), *rows]:
            print("  ".join(f"{line.get(name, '-'):<12}" for name in names))
        print(f"pictures: {arguments.out}/*/conductivity.png, data_fit.png, curves.png")
        if len(rows) == 1:
            print("real data: set EITDIP_DATA to a folder with ktc2023/ to reconstruct a measured tank, too")


if __name__ == "__main__":
    main()
