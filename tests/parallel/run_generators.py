"""Reconstructions with every generator on the ranks of this run; rank 0 writes their conductivities.

usage: mpiexec -n N python run_generators.py FOLDER OUT.npz

FOLDER has plane.h5 and solid.h5.
"""

import sys
from pathlib import Path

import numpy as np

from eitdip.data import load
from eitdip.methods import options_for, prepare
from eitdip.options import CHOICES
from eitdip.parallel import world
from eitdip.session import solve

SIZES = {"plane": {"h": 0.35, "size": 16}, "solid": {"h": 0.5, "size": 8}}
NARROW = ("decoder", "unet", "skip", "deep-decoder", "two-layer", "fourier", "sine")


def solve_all(folder: Path, comm) -> dict[str, np.ndarray]:
    """sigma after a few steps, by body and generator."""
    found = {}
    for body, sizes in SIZES.items():
        measurements, problem = load(folder / f"{body}.h5"), None
        for name in CHOICES["generator"]:
            channels = {"channels": 4} if name in NARROW else {}
            options = options_for("dip-tv", sizes | channels | {"generator": name, "steps": 3, "learning_rate": 0.02})
            problem = prepare(measurements, options, comm) if problem is None else problem
            found[f"{body} {name}"] = solve(problem, options, comm=comm, quiet=True).sigma
    return found


def main() -> None:
    comm = world()
    found = solve_all(Path(sys.argv[1]), comm)
    for rank, other in enumerate(comm.allgather(found)):
        for case, sigma in found.items():
            assert np.array_equal(other[case], sigma), f"{case} differs between ranks {comm.rank} and {rank}"
    if comm.rank == 0:
        np.savez(sys.argv[2], ranks=comm.size, **found)


if __name__ == "__main__":
    main()
