"""Sessions, of tanks and of images alike: seeds, checkpoints, interruption, limits."""

import os
import signal
from functools import cache

import numpy as np
import pytest
import torch

import eitdip
from eitdip.cost import peak_memory, reset_peak_memory
from eitdip.errors import CheckpointError, OptionError, OutputError
from eitdip.methods.options import Running
from eitdip.reconstruction import Status
from eitdip.runs import session
from eitdip.runs.fingerprint import fingerprint
from eitdip.runs.output import summarize
from eitdip.runs.solution import PARTS
from tests.cases import images, measurements

pytestmark = pytest.mark.usefixtures("gmsh")


@cache
def problem(kind: str, **meshing):
    return images.IMAGES[kind]() if kind in images.IMAGES else measurements.problem(kind, **meshing)


def settings(kind: str) -> dict:
    small = {"channels": 8, "steps": 3, "stop": "budget"}
    return small | ({"levels": 2} if kind in images.IMAGES else {"size": 16})


def solve(kind: str, folder=None, resume=False, **changes):
    return eitdip.solve(problem(kind), "dip-tv", folder=folder, resume=resume, quiet=True, **settings(kind) | changes)


both = pytest.mark.parametrize("kind", ["cem", "sinogram"])
every = pytest.mark.parametrize("kind", ["cem", "dtn", *images.IMAGES])


@every
def test_seeds_are_averaged(kind):
    two = solve(kind, seeds=2, seed=4)
    singles = [solve(kind, seed=4), solve(kind, seed=5)]
    for result, single in zip(two.results, singles, strict=True):
        assert np.array_equal(result.x, single.x)
    first, second = (single.x for single in singles)
    mean = (first + second) / 2 if kind in images.IMAGES else np.sqrt(first * second)
    assert np.allclose(two.x, mean) and not np.array_equal(first, second)
    assert np.allclose(two.prediction, problem(kind).model(two.x))
    assert two.status == Status.BUDGET


@both
def test_the_parts_of_the_time_add_up(kind):
    cost = solve(kind, steps=4).cost
    assert set(cost.seconds) == {"total", *PARTS}
    assert sum(cost.seconds[part] for part in PARTS) == pytest.approx(cost.seconds["total"], rel=1e-12)
    idle = {"data movement"} if kind == "sinogram" else set()  # its model computes on the network's own tensors
    assert {part for part, seconds in cost.seconds.items() if seconds == 0} == idle
    assert cost.memory == (pytest.approx(peak_memory(), rel=0.5),)
    assert cost.memory_of == "session"
    assert cost.parallel == {"ranks": 1, "teams": 1, "threads per rank": torch.get_num_threads(), "mesh ranks": 1}


def test_memory_says_if_it_cannot_be_counted_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("eitdip.cost._RESET", tmp_path / "none" / "clear_refs")
    cost = solve("cem").cost
    assert cost.memory_of == "process" and cost.memory[0] > 50


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


@both
def test_the_fingerprint_names_what_changes_the_run(kind):
    from eitdip.methods.options import method

    def name(seed=0, **changes):
        return fingerprint(problem(kind), method("dip-tv", settings(kind) | changes), seed)

    base = name()
    assert name(seeds=3) == base
    others = {name(channels=4), name(tv=2), name(link="softplus"), name(seed=1)}
    assert len(others) == 4 and base not in others
    # Steps decide the course only where the rate falls towards their end.
    assert name(schedule="cosine", steps=4) != name(schedule="cosine")
    assert name(schedule="constant", steps=4) == name(schedule="constant")
    assert {word.partition(":")[0] for word in base.split()} == {"data", "model", "unknown", "method"}


@every
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_session_goes_on_bit_identically(kind, number, tmp_path, monkeypatch):
    """In the middle of the second of two seeds."""
    changes = {"steps": 8, "seeds": 2, "input_noise": 0.1}
    whole = solve(kind, **changes)
    calls, inner, handlers = [], session._show, [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    def show(bar):
        def count(progress):
            calls.append(1)
            if len(calls) == 12:
                os.kill(os.getpid(), number)
            inner(bar)(progress)

        return count

    monkeypatch.setattr(session, "_show", show)
    half = solve(kind, tmp_path, **changes)
    assert half.status == Status.INTERRUPTED
    assert [result.iterations for result in half.results] == [8, 4]
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    done = solve(kind, tmp_path, resume=True, **changes)
    assert np.array_equal(done.x, whole.x) and np.array_equal(done.field, whole.field)
    for one, other in zip(done.results, whole.results, strict=True):
        assert np.array_equal(one.history["loss"], other.history["loss"])
        assert all(torch.equal(one.state[name], other.state[name]) for name in one.state if "extra" not in name)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["seed-0.safetensors", "seed-1.safetensors"]


@pytest.mark.parametrize("solver", ["last-factor", "multigrid"])
def test_a_solver_with_a_past_resumes_bit_identically(solver, tmp_path, monkeypatch):
    """Its values depend, in the last digits, on the conductivity that was factored last."""
    changes = {"steps": 8, "learning_rate": 0.05, "seeds": 2, "stop": "budget", "size": 16, "channels": 8}

    def run(folder=None, resume=False):
        fresh = measurements.problem.__wrapped__("cem", solver=solver)  # as a new process would
        return eitdip.solve(fresh, "dip-tv", folder=folder, resume=resume, quiet=True, **changes)

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
    assert np.array_equal(done.x, whole.x) and np.array_equal(done.prediction, whole.prediction)
    for one, other in zip(done.results, whole.results, strict=True):
        assert np.array_equal(one.history["loss"], other.history["loss"])


def test_no_seed_depends_on_the_one_before():
    """Else the numbers would depend on how seeds are divided over ranks."""
    fresh = measurements.problem("cem", solver="last-factor")
    small = {"size": 16, "channels": 8, "steps": 6, "learning_rate": 0.05, "quiet": True}
    two = eitdip.solve(fresh, "dip-tv", seeds=2, **small)
    second = eitdip.solve(fresh, "dip-tv", seed=1, **small)
    assert np.array_equal(two.results[1].x, second.results[0].x)


@both
def test_a_checkpoint_that_cannot_be_written_is_an_error_after_the_step(kind, tmp_path, monkeypatch):
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
        solve(kind, tmp_path, steps=5, checkpoint_seconds=0)
    assert len(steps) == 2


@both
def test_what_a_killed_run_was_writing_does_not_stay(kind, tmp_path):
    """Even if nothing is left to be written: its last checkpoint but one was complete."""
    solve(kind, tmp_path)
    (tmp_path / ".seed-0.part.safetensors").write_bytes(b"torn")
    assert np.array_equal(solve(kind, tmp_path, resume=True).x, solve(kind).x)
    assert [path.name for path in tmp_path.iterdir()] == ["seed-0.safetensors"]


@both
def test_another_run_is_not_resumed_and_the_error_says_what_differs(kind, tmp_path):
    solve(kind, tmp_path)
    before = (tmp_path / "seed-0.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="belongs to another run: got another method"):
        solve(kind, tmp_path, resume=True, tv=3.0)
    other = images.sinogram(seed=6) if kind == "sinogram" else measurements.problem("cem", h=0.3)
    part = "another data and another model" if kind == "sinogram" else "another unknown"
    with pytest.raises(CheckpointError, match=f"belongs to another run: got .*{part}"):
        eitdip.solve(other, "dip-tv", folder=tmp_path, resume=True, quiet=True, **settings(kind))
    assert (tmp_path / "seed-0.safetensors").read_bytes() == before


@both
def test_resuming_without_a_checkpoint_starts(kind, tmp_path):
    with pytest.warns(UserWarning, match="nothing to resume, so the run starts at its beginning"):
        found = solve(kind, tmp_path, resume=True)
    assert np.array_equal(found.x, solve(kind).x)


def test_there_is_nothing_to_resume_without_a_folder():
    with pytest.raises(OptionError, match="resume: got True without a folder of checkpoints"):
        solve("sinogram", resume=True)


@both
def test_another_time_limit_on_resume_is_told(kind, tmp_path):
    changes = {"schedule": "constant", "steps": 1000}
    first = solve(kind, tmp_path, seconds=1e-9, **changes)
    assert first.results[0].iterations == 1 and "1e-09 seconds" in first.results[0].reason
    again = solve(kind, tmp_path, resume=True, seconds=1e-9, **changes)  # nothing is left to do
    limits = {"steps": 1000, "seconds": 1e-9}
    assert again.results[0].sessions == first.results[0].sessions == ({"from step": 0} | limits,)
    more = solve(kind, tmp_path, resume=True, **changes | {"steps": 3})
    assert more.results[0].iterations == 3
    told = [{"from step": 0} | limits, {"from step": 1, "steps": 3, "seconds": 0.0}]
    assert list(more.results[0].sessions) == told
    summary = summarize(more)
    assert summary["sessions"] == [told] and summary["running"]["seconds"] == 0.0


@both
def test_a_time_limit_ends_the_steps(kind):
    found = solve(kind, steps=100000, seconds=0.2)
    assert found.results[0].status == Status.BUDGET and "0.2 seconds" in found.results[0].reason


@both
def test_lbfgs_and_averaging_are_for_both(kind):
    quasi = solve(kind, optimizer="lbfgs", steps=4, average=None)
    assert quasi.results[0].history["loss"][-1] < quasi.results[0].history["loss"][0]
    averaged, plain = solve(kind, average=0.5), solve(kind, average=0.0)
    assert not np.array_equal(averaged.x, plain.x)
    assert np.array_equal(averaged.results[0].history["loss"], plain.results[0].history["loss"])


def test_settings_of_running_and_of_the_method_go_their_ways(tmp_path):
    with pytest.raises(OptionError, match="unknown option: got 'stepps', expected one of: steps"):
        solve("sinogram", stepps=3)
    problem_ = problem("sinogram")
    found = eitdip.solve(problem_, "dip-tv", running=Running(seconds=0.1), steps=100000, channels=8, quiet=True)
    assert found.name == "dip-tv" and found.results[0].iterations < 100000


@both
def test_a_run_that_used_up_its_steps_can_be_extended(kind, tmp_path):
    changes = {"schedule": "constant"}
    whole = solve(kind, steps=6, **changes)
    solve(kind, tmp_path, steps=3, **changes)
    more = solve(kind, tmp_path, resume=True, steps=6, **changes)
    assert more.results[0].iterations == 6 and np.array_equal(more.x, whole.x)
    assert np.array_equal(more.results[0].history["loss"], whole.results[0].history["loss"])
    again = solve(kind, tmp_path, resume=True, steps=6, **changes)  # nothing is left to do
    assert np.array_equal(again.x, whole.x)


@both
def test_what_is_told_of_an_average_is_that_of_the_average(kind):
    found = solve(kind, average=0.9, steps=5)
    assert found.results[0].chi2 == pytest.approx(found.misfit, rel=1e-6)
    raw = solve(kind, average=0.0, steps=5)
    assert raw.misfit != pytest.approx(found.misfit, rel=1e-3)


def test_the_discrepancy_of_an_average_is_reached_by_what_is_returned():
    found = eitdip.solve(images.noisy(0.1), "dip", stop="discrepancy", average=0.9, channels=8, levels=2, quiet=True)
    assert found.results[0].status == Status.DONE and found.misfit <= 1.0


def test_few_counts_stop_where_noise_alone_would_be():
    """At 0.1 counts a pixel the deviance of the true mean is about 0.5, not 1."""
    from eitdip.data.data import Data
    from eitdip.data.noise import Poisson
    from eitdip.problems.images import image_problem

    truth = np.full((32, 32), 0.1)
    data = Data(Poisson().sample(truth, np.random.default_rng(0)), Poisson())
    few = image_problem("pet", images.identity((32, 32)), data, low=0.0, truth=truth)
    found = eitdip.solve(few, "pixels-tv", stop="discrepancy", steps=40, tv=0.0, quiet=True)
    assert found.expected == pytest.approx(0.47, abs=0.06)
    assert found.results[0].status == Status.DONE and 0.3 < found.misfit <= found.expected
