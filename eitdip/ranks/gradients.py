"""Networks that several ranks train: torch.distributed averages gradients, started by the same mpiexec."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed, nn

_PATIENCE = timedelta(minutes=10)  # ranks meet in each step; one that is so late has failed


@contextmanager
def training_together(comm, device: torch.device) -> Iterator[None]:
    """A block in which networks may be `shared` by the ranks of a communicator; one rank needs nothing.

    Args:
        comm: MPI communicator.
        device: Where the networks are: gloo connects CPUs, NCCL GPUs.
    """
    if comm.size == 1:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    names = comm.allgather(socket.gethostname())
    host = names[0] if len(set(names)) > 1 else "127.0.0.1"
    # Port 0: the machine chooses a free one, which the others hear of by MPI.
    store = None if comm.rank else distributed.TCPStore(host, 0, None, True, _PATIENCE, wait_for_workers=False)
    port = comm.bcast(None if store is None else store.port)
    store = store or distributed.TCPStore(host, port, None, False, _PATIENCE)
    distributed.init_process_group(backend, store=store, rank=comm.rank, world_size=comm.size, timeout=_PATIENCE)
    try:
        yield
        comm.barrier()  # rank 0 holds the store: it must not leave first
    finally:
        distributed.destroy_process_group()


def shared(network: nn.Module) -> nn.Module:
    """The same network, whose gradients become the mean over the ranks as soon as they are computed.

    Its weights become rank 0's. Only within `training_together`.
    """
    device = next(network.parameters()).device
    return nn.parallel.DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
