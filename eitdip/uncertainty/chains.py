"""Chains of samples: how well they mix, and how many independent samples they are worth.

References:
    Gelman et al. (2013), Bayesian data analysis, 11.4 and 11.5; Geyer (1992), Practical Markov chain Monte Carlo.
"""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import OptionError


@dataclass(frozen=True, eq=False)
class Chains:
    """Samples of several chains after warm-up.

    Args:
        samples: Shape (chains, count, n).
        sampler: What made them.
        evaluations: Of the model and its derivative, warm-up included.
    """

    samples: np.ndarray
    sampler: str
    evaluations: int

    @property
    def pooled(self) -> np.ndarray:
        """All samples, shape (chains * count, n)."""
        return self.samples.reshape(-1, self.samples.shape[2])

    @property
    def mean(self) -> np.ndarray:
        """Shape (n,)."""
        return self.pooled.mean(axis=0)

    @property
    def deviation(self) -> np.ndarray:
        """Shape (n,)."""
        return self.pooled.std(axis=0, ddof=1)

    def rhat(self) -> np.ndarray:
        """Potential scale reduction of each number, (n,): as of `split_rhat`."""
        return split_rhat(self.samples)

    def effective(self) -> np.ndarray:
        """Effective sample size of the mean of each number, (n,)."""
        return effective_size(self.samples)

    def deviation_error(self) -> np.ndarray:
        """Relative standard error of the deviation of each number, (n,).

        By the effective size of the squares, and the fourth moment: a Gaussian of k independent samples has 1 /
        sqrt(2 k).
        """
        squares = (self.samples - self.mean) ** 2
        spread = squares.reshape(-1, squares.shape[2]).std(axis=0) / self.deviation**2
        return spread / (2 * np.sqrt(effective_size(squares)))


def split_rhat(samples: np.ndarray) -> np.ndarray:
    """Of chains (chains, count, n) in halves: 1 where all halves agree; below 1.01 they are taken as converged.

    Raises:
        OptionError: If a chain has fewer than 4 samples.
    """
    halves = _halves(samples)
    count = halves.shape[1]
    within = halves.var(axis=1, ddof=1).mean(axis=0)
    between = halves.mean(axis=1).var(axis=0, ddof=1)
    return np.sqrt((count - 1) / count + between / within)


def effective_size(samples: np.ndarray) -> np.ndarray:
    """Effective sample size of the mean over chains (chains, count, n), which are cut into halves.

    Autocorrelations are summed in pairs of lags until a pair is negative, and pairs do not increase.

    Raises:
        OptionError: If a chain has fewer than 4 samples.
    """
    halves = _halves(samples)
    chains, count, _ = halves.shape
    centred = halves - halves.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, 2 * count, axis=1)) ** 2
    covariances = np.fft.irfft(spectrum, axis=1)[:, :count].mean(axis=0) / count
    within = halves.var(axis=1, ddof=1).mean(axis=0)
    total = (count - 1) / count * within + halves.mean(axis=1).var(axis=0, ddof=1)
    correlations = 1 - (within - covariances * count / (count - 1)) / total
    pairs = correlations[: count // 2 * 2].reshape(count // 2, 2, -1).sum(axis=1)
    pairs[0] = 1 + correlations[1]
    positive = np.logical_and.accumulate(pairs > 0, axis=0)
    time = -1 + 2 * (np.minimum.accumulate(pairs, axis=0) * positive).sum(axis=0)
    return chains * count / np.maximum(time, 1 / np.log10(chains * count))


def _halves(samples: np.ndarray) -> np.ndarray:
    count = samples.shape[1] // 2
    if count < 2:
        raise OptionError(f"chains: got {samples.shape[1]} samples, expected at least 4")
    return np.concatenate([samples[:, :count], samples[:, -count:]])
