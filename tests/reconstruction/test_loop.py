"""The loop on a problem with a known answer: steps, ends, interruption, resumption."""

from itertools import islice

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.errors import DivergenceError, LinearSolverError, NotPositiveError
from eitdip.networks import Decoder
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.operator import Matrix, Space
from eitdip.parameterization import Exp, Parameterization, draw_prior
from eitdip.reconstruction import (
    Budget,
    Checkpoint,
    Discrepancy,
    FirstOf,
    HeldOut,
    Status,
    WindowedVariance,
    iterate,
    reconstruct,
)
from eitdip.reconstruction.loop import _on_device
from tests.reconstruction.quadratic import Quadratic


def adam(parameters):
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.005)


def lbfgs(parameters):
    return torch.optim.LBFGS(parameters, lr=0.05, max_iter=2, history_size=4), None


def wolfe(parameters):
    return torch.optim.LBFGS(parameters, max_iter=4, history_size=5, line_search_fn="strong_wolfe"), None


OPTIMIZERS = {"adam": adam, "lbfgs": lbfgs, "wolfe": wolfe}
RULES = {
    "budget": lambda: Budget(20),
    "discrepancy": lambda: FirstOf(Discrepancy(1e-9), Budget(20)),
    "held-out": lambda: FirstOf(HeldOut(15), Budget(20)),
    "variance": lambda: FirstOf(WindowedVariance(6, 15), Budget(20)),
}


def solve(make=adam, stop=None, **more):
    objective = Quadratic()
    optimizer, schedule = make(objective.parameters())
    return reconstruct(objective, optimizer, stop or Budget(20), schedule=schedule, **more)


def assert_same(one, other):
    assert np.array_equal(one.estimate, other.estimate) and np.array_equal(one.x, other.x)
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(value, other.state[name]) for name, value in one.state.items())
    assert (one.status, one.reason, one.iterations, one.kept) == (
        other.status,
        other.reason,
        other.iterations,
        other.kept,
    )
    assert one.history.keys() == other.history.keys()
    for name, values in one.history.items():
        assert name == "seconds" or np.array_equal(values, other.history[name], equal_nan=True), name


def test_steps_carry_the_terms_before_the_update():
    objective = Quadratic()
    steps = list(islice(iterate(objective, torch.optim.Adam(objective.parameters(), lr=0.1), start=5), 3))
    assert [s.iteration for s in steps] == [5, 6, 7]
    assert torch.equal(steps[0].terms.estimate, torch.ones(6, dtype=torch.float64))
    assert steps[2].terms.chi2 < steps[1].terms.chi2 < steps[0].terms.chi2
    assert all(torch.equal(s.state["x"].exp(), s.terms.estimate) for s in steps)


def test_the_minimum_is_found():
    result = solve(wolfe, Budget(30))
    assert np.allclose(result.estimate, np.exp(np.linspace(-1, 1, 6)), rtol=1e-5)
    assert result.status == Status.BUDGET and result.iterations == 30 and result.kept == 29
    assert result.chi2 == result.history["chi2"][-1]
    assert set(result.history) == {"loss", "chi2", "held_out", "misfit", "seconds"}
    assert (np.diff(result.history["seconds"]) > 0).all() and result.history["seconds"][0] > 0
    assert all(len(values) == 30 for values in result.history.values())


def test_the_kept_iterate_is_the_one_returned():
    seen = []
    result = solve(
        lambda p: (torch.optim.SGD(p, lr=0.7), None),
        HeldOut(4),
        callbacks=[lambda progress: seen.append(progress.step.terms.estimate.numpy().copy())],
    )
    assert result.status == Status.DONE
    assert result.kept == int(np.argmin(result.history["held_out"])) < result.iterations - 1
    assert np.array_equal(result.estimate, seen[result.kept])
    assert np.array_equal(result.state["x"].exp(), result.estimate)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_twenty_steps_are_ten_and_ten(make, rule, tmp_path):
    """Or as many before and after as the rule allows."""
    path = tmp_path / "half.safetensors"
    whole = solve(make, rule())
    half = whole.iterations // 2

    def halfway(progress):
        if progress.step.iteration + 1 == half:
            progress.checkpoint().save(path)

    assert_same(solve(make, rule(), callbacks=[halfway], run="r"), whole)
    checkpoint = Checkpoint.load(path, "r")
    assert checkpoint.iteration == half
    assert_same(solve(make, rule(), resume=checkpoint, run="r"), whole)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_interrupted_run_can_be_resumed(make, tmp_path):
    asked, latest = [], []

    def interrupted():
        asked.append(1)
        return len(asked) == 7

    half = solve(make, callbacks=[latest.append], interrupted=interrupted)
    assert half.status == Status.INTERRUPTED and half.iterations == 7
    latest[-1].checkpoint().save(tmp_path / "c")
    assert_same(solve(make, resume=Checkpoint.load(tmp_path / "c")), solve(make))


@pytest.mark.parametrize("drift", [False, True], ids=["weights", "weights and drift"])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_float32_weights_resume_with_the_same_bits(make, drift, tmp_path):
    """Inner products of float32 vectors depend on where they start in memory."""

    def run(**more):
        prior = draw_prior(Decoder(channels=5, levels=2), (12, 12), input_noise=0.01)
        space = Space((12, 12))
        model = Matrix(sparse.eye_array(144, format="csr"), space, space)
        data = np.random.default_rng(1).uniform(1, 2, (12, 12))
        objective = Variational(model, Parameterization(prior, Exp(1.0), fit_drift=drift), LeastSquares(data, 0.1))
        optimizer, schedule = make(objective.parameters())
        return reconstruct(objective, optimizer, Budget(20), schedule=schedule, **more)

    def halfway(progress):
        if progress.step.iteration == 9:
            progress.checkpoint().save(tmp_path / "c")

    whole = run(callbacks=[halfway])
    assert_same(run(resume=Checkpoint.load(tmp_path / "c")), whole)


def test_a_finished_run_resumes_to_its_result(tmp_path):
    latest = []
    whole = solve(callbacks=[latest.append])
    latest[-1].checkpoint().save(tmp_path / "c")
    calls = []
    again = solve(resume=Checkpoint.load(tmp_path / "c"), callbacks=[calls.append])
    assert_same(again, whole)
    assert not calls


def test_divergence_carries_what_was_reached():
    with pytest.raises(DivergenceError, match="learning rate") as caught:
        solve(lambda p: (torch.optim.SGD(p, lr=1e200), None))
    result = caught.value.result
    assert result.status == Status.DIVERGED
    assert np.isfinite(result.history["loss"]).all() and result.iterations == len(result.history["loss"]) >= 1


class Failing(Quadratic):
    """Cannot be evaluated, or not differentiated, after some evaluations."""

    def __init__(self, good: int, error: Exception, backward: bool = False):
        super().__init__()
        self.left, self.error, self.backward = good, error, backward

    def forward(self):
        terms = super().forward()
        self.left -= 1
        if self.left < 0 and not self.backward:
            raise self.error
        if self.left < 0:
            terms.losses["misfit"].register_hook(self._fail)
        return terms

    def _fail(self, gradient):
        raise self.error


@pytest.mark.parametrize("error", [LinearSolverError("no solution"), NotPositiveError("not a conductivity")])
@pytest.mark.parametrize("backward", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize("make", [adam, lbfgs])
def test_a_failed_solve_is_divergence_and_not_bad_input(error, backward, make):
    """Of the fifth evaluation: Adam's step 4, or the second evaluation of step 2."""
    objective = Failing(4 if make is adam else 5, error, backward)
    optimizer, schedule = make(objective.parameters())
    with pytest.raises(DivergenceError, match=f"step [24]: {error}; lower the learning rate") as caught:
        reconstruct(objective, optimizer, Budget(20), schedule=schedule)
    result = caught.value.result
    # L-BFGS's step 2 was evaluated once, at what step 1 had reached.
    assert result.status == Status.DIVERGED and result.iterations == (4 if make is adam else 3)
    assert result.kept == result.iterations - 1 and np.isfinite(result.estimate).all()


@pytest.mark.parametrize("error", [LinearSolverError("no solution"), NotPositiveError("not a conductivity")])
def test_a_start_that_cannot_be_evaluated_is_bad_input(error):
    objective = Failing(0, error)
    with pytest.raises(type(error), match=str(error)):
        reconstruct(objective, *adam(objective.parameters())[:1], Budget(20))


@pytest.mark.parametrize("error", [LinearSolverError("no solution"), DivergenceError("the loss became nan")])
def test_a_first_step_that_fails_after_its_start_has_the_start(error):
    objective = Failing(1, error)
    start = objective().estimate.numpy()
    objective.left = 1
    with pytest.raises(DivergenceError, match=str(error)) as caught:
        reconstruct(objective, *lbfgs(objective.parameters())[:1], Budget(20))
    result = caught.value.result
    assert (result.status, result.iterations, result.kept) == (Status.DIVERGED, 1, 0)
    assert np.array_equal(result.estimate, start) and len(result.history["loss"]) == 1


def test_divergence_at_the_first_evaluation_has_no_result():
    objective = Quadratic()
    objective.b[0] = torch.nan
    with pytest.raises(DivergenceError, match="nan at step 0") as caught:
        reconstruct(objective, torch.optim.Adam(objective.parameters()), Budget(3))
    assert caught.value.result is None


def test_a_saved_state_goes_to_the_device_of_the_run():
    state = {"_best": 1.5, "_recent": [torch.zeros(2), None], "inner": {"_sum": torch.ones(1), "word": "x"}}
    moved = _on_device(state, torch.device("meta"))
    assert moved["_recent"][0].device.type == moved["inner"]["_sum"].device.type == "meta"
    assert (moved["_best"], moved["_recent"][1], moved["inner"]["word"]) == (1.5, None, "x")
