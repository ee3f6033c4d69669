"""The largest memory that this process has used."""

import gc
import resource
import sys
from pathlib import Path

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def reset_peak_memory() -> bool:
    """Count from now on, after freeing what nobody holds; returns whether the system can (Linux)."""
    gc.collect()
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
