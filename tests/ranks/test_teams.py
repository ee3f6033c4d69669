"""Dividing items over teams of ranks."""

import os
import signal

import pytest

from eitdip.ranks.collectives import alone
from eitdip.ranks.interruption import Interruption
from eitdip.ranks.teams import divided


class Ranks:
    """What `divided` asks of a communicator."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
        self.colour = self.freed = None

    def Split(self, colour: int, key: int) -> "Ranks":
        self.colour = colour
        self.inner = Ranks(0, 1)
        return self.inner

    def Free(self) -> None:
        self.freed = True


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_every_item_has_one_team_and_every_rank_too(count, size):
    items, sizes = {}, {}
    for rank in range(size):
        with divided(count, Ranks(rank, size)) as team:
            items[team.number] = list(team.items)
            sizes[team.number] = sizes.get(team.number, 0) + 1
    assert sorted(items) == list(range(min(count, size)))
    assert sorted(item for mine in items.values() for item in mine) == list(range(count))
    assert max(map(len, items.values())) - min(map(len, items.values())) <= 1
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_one_team_is_the_communicator_itself():
    ranks = Ranks(1, 3)
    with divided(1, ranks) as team:
        assert team.comm is team.whole is ranks
    assert ranks.colour is None and ranks.freed is None


@pytest.mark.parametrize("error", [None, KeyError])
def test_communicators_are_freed(error):
    ranks = Ranks(2, 3)
    try:
        with divided(3, ranks) as team:
            assert (ranks.colour, team.number) == (2, 2)
            if error:
                raise error
    except KeyError:
        pass
    assert ranks.inner.freed


def test_results_come_back_in_the_order_of_the_items():
    with divided(3, alone()) as team:
        assert list(team.gather({2: "c", 0: "a", 1: "b"}).items()) == [(0, "a"), (1, "b"), (2, "c")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_and_the_handlers_come_back(number):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with Interruption(alone()) as interruption:
        assert not interruption.agreed(alone())
        os.kill(os.getpid(), number)
        assert interruption.heard() and interruption.agreed(alone())
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before  # a second one kills
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
