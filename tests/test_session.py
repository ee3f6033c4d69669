"""Sessions: seeds, checkpoints, interruption."""

import dataclasses
import os
import signal
from functools import cache

import numpy as np
import pytest
import torch

from eitdip import session
from eitdip.errors import CheckpointError, OutputError
from eitdip.memory import peak_memory, reset_peak_memory
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


def test_the_parts_of_the_time_add_up():
    solution = solve(steps=4)
    assert set(solution.seconds) == {"total", *session.PARTS}
    assert sum(solution.seconds[part] for part in session.PARTS) == pytest.approx(solution.seconds["total"], rel=1e-12)
    assert all(seconds > 0 for seconds in solution.seconds.values())
    assert solution.memory == (pytest.approx(peak_memory(), rel=0.5),)
    assert solution.memory_of == "session"
    assert solution.parallel == {"ranks": 1, "teams": 1, "threads per rank": torch.get_num_threads(), "mesh ranks": 1}


def test_memory_says_if_it_cannot_be_counted_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("eitdip.memory._RESET", tmp_path / "none" / "clear_refs")
    solution = solve()
    assert solution.memory_of == "process" and solution.memory[0] > 50


def test_memory_is_counted_from_the_last_reset():
    if not reset_peak_memory():
        pytest.skip("this system cannot reset the peak of a process")
    before = peak_memory()
    block = np.ones(2**24)  # 128 MiB
    high = peak_memory()
    assert high > before + 100
    del block
    assert peak_memory() == pytest.approx(high, abs=5)
    assert reset_peak_memory() and peak_memory() < high - 100


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


@pytest.mark.parametrize("solver", ["last-factor", "multigrid"])
def test_a_solver_with_a_past_resumes_bit_identically(solver, tmp_path, monkeypatch):
    """Its values depend, in the last digits, on the conductivity that was factored last."""
    changes = {"solver": solver, "steps": 8, "learning_rate": 0.05, "seeds": 2}
    options = options_for("dip-tv", SETTINGS | changes)

    def run(folder=None, resume=False):
        fresh = prepare(cem(), options)  # as a new process would
        return session.solve(fresh, options, comm=alone(), folder=folder, resume=resume, quiet=True)

    whole = run()
    with monkeypatch.context() as patch:
        inner, calls = session._show, []

        def show(bar):
            def count(progress):
                calls.append(1)
                if len(calls) == 13:
                    os.kill(os.getpid(), signal.SIGINT)
                inner(bar)(progress)

            return count

        patch.setattr(session, "_show", show)
        assert [result.iterations for result in run(tmp_path).results] == [8, 5]
    done = run(tmp_path, resume=True)
    assert np.array_equal(done.sigma, whole.sigma) and np.array_equal(done.prediction, whole.prediction)
    for one, other in zip(done.results, whole.results, strict=True):
        assert np.array_equal(one.history["loss"], other.history["loss"])


def test_no_seed_depends_on_the_one_before():
    """Else the numbers would depend on how seeds are divided over ranks."""
    options = options_for("dip-tv", SETTINGS | {"solver": "last-factor", "steps": 6, "learning_rate": 0.05})
    fresh = prepare(cem(), options)
    both = session.solve(fresh, dataclasses.replace(options, seeds=2), comm=alone(), quiet=True)
    second = session.solve(fresh, dataclasses.replace(options, seed=1), comm=alone(), quiet=True)
    assert np.array_equal(both.results[1].sigma, second.results[0].sigma)


def test_a_checkpoint_that_cannot_be_written_is_an_error_after_the_step(tmp_path, monkeypatch):
    steps, inner = [], session._show

    def show(bar):
        def count(progress):
            steps.append(1)
            if len(steps) == 2:
                (tmp_path / "seed-0.safetensors").unlink()
                (tmp_path / "seed-0.safetensors").mkdir()
            inner(bar)(progress)

        return count

    monkeypatch.setattr(session, "_show", show)
    with pytest.raises(OutputError, match=r"seed-0\.safetensors: cannot be written"):
        solve(tmp_path, steps=5, checkpoint_seconds=0)
    assert len(steps) == 2


def test_another_run_is_not_resumed(tmp_path):
    solve(tmp_path)
    before = (tmp_path / "seed-0.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="another run"):
        solve(tmp_path, resume=True, tv=3.0)
    assert (tmp_path / "seed-0.safetensors").read_bytes() == before


def test_resuming_without_a_checkpoint_starts(tmp_path):
    assert np.array_equal(solve(tmp_path, resume=True).sigma, solve().sigma)
