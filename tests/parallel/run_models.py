"""Data, derivative and gradient of all models, in all ways to share them over the ranks of this run.

rank 0 writes them; usage: mpiexec -n N python run_models.py OUT.npz
"""

import sys

import numpy as np

from eitdip.ranks.collectives import world
from tests.parallel.cases import MODELS, evaluate, variants


def main() -> None:
    comm = world()
    results = {}
    for way, (name, keywords) in variants(comm.size).items():
        for key, value in evaluate(MODELS[name](comm, **keywords), wrong_on_other_ranks=comm.rank > 0).items():
            results[f"{way}.{key}"] = value
    everywhere = comm.gather(results, root=0)
    if comm.rank == 0:
        for rank, other in enumerate(everywhere):
            for key, value in results.items():
                assert np.array_equal(other[key], value), f"{key} differs between ranks 0 and {rank}"
        np.savez(sys.argv[1], ranks=comm.size, **results)


if __name__ == "__main__":
    main()
