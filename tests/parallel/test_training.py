"""Two ranks that share each batch train what one rank with all of it does."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from eitdip.ranks.collectives import alone
from eitdip.ranks.gradients import training_together
from tests.cases.commands import launcher
from tests.conftest import ROOT
from tests.parallel.run_training import all_weights, trained

LIMIT = 15.0  # s from the fault on


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Arrays of the run on two ranks; and how its last training, with an error on one rank only, has ended."""
    folder = tmp_path_factory.mktemp("training")
    script = [sys.executable, "-W", "error", str(ROOT / "tests" / "parallel" / "run_training.py"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [launcher(), "-n", "2", *script], env=environment, capture_output=True, text=True, timeout=240
    )
    ended = time.time()
    assert (folder / "two.npz").exists(), done.stderr
    with np.load(folder / "two.npz") as file:
        return dict(file), done, ended


@pytest.mark.parametrize(("precision", "tolerance"), [("double", 1e-10), ("single", 1e-2)])
def test_two_ranks_train_what_one_does(precision, tolerance, two):
    """In double precision to rounding; in single precision Adam makes steps of gradients that are only rounding."""
    found, _, _ = two
    assert found["ranks"] == 2  # and not two programs of one rank each
    _, result = trained(alone(), precision == "double")
    one, other = all_weights(result), found[f"{precision} weights"]
    difference = float(np.linalg.norm(other - one) / np.linalg.norm(one))
    held = result.history["held_out"]
    print(f"{precision}: weights differ by {difference:.2e} of their size")
    assert difference <= tolerance
    np.testing.assert_allclose(found[f"{precision} held_out"], held, rtol=10 * tolerance)
    assert held[result.kept] < 0.5 * held[0]


def test_two_ranks_go_on_bit_identically(two):
    found, _, _ = two
    assert np.array_equal(found["resumed weights"], found["double weights"])
    assert np.array_equal(found["resumed held_out"], found["double held_out"])


def test_an_error_on_one_rank_ends_both(two):
    _, done, ended = two
    (fault,) = (float(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("FAULT "))
    assert done.returncode != 0 and "a fault on one rank' (not on all ranks" in done.stderr, done.stderr
    assert ended - fault < LIMIT


def test_one_rank_needs_no_meeting():
    with training_together(alone(), torch.device("cpu")):
        assert not torch.distributed.is_initialized()
