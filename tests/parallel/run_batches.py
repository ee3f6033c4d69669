"""Batches by the command line on the ranks of this run; rank 0 prints the exit codes of all ranks.

usage: mpiexec -n N python run_batches.py FOLDER [bug]

FOLDER has a.h5, b.h5, c.h5 and bad.h5. With "bug", one rank fails in an unforeseen way.
"""

import json
import os
import signal
import sys
from pathlib import Path

from eitdip.cli import app
from eitdip.cli.exits import run
from eitdip.ranks.collectives import world
from eitdip.runs import output, session

SETTINGS = {"h": 0.35, "size": 16, "channels": 4, "steps": 5, "checkpoint_seconds": 0}
WORDS = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


def eitdip(*arguments) -> list[int]:
    """The exit codes of all ranks."""
    code = run(lambda: app([str(word) for word in arguments], standalone_mode=False), name="eitdip")
    return world().allgather(code)


def on_the_last_rank(action, command) -> list[int]:
    """Run a command in which the last rank alone does something at the start of each seed."""
    inner = session._show

    def show(bar):
        if world().rank == world().size - 1:
            action()
        return inner(bar)

    session._show = show
    try:
        return command()
    finally:
        session._show = inner


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def bug() -> None:
    raise KeyError("a bug on one rank")


def run_all(folder: Path) -> dict[str, list[int]]:
    """Exit codes of all ranks by case; results go to folder/on-N."""
    a, b, c, bad = (folder / f"{name}.h5" for name in ("a", "b", "c", "bad"))
    out = folder / f"on-{world().size}"

    def batch(*more):
        return eitdip("reconstruct", a, b, c, *WORDS, "--seeds", 2, *more)

    return {
        "batch": batch("--out", out / "batch"),
        "seeds": eitdip("reconstruct", a, *WORDS, "--seeds", 2, "--out", out / "seeds"),
        "failing": eitdip("reconstruct", a, bad, b, *WORDS, "--out", out / "failing"),
        "failing seeds": eitdip("reconstruct", bad, *WORDS, "--seeds", 3, "--out", out / "bad"),
        "interrupted": on_the_last_rank(ctrl_c, lambda: batch("--out", out / "half")),
        "resumed": batch("--out", out / "half", "--resume"),
    }


def main() -> None:
    output.write_pictures = lambda *arguments: None  # they take most of the time
    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["bug"]:
        words = [
            "reconstruct",
            folder / "a.h5",
            folder / "b.h5",
            *WORDS,
            "--set",
            "steps=100000",
            "--out",
            folder / "bug",
        ]
        on_the_last_rank(bug, lambda: eitdip(*words))
    codes = run_all(folder)
    if world().rank == 0:
        print(json.dumps(codes))


if __name__ == "__main__":
    main()
