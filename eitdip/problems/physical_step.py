"""What a nonlinear model says of a segmentation of a tank: channels for a network that corrects it.

Classes become a conductivity, one contrast for all that is resistive and one for all that is conductive: real objects
are insulators and metal, and data hardly tell 0.01 from 0.001, or 30 from 100. With the best conductivity of the water,
which is one number, the model leaves a residual. Its one-step images show what is missing or too much where the
linearization at the background sees it; the gradient of the misfit, where the model does with these objects in place.
"""

import numpy as np

from eitdip.errors import OptionError, ShapeError
from eitdip.problems.one_step import OneStep
from eitdip.problems.problem import Problem

# Of the gradient with respect to the log conductivity per pixel, in whitened data: one or so on simulated tanks.
_GRADIENT = 30.0


class PhysicalStep:
    """The residual of a segmentation and its images.

    Args:
        problem: As for `OneStep`; its own data play no role.
        images: One-step images of such data.
        low: Contrast of resistive objects.
        high: Contrast of conductive objects.

    Attributes:
        channels: How many there are.

    Raises:
        OptionError: Unless low < 1 < high.
    """

    channels = 7

    def __init__(self, problem: Problem, images: OneStep, low: float = 0.01, high: float = 30.0):
        if not 0 < low < 1 < high:
            raise OptionError(f"low, high: got {low} and {high}, expected 0 < low < 1 < high")
        self.images, self._model = images, problem.model
        self._map = problem.unknown.grid("pixels", max(images.shape)).field_map
        self._background, self._logs = float(problem.unknown.start), np.log([1.0, low, high])
        self._weights = np.where(images.mask, 1 / problem.data.deviation**2, 0.0)

    def __call__(self, shares: np.ndarray, difference: np.ndarray) -> np.ndarray:
        """Channels for the next network.

        Args:
            shares: Of the classes in each pixel, shape (3, *images.shape), from 0 to 1.
            difference: Difference data, shape (K, M); what the mask hides does not count.

        Returns:
            float32, shape (7, *images.shape): shares of resistive and conductive objects, arsinh of the residual's
            one-step images, and of the downhill gradient.
        """
        residual, gradient = self.residual(shares, difference)
        images = self.images.images(residual[None])[0]
        gradient = np.arcsinh(gradient / _GRADIENT)[None]
        return np.concatenate([shares[1:], np.arcsinh(images), gradient]).astype(np.float32)

    def residual(self, shares: np.ndarray, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the model leaves of the data with the best water, and the direction downhill.

        Args:
            shares, difference: As above.

        Returns:
            Residual, shape (K, M), and minus the derivative of half of the weighted squares by the log conductivity of
            each pixel, shape `images.shape`.
        """
        if shares.shape != (3, *self.images.shape):
            raise ShapeError(f"shares: got shape {shares.shape}, expected {(3, *self.images.shape)}")
        logarithm = self._map(np.tensordot(self._logs, shares.astype(float), 1))
        sigma = self._background * np.exp(logarithm)
        prediction, derivative = self._model.linearize(sigma)
        measured = difference + self.images.reference
        # F(w sigma) = F(sigma) / w but for the contacts, which are 1e-3 of the voltages here.
        over_water = (self._weights * prediction * measured).sum() / (self._weights * prediction**2).sum()
        residual = np.where(self.images.mask, measured - over_water * prediction, 0.0)
        downhill = derivative.adjoint(self._weights * residual) * over_water
        return residual, self._map.adjoint(downhill * sigma) * self.images.inside

    def misfit(self, shares: np.ndarray, difference: np.ndarray) -> float:
        """chi^2 per measurement, by the deviations of the data."""
        residual, _ = self.residual(shares, difference)
        return float((self._weights * residual**2).sum() / self.images.mask.sum())
