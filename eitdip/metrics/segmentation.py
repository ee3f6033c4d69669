"""Segmentations by thresholds, and the scores of the Kuopio and Helsinki Tomography Challenges."""

from functools import cache

import numpy as np

from eitdip.errors import InvalidDataError, OptionError, ShapeError

KTC_SHAPE = (256, 256)


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
