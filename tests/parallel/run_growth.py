"""Models made and dropped on the ranks of this run: what they leave behind.

usage: mpiexec -n N python run_growth.py COUNT; rank 0 prints, per way to share the work over the ranks, the bytes that
each rank has grown per model and how many communicators are lost.
"""

import gc
import json
import sys

import numpy as np
from mpi4py import MPI

from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.ranks.collectives import world
from tests.cases.meshes import ring_disk

DOMAIN = ring_disk(8, 4)
CURRENTS = adjacent(4)


def resident() -> int:
    """Bytes of physical memory of this process."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def room(comm) -> int:
    """How many communicators MPI still has."""
    made = []
    try:
        while True:
            made.append(comm.Dup())
    except MPI.Exception:
        return len(made)
    finally:
        for each in made:
            each.Free()


def use(comm, ways: dict) -> None:
    model = CompleteElectrodeModel(DOMAIN, CURRENTS, 0.1, comm=comm, **ways)
    value, derivative = model.linearize(np.ones(model.domain.shape))
    derivative.adjoint(value)


def main() -> None:
    comm, count = world(), int(sys.argv[1])
    for ways in (
        {"mesh_ranks": 1},
        {"mesh_ranks": comm.size},
        {"mesh_ranks": comm.size, "solver": "last-factor"},
        {"mesh_ranks": comm.size, "solver": "multigrid"},
    ):
        for warm in [ways] * 10 + [{"mesh_ranks": comm.size}]:  # also what is set up once for shared meshes
            use(comm, warm)
        free, before = room(comm), resident()  # looking for room takes memory itself, once
        for _ in range(count):
            use(comm, ways)
        use(comm, {"mesh_ranks": comm.size})  # it is the next model that cleans up
        grown = [(after - start) / count for start, after in comm.allgather((before, resident()))]
        lost = free - room(comm)
        if comm.rank == 0:
            print(json.dumps({"ways": ways, "grown": grown, "lost": lost}), flush=True)


if __name__ == "__main__":
    main()
