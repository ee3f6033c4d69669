"""How far an estimate is from the truth, in one number.

Estimates and truths are arrays of one shape: pixels, cells or vertices. Where the truth is NaN (pixels
outside the body) nothing is compared.
"""

import numpy as np

from eitdip.errors import InvalidDataError, OptionError, ShapeError


def relative_l2(estimate, truth, weights=None) -> float:
    """|estimate - truth| / |truth| in the weighted L2 norm.

    Args:
        estimate: Any shape.
        truth: Same shape; NaN outside the body.
        weights: Same shape, >= 0, such as cell areas; uniform by default.

    Raises:
        ShapeError: If shapes differ.
        InvalidDataError: If an estimate or weight is not finite inside the body, or the truth is zero.
    """
    estimate, truth, weights = _inside(estimate, truth, weights)
    return _ratio(_norm(estimate - truth, weights), _norm(truth, weights), "the truth is zero")


def contrast_error(estimate, truth, background: float, weights=None) -> float:
    """|estimate - truth| / |truth - background|: 1 for an estimate that shows nothing.

    Args and errors as for `relative_l2`; `background` in the same unit.
    """
    estimate, truth, weights = _inside(estimate, truth, weights)
    contrast = _norm(truth - background, weights)
    return _ratio(_norm(estimate - truth, weights), contrast, "the truth is the background everywhere")


def dice(estimate, truth, background: float, sign: int, threshold: float = 0.5, weights=None) -> float:
    """Overlap 2 |A and B| / (|A| + |B|) of the inclusions of one sign.

    A and B are where the estimate and the truth differ from the background, in the direction of
    `sign`, by more than `threshold` times the largest such difference of the truth.

    Args:
        estimate: Any shape.
        truth: Same shape; NaN outside the body.
        background: Value outside the inclusions.
        sign: 1 for inclusions above the background, -1 below.
        threshold: Fraction between 0 and 1.
        weights: Same shape, >= 0, such as cell areas; uniform by default.

    Returns:
        0 (apart) to 1 (the same); NaN if the truth has no inclusion of this sign.

    Raises:
        OptionError: If sign or threshold are out of range.
        ShapeError, InvalidDataError: As for `relative_l2`.
    """
    if sign not in (1, -1):
        raise OptionError(f"sign: got {sign!r}, expected 1 or -1")
    if not 0 < threshold < 1:
        raise OptionError(f"threshold: got {threshold!r}, expected more than 0 and less than 1")
    estimate, truth, weights = _inside(estimate, truth, weights)
    level = threshold * (sign * (truth - background)).max()
    if level <= 0:
        return float("nan")
    found, true = (sign * (values - background) > level for values in (estimate, truth))
    return float(2 * weights[found & true].sum() / (weights[found].sum() + weights[true].sum()))


def psnr(estimate, truth, weights=None, data_range: float | None = None) -> float:
    """Peak signal-to-noise ratio 20 log10(range / root mean square error), dB; infinite if equal.

    Args:
        estimate: Any shape.
        truth: Same shape; NaN outside the body.
        weights: Same shape, >= 0, such as cell areas, or true where to compare; uniform by default.
        data_range: Peak; by default largest minus smallest truth where there is weight.

    Raises:
        ShapeError: If shapes differ.
        InvalidDataError: If nothing is compared, an estimate is not finite or the range is not > 0.
    """
    estimate, truth, weights = _inside(estimate, truth, weights)
    peak = np.ptp(truth[weights > 0]) if data_range is None else data_range
    if not peak > 0:
        raise InvalidDataError(f"data range: got {peak:g}, expected > 0; give data_range for a constant truth")
    error = _norm(estimate - truth, weights) / np.sqrt(weights.sum())
    return float(20 * np.log10(peak / error)) if error else float("inf")


def _inside(estimate, truth, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as vectors over the entries where the truth is not NaN."""
    estimate, truth = np.asarray(estimate, dtype=float), np.asarray(truth, dtype=float)
    weights = np.ones(truth.shape) if weights is None else np.asarray(weights, dtype=float)
    for name, array in (("estimate", estimate), ("weights", weights)):
        if array.shape != truth.shape:
            raise ShapeError(f"{name}: got shape {array.shape}, expected {truth.shape} as the truth")
    inside = ~np.isnan(truth)
    estimate, truth, weights = estimate[inside], truth[inside], weights[inside]
    for name, array in (("estimate", estimate), ("truth", truth), ("weights", weights)):
        if not np.isfinite(array).all():
            raise InvalidDataError(f"{name}: got {int((~np.isfinite(array)).sum())} entries that are not finite")
    if (weights < 0).any() or not weights.sum() > 0:
        raise InvalidDataError("weights: got a negative one, or none > 0 inside the body; expected areas or a mask")
    return estimate, truth, weights


def _norm(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sqrt((weights * values**2).sum()))


def _ratio(numerator: float, denominator: float, problem: str) -> float:
    if not denominator > 0:
        raise InvalidDataError(f"{problem}: a relative error is not defined; report the absolute one")
    return numerator / denominator
