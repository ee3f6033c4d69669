"""How far an estimate is from the truth, and the scores of the Kuopio and Helsinki Tomography Challenges.

Estimates and truths are arrays of one shape: pixels, cells or vertices. Where the truth is NaN (pixels
outside the body) nothing is compared.
"""

from functools import cache

import numpy as np

from eitdip.errors import InvalidDataError, OptionError, ShapeError

KTC_SHAPE = (256, 256)


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


def psnr(estimate, truth, mask=None, data_range: float | None = None) -> float:
    """Peak signal-to-noise ratio 20 log10(range / root mean square error), dB; infinite if equal.

    Args:
        estimate: Any shape.
        truth: Same shape; NaN outside the body.
        mask: Same shape, true where to compare; by default everywhere.
        data_range: Peak; by default largest minus smallest truth within the mask.

    Raises:
        ShapeError: If shapes differ.
        InvalidDataError: If nothing is compared, an estimate is not finite or the range is not > 0.
    """
    weights = None if mask is None else np.asarray(mask, dtype=bool)
    estimate, truth, weights = _inside(estimate, truth, weights)
    estimate, truth = estimate[weights > 0], truth[weights > 0]
    peak = np.ptp(truth) if data_range is None else data_range
    if not peak > 0:
        raise InvalidDataError(f"data range: got {peak:g}, expected > 0; give data_range for a constant truth")
    error = np.sqrt(np.square(estimate - truth).mean())
    return float(20 * np.log10(peak / error)) if error else float("inf")


def label_image(conductivity, low: float, high: float) -> np.ndarray:
    """Classes of an image by conductivity thresholds.

    Args:
        conductivity: Shape (H, W); NaN outside the body.
        low: Below it an object is resistive.
        high: Above it an object is conductive.

    Returns:
        uint8, shape (H, W): 1 resistive, 2 conductive, else 0.

    Raises:
        ShapeError: If it is not an image.
        OptionError: Unless low < high.
    """
    conductivity = np.asarray(conductivity, dtype=float)
    if conductivity.ndim != 2:
        raise ShapeError(f"conductivity: got shape {conductivity.shape}, expected an image (H, W)")
    if not low < high:
        raise OptionError(f"low, high: got {low}, {high}; expected low < high")
    return np.where(conductivity < low, 1, np.where(conductivity > high, 2, 0)).astype(np.uint8)


def ktc_score(truth, labels) -> float:
    """The challenge's score of one tank: mean over classes 1 and 2 of the structural similarity.

    For each class the masks of truth and prediction are compared under a Gaussian window of
    standard deviation 80 pixels, cut at 160 pixels and renormalized at the image's edge, with
    constants 0.01^2 and 0.03^2 and no bias correction, averaged over all pixels.

    Args:
        truth: Shape (256, 256): 0 water, 1 resistive, 2 conductive.
        labels: The prediction, likewise; one of another shape scores 0, as in the challenge.

    Returns:
        At most 1, for a perfect prediction.

    Raises:
        ShapeError, InvalidDataError: If the truth has another shape or other values.
    """
    truth, labels = np.asarray(truth), np.asarray(labels)
    if truth.shape != KTC_SHAPE:
        raise ShapeError(f"truth: got shape {truth.shape}, expected {KTC_SHAPE}")
    if not np.isin(truth, (0, 1, 2)).all():
        raise InvalidDataError("truth: got other values than 0, 1 and 2; give the classes, not the conductivity")
    if labels.shape != KTC_SHAPE:
        return 0.0
    return float(np.mean([_similarity((truth == c).astype(float), (labels == c).astype(float)) for c in (1, 2)]))


def mcc(estimate, truth) -> float:
    """Matthews correlation coefficient of two segmentations, the score of the Helsinki Tomography Challenge 2022.

    Args:
        estimate: Any shape, of 0 and 1.
        truth: Likewise, of the same shape.

    Returns:
        1 for the same, 0 for no better than chance, -1 for the opposite; 0 if one of them has one class only.

    Raises:
        ShapeError: If the shapes differ.
        InvalidDataError: If there are other values than 0 and 1.

    References:
        Matthews (1975), Biochim. Biophys. Acta 405.
    """
    estimate, truth = np.asarray(estimate), np.asarray(truth)
    if estimate.shape != truth.shape:
        raise ShapeError(f"estimate: got shape {estimate.shape}, expected {truth.shape} as the truth")
    for name, labels in (("estimate", estimate), ("truth", truth)):
        if not np.isin(labels, (0, 1)).all():
            raise InvalidDataError(f"{name}: got other values than 0 and 1; give the segmentation")
    estimate, truth = estimate.astype(bool), truth.astype(bool)
    right, found, true = (float(labels.mean()) for labels in (estimate & truth, estimate, truth))
    spread = found * (1 - found) * true * (1 - true)
    return float((right - found * true) / np.sqrt(spread)) if spread > 0 else 0.0


@cache
def _window() -> np.ndarray:
    """The window along one axis as a matrix; each row sums to one, so W x W^T is the local mean of x."""
    distance = np.subtract.outer(np.arange(KTC_SHAPE[0]), np.arange(KTC_SHAPE[1]))
    weights = np.exp(-0.5 * (distance / 80) ** 2) * (np.abs(distance) <= 160)
    return weights / weights.sum(axis=1, keepdims=True)


def _similarity(a: np.ndarray, b: np.ndarray) -> float:
    window = _window()
    mean_a, mean_b, both = (window @ x @ window.T for x in (a, b, a * b))
    variances = mean_a - mean_a**2 + mean_b - mean_b**2  # a^2 = a for masks
    covariance = both - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))
    return float(index.mean())


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
