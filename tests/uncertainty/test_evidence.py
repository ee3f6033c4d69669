"""The evidence against the density of a Gaussian, its slope against differences."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from eitdip.errors import LinearSolverError
from eitdip.uncertainty.evidence import minus_log_evidence, most_likely


def covariances(count: int, size: int = 6, rank: int = 4) -> np.ndarray:
    factors = np.random.default_rng(0).standard_normal((count, size, rank))
    return factors @ factors.transpose(0, 2, 1)


def test_it_is_the_density_of_the_target():
    parts, target, amplitudes = covariances(2), np.arange(6.0), np.array([0.4, 2.0])
    value, _ = minus_log_evidence(amplitudes, parts, target)
    whole = np.tensordot(amplitudes, parts, axes=1) + np.eye(6)
    assert -value - 3 * np.log(2 * np.pi) == pytest.approx(multivariate_normal(cov=whole).logpdf(target))


def test_its_slope_is_that_of_differences():
    parts, target, logs = covariances(3), np.arange(6.0), np.array([-0.3, 0.2, 0.5])
    _, slope = minus_log_evidence(np.exp(logs), parts, target)
    for number, step in enumerate(1e-5 * np.eye(3)):
        ends = [minus_log_evidence(np.exp(logs + sign * step), parts, target)[0] for sign in (1, -1)]
        assert slope[number] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-7)


@pytest.mark.parametrize("count", [1, 2])
def test_amplitudes_are_found_again(count):
    """Of many numbers drawn with them."""
    rng, size, true = np.random.default_rng(1), 300, np.array([3.0, 0.5])[:count]
    factors = rng.standard_normal((count, size, 150)) / 10
    parts = factors @ factors.transpose(0, 2, 1)
    target = rng.multivariate_normal(np.zeros(size), np.tensordot(true, parts, axes=1) + np.eye(size))
    found = most_likely(parts, target)
    np.testing.assert_allclose(found.values, true, rtol=0.5)
    whole = np.tensordot(found.values, parts, axes=1) + np.eye(size)
    assert found.log_evidence == pytest.approx(multivariate_normal(cov=whole).logpdf(target), rel=1e-6)
    assert found.undecided == ()


def test_one_and_two_equal_covariances_say_the_same():
    (part,), target = covariances(1), np.arange(6.0)
    assert most_likely(part[None], target).values[0] == pytest.approx(
        most_likely(np.stack([part / 2, part / 2]), target).values.mean(), rel=1e-3
    )


def test_data_that_are_nothing_cannot_tell():
    assert most_likely(covariances(1), np.zeros(6)).undecided == (0,)


@pytest.mark.parametrize("count", [1, 2])
def test_an_indefinite_covariance_is_named(count):
    parts = covariances(count)
    parts[-1] -= 5 * np.eye(6)
    with pytest.raises(LinearSolverError, match=rf"prior covariance {count - 1}: got the eigenvalue -"):
        most_likely(parts, np.ones(6))
