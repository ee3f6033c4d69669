"""Independent work over the ranks: teams that each do some of the items.

Data sets are divided over all ranks, the seeds of a data set over its team, and the finite
elements of a seed over the ranks that remain. What comes out does not depend on how many ranks
there are, up to rounding: items keep their order, wherever they were done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eitdip.ranks.collectives import free_garbage


@dataclass(frozen=True, eq=False)
class Team:
    """The ranks that work on the same items.

    Args:
        comm: The ranks of this team.
        whole: The ranks that were divided.
        number: This team, 0 .. `teams` - 1.
        teams: How many there are.
        count: Number of items of all teams.
    """

    comm: object
    whole: object
    number: int
    teams: int
    count: int

    @property
    def items(self) -> range:
        """Numbers of this team's items, increasing."""
        return range(self.number, self.count, self.teams)

    def gather(self, results: dict) -> dict:
        """All teams' results, by increasing number of the item, on every rank.

        Args:
            results: Item number to result, the same on all ranks of this team. A team may have
                fewer than its items, if it was stopped.
        """
        mine = results if self.comm.rank == 0 else {}
        parts = [mine] if self.whole.size == 1 else self.whole.allgather(mine)
        found = {number: result for part in parts for number, result in part.items()}
        return dict(sorted(found.items()))


@contextmanager
def divided(count: int, comm) -> Iterator[Team]:
    """Split the ranks into min(count, ranks) teams of nearly equal size; team t does items t, t + teams, ...

    Args:
        count: Number of items, >= 1.
        comm: The ranks. If they make a single team, it is this very communicator.
    """
    teams = max(1, min(count, comm.size))
    if teams == 1:
        yield Team(comm, comm, 0, 1, count)
        return
    number = comm.rank * teams // comm.size  # neighbours, so that a team shares a machine
    inner = comm.Split(number, comm.rank)
    try:
        yield Team(inner, comm, number, teams, count)
        free_garbage(inner)  # not after an error: the ranks may not be in step
    finally:
        inner.Free()
