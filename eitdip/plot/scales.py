"""Limits of colours and levels of surfaces that a few absurd values do not move."""

import numpy as np

_LEFT_OUT = 0.002  # of the area or volume, at each end
_MOST = 0.02  # of it, where a mesh has few cells


def weighted_quantile(values, share: float, weights=None) -> float:
    """The least of the values such that those up to it have more than this share of the weight.

    Args:
        values: Any shape, finite.
        share: From 0 to below 1.
        weights: What each value stands for, such as the size of its cell; None if all are equal.
    """
    values = np.ravel(values)
    order = np.argsort(values, kind="stable")
    total = np.cumsum(np.ones(len(values)) if weights is None else np.ravel(weights)[order])
    return float(values[order[min(np.searchsorted(total, share * total[-1], side="right"), len(values) - 1)]])


def robust_limits(values, weights=None) -> tuple[float, float]:
    """The range of the values without the extreme 0.2 % of the weight at each end, and without one entry at least.

    One entry is left out as long as it has at most 2 % of the weight: on coarse meshes a cell is more than 0.2 %.

    Args:
        values, weights: As for `weighted_quantile`.
    """
    values = np.ravel(values)
    weights = np.ones(values.size) if weights is None else np.ravel(weights)
    # A little more than one entry, as sums of weights are rounded.
    share = np.clip(1.001 * weights.max() / weights.sum(), _LEFT_OUT, _MOST)
    return weighted_quantile(values, share, weights), -weighted_quantile(-values, share, weights)


def beyond(values, low: float, high: float) -> str:
    """At which ends of a colour bar there are values beyond it: its `extend` of matplotlib."""
    slack = 1e-9 * (high - low)
    return ("neither", "min", "max", "both")[
        bool((values < low - slack).any()) + 2 * bool((values > high + slack).any())
    ]
