"""An error on some ranks only ends all: the others would wait for those without end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from eitdip.errors import DivergenceError, EitdipError

_TAG = 131
PATIENCE = 4.0  # s after which ranks that have not failed, too, are taken to wait for one that has


def all_failed(comm) -> bool:
    """Whether all ranks come here within a moment; to be asked where a rank has failed."""
    # By messages: a barrier could meet another collective operation, in which the others wait.
    others = set(range(comm.size)) - {comm.rank}
    told = [comm.isend(None, rank, _TAG) for rank in others]
    deadline = time.monotonic() + PATIENCE
    while others and time.monotonic() < deadline:
        heard = {rank for rank in others if comm.iprobe(source=rank, tag=_TAG)}
        for rank in heard:
            comm.recv(source=rank, tag=_TAG)
        others -= heard
        time.sleep(0 if heard else 0.01)
    if others:
        return False
    for message in told:
        message.wait()
    return True


@contextmanager
def ending_together(comm) -> Iterator[None]:
    """A block that communicates: an error that leaves it on all ranks goes on, one on some ranks only ends the program.

    The other ranks are somewhere inside the block, waiting, and cannot be told. Costs nothing where no rank fails.
    """
    try:
        yield
    except Exception as error:
        if not all_failed(comm):
            _end_by(error)
        raise


def end_all(words: str, code: int) -> None:
    """End all ranks of the program with an exit code, after some words of this one on standard error."""
    from mpi4py import MPI

    sys.stderr.write(f"rank {MPI.COMM_WORLD.rank}: {words}\n")
    sys.stderr.flush()
    time.sleep(0.3)  # until mpiexec has passed them on: it drops what it holds when it ends
    MPI.COMM_WORLD.Abort(code)


def _end_by(error: BaseException) -> None:
    """The exit code is that of the command line: 3 diverged, 2 any other known error, else 1."""
    code = 3 if isinstance(error, DivergenceError) else 2 if isinstance(error, EitdipError) else 1
    end_all(f"{type(error).__name__}: {error} (not on all ranks, so all are ended)", code)


@cache
def watch_uncaught() -> None:
    """From now on an error that nobody catches ends all ranks: else Python waits, in its own end, for the others."""
    from mpi4py import MPI

    if MPI.COMM_WORLD.size == 1:
        return
    show = sys.excepthook

    def hook(kind, error, trace):
        show(kind, error, trace)
        if not all_failed(MPI.COMM_WORLD):
            _end_by(error)

    sys.excepthook = hook
