"""A spectrum at chosen steps of a training or a reconstruction, and how far it moves."""

from collections.abc import Callable, Collection

import numpy as np

from eitdip.operator import LinearOperator
from eitdip.reconstruction.loop import Progress
from eitdip.spectrum.svd import Spectrum, randomized_svd


class SpectrumAlong:
    """A callback of `reconstruct` that keeps the leading singular triplets of an operator.

    Args:
        operator: Makes it, at the present weights: `lambda: field_jacobian(parameterization)`.
        steps: Numbers of the steps at which it is looked at; the start is looked at on construction.
        rank: How many triplets.
        seed: Of the random blocks; all looks begin with the same one.
        options: Of `randomized_svd`.

    Attributes:
        spectra: Updates done so far to `Spectrum`; 0 is the start.
    """

    def __init__(
        self, operator: Callable[[], LinearOperator], steps: Collection[int], rank: int = 50, seed: int = 0, **options
    ):
        self.operator, self.steps, self.rank, self.seed, self.options = operator, frozenset(steps), rank, seed, options
        self.spectra: dict[int, Spectrum] = {}
        self.look(0)

    def __call__(self, progress: Progress) -> None:
        done = progress.step.iteration + 1
        if done in self.steps:
            self.look(done)

    def look(self, done: int) -> None:
        """The spectrum now, after so many updates."""
        rng = np.random.default_rng(self.seed)
        self.spectra[done] = randomized_svd(self.operator(), self.rank, rng, **self.options)


def drift(start: Spectrum, end: Spectrum, count: int | None = None) -> tuple[float, float]:
    """How far a spectrum has moved.

    Args:
        start, end: Of operators with the same range.
        count: Leading triplets that are looked at; by default all.

    Returns:
        Relative change of the values, |end - start| / |start|, and the largest angle between the spaces of the left
        vectors, radians.

    Raises:
        OptionError, ShapeError: As of `Spectrum.angle`.
    """
    angle = start.angle(end, count)
    count = len(start.values) if count is None else count
    change = np.linalg.norm(end.values[:count] - start.values[:count]) / np.linalg.norm(start.values[:count])
    return float(change), angle
