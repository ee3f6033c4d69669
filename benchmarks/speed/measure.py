"""Interleaved measurements and their ratios.

Times are CPU seconds of one thread, which other work on the machine disturbs less than it does wall time.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# A contestant takes the draw of a repetition and returns its result and its seconds.
Contestant = Callable[..., tuple[object, float]]


def timed(function: Callable) -> Contestant:
    """A contestant of this process."""

    def contestant(*draw):
        start = time.process_time()
        result = function(*draw)
        return result, time.process_time() - start

    return contestant


def interleave(
    contestants: dict[str, Contestant],
    draw: Callable[[], tuple],
    repetitions: int,
    agree: Callable[[dict], None] | None = None,
    at_most: dict[str, int] | None = None,
) -> dict[str, np.ndarray]:
    """Seconds of every contestant, repetition by repetition, each with a new draw.

    Args:
        contestants: Name: contestant.
        draw: Arguments for one repetition, the same for all contestants.
        repetitions: After two more whose times do not count: the first analyzes and allocates.
        agree: Raises unless the results of all contestants are the same; called before any time is taken.
        at_most: Fewer repetitions for the slow.

    Returns:
        Name: seconds, shape (repetitions,) or less for the slow.
    """
    at_most = at_most or {}
    for warm_up in range(2):
        arguments = draw()
        slow = () if warm_up == 0 else at_most
        results = {name: run(*arguments)[0] for name, run in contestants.items() if name not in slow}
        if agree is not None and warm_up == 0:
            agree(results)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(repetitions):
        arguments = draw()
        for name, run in contestants.items():
            if repetition < at_most.get(name, repetitions):
                seconds[name].append(run(*arguments)[1])
    return {name: np.array(values) for name, values in seconds.items()}


@dataclass(frozen=True)
class Figure:
    """A measured number with its quartiles over the repetitions."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> "Figure":
        low, median, high = np.percentile(np.asarray(values), (25, 50, 75)).tolist()
        return Figure(median, low, high)

    @staticmethod
    def ratio(numerator: np.ndarray, denominator: np.ndarray) -> "Figure":
        """Of times taken in the same repetitions."""
        count = min(len(numerator), len(denominator))
        return Figure.of(numerator[:count] / denominator[:count])


def milliseconds(seconds: dict[str, np.ndarray]) -> dict[str, float]:
    """Medians, for the record."""
    return {name: round(1e3 * float(np.median(values)), 4) for name, values in seconds.items()}


def resident_bytes() -> int:
    """Memory of this process that is in RAM (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine() -> dict:
    """What the times depend on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load average at the start": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": 1,
        "clock": "CPU seconds of the process",
    }
