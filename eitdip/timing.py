"""Where the seconds go."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Wall seconds by part of the work.

        with stopwatch("network"):
            ...

    A part inside another one interrupts it, so nothing counts twice: the parts within an outermost
    one add up to its time.

    Args:
        synchronize: Called at each change of part. A GPU works behind the clock's back until it is
            waited for.

    Attributes:
        seconds: Name of each part to its seconds so far.
    """

    def __init__(self, synchronize: Callable[[], None] | None = None):
        self.seconds: dict[str, float] = {}
        self._synchronize = synchronize
        self._parts: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the block to this part."""
        self._turn()
        self._parts.append(part)
        try:
            yield
        finally:
            self._turn()
            self._parts.pop()

    def _turn(self) -> None:
        if self._synchronize is not None:
            self._synchronize()
        now = time.perf_counter()
        if self._parts:
            part = self._parts[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now
