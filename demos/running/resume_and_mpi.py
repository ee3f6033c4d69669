"""Kill it, resume it, run it on two ranks: the same answer each time.

A reconstruction writes a checkpoint without pickle, atomically. Here a child process is killed in
mid-run (kill -9), resumed, and compared bit by bit with an uninterrupted run; then the same run is
repeated by mpiexec on two ranks, which split the right-hand sides.

    python demos/running/resume_and_mpi.py
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

EITDIP = [sys.executable, "-m", "eitdip"]
SETTINGS = {"steps": 40, "size": 32, "channels": 16, "h": 0.1, "checkpoint_seconds": 0}
WORDS = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


def command(data: Path, out: Path, *more: str) -> list[str]:
    return [*EITDIP, "reconstruct", str(data), "--out", str(out), *WORDS, *more]


def conductivity(out: Path) -> np.ndarray:
    return np.load(out / "estimate.npz")["x"]


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    data = folder / "tank.h5"
    subprocess.run(
        [*EITDIP, "simulate", "--out", data, "--model", "cem", "--domain", "tank", "--phantom", "tank"], check=True
    )
    subprocess.run(command(data, folder / "whole"), check=True, env=environment)

    checkpoint = folder / "killed" / "checkpoint" / "seed-0.safetensors"
    child = subprocess.Popen(command(data, folder / "killed"), env=environment)
    while not checkpoint.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (folder / "killed" / "result.json").exists(), "the child was too quick to be killed"
    subprocess.run(command(data, folder / "killed", "--resume"), check=True, env=environment)
    same = np.array_equal(conductivity(folder / "whole"), conductivity(folder / "killed"))
    print(f"uninterrupted and killed + resumed: {'bit-identical' if same else 'DIFFERENT'}")
    assert same

    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        print("no mpiexec found: skipping the two-rank run")
        return
    subprocess.run([mpiexec, "-n", "2", *command(data, folder / "two")], check=True, env=environment)
    one, two = (conductivity(folder / name) for name in ("whole", "two"))
    gap = np.abs(two - one).max() / one.max()
    steps = json.loads((folder / "two" / "result.json").read_text())["iterations"]
    print(f"one rank and two ranks after {steps[0]} steps: largest difference {gap:.1e}")
    assert gap < 1e-5
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
