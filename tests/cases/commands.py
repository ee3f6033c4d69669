"""The command line: in this process, in another one, and on several ranks."""

import os
import shutil
import signal
import subprocess
import sys
import time
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
        return run(lambda: app([str(word) for word in arguments], standalone_mode=False), name="eitdip")


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


def killed(*arguments, when: Path) -> None:
    """The command in another process, killed as soon as a file is there; it says nothing on standard error."""
    child = subprocess.Popen(
        [*EITDIP, *map(str, arguments)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not when.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    _, errors = child.communicate(timeout=60)
    assert errors == "" and child.returncode == -signal.SIGKILL


def launcher() -> str:
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found or pytest.skip("needs mpiexec")


def on_two_ranks(*arguments) -> subprocess.CompletedProcess:
    command = [launcher(), "-n", "2", *EITDIP, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
