"""Other people's codes: their own environment, and one process each."""

import contextlib
import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
VENV = ROOT / ".bench-venv"
PYTHON = VENV / "bin" / "python"
PINS = Path(__file__).parent / "peers.txt"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


class PeerError(Exception):
    """A peer cannot be installed, started or asked; the message says why."""


@dataclass(frozen=True)
class Recipe:
    """What pip installs for a peer.

    Args:
        module: File in benchmarks/speed/peers that runs it.
        packages: With all that they depend on.
        alone: Without: their own requirements name a distribution that the index does not have.
    """

    module: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()


RECIPES = {
    "splu": Recipe("splu", ("scikit-fem", "scipy")),
    "CHOLMOD": Recipe("cholmod", ("cvxopt", "pymetis", "scikit-fem", "scipy")),
    "pyEIT": Recipe("points", ("pyeit",)),
    "dolfinx-adjoint": Recipe(
        "tape",
        ("dolfinx-solver-real", "pyadjoint-ad", "h5py", "packaging"),
        alone=("dolfinx-adjoint", "fenicsx-compat"),
    ),
}


def install(name: str) -> None:
    """Put a peer into .bench-venv, unless it is there.

    Raises:
        PeerError: With pip's reason.
    """
    recipe = RECIPES[name]
    wanted = f"{sys.version}\n{recipe}\n{PINS.read_text()}"
    stamp = VENV / f"{recipe.module}-complete"
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    if not PYTHON.exists():
        _run([sys.executable, "-m", "venv", str(VENV)])
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(PINS)]
    _run([*pip, *recipe.packages])
    if recipe.alone:
        _run([*pip, "--no-deps", *recipe.alone])
    stamp.write_text(wanted)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()[-200:]]
        raise PeerError(f"does not install: {errors[0]}")


class Peer:
    """A peer at work on one problem, in a process of its own with one thread.

    Args:
        name: A name of `RECIPES`.
        problem: What its class takes.

    Attributes:
        setup: Seconds from start to ready: imports, mesh, symbolic analysis.

    Raises:
        PeerError: If it cannot be installed or fails to start.
    """

    def __init__(self, name: str, problem: tuple):
        install(name)
        self.name = name
        script = Path(__file__).parent / "peers" / "worker.py"
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [str(PYTHON), "-W", "ignore", str(script), RECIPES[name].module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )
        answer = self._exchange(problem)
        if answer != "ready":
            self.close()
            raise PeerError(f"does not start: {answer}")
        self.setup = time.perf_counter() - start

    def _exchange(self, message):
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError) as error:
            raise PeerError(f"{self.name} ended with exit code {self.close()}") from error

    def ask(self, method: str, *arguments):
        """Its result, and the CPU seconds of the work alone.

        Raises:
            PeerError: If the work fails.
        """
        answer = self._exchange((method, arguments))
        if isinstance(answer, str):
            raise PeerError(f"{self.name} failed: {answer}")
        result, cpu, _ = answer
        return result, cpu

    def close(self) -> int:
        """End the process; its exit code."""
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself, before it read everything
            self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()
