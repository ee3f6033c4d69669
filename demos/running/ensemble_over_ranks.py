"""Several tanks and several networks over the ranks: the same numbers, whoever does what.

Independent work is what more ranks are best at. Data sets are divided over all ranks, the seeds of
a data set over its ranks, and only what then is left shares the right-hand sides of one network.
Here three tanks with two networks each run on one rank and on three; results, and the average over
the networks, do not depend on it, because seeds keep their order and none sees another's solver.

    python demos/running/ensemble_over_ranks.py
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EITDIP = [sys.executable, "-m", "eitdip"]
SETTINGS = {"steps": 60, "size": 32, "channels": 16, "h": 0.1}
WORDS = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    files = []
    for phantom in ("tank", "three", "7"):
        files.append(str(folder / f"{phantom}.h5"))
        words = ["simulate", "--out", files[-1], "--model", "cem", "--domain", "tank", "--phantom", phantom]
        subprocess.run([*EITDIP, *words], check=True)

    batch = [*EITDIP, "reconstruct", *files, "--seeds", "2", *WORDS]
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    runs = {1: []} | ({} if mpiexec is None else {3: [mpiexec, "-n", "3"]})
    for ranks, launcher in runs.items():
        out = str(folder / f"on-{ranks}")
        subprocess.run([*launcher, *batch, "--out", out], check=True, env=environment, stdout=subprocess.DEVNULL)

    print(f"{'tank':<8}{'chi^2/N':>9}{'spread of two networks':>25}{'1 rank against 3':>19}")
    for name in (Path(file).stem for file in files):
        one = np.load(folder / "on-1" / name / "estimate.npz")
        summary = json.loads((folder / "on-1" / name / "result.json").read_text())
        spread = np.abs(np.log(one["x_seed0"] / one["x_seed1"])).mean()
        gap = 0.0
        if 3 in runs:
            three = np.load(folder / "on-3" / name / "estimate.npz")
            gap = np.abs(three["x"] / one["x"] - 1).max()
        print(f"{name:<8}{summary['misfit']:>9.2f}{spread:>24.1%}{gap:>19.0e}")
        assert np.allclose(one["x"], np.sqrt(one["x_seed0"] * one["x_seed1"]))
        assert gap < 1e-9 < spread, "networks differ, ranks do not"
    if mpiexec is None:
        print("no mpiexec found: the run on three ranks was left out")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
