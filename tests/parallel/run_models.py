"""Data, derivative and gradient of all models, in all ways to share them over the ranks of this run.

rank 0 writes them; usage: mpiexec -n N python run_models.py OUT.npz [MESH_RANKS,...] [errors]

Ways with these numbers of ranks per mesh only, if they are given; "errors" does what run_errors.py does after that.
"""

import sys

import numpy as np

from eitdip.ranks.collectives import world
from tests.parallel import run_errors
from tests.parallel.cases import MODELS, evaluate, variants


def main() -> None:
    comm = world()
    results = {}
    chosen = [word for word in sys.argv[2:] if word != "errors"]
    shapes = [int(number) for word in chosen for number in word.split(",")]
    for way, (name, keywords) in variants(comm.size, shapes).items():
        for key, value in evaluate(MODELS[name](comm, **keywords), wrong_on_other_ranks=comm.rank > 0).items():
            results[f"{way}.{key}"] = value
    everywhere = comm.gather(results, root=0)
    if comm.rank == 0:
        for rank, other in enumerate(everywhere):
            for key, value in results.items():
                assert np.array_equal(other[key], value), f"{key} differs between ranks 0 and {rank}"
        np.savez(sys.argv[1], ranks=comm.size, **results)
    if "errors" in sys.argv:
        run_errors.main()


if __name__ == "__main__":
    main()
