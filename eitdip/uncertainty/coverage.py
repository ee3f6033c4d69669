"""Posteriors judged against a truth: coverage, densities, and what a constant deviation would have reached.

All that is measured here is of marginals, entry by entry, but for the patches: errors of neighbours go together, so
that the joint density of a patch tells what marginals do not.

References:
    Gneiting, Raftery (2007), Strictly proper scoring rules; Clopper, Pearson (1934), Biometrika 26.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr
from scipy.stats import beta, rankdata

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.uncertainty.patches import Patches, judge_patches
from eitdip.uncertainty.posterior import Posterior
from eitdip.uncertainty.prediction import log_density

LEVELS = (0.5, 0.9, 0.95)
SIZES = (2, 10)  # of patches
# Values of pictures are known to half a level of 256: else a black pixel would be beyond every interval of a link that
# is never 0, and a certain one of infinite density.
_RESOLUTION = 1 / 512


@dataclass(frozen=True)
class Share:
    """How often something happened, with its binomial interval.

    The interval is that of independent trials; neighbouring pixels are not, so theirs is too narrow.

    Args:
        value: Between 0 and 1.
        low: Lower bound.
        high: Upper bound.
        count: Trials.
    """

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, happened: np.ndarray, confidence: float = 0.95) -> "Share":
        """Of booleans, with the interval of Clopper and Pearson."""
        count, yes, tail = happened.size, int(np.sum(happened)), (1 - confidence) / 2
        low = beta.ppf(tail, yes, count - yes + 1) if yes else 0.0
        high = beta.ppf(1 - tail, yes + 1, count - yes) if yes < count else 1.0
        return cls(yes / count, float(low), float(high), count)


@dataclass(frozen=True)
class Judgement:
    """What the comparison with a truth says; on the scale of the posterior's variable.

    Args:
        coverage: Level to the share of entries in their interval.
        width: Level to the mean width of the intervals: their sharpness.
        log_density: Mean over entries of the logarithm of the Gaussian with the posterior's mean and deviation.
        constant_log_density: The same with the one deviation that is best for this very truth: a baseline that knows
            it.
        crps: Mean continuous ranked probability score; of a point it is the mean absolute error.
        rank_correlation: Spearman's, of absolute error and deviation; None if all deviations are equal.
        error: Root mean square error of the mean.
        patches: Side of square patches to what is said of them; without a generator none.
    """

    coverage: dict[float, Share]
    width: dict[float, float]
    log_density: float
    constant_log_density: float
    crps: float
    rank_correlation: float | None
    error: float
    patches: dict[int, Patches] = field(default_factory=dict)

    def plain(self) -> dict:
        """For result.json: coverage by level "50", "90", "95", and the scores."""

        def percent(level: float) -> str:
            return f"{100 * level:g}"

        return {
            "coverage": {percent(level): share.value for level, share in self.coverage.items()},
            "coverage_bounds": {percent(level): [share.low, share.high] for level, share in self.coverage.items()},
            "width": {percent(level): width for level, width in self.width.items()},
            "log_density": self.log_density,
            "constant_log_density": self.constant_log_density,
            "crps": self.crps,
            "rank_correlation": self.rank_correlation,
            "error": self.error,
            "patches": {str(side): vars(each) for side, each in self.patches.items()},
        }


def judge(
    posterior: Posterior, truth: np.ndarray, rng: np.random.Generator | None = None, *, levels=LEVELS, count: int = 1000
) -> Judgement:
    """Compare a posterior with a truth.

    Args:
        posterior: Of a field.
        truth: Values in the shape of the field, NaN where nothing is compared: `Unknown.on_grid` makes it.
        rng: Draws the samples by which patches are judged; None judges no patches.
        levels: Of intervals.
        count: Samples for patches.

    Raises:
        ShapeError: If the truth has another shape.
        InvalidDataError: If there is nothing to compare, or logarithms are asked of values <= 0.
        OptionError: If a level is not between 0 and 1.
    """
    compared, true = entries(posterior, truth)
    values, mean, deviation = true[compared], posterior.mean[compared], posterior.deviation()[compared]
    fine = resolution(posterior, truth)
    error = posterior.variable.scale(values) - mean
    blurred = np.sqrt(deviation**2 + fine**2 / 3)  # of a uniform rounding by at most `fine`
    coverage, width = {}, {}
    for level in levels:
        low, high = (bound[compared] for bound in posterior.interval(level))
        coverage[level] = Share.of((values >= low - fine) & (values <= high + fine))
        width[level] = float((posterior.variable.scale(high) - posterior.variable.scale(low)).mean())
    constant = max(np.sqrt(np.mean(error**2)), np.finfo(float).tiny)
    if posterior.stored is None:
        crps = gaussian_crps(error, deviation)
    else:
        crps = sample_crps(posterior.variable.scale(posterior.stored[:, compared]), error + mean)
    patches = {}
    if rng is not None and len(posterior.shape) > 1:
        differences = np.where(compared, posterior.mean - posterior.variable.scale(true), np.nan)
        samples = posterior.variable.scale(posterior.sample(count, rng)) - posterior.mean
        patches = judge_patches(differences, samples, SIZES, fine / np.sqrt(3))
    return Judgement(
        coverage, width, float(log_density(error, blurred).mean()), float(log_density(error, constant).mean()),
        float(crps.mean()), rank_correlation(np.abs(error), deviation), float(np.sqrt(np.mean(error**2))), patches,
    )  # fmt: skip


def entries(posterior: Posterior, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which entries are compared, booleans in the shape of the field, and the truth with 1 at all others.

    Raises:
        ShapeError, InvalidDataError: As of `judge`.
    """
    truth = np.asarray(truth, dtype=float)
    if truth.shape != posterior.shape:
        raise ShapeError(f"truth: got shape {truth.shape}, expected the field's, {posterior.shape}")
    compared = posterior.seen & np.isfinite(truth)
    if not compared.any():
        raise InvalidDataError("truth: got no number where the posterior says anything, expected some")
    if posterior.variable.logarithmic and not (truth[compared] > 0).all():
        raise InvalidDataError("truth: got values <= 0, expected conductivities > 0, whose logarithm is judged")
    return compared, np.where(compared, truth, 1.0)


def resolution(posterior: Posterior, truth: np.ndarray) -> float:
    """How finely values are told apart: half a level of 256 of pictures, exactly where logarithms are compared."""
    if posterior.variable.logarithmic:
        return 0.0
    truth = np.asarray(truth, dtype=float)
    return _RESOLUTION * float(np.ptp(truth[posterior.seen & np.isfinite(truth)]))


def gaussian_crps(error: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of N(0, deviation^2) at an error, entry by entry; |error| at deviation 0."""
    deviation = np.maximum(deviation, np.finfo(float).tiny)
    z = np.clip(error / deviation, -1e9, 1e9)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    score = deviation * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return np.where(np.abs(z) < 1e9, score, np.abs(error))


def sample_crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The same of samples (count, n), by pairs of different ones: unbiased, so few samples are no worse than many.

    Raises:
        OptionError: If there are fewer than 2 samples.
    """
    count = len(samples)
    if count < 2:
        raise OptionError(f"samples: got {count}, expected at least 2")
    ordered = np.sort(samples, axis=0)
    ranks = 2 * np.arange(1, count + 1)[:, None] - count - 1
    return np.abs(samples - truth).mean(axis=0) - (ranks * ordered).sum(axis=0) / (count * (count - 1))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's; None if one of the two is constant."""
    first, second = rankdata(first), rankdata(second)
    if not np.ptp(first) or not np.ptp(second):
        return None
    return float(np.corrcoef(first, second)[0, 1])
