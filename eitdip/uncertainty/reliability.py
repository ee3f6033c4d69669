"""Probabilities against what happened, and ranks of truths among samples.

References:
    Brier (1950); Talts et al. (2018), Validating Bayesian inference algorithms with simulation-based calibration.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from eitdip.errors import OptionError, ShapeError
from eitdip.uncertainty.coverage import Share


@dataclass(frozen=True)
class Reliability:
    """How probabilities of an event, or of several classes, compare with what happened.

    Args:
        brier: Mean square of probability less 0 or 1.
        base_brier: The same of the one probability that is best for this very truth, each class its own.
        predicted: Mean probability in each bin that has any.
        observed: Share of them in which the event happened.
    """

    brier: float
    base_brier: float
    predicted: tuple[float, ...]
    observed: tuple[Share, ...]


def reliability(probability: np.ndarray, happened: np.ndarray, bins: int = 10) -> Reliability:
    """Brier score and reliability curve.

    Args:
        probability: Between 0 and 1; of several classes the first axis is theirs, (classes, ...), else give it an axis
            of one. NaN where nothing is said.
        happened: Booleans in that shape.
        bins: Of equal width.

    Raises:
        ShapeError: If shapes differ.
        OptionError: If a probability is not between 0 and 1.
    """
    probability, happened = np.asarray(probability, float), np.asarray(happened, bool)
    if probability.shape != happened.shape or probability.ndim < 2:
        raise ShapeError(f"probability: got {probability.shape} and {happened.shape}, expected twice (classes, ...)")
    said = np.isfinite(probability)
    if not ((probability[said] >= 0) & (probability[said] <= 1)).all():
        raise OptionError("probability: got numbers beyond 0 and 1")
    base = np.concatenate([(event[use].mean() - event[use]) ** 2 for event, use in zip(happened, said, strict=True)])
    p, event = probability[said], happened[said]
    place = np.minimum((p * bins).astype(int), bins - 1)
    used = [place == number for number in range(bins) if (place == number).any()]
    return Reliability(
        float(np.mean((p - event) ** 2)),
        float(base.mean()),
        tuple(float(p[part].mean()) for part in used),
        tuple(Share.of(event[part]) for part in used),
    )


def ranks(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How many samples are below the truth, 0 to their number, shape (...): uniform if both are of one distribution.

    Args:
        samples: Shape (count, ...).
        truth: Shape (...).
    """
    return (samples < truth).sum(axis=0)


def uniformity(found: np.ndarray, count: int) -> float:
    """Probability that uniform ranks differ from uniform as much as these, by chi^2 over equal groups of ranks.

    Args:
        found: Ranks of independent truths, (n,).
        count: Samples of each, so that ranks are 0 to count.

    Raises:
        OptionError: If there are too few ranks for two groups of five.
    """
    found = np.asarray(found).ravel()
    groups = next((number for number in range(min(20, len(found) // 5), 1, -1) if (count + 1) % number == 0), 0)
    if not groups:
        raise OptionError(
            f"ranks: got {len(found)} of {count} samples, expected at least 10, and samples such that count + 1 has "
            "divisors, such as 99"
        )
    seen = np.bincount(found * groups // (count + 1), minlength=groups)
    expected = len(found) / groups
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), groups - 1))
