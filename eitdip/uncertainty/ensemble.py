"""Posteriors of fields: of several seeds, and of the samples of a chain."""

from math import ceil

import numpy as np

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.parameterization import Parameterization
from eitdip.uncertainty.posterior import GaussianPosterior, Posterior, Variable, between, positive


class Ensemble(GaussianPosterior):
    """The Gaussian through the fields of a few seeds; entries that they agree on have no width.

    Its mean and deviation are those of the fields before the link, the deviation with one degree of freedom less.

    Args:
        fields: Values, shape (count, *shape); complex ones become two channels.
        variable: As of the parameterization that made them.
        seen: Which entries the data depend on; by default all.

    Raises:
        OptionError: If there are fewer than 2 fields.
        InvalidDataError: If a field has values at or beyond the bounds of the link.
    """

    def __init__(self, fields: np.ndarray, variable: Variable, seen: np.ndarray | None = None):
        fields, seen = _checked(fields, seen)
        super().__init__("ensemble", variable, fields.shape[1:], seen)
        raw = _raw(variable, fields[:, seen])
        self.centre, self.raw_deviation = raw.mean(axis=0), raw.std(axis=0, ddof=1)
        self._parts = (raw - self.centre) / np.sqrt(len(raw) - 1)

    def raw_samples(self, count, rng):
        return self.centre + rng.standard_normal((count, len(self._parts))) @ self._parts


class Sampled(Posterior):
    """The samples themselves: quantiles are theirs, and drawing is drawing from them.

    Args:
        fields: Values, shape (count, *shape); complex ones become two channels.
        variable: As of the parameterization that made them.
        seen: Which entries the data depend on; by default all.
        method: What made them.

    Raises:
        OptionError: If there are fewer than 2.
    """

    def __init__(self, fields: np.ndarray, variable: Variable, seen: np.ndarray | None = None, method: str = "sampled"):
        self.stored, seen = _checked(fields, seen)
        super().__init__(method, variable, self.stored.shape[1:], seen)

    @property
    def mean(self):
        return self.everywhere(self.variable.scale(self.stored[:, self.seen]).mean(axis=0))

    def deviation(self):
        return self.everywhere(self.variable.scale(self.stored[:, self.seen]).std(axis=0, ddof=1))

    def quantile(self, share):
        """Of n samples, those at share * (n + 1), so that the next one is below with this very probability."""
        between(share, "share")
        needed = ceil(1 / min(share, 1 - share) - 1 - 1e-9)
        if len(self.stored) < needed:
            raise OptionError(
                f"quantile: got {len(self.stored)} samples for the share {share:g}, expected at least {needed}; draw "
                "more, or ask for a lower level"
            )
        return self.everywhere(np.quantile(self.stored[:, self.seen], share, axis=0, method="weibull"))

    def above(self, value):
        return self.everywhere((self.stored[:, self.seen] > value).mean(axis=0))

    def sample(self, count, rng):
        if count < 1:
            raise OptionError(f"count: got {count} samples, expected at least 1")
        chosen = self.stored[rng.integers(len(self.stored), size=count)]
        return np.where(self.seen, chosen, np.nan)

    def rescaled(self, factor):
        """About the median of each entry, before the link."""
        raw = _raw(self.variable, self.stored[:, self.seen])
        middle, fields = np.median(raw, axis=0), self.stored.copy()
        fields[:, self.seen] = self.variable.values(middle + positive(factor) * (raw - middle))
        return Sampled(fields, self.variable, self.seen, self.method)


def seen_by(parameterization: Parameterization) -> np.ndarray:
    """Entries of the generator's field on which the unknowns depend, booleans in its shape."""
    shape, matrix = tuple(parameterization.generator.shape), parameterization.matrix()
    return np.ones(shape, bool) if matrix is None else (abs(matrix).sum(axis=0) > 0).reshape(shape)


def _checked(fields: np.ndarray, seen: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    fields = np.asarray(fields)
    if np.iscomplexobj(fields):
        fields = np.stack([fields.real, fields.imag], axis=1)
    if len(fields) < 2:
        raise OptionError(f"fields: got {len(fields)}, expected at least 2: use more seeds, or more samples")
    seen = np.ones(fields.shape[1:], bool) if seen is None else np.asarray(seen, bool)
    if seen.shape != fields.shape[1:]:
        raise ShapeError(f"seen: got shape {seen.shape}, expected {fields.shape[1:]}")
    return fields.astype(float), seen


def _raw(variable: Variable, values: np.ndarray) -> np.ndarray:
    raw = variable.raw(values)
    if not np.isfinite(raw).all():
        raise InvalidDataError("fields: got values at or beyond the bounds of the link, expected values between them")
    return raw
