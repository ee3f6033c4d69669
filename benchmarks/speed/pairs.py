"""Simulated tanks a second: mpiexec -n 2 python -m benchmarks.speed.pairs [MESHES].

Each mesh has 60 tanks with 32 electrodes, drawn, rasterized and solved: what pretraining's files are made of. Meshes
are divided over the ranks; the time is that of the slowest, with gmsh's eight meshes made before.
"""

import sys
import time

from eitdip.data.ktc2023 import TANK
from eitdip.problems.simulate_transfer import PER_MESH, TankFamily, simulate_tanks
from eitdip.ranks.collectives import world
from eitdip.ranks.threads import use_threads


def main() -> None:
    meshes = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    comm, family = world(), TankFamily(TANK)
    use_threads()
    for number in range(meshes):  # every perfect mesh is needed once
        simulate_tanks(family, 0, number)
    began = time.perf_counter()
    for number in range(comm.rank, meshes, comm.size):
        simulate_tanks(family, 1, number)
    seconds = max(comm.allgather(time.perf_counter() - began))
    if comm.rank == 0:
        print(f"{meshes * PER_MESH / seconds:.0f} tanks a second on {comm.size} ranks")


if __name__ == "__main__":
    main()
