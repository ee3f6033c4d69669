"""How soon an educated prior fits a solid, against an untrained one: the tank of demos/impedance/tank_3d.py.

Two rings of 16 electrodes, 51,000 nodes, 0.3 % noise. Counted are the steps until chi^2/N <= 1.05 (Adam's of the
untrained one, those of L-BFGS of the educated one, which take up to five evaluations) and the seconds of one core until
then, those of preparing the network's input included. The two balls are those of the demo; the ellipsoids are of the
kind that the network has seen, upright elliptic cylinders are not. Data, training and inversion have meshes of their
own. Weights are those of demos/impedance/educated_solid.py, or of `eitdip train` for a file of that tank.

    python -m benchmarks.quality.educated_solid --weights solid.safetensors
"""

import argparse
import time
from functools import partial
from pathlib import Path

from benchmarks.quality.kept import kept, show
from eitdip.mesh import Cylinder
from eitdip.methods.build import start
from eitdip.methods.options import method
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.problem import Problem
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Discrepancy, FirstOf, reconstruct
from eitdip.writing import make_folder

TANK = Cylinder(radius=0.14, height=0.14, rings=2, electrodes=16, width=0.024, electrode_height=0.03)
AIM = 1.05
PHANTOMS = {"two balls": "two-balls", "four ellipsoids": "7", "two elliptic cylinders": "tank"}
METHODS = {
    "untrained": ("dip-tv", {"tv": 2.0, "steps": 300}),
    "educated": ("educated", {"tv": 2.0, "steps": 40, "optimizer": "lbfgs", "learning_rate": 1.0, "warm_up": 0}),
}


def prepared(name: str, h: float) -> Problem:
    """The problem of a phantom, its data from another mesh."""
    body = phantom(PHANTOMS[name], dimension=3)
    return prepare(simulate_electrodes(body, TANK, noise=0.003, seed=0, h=0.95 * h), Meshing(h=h))


def run(problem: Problem, label: str, weights: Path) -> dict:
    """One method until the aim is reached, as JSON values; seconds of the processor, as other work may run beside."""
    name, settings = METHODS[label]
    settings = settings | ({"weights": str(weights)} if label == "educated" else {})
    began = time.process_time()
    parts = start(problem, method(name, settings), seed=0)
    before, rule = time.process_time() - began, FirstOf(Discrepancy(AIM), parts.stop)
    result = reconstruct(parts.objective, parts.optimizer, rule, schedule=parts.schedule)
    chi2 = result.history["chi2"]
    return {
        "chi2": chi2.tolist(), "reached": bool(chi2[-1] <= AIM), "steps": len(chi2), "before": before,
        "seconds": time.process_time() - began, "errors": problem.unknown.judge(problem.truth).metrics(result.x),
        "nodes": len(problem.unknown.domain.points),
    }  # fmt: skip


def table(rows: dict[str, dict[str, dict]]) -> str:
    """Markdown: a row for each phantom."""
    lines = [
        "| phantom | nodes | chi^2/N at first, untrained and educated | steps | ratio | seconds | ratio | "
        "relative L2 error |",
        "|" + "---|" * 8,
    ]
    for name, row in rows.items():
        both = [row[label] for label in METHODS]
        steps, seconds = ([each[key] for each in both] for key in ("steps", "seconds"))
        told = [f"{each['steps']}" if each["reached"] else f"> {each['steps']}" for each in both]
        first, errors = ([f"{value:.2f}" for value in values] for values in (
            [each["chi2"][0] for each in both], [each["errors"]["relative L2"] for each in both]))  # fmt: skip
        lines.append(
            f"| {name} | {both[0]['nodes']} | {', '.join(first)} | {', '.join(told)} | {steps[1] / steps[0]:.2f} | "
            f"{seconds[0]:.0f}, {seconds[1]:.0f} | {seconds[1] / seconds[0]:.2f} | {', '.join(errors)} |"
        )
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("results/educated_solid"))
    parser.add_argument("--h", type=float, default=0.0355, help="edge length over the radius")
    parser.add_argument("--phantoms", nargs="+", choices=list(PHANTOMS), default=list(PHANTOMS))
    arguments = parser.parse_args(words)
    use_threads(1)
    make_folder(arguments.out)
    rows = {}
    for name in arguments.phantoms:
        files = {label: arguments.out / f"{name.replace(' ', '-')}-{label}.json" for label in METHODS}
        problem = None if all(path.exists() for path in files.values()) else prepared(name, arguments.h)
        rows[name] = {
            label: kept(path, partial(run, problem, label, arguments.weights)) for label, path in files.items()
        }
        print(f"{name}: {[rows[name][label]['steps'] for label in METHODS]} steps", flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
