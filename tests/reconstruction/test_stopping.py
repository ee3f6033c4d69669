"""Stopping rules: when they end, what they keep, what they remember."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, OptionError
from eitdip.reconstruction import Budget, Discrepancy, FirstOf, HeldOut, Status, TimeBudget, WindowedVariance
from tests.reconstruction.quadratic import step


def test_budget_counts_steps_and_keeps_the_last():
    rule = Budget(3)
    decisions = [rule.update(step(i)) for i in range(3)]
    assert [d.stop for d in decisions] == [False, False, True]
    assert all(d.keep for d in decisions)
    assert decisions[-1].status == Status.BUDGET


def test_discrepancy_ends_at_its_target():
    rule = Discrepancy(2.0)
    decisions = [rule.update(step(chi2=chi2)) for chi2 in (5.0, 2.1, 2.0)]
    assert [d.stop for d in decisions] == [False, False, True]
    assert decisions[-1].status == Status.DONE
    assert "chi^2/N = 2 reached 2" in decisions[-1].reason


def test_a_time_budget_counts_the_seconds_of_steps():
    rule = FirstOf(HeldOut(50), TimeBudget(2.5))
    decisions = [
        rule.update(dataclasses.replace(step(i, held_out=held), seconds=seconds))
        for i, (held, seconds) in enumerate([(3, 1.0), (2, 1.25), (4, 0.25)])
    ]
    assert [d.stop for d in decisions] == [False, False, True]
    assert [d.keep for d in decisions] == [True, True, False]  # the first rule's choice
    assert (decisions[-1].status, decisions[-1].reason) == (Status.BUDGET, "all 2.5 seconds used")


def test_held_out_keeps_the_best_and_waits():
    rule = HeldOut(patience=3)
    decisions = [rule.update(step(held_out=value)) for value in (5, 4, 6, 3, 3, 4, 5)]
    assert [d.keep for d in decisions] == [True, True, False, True, False, False, False]
    assert [d.stop for d in decisions] == [False] * 6 + [True]


def test_held_out_needs_held_out_measurements():
    with pytest.raises(InvalidDataError, match="no held-out measurements"):
        HeldOut().update(step(held_out=math.nan))


def test_windowed_variance_is_that_of_numpy(rng):
    """Brute force: over each full window, the sum over entries of the variance of log estimates."""
    window, patience = 5, 8
    logs = 3 + np.cumsum(rng.standard_normal((60, 7)) / (1 + np.arange(60)[:, None]), axis=0)
    logs[40:] += np.sin(np.arange(20))[:, None]  # unsteady again, so that it stops
    rule, best, since = WindowedVariance(window, patience), math.inf, 0
    for i in range(60):
        decision = rule.update(step(i, estimate=np.exp(logs[i])))
        if i + 1 < window:
            assert decision.keep and not decision.stop
            continue
        expected = logs[i + 1 - window : i + 1].var(axis=0).sum()
        better = expected < best
        best, since = (expected, 0) if better else (best, since + 1)
        assert decision.keep == better
        assert decision.stop == (since >= patience)
        assert rule.state_dict()["_best"] == pytest.approx(best, rel=1e-9)
        if decision.stop:
            break
    assert decision.stop


def test_first_of_stops_with_any_and_keeps_with_the_first():
    rule = FirstOf(HeldOut(50), Discrepancy(1.0), Budget(10))
    assert rule.update(step(0, chi2=9, held_out=2)).keep
    second = rule.update(step(1, chi2=9, held_out=3))
    assert not second.keep and not second.stop
    last = rule.update(step(2, chi2=0.5, held_out=3))
    assert (last.stop, last.keep, last.status) == (True, False, Status.DONE)
    by_budget = FirstOf(Discrepancy(), Budget(1)).update(step(0, chi2=9))
    assert (by_budget.stop, by_budget.status) == (True, Status.BUDGET)


RULES = {
    "budget": lambda: Budget(9),
    "discrepancy": lambda: Discrepancy(0.3),
    "held-out": lambda: HeldOut(3),
    "variance": lambda: WindowedVariance(4, 3),
    "time": lambda: TimeBudget(4.0),
    "first-of": lambda: FirstOf(WindowedVariance(4, 3), HeldOut(4), Budget(15)),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("pause", [1, 3, 6])
def test_a_saved_rule_goes_on_as_if_nothing_had_happened(name, pause, rng):
    steps = [
        dataclasses.replace(step(i, chi2=chi2, held_out=held, estimate=np.exp(values)), seconds=0.5)
        for i, (chi2, held, values) in enumerate(
            zip(rng.uniform(0.2, 2, 20), rng.uniform(1, 2, 20), rng.standard_normal((20, 3)), strict=True)
        )
    ]
    whole, first, second = RULES[name](), RULES[name](), RULES[name]()
    expected = [whole.update(s) for s in steps]
    before = [first.update(s) for s in steps[:pause]]
    second.load_state_dict(first.state_dict())
    assert before + [second.update(s) for s in steps[pause:]] == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: Budget(0),
        lambda: Discrepancy(0),
        lambda: Discrepancy(math.nan),
        lambda: TimeBudget(0),
        lambda: TimeBudget(math.nan),
        lambda: HeldOut(0),
        lambda: WindowedVariance(1),
        lambda: WindowedVariance(patience=0),
        lambda: FirstOf(),
    ],
)
def test_senseless_settings_are_refused(make):
    with pytest.raises(OptionError, match="got"):
        make()


def test_discrepancy_counts_in_what_noise_alone_makes():
    """Of few counts less than 1."""
    rule = Discrepancy()
    few = [dataclasses.replace(step(chi2=chi2).terms, expected=0.5) for chi2 in (0.9, 0.51, 0.5)]
    decisions = [rule.update(dataclasses.replace(step(), terms=terms)) for terms in few]
    assert [d.stop for d in decisions] == [False, False, True]


def test_the_imaginary_part_moves_too():
    def images(values):
        return [dataclasses.replace(step(i).terms, estimate=torch.tensor([v])) for i, v in enumerate(values)]

    for turn in (1, 1j):
        rule = WindowedVariance(window=2, patience=3, log=False)
        decisions = [
            rule.update(dataclasses.replace(step(i), terms=terms))
            for i, terms in enumerate(images([turn * x for x in (0.0, 3.0, 3.5, 3.6, 9.0)]))
        ]
        assert [d.keep for d in decisions] == [True, True, True, True, False], turn


def test_budgets_tell_when_they_are_spent():
    time = TimeBudget(2.5)
    time.update(dataclasses.replace(step(), seconds=2.5))
    assert time.spent(1) and not TimeBudget(2.5).spent(1000)
    assert Budget(3).spent(3) and not Budget(3).spent(2) and not HeldOut(5).spent(1000)
    assert FirstOf(HeldOut(5), Budget(3)).spent(3) and not FirstOf(HeldOut(5), Budget(3)).spent(2)
