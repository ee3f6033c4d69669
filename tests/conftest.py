"""Fixtures for all tests. Randomness always comes from an explicit generator."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch or BLAS start their threads

import numpy as np
import pytest

from eitdip.errors import MissingPackageError, require

ROOT = Path(__file__).parent.parent


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.default_rng(20240607)


@pytest.fixture
def gmsh():
    """gmsh, or a skipped test where it (or a system library of it) is missing."""
    try:
        return require("gmsh", "mesh")
    except MissingPackageError as error:
        pytest.skip(f"needs gmsh: {error}")


@pytest.fixture(scope="session")
def python():
    """Run a piece of Python in a fresh interpreter with warnings as errors; its standard output."""

    def run(code: str, *arguments: str, timeout: float = 120, env: dict | None = None) -> str:
        command = [sys.executable, "-W", "error", "-c", code, *arguments]
        return _run(command, timeout, env)

    return run


@pytest.fixture(scope="session")
def mpiexec():
    """Run a script on several ranks; its standard output. Skips where there is no mpiexec."""
    beside = Path(sys.executable).parent / "mpiexec"
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("needs mpiexec on the PATH or beside the Python interpreter")

    def run(ranks: int, script: Path, *arguments: str, timeout: float = 120) -> str:
        command = [launcher, "-n", str(ranks), sys.executable, "-W", "error", str(script), *arguments]
        return _run(command, timeout, None)

    return run


def _run(command: list[str], timeout: float, env: dict | None) -> str:
    search = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search)), **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, cwd=ROOT)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
