"""What repairs a posterior that is too sure, or not sure enough: one factor, learnt on what it has not seen.

With truths of other images of the same kind: `conformal_factor`, on deviations. Without any truth: `held_out_factor`,
on prior variances, from whole electrodes, views or coils that were set aside. Single entries held out at random test
nothing: their neighbours determine them, so .97 of them are covered without any variance of the image.

References:
    Vovk, Gammerman, Shafer (2005), Algorithmic learning in a random world.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from eitdip.errors import InvalidDataError, OptionError
from eitdip.uncertainty.coverage import entries, resolution
from eitdip.uncertainty.laplace import LinearizedLaplace
from eitdip.uncertainty.posterior import Posterior

_BOUNDS = 1e-3, 1e4  # of the factor on prior variances


def conformal_factor(posteriors: Sequence[Posterior], truths: Sequence[np.ndarray], level: float = 0.95) -> float:
    """The factor on deviations with which intervals of a level cover that share of the entries; images count equally.

    Use it for `posterior.rescaled(factor)` of *other* images: on those that it was learnt on, coverage is `level` by
    construction. There is no guarantee for few images, since the entries of one are not independent of each other.

    Args:
        posteriors: Of several images.
        truths: Their truths, as for `judge`.
        level: Of the intervals.

    Raises:
        OptionError: If there are no images, or not as many truths.
        InvalidDataError: If more of the truth than 1 - level is beyond the bounds of the link, or where the posterior
            has no width at all: no factor covers that.
        ShapeError: As of `judge`.
    """
    if not posteriors or len(posteriors) != len(truths):
        raise OptionError(f"truths: got {len(truths)} for {len(posteriors)} posteriors, expected as many, at least one")
    each = [scores(posterior, truth, level) for posterior, truth in zip(posteriors, truths, strict=True)]
    factor = _quantile(each, level)
    if not 0 < factor < float("inf"):
        raise InvalidDataError(
            f"conformal_factor: got {factor}, expected a number > 0: more of the truth than {1 - level:.2g} is where "
            "no factor covers it, beyond the bounds of the link or where the deviation is 0"
        )
    return factor


def scores(posterior: Posterior, truth: np.ndarray, level: float = 0.95) -> np.ndarray:
    """The factor that each entry needs to be just in its interval, shape (n,); infinite where none is enough.

    Args:
        posterior: Of a field.
        truth: As for `judge`.
        level: Of the interval.
    """
    compared, true = entries(posterior, truth)
    fine, variable = resolution(posterior, truth), posterior.variable
    low, high = (bound[compared] for bound in posterior.interval(level))
    middle, true = posterior.quantile(0.5)[compared], true[compared]
    true = np.where(true < middle, np.minimum(true + fine, middle), np.maximum(true - fine, middle))
    raw, centre = variable.raw(true), variable.raw(middle)  # a rescaled interval grows before the link
    bound = variable.raw(np.where(true < middle, low, high))
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(true == middle, 0.0, (raw - centre) / (bound - centre))
    return np.where(np.isfinite(needed), needed, np.inf)


def held_out_factor(laplace: LinearizedLaplace) -> float:
    """The factor on prior variances, for `laplace.scaled`, that makes what was set aside most likely.

    The mean of marginal densities decides, of measurements in units of their noise; joint ones ask too much of a model
    that is wrong a little.

    Args:
        laplace: Made with `aside`: whole electrodes, views or coils.

    Raises:
        OptionError: If nothing was set aside.
    """

    def loss(log: float) -> float:
        return -laplace.scaled(float(np.exp(log))).predict().log_likelihood()

    grid = np.linspace(*np.log(_BOUNDS), 33)
    values = [loss(log) for log in grid]
    best = int(np.argmin(values))
    if best in (0, len(grid) - 1):  # the data ask for none of it, or for all: the bound, which the caller can see
        return float(np.exp(grid[best]))
    return float(np.exp(minimize_scalar(loss, bounds=(grid[best - 1], grid[best + 1]), method="bounded").x))


def _quantile(parts: list[np.ndarray], level: float) -> float:
    """Of all numbers together, each part with the same weight."""
    values = np.concatenate(parts)
    weights = np.concatenate([np.full(len(part), 1 / (len(part) * len(parts))) for part in parts])
    order = np.argsort(values)
    place = np.searchsorted(np.cumsum(weights[order]), level * (1 - 1e-12))
    return float(values[order][min(place, len(values) - 1)])
