"""The mean loss over pairs in the one loop: gradients, the average that is delivered, and when it is looked at."""

from dataclasses import replace
from math import ceil

import numpy as np
import pytest
import torch

from eitdip.errors import DivergenceError, OptionError
from eitdip.networks import initialize
from eitdip.objective import Terms
from eitdip.parameterization import Affine, Softplus
from eitdip.pretraining.loss import EXAMPLES, PairsLoss
from eitdip.pretraining.losses import Squared
from eitdip.pretraining.training import Network, Training, begin, record
from eitdip.pretraining.weights import build
from eitdip.reconstruction import Budget, Checkpoint, FirstOf, HeldOut, Status, Step, TimeBudget, reconstruct
from tests.cases.lessons import SIDE, UNET, Line, Waves, squared


def lesson(network=None, source=None, **how) -> PairsLoss:
    return PairsLoss(network or Line(), source or Waves(double=True), squared(), **({"batch": 4, "look": 3} | how))


def by_hand(a: float, b: float, batch) -> tuple[float, float, float]:
    """Loss and gradient of the mean square of a x + b - y."""
    x, y = batch.inputs[:, 0].numpy(), batch.targets.numpy()
    rest = a * x + b - y
    return float((rest**2).mean()), float((2 * rest * x).mean()), float((2 * rest).mean())


def test_loss_and_gradient_are_the_mean_over_the_batch():
    objective, source = lesson(), Waves(double=True)
    for step in range(3):
        objective.zero_grad()
        terms = objective()
        terms.total.backward()
        expected = by_hand(0.5, 0.1, source.pairs(4 * step, 4))
        found = terms.losses["squared"].item(), float(objective.network.a.grad), float(objective.network.b.grad)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert list(terms.losses) == ["squared"] and np.isnan(terms.chi2)
    assert all(parameter.grad is None for parameter in objective.average.parameters())


def test_each_step_sees_the_pairs_of_its_number():
    source = Waves(double=True)
    objective = lesson(source=source, batch=6)
    for _ in range(3):
        objective()
    assert source.asked == [(0, 6), (6, 6), (12, 6)]


def test_products_in_16_bits_are_rounded_and_nothing_else_is():
    """Outputs differ from those in single precision by the rounding of bfloat16; weights, losses and looks do not."""
    source, objectives = Waves(), {}
    for precision in ("single", "bfloat16"):
        network = initialize(build(UNET), torch.Generator().manual_seed(0))
        with torch.no_grad():
            for value in network.output.parameters():
                value += 0.3
        objectives[precision] = begin(
            network, source, squared(), Training(steps=3, batch=2, precision=precision)
        ).objective
    single, rounded = (objectives[name] for name in ("single", "bfloat16"))
    inputs = source.pairs(0, 2).inputs
    one, other = single._outputs(inputs), rounded._outputs(inputs)
    assert one.dtype == other.dtype == torch.float32
    error = ((other - one).norm() / one.norm()).item()
    assert 1e-4 < error < 3e-2
    terms = [objective() for objective in (single, rounded)]
    for each in terms:
        each.total.backward()
    assert terms[0].held_out == terms[1].held_out and torch.equal(terms[0].x, terms[1].x)
    assert terms[1].total.dtype == torch.float32 and terms[1].total.item() != terms[0].total.item()
    assert terms[1].total.item() == pytest.approx(terms[0].total.item(), rel=0.1)
    assert all(value.grad.dtype == value.dtype == torch.float32 for value in rounded.network.parameters())


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.999])
def test_the_average_follows_the_weights_before_each_update(decay):
    """After step k by the share 1 - min(decay, (1 + k) / (10 + k)) of the way."""
    objective = lesson(decay=decay)
    optimizer = torch.optim.SGD(objective.network.parameters(), lr=0.3)
    mean = seen = 0.5
    for step in range(5):
        assert float(objective.state()["a"]) == pytest.approx(mean, rel=1e-14)
        share = 1 - min(decay, (1 + step) / (10 + step))
        mean += share * (seen - mean)
        optimizer.zero_grad()
        objective().total.backward()
        optimizer.step()
        seen = float(objective.network.a.detach())
        assert float(objective.state()["a"]) == pytest.approx(mean, rel=1e-14)
    assert abs(seen - 0.5) > 0.01 and (decay == 0 or abs(mean - seen) > 1e-3)


def held_loss(state: dict, source: Waves) -> float:
    held = source.held_out()
    return by_hand(float(state["a"]), float(state["b"]), held)[0]


def test_what_is_watched_is_the_average_that_is_delivered():
    """Held-out loss and examples are those of the weights that `state()` gave before the step."""
    source = Waves(double=True)
    objective = lesson(source=source, decay=0.5)
    optimizer = torch.optim.SGD(objective.network.parameters(), lr=0.3)
    looked, last = [], None
    for step in range(9):
        state = objective.state()
        optimizer.zero_grad()
        terms = objective()
        terms.total.backward()
        optimizer.step()
        if last is None or terms.held_out != last.held_out:
            looked.append(step)
            assert terms.held_out == pytest.approx(held_loss(state, source), rel=1e-12)
            expected = state["a"] * source.held_out().inputs[:EXAMPLES, 0] + state["b"]
            torch.testing.assert_close(terms.estimate, expected)
            # Of the network itself it is another one.
            assert step == 0 or terms.held_out != pytest.approx(held_loss(objective.network.state_dict(), source))
        else:  # carried on between the looks
            assert torch.equal(terms.estimate, last.estimate)
        last = terms
    assert looked == [0, 2, 5, 8]  # the first step and the last one of three
    assert last.estimate.shape == (EXAMPLES, SIDE, SIDE) and torch.equal(last.x, last.estimate)


def test_the_result_is_of_a_look_and_has_its_held_out_loss():
    objective = lesson(look=5, decay=0.5)
    optimizer = torch.optim.SGD(objective.network.parameters(), lr=0.3)
    result = reconstruct(objective, optimizer, FirstOf(HeldOut(100), Budget(30)))
    assert result.kept % 5 == 4 and result.status == Status.BUDGET and result.iterations == 30
    held = result.history["held_out"]
    assert held[result.kept] == held.min() < 0.7 * held[0]
    assert held[result.kept] == pytest.approx(held_loss(result.state, Waves(double=True)), rel=1e-12)
    objective.network.load_state_dict(result.state)


def test_the_number_of_held_out_pairs_need_not_be_a_multiple_of_the_batch():
    for held in (1, 3, 9):
        source = Waves(held=held, double=True)
        objective = lesson(source=source)
        assert objective().held_out == pytest.approx(held_loss(objective.state(), source), rel=1e-12)


def test_held_out_pairs_are_drawn_once():
    source = Waves()
    drawn = []
    inner, source.held_out = source.held_out, lambda: drawn.append(1) or inner()
    objective = lesson(Line(dtype=torch.float32), source, look=1)
    for _ in range(4):
        objective()
    assert len(drawn) == 1


def test_a_loss_with_a_link_and_a_unit():
    """Of complex targets two channels are the two parts."""
    outputs, targets = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[3.0, 1.0]]])
    loss = Squared(Softplus(2.0), unit=0.5)
    expected = ((loss.link(outputs) - targets) / 0.5).square().mean()
    torch.testing.assert_close(loss(outputs, targets)["squared"], expected)
    torch.testing.assert_close(loss.images(outputs)[0, 0, 0], torch.tensor(2.0))
    by_parts = Squared(Affine(1.0, 2.0), unit=2.0, complex=True)
    outputs = torch.tensor([[[[0.0]], [[1.0]]]])  # link: 1 and 3
    assert by_parts.images(outputs).item() == 1 + 3j
    assert float(by_parts(outputs, torch.tensor([[[1 + 1j]]]))["squared"]) == pytest.approx(1.0)
    assert float(by_parts(outputs, torch.tensor([[[4 + 7j]]]))["squared"]) == pytest.approx(25 / 4)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"look": 0}, {"decay": 1.0}, {"decay": -0.1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(OptionError, match="batch, decay, look: got"):
        lesson(**wrong)


def test_ranks_divide_the_batch():
    class Comm:
        rank, size = 1, 3

    with pytest.raises(OptionError, match="batch: got 4 for 3 ranks, expected a multiple of their number"):
        lesson(comm=Comm())


def test_a_rank_sees_its_share_of_the_batch(monkeypatch):
    """Through the network that averages gradients; the pairs that are watched are the same on all."""

    class Comm:
        rank, size = 1, 2

    monkeypatch.setattr("eitdip.pretraining.loss.shared", lambda network: lambda x: 2 * network(x))
    source = Waves(double=True)
    objective = lesson(source=source, comm=Comm(), batch=6)
    objective()
    terms = objective()
    assert source.asked == [(3, 3), (9, 3)]
    assert terms.losses["squared"].item() == pytest.approx(by_hand(1.0, 0.2, source.pairs(9, 3))[0], rel=1e-12)
    assert terms.held_out == pytest.approx(held_loss(objective.state(), source), rel=1e-12)


def test_a_checkpoint_has_the_average_and_the_look():
    one, other = lesson(decay=0.5), lesson(decay=0.5, network=Line(3.0, 2.0))
    for _ in range(4):
        one()
        with torch.no_grad():
            one.network.a += 0.1
    other.load_state_dict(one.state_dict())
    assert other.state().keys() == one.state().keys()
    assert all(torch.equal(other.state()[name], value) for name, value in one.state().items())
    a, b = one(), other()
    assert a.held_out == b.held_out and torch.equal(a.estimate, b.estimate)
    assert a.total.item() == b.total.item()  # the same pairs next


def trainee(training: Training, **how):
    network = initialize(build(UNET), torch.Generator().manual_seed(0))
    return begin(network, Waves(**how), squared(), training)


def test_a_training_begins_with_the_settings():
    parts = trainee(Training(steps=30, batch=8, learning_rate=0.03, rise=0.2, decay=0.02, average=0.7, look=10))
    (group,) = parts.optimizer.param_groups
    assert isinstance(parts.optimizer, torch.optim.AdamW) and group["weight_decay"] == 0.02
    rates = []
    for _ in range(30):
        rates.append(parts.optimizer.param_groups[0]["lr"])
        parts.optimizer.step()
        parts.schedule.step() if len(rates) < 30 else None
    assert np.argmax(rates) == 5 and max(rates) == pytest.approx(0.03)  # 0.2 of 30 steps, the first of which is 0
    assert rates[0] == pytest.approx(0.03 / 25) and rates[-1] < 1e-5 * 0.03
    assert (np.diff(rates[:6]) > 0).all() and (np.diff(rates[5:]) < 0).all()
    assert group["betas"] == (0.9, 0.999)
    objective = parts.objective
    assert (objective._batch, objective._decay, objective._look) == (8, 0.7, 10)


@pytest.mark.parametrize(("steps", "rise"), [(20, 0.05), (4, 0.25), (1, 0.5), (2, 0.1), (9, 0.2)])
def test_any_rise_of_the_rate_is_possible(steps, rise):
    parts, rates = trainee(Training(steps=steps, rise=rise, learning_rate=0.5)), []
    for _ in range(steps):
        rates.append(parts.optimizer.param_groups[0]["lr"])
        parts.optimizer.step()
        parts.schedule.step()
    assert np.isfinite(rates).all() and max(rates) <= 0.5 and (steps < 3 or max(rates) > 0.3)


@pytest.mark.parametrize(("steps", "look"), [(1, 100), (7, 100), (60, 100), (250, 100), (2000, 100), (101, 10)])
def test_the_last_look_is_at_the_last_steps(steps, look):
    parts = trainee(Training(steps=steps, look=look))
    often = parts.objective._look
    assert often <= look and steps - steps // often * often < ceil(steps / look)
    assert parts.stop.rules[0].patience == 20 * often


def test_a_training_ends_by_patience_steps_or_seconds():
    rules = trainee(Training(steps=30, look=10, patience=4, seconds=7.0)).stop.rules
    assert [type(rule) for rule in rules] == [HeldOut, Budget, TimeBudget]
    assert (rules[0].patience, rules[1].steps, rules[2].seconds) == (40, 30, 7.0)
    assert len(trainee(Training()).stop.rules) == 2
    stop = FirstOf(*rules)
    for number in range(60):
        terms = Terms({}, 1.0, 1.0, torch.zeros(1), torch.zeros(1))
        decision = stop.update(Step(number, terms, seconds=0.5))
        if decision.stop:
            break
    assert number == 13 and "seconds" in decision.reason


def test_a_short_training_is_not_lost_by_the_look():
    """With fewer steps than there are between two looks, too, what is kept has been trained."""
    parts = trainee(Training(steps=60, learning_rate=0.01, average=0.9))
    result = reconstruct(parts.objective, parts.optimizer, parts.stop, schedule=parts.schedule)
    assert result.kept == 59 and result.history["held_out"][-1] < 0.5 * result.history["held_out"][0]
    words = record(Training(steps=60), Waves(), result)
    assert words["held-out loss"] == result.history["held_out"][59] and words["steps"] == 60
    assert words["pairs"] == Waves().hash and words["kept"] == 59 and words["training"]["steps"] == 60
    assert (
        record(Training(steps=60), Waves(), replace(result, kept=0))["held-out loss"] == result.history["held_out"][0]
    )
    assert words["seconds"] == round(float(result.history["seconds"][-1]), 1)


@pytest.mark.parametrize("huge", [3, 26])
def test_a_loss_that_overflows_ends_with_the_best_weights_so_far(huge):
    """Whenever it does: also before anything was learned."""
    parts = trainee(Training(steps=30, batch=2, look=5, average=0.5), huge=huge)
    with pytest.raises(DivergenceError, match=rf"the loss became inf at step {huge // 2}: lower") as caught:
        reconstruct(parts.objective, parts.optimizer, parts.stop, schedule=parts.schedule)
    result = caught.value.result
    assert result.status == Status.DIVERGED and all(torch.isfinite(value).all() for value in result.state.values())
    assert result.iterations == huge // 2 and result.kept in (0, 4, 9)


def test_a_diverging_rate_leaves_finite_weights():
    line = Line(dtype=torch.float32)
    objective = lesson(line, Waves(), look=2, decay=0.5)
    optimizer = torch.optim.SGD(line.parameters(), lr=1e4)
    with pytest.raises(DivergenceError) as caught:
        reconstruct(objective, optimizer, HeldOut(1000))
    result = caught.value.result
    assert result.kept == 0 and all(torch.isfinite(value).all() for value in result.state.values())


def test_a_training_goes_on_bit_identically():
    def run(steps, resume=None):
        parts, kept = trainee(Training(steps=8, batch=2, look=3, average=0.5)), []
        result = reconstruct(
            parts.objective, parts.optimizer, parts.stop, schedule=parts.schedule, resume=resume, run="r",
            callbacks=[lambda progress: kept.append(progress.checkpoint())],
            interrupted=lambda: len(kept) == steps,
        )  # fmt: skip
        return result, kept[-1]

    whole, _ = run(8)
    first, checkpoint = run(4)
    assert first.status == Status.INTERRUPTED and isinstance(checkpoint, Checkpoint)
    second, _ = run(8, checkpoint)
    assert all(torch.equal(second.state[name], value) for name, value in whole.state.items())
    for name in ("loss", "held_out", "squared"):
        np.testing.assert_array_equal(second.history[name], whole.history[name])


def test_a_network_is_as_wide_as_its_settings_say():
    built = Network(channels=32, levels=3, skips=7, patch=2).architecture(2, 3, 2)
    assert built == {"class": "unet", "latent_channels": 2, "channels": [32, 48, 72, 112], "levels": 3, "skips": 7,
                     "dimension": 2, "outputs": 3, "patch": 2, "scaled": True}  # fmt: skip
    assert Network(channels=1, levels=1).architecture(1, 1, 3)["channels"] == [1, 8]
    assert build(Network(channels=5, levels=2).architecture(1, 1, 3)).output.in_channels == 5
