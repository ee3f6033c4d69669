"""Commands that are killed by kill -9: as soon as a file is there, after some seconds, or while they write a file.

Their processes are forked from one that has imported everything, so that a start takes no seconds.
"""

import gc
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from eitdip.writing import scratch_of

_CONTEXT = get_context("forkserver")
# What a command imports; PETSc and gmsh may be missing, and are then tried in vain once.
_CONTEXT.set_forkserver_preload(
    ["tests.cases.commands", "eitdip.problems.bodies", "eitdip.runs.report", "torch._dynamo", "scipy.io", "gmsh"]
)
STAGES = ("half", "written", "moved")


@dataclass(frozen=True)
class Writing:
    """In the middle of writing a file.

    Args:
        name: Of the file.
        count: Which time it is written, from 1 on.
        stage: With "half" of it written beside its place, when it is "written" there, or just "moved" to its place.
    """

    name: str
    count: int = 1
    stage: str = "half"


def killed(*arguments, when: Path | float | Writing, later: float = 0.0, pictures: bool = True) -> bool:
    """The command in another process, killed; it says nothing on standard error.

    Args:
        arguments: Of `eitdip`.
        when: As soon as a file is there, after so many seconds, or while a file is written.
        later: Seconds from when that file is there.
        pictures: Whether it draws pictures of single runs, which takes most of the time.

    Returns:
        Whether it was killed; else it had come to its end before.
    """
    with tempfile.NamedTemporaryFile("r+") as said:
        itself = when if isinstance(when, Writing) else None
        child = _CONTEXT.Process(target=_command, args=([str(word) for word in arguments], said.name, pictures, itself))
        child.start()
        if isinstance(when, float):
            child.join(when)
        elif isinstance(when, Path):
            deadline = time.monotonic() + 120
            while not when.exists() and child.is_alive() and time.monotonic() < deadline:
                time.sleep(0.002)
            child.join(later)
        if itself is None:
            child.kill()
        child.join(120)
        errors = said.read()
    assert errors == "" and child.exitcode in (0, -signal.SIGKILL), f"exit code {child.exitcode}: {errors}"
    return child.exitcode != 0


def _command(arguments: list[str], errors: str, pictures: bool, itself: Writing | None) -> None:
    for stream, name in ((1, os.devnull), (2, errors)):
        os.dup2(os.open(name, os.O_WRONLY), stream)
    from tests.cases.commands import eitdip

    gc.freeze()
    if itself is not None:
        _die_while(itself)
    sys.exit(eitdip(*arguments, pictures=pictures))


def _die_while(writing: Writing) -> None:
    """Let this process kill itself at that point of `eitdip.writing.write_atomically`."""
    write, move = Path.write_bytes, os.replace
    scratch, times = scratch_of(Path(writing.name)).name, [0]

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def write_bytes(self, content):
        times[0] += self.name == scratch
        if self.name == scratch and times[0] == writing.count and writing.stage == "half":
            write(self, content[: len(content) // 2])
            die()
        return write(self, content)

    def replace(source, target):
        now = Path(source).name == scratch and times[0] == writing.count
        if now and writing.stage == "written":
            die()
        move(source, target)
        if now:
            die()

    Path.write_bytes, os.replace = write_bytes, replace
