"""An error on one rank, wherever the ranks work together, ends all of them with that error within seconds."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eitdip.data import save
from tests.cases.commands import launcher
from tests.cases.measurements import cem
from tests.conftest import ROOT
from tests.parallel.run_faults import STAGES

pytestmark = pytest.mark.usefixtures("gmsh")

LIMIT = 10.0  # s from the fault on
TYPES = {"known": "EitdipError", "unforeseen": "Unforeseen"}


def ended(folder: Path, kind: str, ranks: int, rank: int, stages: list[str]) -> dict[str, tuple[str, float]]:
    """How each stage ends, "error" on all ranks or "abort" of the program, and how many seconds after its fault."""
    found: dict[str, tuple[str, float]] = {}
    script = [sys.executable, "-W", "error", str(ROOT / "tests" / "parallel" / "run_faults.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    while left := [stage for stage in stages if stage not in found]:
        command = [launcher(), "-n", str(ranks), *script, str(folder), kind, str(rank), *left]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        stopped = time.time()
        faults: dict[str, float] = {}
        for line in done.stderr.splitlines():
            if line.startswith("FAULT "):
                _, when, stage = line.split(maxsplit=2)
                faults.setdefault(stage, float(when))
        for line in done.stdout.splitlines():
            case = json.loads(line)
            for seen in case["seen"]:
                assert seen is not None and "a fault on one rank" in seen[1], case
            assert TYPES[kind] in [seen[0] for seen in case["seen"]], case
            found[case["stage"]] = "error", case["ended"] - faults[case["stage"]]
        if done.returncode != 0:
            last = next(stage for stage in left if stage not in found)
            assert "a fault on one rank (not on all ranks" in done.stderr, done.stderr
            found[last] = "abort", stopped - faults[last]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("faults")
    save(found / "tank.h5", cem())
    return found


def test_a_fault_on_the_second_of_two_ranks_ends_both(folder):
    """Some stages of which both ranks hear, and at last one at which the other can only be ended."""
    told = ["reading", "device", "solve", "checkpoint", "output"]
    found = ended(folder, "unforeseen", 2, 1, [*told, "network"])
    assert {stage: how for stage, (how, _) in found.items()} == dict.fromkeys(told, "error") | {"network": "abort"}
    assert all(seconds < LIMIT for _, seconds in found.values()), found


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_fault_on_one_rank_ends_all(ranks, kind, folder, capsys):
    """Known errors on the last rank, unforeseen ones on the first."""
    rank = ranks - 1 if kind == "known" else 0
    found = ended(folder, kind, ranks, rank, list(STAGES))
    with capsys.disabled():
        print(f"\n{kind}, {ranks} ranks: {found}")
    assert all(seconds < LIMIT for _, seconds in found.values()), found
    assert ranks > 1 or {how for how, _ in found.values()} == {"error"}
