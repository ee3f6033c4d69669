"""Reconstructions with every generator on the ranks of this run; rank 0 writes their conductivities.

usage: mpiexec -n N python run_generators.py FOLDER OUT.npz

FOLDER has plane.h5 and solid.h5, and plane.safetensors with a pretrained network.
"""

import sys
from pathlib import Path

import numpy as np

from eitdip.data import load
from eitdip.methods.names import GENERATORS
from eitdip.problems.bodies import Meshing, prepare
from eitdip.ranks.collectives import world
from eitdip.runs.session import solve

SIZES = {"plane": (0.35, 16), "solid": (0.5, 8)}  # edges of the mesh over the radius, pixels per side
NARROW = ("decoder", "unet", "skip", "deep-decoder", "convolutional-decoder", "two-layer", "fourier", "sine")


def generators(body: str) -> list[str]:
    """Those that there are for a body: pretrained networks are for plane ones."""
    return [name for name in GENERATORS if name != "educated" or body == "plane"]


def solve_all(folder: Path, comm) -> dict[str, np.ndarray]:
    """Conductivities after a few steps, by body and generator."""
    found = {}
    for body, (h, size) in SIZES.items():
        problem = prepare(load(folder / f"{body}.h5"), Meshing(h=h), comm)
        for name in generators(body):
            settings = {"generator": name, "steps": 3, "learning_rate": 0.02}
            settings |= {} if name in ("cells", "vertices", "educated") else {"size": size}
            settings |= {"weights": str(folder / "plane.safetensors")} if name == "educated" else {}
            settings |= {"channels": 4} if name in NARROW else {}
            found[f"{body} {name}"] = solve(problem, "dip-tv", quiet=True, **settings).x
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
