"""The matrix-free posterior against the exact one."""

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.uncertainty import linearized_laplace, matrix_free_laplace
from tests.uncertainty.linear import linear_problem


def test_at_full_rank_it_is_the_exact_one():
    parameterization, model, data, *_ = linear_problem()
    exact = linearized_laplace(parameterization, model, data)
    free = matrix_free_laplace(parameterization, model, data, rank=30, samples=0)
    np.testing.assert_allclose(free.prior.amplitudes.values, exact.prior.amplitudes.values, rtol=1e-4)
    np.testing.assert_allclose(free.scaled(2.0).raw_deviation, exact.scaled(2.0).raw_deviation, rtol=2e-4)


def test_samples_find_what_a_small_rank_leaves_out():
    parameterization, model, data, *_ = linear_problem()
    exact = linearized_laplace(parameterization, model, data).raw_deviation
    errors = {}
    for samples in (0, 150):
        free = matrix_free_laplace(parameterization, model, data, rank=9, samples=samples)
        errors[samples] = np.median(np.abs(free.raw_deviation / exact - 1))
    assert errors[0] > 0.1
    assert errors[150] < 0.07


def test_samples_have_the_exact_covariance():
    parameterization, model, data, *_ = linear_problem()
    exact = linearized_laplace(parameterization, model, data)
    free = matrix_free_laplace(parameterization, model, data, rank=9, samples=0)
    drawn = free.raw_samples(250, np.random.default_rng(0))
    ratio = free.prior.amplitudes.values[0] / exact.prior.amplitudes.values[0]  # by the approximation's evidence
    expected = exact.scaled(ratio).raw_deviation
    assert np.abs(drawn.std(axis=0) / expected - 1).max() < 0.2
    assert np.abs((drawn.mean(axis=0) - free.centre) / expected).max() < 0.25


def test_what_was_set_aside_is_predicted_the_same():
    parameterization, model, data, *_ = linear_problem()
    aside = np.arange(20) >= 14
    exact = linearized_laplace(parameterization, model, data, aside=aside).predict()
    free = matrix_free_laplace(parameterization, model, data, rank=30, samples=0, aside=aside).predict()
    np.testing.assert_allclose(free.error, exact.error, atol=1e-8)
    np.testing.assert_allclose(free.covariance, exact.covariance, rtol=1e-3)


@pytest.mark.parametrize(("options", "words"), [({"rank": 0}, "rank: got 0"), ({"samples": -1}, "samples: got -1")])
def test_bad_options_are_refused(options, words):
    parameterization, model, data, *_ = linear_problem()
    with pytest.raises(OptionError, match=words):
        matrix_free_laplace(parameterization, model, data, **options)
