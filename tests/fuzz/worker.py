"""Damage files and open them, with little memory and time for each; one line of JSON per input.

    python -m tests.fuzz.worker FOLDER FIRST LAST KINDS

Input n is always the same: its damage is drawn with the seed n. A hang ends the process with a traceback.
"""

import faulthandler
import io
import json
import os
import resource
import sys
import time
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np

from eitdip.errors import EitdipError
from tests.fuzz.mutations import mutated, with_checksums
from tests.fuzz.samples import write_samples

SECONDS = 10
ROOM = 2 * 2**30  # bytes that an input may claim at once, beyond what is there already
GROWTH = 2**29  # bytes by which the largest memory may grow through one input
ENDINGS = (".mat", ".h5", ".msh", ".npy", ".npz", ".png", ".csv", ".vtu", ".xdmf", "", ".txt")


def damaged(sample: Path, kind: str, rng) -> bytes:
    content = sample.read_bytes()
    if kind == "npz" and rng.random() < 0.6:  # within the archive, whose checksums then are right again
        return _repacked(content, rng)
    content = mutated(content, rng)
    return with_checksums(content) if sample.suffix == ".png" and rng.random() < 0.6 else content


def _repacked(content: bytes, rng) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, mutated(old.read(name), rng) if rng.random() < 0.7 else old.read(name))
    return target.getvalue()


def attempt(door, *arguments) -> str:
    """ok, the name of an eitdip error, or `FAULT` and what is wrong."""
    try:
        door(*arguments)
    except EitdipError as error:
        cause = error
        while cause is not None:  # what did not fit here would have been taken where there is more
            if isinstance(cause, MemoryError) or "Unable to allocate" in str(cause):
                return f"FAULT memory, told as {error}"[:300]
            cause = cause.__cause__ or cause.__context__
        return type(error).__name__
    except BaseException as error:
        calls = [f"{Path(call.filename).name}:{call.lineno}" for call in traceback.extract_tb(error.__traceback__)]
        return f"FAULT {type(error).__name__}: {str(error)[:200]} in {' '.join(calls[-6:])}"
    return "ok"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def limit_memory(room: int) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main(folder: Path, first: int, last: int, kinds: tuple[str, ...]) -> None:
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # meshio speaks aloud
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    from tests.fuzz.doors import DOORS

    samples = folder / "samples"
    if not samples.exists():
        write_samples(samples)
    found = {kind: sorted(p for p in (samples / kind).iterdir() if not p.name.startswith("input")) for kind in DOORS}
    for kind in kinds:  # all that is loaded late is loaded before the limit, and all samples are right
        for sample in found[kind]:
            attempt(DOORS[kind], sample, sample, 1)
    faulthandler.enable()  # a crash shows where; in the place of PETSc's own handlers
    limit_memory(ROOM)
    for number in range(first, last):
        rng = np.random.default_rng(number)
        kind = kinds[number % len(kinds)]
        sample = found[kind][rng.integers(len(found[kind]))]
        ending = sample.suffix if rng.random() < 0.95 else ENDINGS[rng.integers(len(ENDINGS))]
        path = sample.with_name(f"input{ending}")
        path.write_bytes(damaged(sample, kind, rng))
        out.write(json.dumps({"begun": number, "kind": kind, "sample": sample.name}) + "\n")
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        before, start = peak(), time.monotonic()
        outcome = attempt(DOORS[kind], path, sample, number)
        faulthandler.cancel_dump_traceback_later()
        seconds, growth = time.monotonic() - start, peak() - before
        if growth > GROWTH and not outcome.startswith("FAULT"):
            outcome = f"FAULT memory: {growth / 2**20:.0f} MiB more, then {outcome}"
        out.write(json.dumps({"done": number, "outcome": outcome, "seconds": seconds, "growth": growth}) + "\n")
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), tuple(sys.argv[4].split(",")))
