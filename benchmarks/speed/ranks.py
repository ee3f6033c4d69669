"""Time and memory of one evaluation on several ranks: python -m benchmarks.speed.ranks [NODES] [RANKS ...].

A cube of about NODES nodes (default 50,000) with 16 electrodes; value and gradient, with each way to share the
work: every rank holds the whole mesh and the patterns are split, or all ranks hold one mesh together.
Each line is a run of its own, so that the peak memory is that of one way only.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

REPETITIONS = 3


def cube(nodes: int):
    """A structured cube with 16 electrodes on its four walls."""
    from tests.cases.solids import box

    def tag(middles):
        tags = np.zeros(len(middles), dtype=int)
        cell = np.floor(4 * middles).clip(0, 3)
        inside = (np.abs(4 * middles - cell - 0.5) < 0.3).sum(axis=1) >= 2
        for wall, (axis, place) in enumerate(((0, 0.0), (1, 0.0), (0, 1.0), (1, 1.0))):
            here = (middles[:, axis] == place) & inside & np.isin(cell[:, 2], (0, 2))
            here &= np.isin(cell[:, 1 - axis], (0, 2))
            tags[here] = 1 + 4 * wall + (cell[here, 2] + cell[here, 1 - axis] / 2).astype(int)
        return tags

    n = round(nodes ** (1 / 3)) - 1
    return box(n, n, n, tag=tag)


def measure(nodes: int, mesh_ranks: int, solver: str) -> dict:
    """Medians over repetitions, and the largest resident memory of any rank."""
    from eitdip.fem import CompleteElectrodeModel
    from eitdip.fem.patterns import adjacent
    from eitdip.ranks.collectives import world

    comm = world()
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    domain = cube(nodes)
    model = CompleteElectrodeModel(
        domain, adjacent(16), 0.1, comm=comm, mesh_ranks=mesh_ranks or comm.size, solver=solver
    )
    rng, seconds = np.random.default_rng(0), []
    sigma = np.exp(0.3 * rng.standard_normal(model.domain.shape))
    weight = model.range.random(rng)
    for _ in range(REPETITIONS + 1):
        sigma = sigma * (1 + 0.05 * rng.uniform(-1, 1, sigma.shape))
        comm.Barrier()
        start = time.perf_counter()
        model.linearize(sigma)[1].adjoint(weight)
        comm.Barrier()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = model.solver_report()
    return {
        "nodes": len(domain.points),
        "ranks": comm.size,
        "ranks per mesh": report["ranks per mesh"],
        "solver": report["solver"],
        "seconds": float(np.median(seconds[1:])),
        "peak MiB per rank": [round(value) for value in comm.allgather(peak)],
        "of it before the mesh": round(base),
    }


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    counts = [int(word) for word in sys.argv[2:]] or [1, 2]
    launcher = Path(sys.executable).parent / "mpiexec"
    for solver in ("cholesky", "cholesky-blr", "last-factor", "multigrid"):
        for ranks in counts:
            for mesh_ranks in sorted({1, ranks}):
                words = [str(launcher), "-n", str(ranks), sys.executable, "-m", "benchmarks.speed.ranks"]
                done = subprocess.run(
                    [*words, "--measure", str(nodes), str(mesh_ranks), solver], capture_output=True, text=True
                )
                print(done.stdout.strip() or f"failed: {done.stderr[-300:]}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        found = measure(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
        from eitdip.ranks.collectives import world

        if world().rank == 0:
            print(json.dumps(found))
    else:
        main()
