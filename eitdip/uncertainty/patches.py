"""Square patches of an image: what is said of their mean, and of all their pixels together."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from eitdip.uncertainty.prediction import log_density

_FEW = 10  # samples per entry of a patch below which their covariance is noise


@dataclass(frozen=True)
class Patches:
    """What is said of the patches of one size.

    Args:
        count: Patches that lie in what is compared as a whole.
        coverage: Share of their means in intervals of 95 %.
        mean_log_density: Of their means, on average.
        joint_log_density: Of all entries of a patch together, over their number, on average; None if there are fewer
            than 10 samples per entry. Each entry has a tenth of the mean deviation for itself: without it the
            covariance of a network's few directions has no inverse, and the density of almost any truth is 0.
    """

    count: int
    coverage: float
    mean_log_density: float
    joint_log_density: float | None


def judge_patches(error: np.ndarray, samples: np.ndarray, sizes: tuple[int, ...], fine: float) -> dict[int, Patches]:
    """By the covariance of samples.

    Args:
        error: Of the mean, (..., H, W), NaN where nothing is compared; the patches are of the last two axes.
        samples: Less the mean, (n, ..., H, W).
        sizes: Sides of the patches.
        fine: Deviation of the truth itself, such as that of rounded gray values.

    Returns:
        Size to what is said; sizes of which no patch fits are left out.
    """
    found = {}
    for size in sizes:
        true = _cut(error[None], size)[0]  # (patches, entries)
        whole = np.isfinite(true).all(axis=1)
        if not whole.any():
            continue
        true, drawn = true[whole], _cut(samples, size)[:, whole]
        means = true.mean(axis=1)
        deviation = np.sqrt(drawn.mean(axis=2).var(axis=0, ddof=1) + fine**2 / size**2)
        deviation = np.maximum(deviation, np.finfo(float).tiny)
        found[size] = Patches(
            len(means),
            float((np.abs(means) <= 1.959963985 * deviation).mean()),
            float(log_density(means, deviation).mean()),
            _joint(true, drawn, fine) if len(drawn) >= _FEW * size**2 else None,
        )
    return found


def _cut(images: np.ndarray, size: int) -> np.ndarray:
    """(n, ..., H, W) to (n, patches, size^2); what is left over at the right and below belongs to none."""
    height, width = (side // size for side in images.shape[-2:])
    cut = images[..., : height * size, : width * size].reshape(len(images), -1, height, size, width, size)
    return cut.swapaxes(3, 4).reshape(len(images), -1, size**2)


def _joint(true: np.ndarray, drawn: np.ndarray, fine: float) -> float:
    alone = 0.01 * drawn.var(axis=0, ddof=1).mean() + fine**2 + np.finfo(float).tiny
    densities = []
    for number, error in enumerate(true):
        covariance = np.cov(drawn[:, number].T) + alone * np.eye(len(error))
        factor = cho_factor(covariance, lower=True)
        squares = error @ cho_solve(factor, error)
        half = np.log(np.diag(factor[0])).mean()
        densities.append(-0.5 * squares / len(error) - half - 0.5 * np.log(2 * np.pi))
    return float(np.mean(densities))
