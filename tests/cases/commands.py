"""The command line: in this process, in another one, and on several ranks."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from eitdip.cli import app
from eitdip.cli.exits import run
from eitdip.runs import output, session
from tests.cases.measurements import MESH, SETTINGS, SOLID, SOLID_MESH
from tests.conftest import ROOT

EITDIP = [sys.executable, "-W", "error", "-m", "eitdip"]


def words(**settings) -> list[str]:
    """Settings as words of a command."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


COARSE = words(**MESH, steps=SETTINGS["steps"])  # for methods without a network
SMALL = words(**MESH, **SETTINGS)
SMALL_SOLID = words(**SOLID_MESH, **SOLID)
SMALL_IMAGE = words(channels=8, levels=2, steps=3)  # beside the size, which is that of the data


def eitdip(*arguments, pictures: bool = False) -> int:
    """The command in this process; its exit code. Without pictures of single runs, which take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        if not pictures:
            patch.setattr(output, "write_pictures", lambda *nothing: None)
        code = run(lambda: app([str(word) for word in arguments], standalone_mode=False), name="eitdip")
    settle()
    return code


@cache
def settle() -> None:
    """Every command collects garbage; what a first one has loaded need not be looked through each time."""
    gc.collect()
    gc.freeze()


def refused(capsys, *arguments, code: int = 2) -> str:
    """One line on standard error, nothing else; the line."""
    assert eitdip(*arguments) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.count("\n") == 1 and streams.err.endswith("\n"), streams.err
    assert streams.err.startswith("eitdip: error: " if code == 2 else "eitdip: diverged: ")
    return streams.err


def interrupted(*arguments, step: int = 2) -> int:
    """The command in this process, with Ctrl-C after that many steps; its exit code."""
    count, inner = [], session._show

    def show(bar):
        def follow(progress):
            count.append(1)
            if len(count) == step:
                os.kill(os.getpid(), signal.SIGINT)
            inner(bar)(progress)

        return follow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "_show", show)
        return eitdip(*arguments)


def launcher() -> str:
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found or pytest.skip("needs mpiexec")


def on_two_ranks(*arguments) -> subprocess.CompletedProcess:
    command = [launcher(), "-n", "2", *EITDIP, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
