"""Amplitudes of prior covariances from the data: what makes them most likely.

With whitened data t = B g + noise, t of r numbers and prior covariances v_1 K_1 + v_2 K_2 + ..., the logarithm of the
evidence is log N(t; 0, C), C = sum_b v_b B_b + 1, B_b = R Q K_b Q^T R^T.

References:
    MacKay (1992), Bayesian interpolation; Immer et al. (2021), Scalable marginal likelihood estimation.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.optimize import minimize

from eitdip.errors import LinearSolverError

_RANGE = 1e-8, 1e8  # of amplitudes
_SAME = 0.1  # an evidence that is smaller by less than exp(-0.1) is as good


@dataclass(frozen=True, eq=False)
class Amplitudes:
    """What the evidence says.

    Args:
        values: v_b, one per covariance.
        log_evidence: Of the whitened data.
        undecided: Numbers of the covariances whose amplitude may be at a bound as well: the data cannot tell it.
    """

    values: np.ndarray
    log_evidence: float
    undecided: tuple[int, ...]


def most_likely(covariances: np.ndarray, target: np.ndarray) -> Amplitudes:
    """Amplitudes of largest evidence.

    Args:
        covariances: B_b, shape (b, r, r).
        target: t, (r,), in units of the noise.

    Raises:
        LinearSolverError: If a covariance is indefinite beyond rounding; it says which one.
    """
    low, high = np.log(_RANGE)
    if len(covariances) == 1:  # one eigendecomposition serves all amplitudes
        values, vectors = eigh(covariances[0])
        _must_be_positive(values, 0)
        values, squares = np.maximum(values, 0), (vectors.T @ target) ** 2

        def loss(log):
            variances = np.exp(log[0]) * values + 1
            slope = (1 / variances - squares / variances**2) * (variances - 1)
            return 0.5 * (np.log(variances) + squares / variances).sum(), np.array([0.5 * slope.sum()])

    else:
        for number, covariance in enumerate(covariances):
            _must_be_positive(eigh(covariance, eigvals_only=True), number)

        def loss(log):
            return minus_log_evidence(np.exp(log), covariances, target)

    starts = [np.full(len(covariances), start) for start in (-2.0, 2.0)]  # the evidence may have two summits
    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(low, high)] * len(start)) for start in starts]
    best = min(found, key=lambda each: each.fun)
    at_bounds = [
        [loss(np.where(np.arange(len(best.x)) == number, bound, best.x))[0] for bound in (low, high)]
        for number in range(len(best.x))
    ]
    undecided = np.flatnonzero(np.min(at_bounds, axis=1) < best.fun + _SAME)
    constant = 0.5 * len(target) * np.log(2 * np.pi)
    return Amplitudes(np.exp(best.x), float(-best.fun - constant), tuple(map(int, undecided)))


def minus_log_evidence(amplitudes: np.ndarray, covariances: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """-log N(t; 0, C) without its constant, and its derivative by the logarithms of the amplitudes."""
    covariance = np.tensordot(amplitudes, covariances, axes=1) + np.eye(len(target))
    factor = cho_factor(covariance, lower=True)
    inverse = cho_solve(factor, np.eye(len(target)))
    explained = inverse @ target
    value = np.log(np.diag(factor[0])).sum() + 0.5 * target @ explained
    slopes = [0.5 * ((inverse * each).sum() - explained @ each @ explained) for each in covariances]
    return float(value), amplitudes * np.array(slopes)


def _must_be_positive(values: np.ndarray, number: int) -> None:
    if values[0] < -1e-6 * max(values[-1], 1e-300):
        raise LinearSolverError(
            f"prior covariance {number}: got the eigenvalue {values[0]:.3g} beside {values[-1]:.3g}, expected none "
            "below 0 beyond rounding; compute the rows of the Jacobian in double precision"
        )
