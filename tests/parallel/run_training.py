"""Trainings on the ranks of this run; rank 0 writes their weights. At last one rank alone fails.

usage: mpiexec -n N python run_training.py FOLDER
"""

import sys
import time
from pathlib import Path

import numpy as np

from eitdip.pretraining.training import Training
from eitdip.pretraining.weights import build
from eitdip.ranks.collectives import world
from eitdip.runs import training
from tests.cases.lessons import UNET, Waves, squared

STEPS = Training(steps=50, batch=8, learning_rate=3e-3, look=10, average=0.9)


class Failing(Waves):
    """On the last rank there are no pairs from the third step on."""

    def pairs(self, first, count):
        if world().rank == world().size - 1 and first >= 2 * STEPS.batch:
            sys.stderr.write(f"FAULT {time.time()}\n")
            sys.stderr.flush()
            raise KeyError("a fault on one rank")
        return super().pairs(first, count)


def trained(comm, double: bool, source: Waves | None = None, **how):
    """Weights and result of a network in single or double precision."""
    inner = training.build
    training.build = lambda architecture: build(architecture).double() if double else build(architecture)
    try:
        source = source or Waves(double=double)
        return training.train(UNET, source, squared(), STEPS, comm=comm, quiet=True, **how)
    finally:
        training.build = inner


def all_weights(result) -> np.ndarray:
    return np.concatenate([value.numpy().ravel() for _, value in sorted(result.state.items())])


def resumed(comm, path: Path):
    """Stopped after 20 steps, by all ranks, and gone on with."""
    inner, training.Interruption = training.Interruption, lambda comm: Asked(20)
    try:
        trained(comm, True, checkpoint=path)
    finally:
        training.Interruption = inner
    return trained(comm, True, checkpoint=path, resume=True)[1]


class Asked:
    """An interruption after some steps."""

    def __init__(self, steps: int):
        self.left = steps

    def __enter__(self):
        return self

    def __exit__(self, *nothing):
        return None

    def agreed(self, comm) -> bool:
        self.left -= 1
        return self.left == 0


def main() -> None:
    comm, folder = world(), Path(sys.argv[1])
    found = {name: trained(comm, name == "double")[1] for name in ("double", "single")}
    found["resumed"] = resumed(comm, folder / "checkpoint.safetensors")
    arrays = {f"{name} {key}": values for name, result in found.items() for key, values in
              {"weights": all_weights(result), "held_out": result.history["held_out"]}.items()}  # fmt: skip
    for other in comm.allgather(arrays):
        for name, values in arrays.items():
            assert np.array_equal(other[name], values), f"{name} differs between ranks"
    if comm.rank == 0:
        np.savez(folder / "two.npz", ranks=comm.size, **arrays)
    comm.barrier()
    trained(comm, False, Failing())


if __name__ == "__main__":
    main()
