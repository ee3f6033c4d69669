"""When to stop, and which iterate to keep. No rule ever sees the truth."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from eitdip.errors import InvalidDataError, OptionError
from eitdip.reconstruction.result import Status, Step


@dataclass(frozen=True)
class Decision:
    """What a rule says after a step.

    Args:
        keep: This iterate is the best so far.
        stop: End here.
        status: How it ended, if `stop`.
        reason: Why, in words, if `stop`.
    """

    keep: bool
    stop: bool = False
    status: Status = Status.DONE
    reason: str = ""


class StoppingRule(ABC):
    """Watches the steps. Its attributes named in `state` are all it remembers."""

    state: tuple[str, ...] = ()

    @abstractmethod
    def update(self, step: Step) -> Decision:
        """Look at one more step."""

    def spent(self, iterations: int) -> bool:
        """Whether a budget of this rule is used up after so many steps; rules without one say no."""
        return False

    def state_dict(self) -> dict:
        """What has to be saved to go on later: numbers, tensors, lists and dicts of them."""
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state."""
        for name in self.state:
            setattr(self, name, state[name])


class Budget(StoppingRule):
    """Stop after a number of steps and keep the last iterate."""

    def __init__(self, steps: int):
        if steps < 1:
            raise OptionError(f"steps: got {steps}, expected at least 1")
        self.steps = steps

    def update(self, step):
        stop = step.iteration + 1 >= self.steps
        return Decision(True, stop, Status.BUDGET, f"all {self.steps} steps used")

    def spent(self, iterations):
        return iterations >= self.steps


class TimeBudget(StoppingRule):
    """Stop when the steps have taken so many seconds, those before an interruption included; keep the last iterate."""

    state = ("_used",)

    def __init__(self, seconds: float):
        if not seconds > 0:
            raise OptionError(f"seconds: got {seconds}, expected > 0")
        self.seconds = float(seconds)
        self._used = 0.0

    def update(self, step):
        self._used += step.seconds
        return Decision(True, self._used >= self.seconds, Status.BUDGET, f"all {self.seconds:g} seconds used")

    def spent(self, iterations):
        return self._used >= self.seconds


class Discrepancy(StoppingRule):
    """Stop as soon as chi^2 / N of the fitted data is at most `target` times what noise alone makes of it (Morozov)."""

    def __init__(self, target: float = 1.0):
        if not target > 0:
            raise OptionError(f"discrepancy target: got {target}, expected > 0")
        self.target = target

    def update(self, step):
        target = self.target * step.terms.expected
        stop = step.terms.chi2 <= target
        return Decision(True, stop, Status.DONE, f"chi^2/N = {step.terms.chi2:.4g} reached {target:.4g}")


class HeldOut(StoppingRule):
    """Keep the iterate that predicts the held-out measurements best; needs no noise level.

    Args:
        patience: Stop after this many steps without improvement.
    """

    state = ("_best", "_since")

    def __init__(self, patience: int = 100):
        if patience < 1:
            raise OptionError(f"patience: got {patience}, expected at least 1")
        self.patience = patience
        self._best, self._since = float("inf"), 0

    def update(self, step):
        value = step.terms.held_out
        if value != value:
            raise InvalidDataError(
                "held-out stopping: there are no held-out measurements; set some aside in the misfit"
            )
        better = value < self._best
        self._best, self._since = (value, 0) if better else (self._best, self._since + 1)
        stop = self._since >= self.patience
        return Decision(better, stop, Status.DONE, f"held-out chi^2/N has not fallen for {self.patience} steps")


class WindowedVariance(StoppingRule):
    """Keep the iterate around which the estimate moves least (Wang et al. 2021, ES-WMV).

    The variance over a window of estimates is kept by running sums, so a step costs one pass over
    the estimate. Deviations are from the first estimate, which keeps the sums well conditioned.

    Args:
        window: Estimates in the window, >= 2.
        patience: Stop after this many steps without a smaller variance.
        log: Watch the logarithm, as is apt for conductivities; without it images of any sign.
    """

    state = ("_best", "_since", "_recent", "_origin", "_sum", "_squares")

    def __init__(self, window: int = 50, patience: int = 200, log: bool = True):
        if window < 2 or patience < 1:
            raise OptionError(f"window, patience: got {window}, {patience}; expected at least 2 and 1")
        self.window, self.patience, self.log = window, patience, log
        self._best, self._since = float("inf"), 0
        self._recent: list[torch.Tensor] = []
        self._origin = self._sum = None
        self._squares = 0.0

    def update(self, step):
        estimate = step.terms.estimate
        estimate = torch.view_as_real(estimate) if estimate.is_complex() else estimate
        estimate = estimate.log() if self.log else estimate.double()
        if self._origin is None:
            self._origin, self._sum = estimate, torch.zeros_like(estimate)
        x = estimate - self._origin
        self._recent.append(x)
        self._sum = self._sum + x
        self._squares += float(x.square().sum())
        if len(self._recent) > self.window:
            old = self._recent.pop(0)
            self._sum = self._sum - old
            self._squares -= float(old.square().sum())
        if len(self._recent) < self.window:
            return Decision(True)
        variance = (self._squares - float(self._sum.square().sum()) / self.window) / self.window
        better = variance < self._best
        self._best, self._since = (variance, 0) if better else (self._best, self._since + 1)
        stop = self._since >= self.patience
        return Decision(better, stop, Status.DONE, f"the estimate has not been steadier for {self.patience} steps")


class FirstOf(StoppingRule):
    """Stop when any rule does; the first rule decides which iterate is kept."""

    def __init__(self, *rules: StoppingRule):
        if not rules:
            raise OptionError("FirstOf: got no rule, expected at least one")
        self.rules = rules

    def update(self, step):
        decisions = [rule.update(step) for rule in self.rules]
        stopping = next((d for d in decisions if d.stop), decisions[0])
        return Decision(decisions[0].keep, stopping.stop, stopping.status, stopping.reason)

    def spent(self, iterations):
        return any(rule.spent(iterations) for rule in self.rules)

    def state_dict(self):
        return {str(i): rule.state_dict() for i, rule in enumerate(self.rules)}

    def load_state_dict(self, state):
        for i, rule in enumerate(self.rules):
            rule.load_state_dict(state[str(i)])
