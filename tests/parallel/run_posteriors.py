"""Laplace posteriors of a tank and of a sinogram on the ranks of this run; rank 0 writes their deviations.

usage: mpiexec -n N python run_posteriors.py TANK.h5 OUT.npz
"""

import sys
from pathlib import Path

import numpy as np

import eitdip
from eitdip.data import load
from eitdip.problems.bodies import Meshing, prepare
from eitdip.ranks.collectives import world
from tests.cases import images

SMALL = {"channels": 4, "steps": 3, "stop": "budget", "uncertainty": "laplace", "quiet": True}


def find_all(tank: Path, comm) -> dict[str, np.ndarray]:
    """Deviations, and a sample, by problem."""
    found = {}
    body = prepare(load(tank), Meshing(h=0.3), comm)
    for name, problem, settings in (
        ("tank", body, {"size": 16}), ("sinogram", images.sinogram(), {"levels": 2}),
    ):  # fmt: skip
        posterior = eitdip.solve(problem, "dip-tv", **SMALL, **settings).posterior
        found[f"{name} deviation"] = posterior.deviation()
        found[f"{name} sample"] = posterior.sample(1, np.random.default_rng(0))[0]
    return found


def main() -> None:
    comm = world()
    found = find_all(Path(sys.argv[1]), comm)
    for other in comm.allgather(found):
        for case, values in found.items():
            assert np.array_equal(other[case], values, equal_nan=True), f"{case} differs between ranks"
    if comm.rank == 0:
        np.savez(sys.argv[2], ranks=comm.size, **found)


if __name__ == "__main__":
    main()
