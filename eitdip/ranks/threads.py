"""How many threads a rank may use."""

import os
from functools import cache

from eitdip.ranks.collectives import world


def use_threads(wanted: int = 1) -> int:
    """Set the threads of torch and BLAS, unless OMP_NUM_THREADS says otherwise; all ranks must make the first call.

    One is the default: networks and factors of this size gain little from a second thread and lose
    much to it where other work runs (spinning threads; twenty times slower was seen), and one thread
    gives the same bits on any machine.

    Args:
        wanted: Threads per rank; 0 for all cores that the rank has, and never more than those.

    Returns:
        Threads that torch uses now.
    """
    import torch
    from threadpoolctl import threadpool_limits

    cores = cores_per_rank()
    if "OMP_NUM_THREADS" not in os.environ:
        count = min(wanted, cores) if wanted else cores
        torch.set_num_threads(count)
        threadpool_limits(count)
    return torch.get_num_threads()


@cache  # so that later calls, in teams that are not in step, do not communicate
def cores_per_rank() -> int:
    """Cores that this rank may use: its CPU affinity divided by the ranks that share it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // _neighbours())


def _neighbours() -> int:
    """Ranks on this machine, this one included."""
    comm = world()
    if comm.size == 1:
        return 1
    from mpi4py import MPI

    local = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks = local.size
    local.Free()
    return ranks
