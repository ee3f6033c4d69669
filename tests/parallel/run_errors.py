"""Errors on one rank must end the same call on every rank, and leave the ranks in step.

usage: mpiexec -n N python run_errors.py; rank 0 prints one JSON object per case
"""

import json

import numpy as np

from eitdip.errors import InvalidDataError
from eitdip.fem import DirichletModel
from eitdip.ranks.collectives import from_root, raise_together, together, world
from tests.parallel.cases import MODELS


class Fault(Exception):
    """Raised on purpose."""


class Anchored(Exception):
    """Cannot be pickled, as some errors of compiled libraries."""

    def __init__(self, message: str):
        super().__init__(message)
        self.handle = lambda: None


def anchored(comm):
    with together(comm):
        if comm.rank == comm.size - 1:
            raise Anchored("a handle")


def on_one_rank(comm, rank: int):
    with together(comm):
        if comm.rank == rank:
            raise Fault(f"rank {rank} failed")


def on_two_ranks(comm):
    """The lowest rank's error wins."""
    with together(comm):
        if comm.rank > 0:
            raise Fault(f"rank {comm.rank} failed")


def raised(comm):
    raise_together(InvalidDataError("bad file") if comm.rank == comm.size - 1 else None, comm)


def model_with(comm, name: str, value: float):
    """An entry of sigma that every rank sees, because rank 0's copy counts."""
    model = MODELS[name](comm)
    sigma = np.ones(model.domain.shape)
    if comm.rank == 0:
        sigma[3] = value
    model.linearize(sigma)


def solver_on_one_rank(comm):
    """A factorization that fails on the last rank only."""
    model = MODELS["electrodes"](comm)
    if comm.rank == comm.size - 1:
        model.system._constant[1][:] = np.nan
    model.linearize(np.ones(model.domain.shape))


def solver_on_a_shared_mesh(comm, solver: str):
    """A matrix whose part on the last rank is not a number."""
    model = MODELS["solid-electrodes"](comm, mesh_ranks=comm.size, solver=solver)
    if comm.rank == comm.size - 1:
        model.system._constant[1][:] = np.nan
    model.linearize(np.ones(model.domain.shape))


def indefinite_on_a_shared_mesh(comm, solver: str):
    """A matrix that is not positive definite; MUMPS tells all ranks."""
    model = MODELS["solid-electrodes"](comm, mesh_ranks=comm.size, solver=solver)
    model.system._constant[1][:] -= 100.0
    model.linearize(np.ones(model.domain.shape))


def wrong_mesh_ranks(comm):
    MODELS["electrodes"](comm, mesh_ranks=comm.size + 1)


def solve_on_one_rank(comm):
    """A solve that fails on the last rank only."""
    model = MODELS["electrodes"](comm)
    if comm.rank == comm.size - 1:
        model.system.solver.solve = lambda support, values: (_ for _ in ()).throw(Fault("no solution"))
    model.linearize(np.ones(model.domain.shape))


CASES = {
    "first": lambda comm: on_one_rank(comm, 0),
    "last": lambda comm: on_one_rank(comm, comm.size - 1),
    "lowest": on_two_ranks,
    "raised": raised,
    "anchored": anchored,
    "nan-electrodes": lambda comm: model_with(comm, "electrodes", np.nan),
    "nan-dirichlet": lambda comm: model_with(comm, "dirichlet", np.nan),
    "zero-neumann": lambda comm: model_with(comm, "neumann", 0.0),
    "factorization": solver_on_one_rank,
    "solve": solve_on_one_rank,
    "mesh-ranks": wrong_mesh_ranks,
    "shared-cholesky": lambda comm: solver_on_a_shared_mesh(comm, "cholesky"),
    "shared-multigrid": lambda comm: solver_on_a_shared_mesh(comm, "multigrid"),
    "indefinite-cholesky": lambda comm: indefinite_on_a_shared_mesh(comm, "cholesky"),
    "indefinite-last-factor": lambda comm: indefinite_on_a_shared_mesh(comm, "last-factor"),
}


def main() -> None:
    comm = world()
    for name, case in CASES.items():
        try:
            case(comm)
            seen = None
        except Exception as error:  # what it is, is what the test asks
            seen = [type(error).__name__, str(error)]
        everywhere = comm.allgather(seen)
        if comm.rank == 0:
            print(json.dumps({"case": name, "seen": everywhere}), flush=True)
    # After all that the ranks still work together.
    model = MODELS["dirichlet"](comm)
    assert isinstance(model, DirichletModel)
    value = model(np.ones(model.domain.shape))
    assert np.array_equal(value, from_root(value, comm))


if __name__ == "__main__":
    main()
