"""How well a posterior says what measurements will be."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtri

from eitdip.errors import LinearSolverError
from eitdip.uncertainty.posterior import between


@dataclass(frozen=True, eq=False)
class Predicted:
    """Measurements that were set aside, and their predicted distribution, in units of their noise.

    Args:
        error: Measured less predicted, (m,).
        covariance: Of the prediction without the noise, (m, m); the noise adds 1 on the diagonal.
    """

    error: np.ndarray
    covariance: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """Of each measurement, image and noise together, (m,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0) + 1)

    def coverage(self, level: float) -> float:
        """Share of the measurements in their predictive interval of this level."""
        between(level, "level")
        return float((np.abs(self.error) <= ndtri((1 + level) / 2) * self.deviation).mean())

    def log_likelihood(self) -> float:
        """Mean over the measurements of the logarithm of their marginal densities, in units of the noise."""
        return float(log_density(self.error, self.deviation).mean())

    def joint_log_likelihood(self) -> float:
        """Logarithm of the joint density over their number.

        Raises:
            LinearSolverError: If the covariance is indefinite beyond rounding.
        """
        covariance = self.covariance + np.eye(len(self.error))
        try:
            factor = cho_factor(covariance, lower=True)
        except np.linalg.LinAlgError as error:
            raise LinearSolverError(
                "predictive covariance: got an indefinite matrix, expected none beyond rounding"
            ) from error
        explained = self.error @ cho_solve(factor, self.error)
        return float(-0.5 * (explained / len(self.error) + np.log(2 * np.pi)) - np.log(np.diag(factor[0])).mean())

    def constant_log_likelihood(self) -> float:
        """The mean log density with the one deviation for all that is best for these very measurements."""
        return float(log_density(self.error, np.sqrt(np.mean(self.error**2))).mean())


def log_density(error: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """log N(error; 0, deviation^2), entry by entry."""
    return -0.5 * (error / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
