"""One process where MPI is not installed: what the package asks of a communicator."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Serial:
    """A communicator of one rank. Collective operations give back what they are given."""

    rank: int = 0
    size: int = 1

    def allgather(self, value) -> list:
        """The values of all ranks: this one."""
        return [value]

    def bcast(self, value, root: int = 0):
        """The value of the root: this one."""
        return value

    def alltoall(self, values: list) -> list:
        """What each rank has for this one: its own."""
        return values

    def allreduce(self, value):
        """The sum over all ranks: this one's value."""
        return value
