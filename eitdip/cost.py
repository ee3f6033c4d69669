"""Where the seconds go, and the largest memory."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


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


def reset_peak_memory() -> bool:
    """Count from now on, with what is held now; returns whether the system can (Linux)."""
    try:
        _RESET.write_text("5")
    except OSError:  # no such file elsewhere, or not allowed in a container: then the peak is that of the whole process
        return False
    return True


def peak_memory() -> float:
    """Largest resident memory of this process since the last reset, or since its start, MiB."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 2**10, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
