"""Commands on the ranks of this run; rank 0 prints exit codes and words of all ranks.

usage: mpiexec -n N python run_batches.py FOLDER [bug]

FOLDER has a.h5, b.h5, bad.h5 and, with ASTRA, disc.mat. With "bug", one rank at last fails in an unforeseen way.
"""

import io
import json
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from eitdip import plot
from eitdip.cli import app
from eitdip.cli.exits import run
from eitdip.ranks.collectives import world
from eitdip.runs import output, session
from tests.cases.commands import settle

SETTINGS = {"h": 0.35, "size": 16, "channels": 4, "levels": 1, "steps": 5, "checkpoint_seconds": 0, "views": 10}


def words(**settings) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def command(*arguments) -> int:
    return run(lambda: app([str(word) for word in arguments], standalone_mode=False), name="eitdip")


def eitdip(*arguments) -> dict[str, list]:
    """The exit codes of all ranks, and what they say."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = command(*arguments)
    settle()
    said = {"codes": code, "out": out.getvalue(), "err": err.getvalue()}
    return {name: world().allgather(value) for name, value in said.items()}


def on_the_last_rank(action, called):
    """Call something while the last rank alone does something at the start of each seed."""
    inner = session._show

    def show(bar):
        if world().rank == world().size - 1:
            action()
        return inner(bar)

    session._show = show
    try:
        return called()
    finally:
        session._show = inner


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def bug() -> None:
    raise KeyError("a bug on one rank")


def run_all(folder: Path) -> dict[str, dict[str, list]]:
    """What `eitdip` gives, by case; results go to folder/on-N. Three ranks make teams of several, and do no more."""
    tank, disk, bad = (folder / f"{name}.h5" for name in ("a", "b", "bad"))
    images = [folder / "disc.mat"] * (folder / "disc.mat").exists()
    out = folder / f"on-{world().size}"
    small = words(**{name: value for name, value in SETTINGS.items() if images or name != "views"})
    bodies = words(**{name: value for name, value in SETTINGS.items() if name != "views"})

    def batch(*more):
        return eitdip("reconstruct", tank, disk, *images, *small, "--seeds", 2, *more)

    def one(case: str, file: Path, *more):
        return eitdip("reconstruct", file, "--out", out / case, *more)

    found = {
        "batch": batch("--out", out / "batch"),
        "seeds": one("seeds", tank, *bodies, "--seeds", 2),
        "failing": eitdip("reconstruct", tank, bad, disk, *bodies, "--out", out / "failing"),
        "failing seeds": one("bad", bad, *bodies, "--seeds", 3),
        "interrupted": on_the_last_rank(ctrl_c, lambda: batch("--out", out / "half")),
        "resumed": batch("--out", out / "half", "--resume"),
    }
    if world().size == 3:
        return found
    diverging = ["--method", "cells-tv", *words(h=0.35, link="exp", learning_rate="1e30")]
    compared = ["--methods", "cells-tikhonov,pinn", *words(h=0.35, steps=3, points=256)]
    found |= {
        "one": one("one", tank, *bodies),
        "missing": one("missing", folder / "missing.h5"),
        "diverged": one("diverged", tank, *diverging),
        "compared": eitdip("compare", disk, *compared, "--out", out / "compared"),
    }
    if images:
        (disc,) = images
        own = words(size=16, channels=4, levels=1, steps=5, views=10)
        found |= {
            "image seeds": one("image seeds", disc, *own, "--seeds", 2),
            "image": one("image", disc, *own, "--set", "optimizer=lbfgs"),
            "failing with images": eitdip("reconstruct", bad, disc, *small, "--out", out / "failing images"),
            "images compared": eitdip("compare", disc, "--methods", "dip-tv,tv", *own, "--out", out / "images"),
        }
    return found


def main() -> None:
    # Pictures take most of the time.
    output.write_pictures = lambda *arguments: None
    plot.images = plot.pictures = plot.against_time = lambda path, *arguments, **looks: path.write_bytes(b"")
    folder = Path(sys.argv[1])
    said = run_all(folder)
    if world().rank == 0:
        print(json.dumps(said), flush=True)
    if sys.argv[2:] == ["bug"]:
        both = folder / "a.h5", next(folder.glob("disc.mat"), folder / "b.h5")
        long = words(steps=100000, size=16, h=0.35)
        on_the_last_rank(bug, lambda: command("reconstruct", *both, *long, "--out", folder / "bug"))


if __name__ == "__main__":
    main()
