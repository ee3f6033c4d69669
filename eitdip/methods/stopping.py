"""Names become stopping rules; every one ends at the latest when the steps are used up."""

from eitdip.methods.options import Method
from eitdip.reconstruction import (
    Budget,
    Discrepancy,
    FirstOf,
    HeldOut,
    StoppingRule,
    TimeBudget,
    WindowedVariance,
)


def stopping_rule(method: Method, seconds: float, positive: bool) -> StoppingRule:
    """The rule of a method.

    Args:
        method: Completed settings.
        seconds: Limit of the steps' time, 0 for none.
        positive: Whether estimates are positive, so that their logarithm can be watched.
    """
    limits = [TimeBudget(seconds)] if seconds else []
    if method.stop == "budget":
        return FirstOf(Budget(method.steps), *limits) if limits else Budget(method.steps)
    return FirstOf(STOPS[method.stop](method, positive), Budget(method.steps), *limits)


STOPS = {
    "discrepancy": lambda method, positive: Discrepancy(),
    "held-out": lambda method, positive: HeldOut(method.patience),
    "sure": lambda method, positive: HeldOut(method.patience),
    "variance": lambda method, positive: WindowedVariance(method.window, method.patience, log=positive),
}
