"""A water tank, from electrode voltages to a picture: what `make demo` runs.

A tank with one resistive and one conductive object is simulated on a fine curved mesh with 1 %
noise, and its conductivity is reconstructed on a coarser mesh by a deep image prior with total
variation. Where the KTC2023 measurements are at hand, a real tank follows, with the very same call:
only the data differ.

    python demos/reconstruct_tank.py [--out results/demo] [--steps 500]
"""

import argparse
from pathlib import Path

from eitdip.data import data_root, load
from eitdip.mesh import Tank
from eitdip.methods.build import options_for, prepare
from eitdip.metrics import ktc_score
from eitdip.phantoms import phantom
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.ranks.collectives import together, world
from eitdip.ranks.threads import use_threads
from eitdip.runs import output, session


def reconstruct(name: str, measurements, out: Path, settings: dict):
    """One tank: prepare, solve, write; returns the problem, the solution and a row of numbers."""
    comm = world()
    options = options_for("dip-tv", settings)
    with together(comm):
        if comm.rank == 0:
            output.check_folder(out / name)
    problem = prepare(measurements, options, comm)
    solution = session.solve(problem, options, comm=comm, folder=out / name / "checkpoint")
    row = {"tank": name, "chi^2/N": f"{solution.chi2:.2f}", "seconds": f"{solution.seconds['total']:.0f}"}
    with together(comm):
        if comm.rank == 0:
            summary = output.write(out / name, problem, solution, "dip-tv", options)
            if summary["metrics"]:
                row["relative L2"] = f"{summary['metrics']['relative L2']:.3f}"
    return problem, solution, row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/demo"))
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    use_threads()

    tank = Tank(radius=0.14, electrodes=16, width=0.0275)
    simulated = simulate_electrodes(phantom("tank"), tank, noise=0.01, seed=0)
    settings = {"steps": arguments.steps}
    problem, solution, row = reconstruct("simulated", simulated, arguments.out, settings)
    rows = [row]

    ktc = data_root() / "ktc2023" if data_root() else None
    if ktc is not None and ktc.is_dir():
        from eitdip.challenges.ktc2023 import classify, to_challenge_grid
        from eitdip.data.ktc2023 import truth

        measured = load(ktc / "training" / "data2.mat")
        problem, solution, row = reconstruct("ktc2023-2", measured, arguments.out, settings)
        labels = classify(to_challenge_grid(solution.estimate / problem.background))
        row["KTC score"] = f"{ktc_score(truth(ktc / 'truth_2024' / 'true2.mat'), labels):.3f}"
        rows.append(row)

    if world().rank == 0:
        names = ["tank", "chi^2/N", "relative L2", "KTC score", "seconds"]
        for line in [dict(zip(names, names, strict=True)), *rows]:
            print("  ".join(f"{line.get(name, '-'):<12}" for name in names))
        print(f"pictures: {arguments.out}/*/conductivity.png, data_fit.png, curves.png")
        if len(rows) == 1:
            print("real data: set EITDIP_DATA to a folder with ktc2023/ to reconstruct a measured tank, too")


if __name__ == "__main__":
    main()
