"""The stopwatch, by a clock that only moves when told."""

import pytest

from eitdip import cost as timing
from eitdip.cost import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """Call it to let seconds pass."""
    now = [100.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_parts_inside_parts_count_once(clock):
    stopwatch = Stopwatch()
    with stopwatch("other"):
        clock(1)
        with stopwatch("network"):
            clock(2)
            with stopwatch("model"):
                clock(4)
            clock(8)
        with stopwatch("model"):
            clock(16)
        clock(32)
    clock(64)
    assert stopwatch.seconds == {"other": 33, "network": 10, "model": 20}


def test_a_part_inside_itself(clock):
    stopwatch = Stopwatch()
    with stopwatch("network"), stopwatch("network"):
        clock(1)
    assert stopwatch.seconds == {"network": 1}


def test_a_part_that_fails_has_still_taken_its_time(clock):
    stopwatch = Stopwatch()
    with stopwatch("other"):
        with pytest.raises(KeyError), stopwatch("network"):
            clock(1)
            raise KeyError
        clock(2)
    assert stopwatch.seconds == {"network": 1, "other": 2}


def test_work_behind_the_clocks_back_is_waited_for(clock):
    queue = []

    def finish() -> None:
        while queue:
            clock(queue.pop())

    stopwatch = Stopwatch(synchronize=finish)
    with stopwatch("other"):
        with stopwatch("network"):
            queue.append(5)
        with stopwatch("penalties"):
            queue.append(7)
    assert stopwatch.seconds == {"other": 0, "network": 5, "penalties": 7}
