"""Sessions: seeds, checkpoints, interruption."""

import os
import signal
from functools import cache

import numpy as np
import pytest

from eitdip import session
from eitdip.errors import CheckpointError
from eitdip.methods import options_for, prepare
from eitdip.parallel import alone
from eitdip.reconstruction import Status
from tests.reconstruction.small import SETTINGS, cem

pytestmark = pytest.mark.usefixtures("gmsh")


@cache
def problem(**changes):
    return prepare(cem(), options_for("dip-tv", SETTINGS | changes))


def solve(folder=None, resume=False, **changes):
    options = options_for("dip-tv", SETTINGS | changes)
    return session.solve(problem(), options, comm=alone(), folder=folder, resume=resume, quiet=True)


def test_seeds_are_averaged_in_the_logarithm():
    both = solve(seeds=2, seed=4)
    singles = [solve(seed=4), solve(seed=5)]
    for result, single in zip(both.results, singles, strict=True):
        assert np.array_equal(result.sigma, single.sigma)
    assert np.allclose(both.sigma, np.sqrt(singles[0].sigma * singles[1].sigma))
    assert np.allclose(both.prediction, problem().model(both.sigma))
    assert both.status == Status.BUDGET
    assert both.seconds["total"] >= both.seconds["finite elements"] >= 0


def test_the_fingerprint_names_what_changes_the_run():
    base = options_for("dip-tv", SETTINGS)
    name = session.fingerprint(problem(), base, 0)
    same = [options_for("dip-tv", SETTINGS | change) for change in ({"seeds": 3}, {"checkpoint_seconds": 1})]
    assert {session.fingerprint(problem(), options, 0) for options in same} == {name}
    other = [options_for("dip-tv", SETTINGS | change) for change in ({"steps": 4}, {"tv": 2}, {"link": "exp"})]
    others = {session.fingerprint(problem(), options, 0) for options in other}
    others |= {session.fingerprint(problem(), base, 1), session.fingerprint(problem(h=0.3), base, 0)}
    assert len(others) == 5 and name not in others


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_session_goes_on_bit_identically(number, tmp_path, monkeypatch):
    """In the middle of the second of two seeds."""
    changes = {"steps": 8, "seeds": 2}
    whole = solve(**changes)
    calls, inner, handlers = [], session._show, [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    def show(bar):
        def count(progress):
            calls.append(1)
            if len(calls) == 12:
                os.kill(os.getpid(), number)
            inner(bar)(progress)

        return count

    monkeypatch.setattr(session, "_show", show)
    half = solve(tmp_path, **changes)
    assert half.status == Status.INTERRUPTED
    assert [result.iterations for result in half.results] == [8, 4]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    done = solve(tmp_path, resume=True, **changes)
    assert np.array_equal(done.sigma, whole.sigma) and np.array_equal(done.estimate, whole.estimate)
    for one, other in zip(done.results, whole.results, strict=True):
        assert np.array_equal(one.history["loss"], other.history["loss"])
    assert sorted(item.name for item in tmp_path.iterdir()) == ["seed-0.safetensors", "seed-1.safetensors"]


def test_another_run_is_not_resumed(tmp_path):
    solve(tmp_path)
    before = (tmp_path / "seed-0.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="another run"):
        solve(tmp_path, resume=True, tv=3.0)
    assert (tmp_path / "seed-0.safetensors").read_bytes() == before


def test_resuming_without_a_checkpoint_starts(tmp_path):
    assert np.array_equal(solve(tmp_path, resume=True).sigma, solve().sigma)
