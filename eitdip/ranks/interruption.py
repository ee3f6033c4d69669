"""Ctrl-C and requests to end, heard by all ranks, whatever they are busy with."""

import signal

_TAG = 130
_CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within its `with` block, Ctrl-C or a termination request is a wish that can be asked for.

    The rank that is signalled tells all others by messages, which they look for when asked, so ranks
    in different teams need not be in step. A second signal kills at once.

    Args:
        comm: All ranks that shall end together.
    """

    def __init__(self, comm):
        self._comm = comm
        self._signalled = self._told = False
        self._senders: set[int] = set()
        self._requests = []
        self._before = {}

    def __enter__(self) -> "Interruption":
        for number in _CAUGHT:
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._restore()
        if kind is None:  # else the ranks may not be in step
            self._collect()

    def _remember(self, number, frame) -> None:
        self._signalled = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def heard(self) -> bool:
        """Whether any rank has been signalled, as far as this one knows by now."""
        if self._signalled and not self._told:
            others = (rank for rank in range(self._comm.size) if rank != self._comm.rank)
            self._requests = [self._comm.isend(self._comm.rank, rank, _TAG) for rank in others]
            self._told = True
        while self._comm.size > 1 and self._comm.iprobe(tag=_TAG):
            self._senders.add(self._comm.recv(tag=_TAG))
        return self._signalled or bool(self._senders)

    def agreed(self, comm) -> bool:
        """The same answer on all ranks of a team, which must ask together."""
        heard = self.heard()
        return heard if comm.size == 1 else max(comm.allgather(heard))

    def _collect(self) -> None:
        """Receive what nobody has asked for: no message may be left over."""
        if self._comm.size == 1:
            return
        told = {rank for rank, sent in enumerate(self._comm.allgather(self._told)) if sent}
        while told - self._senders - {self._comm.rank}:
            self._senders.add(self._comm.recv(tag=_TAG))
        for request in self._requests:
            request.wait()
