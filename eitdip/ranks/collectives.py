"""MPI: control is replicated, state is distributed.

Every rank runs the same program on the same full arrays; the finite-element models split their
work over the ranks and hand identical results back to all. COMM_WORLD is named only here, and mpi4py
is imported when it is first asked for: images need neither.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from eitdip.errors import EitdipError, OptionError
from eitdip.ranks.failures import watch_uncaught
from eitdip.ranks.serial import Serial

if TYPE_CHECKING:
    from mpi4py import MPI


def world() -> MPI.Comm | Serial:
    """All ranks of this run; one process where mpi4py is not installed."""
    try:
        from mpi4py import MPI
    except ImportError:
        return Serial()
    watch_uncaught()
    return MPI.COMM_WORLD


def alone() -> MPI.Comm | Serial:
    """This rank only."""
    try:
        from mpi4py import MPI
    except ImportError:
        return Serial()
    return MPI.COMM_SELF


@dataclass(frozen=True, eq=False)
class Layout:
    """The ranks of a model as a grid: some share one mesh, and the groups so formed share the patterns.

    With one rank per mesh every rank holds the whole mesh ("pattern-parallel"); with all ranks on
    one mesh each holds a part of it ("domain-parallel"); in between are groups of both.

    Args:
        everyone: All ranks.
        mesh: The ranks that hold one copy of the mesh together, this rank's group.
        patterns: The ranks that hold the same part of the mesh, one of each group.
    """

    everyone: MPI.Comm
    mesh: MPI.Comm
    patterns: MPI.Comm

    @staticmethod
    def of(comm: MPI.Comm, mesh_ranks: int = 1) -> Layout:
        """Groups of `mesh_ranks` ranks each.

        Raises:
            OptionError: If `mesh_ranks` does not divide the number of ranks.
        """
        if mesh_ranks < 1 or comm.size % mesh_ranks:
            divisors = ", ".join(str(n) for n in range(1, comm.size + 1) if comm.size % n == 0)
            raise OptionError(f"mesh_ranks: got {mesh_ranks} for {comm.size} ranks, expected one of: {divisors}")
        if mesh_ranks == 1:
            return Layout(comm, alone(), comm)
        if mesh_ranks == comm.size:
            return Layout(comm, comm, alone())
        return Layout(comm, *_grid(comm, mesh_ranks))


def _grid(comm: MPI.Comm, mesh_ranks: int) -> tuple[MPI.Comm, MPI.Comm]:
    """Rows and columns of the grid. MPI has about 2,000 communicators: each grid is made once and kept with `comm`."""
    kept = comm.Get_attr(_key())
    if kept is None:
        kept = {}
        comm.Set_attr(_key(), kept)
    if mesh_ranks not in kept:
        group, place = divmod(comm.rank, mesh_ranks)
        kept[mesh_ranks] = comm.Split(group, place), comm.Split(place, group)
    return kept[mesh_ranks]


@cache
def _key() -> int:
    """Under which a communicator keeps its grids; they are freed with it."""
    from mpi4py import MPI

    def free(comm, key, kept):
        for part in (part for parts in kept.values() for part in parts):
            part.Free()

    return MPI.Comm.Create_keyval(delete_fn=free)


def free_garbage(comm: MPI.Comm) -> None:
    """Let PETSc free what was dropped on all ranks; all ranks call it.

    Python drops objects whenever it likes, ranks not at the same time, so PETSc keeps those that ranks share until
    it is asked.
    """
    petsc = sys.modules.get("petsc4py.PETSc")
    if petsc is not None and comm.size > 1:
        petsc.garbage_cleanup(comm)


def share_of(count: int, comm: MPI.Comm) -> slice:
    """The contiguous part of `count` items that this rank works on."""
    bounds = _bounds(count, comm.size)
    return slice(bounds[comm.rank], bounds[comm.rank + 1])


def _bounds(count: int, ranks: int) -> np.ndarray:
    return np.arange(ranks + 1) * count // ranks


def from_root(value, comm: MPI.Comm):
    """Rank 0's value on every rank. Small Python objects and arrays."""
    return comm.bcast(value, root=0) if comm.size > 1 else value


def gather_columns(part: np.ndarray, count: int, comm: MPI.Comm) -> np.ndarray:
    """Put the column blocks of all ranks side by side, identically on every rank.

    Args:
        part: This rank's columns, shape (rows, width of `share_of(count, comm)`).
        count: Number of columns in all.
        comm: The ranks.
    """
    if comm.size == 1:
        return part
    rows = part.shape[0]
    whole = np.empty((count, rows))
    widths = np.diff(_bounds(count, comm.size))
    comm.Allgatherv(np.ascontiguousarray(part.T), [whole, (widths * rows).tolist()])
    return np.ascontiguousarray(whole.T)


def sum_over(part: np.ndarray, comm: MPI.Comm) -> np.ndarray:
    """The sum of all ranks' arrays, to the last bit the same on every rank."""
    if comm.size == 1:
        return part
    total = np.empty_like(part) if comm.rank == 0 else None
    comm.Reduce(np.ascontiguousarray(part), total, root=0)
    total = np.empty_like(part) if total is None else total
    comm.Bcast(total, root=0)
    return total


def gather_shares(part: np.ndarray, count: int, comm: MPI.Comm) -> np.ndarray:
    """Put the `share_of(count, comm)` of all ranks one after the other: shape (count,) on every rank."""
    if comm.size == 1:
        return part
    whole = np.empty(count, dtype=part.dtype)
    comm.Allgatherv(np.ascontiguousarray(part), [whole, np.diff(_bounds(count, comm.size)).tolist()])
    return whole


def raise_together(error: Exception | None, comm: MPI.Comm) -> None:
    """Raise on all ranks if any rank has an error; the lowest such rank's error wins.

    Call it before a collective operation that a failed rank would never reach.
    """
    if comm.size == 1:
        if error is not None:
            raise error
        return
    errors = comm.allgather(_portable(error))
    for rank, found in enumerate(errors):
        if found is not None:
            if rank == comm.rank:
                raise error
            raise found


def _portable(error: Exception | None) -> Exception | None:
    """The error, or its text if it cannot travel: sending it would fail here and leave the others waiting."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return EitdipError(f"{type(error).__name__}: {error}")
    return error


@contextmanager
def together(comm: MPI.Comm) -> Iterator[None]:
    """Run a block that does no communication; if it fails on one rank, it fails on all."""
    error = None
    try:
        yield
    except Exception as caught:  # handed to every rank, so it cannot be lost
        error = caught
    raise_together(error, comm)
