"""Simulation-based calibration: truths drawn from the prior are covered as often as the posterior says.

Coverage is counted at single pixels, one per truth, so that the trials are independent; bounds are binomial, at 99 %.
Seeds are fixed: a right posterior fails one such comparison in a hundred, and these pass.
"""

from dataclasses import replace

import numpy as np
import pytest

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.objective.differences import PixelDifferences
from eitdip.uncertainty.cells import cells_laplace, smooth_covariance
from eitdip.uncertainty.coverage import Share
from eitdip.uncertainty.laplace import linearized_laplace
from eitdip.uncertainty.reliability import ranks, uniformity
from tests.uncertainty.linear import NOISE, SHAPE, linear_problem

DRAWS, SAMPLES, PIXELS = 200, 9, [0, 11, 29]


def network(rng):
    """Posteriors of a linear network with weights of variance 1, each with the truth behind its data."""
    parameterization, model, data, jacobian, matrix, _ = linear_problem(9)
    for _ in range(DRAWS):
        truth = jacobian @ rng.standard_normal(jacobian.shape[1])
        values = matrix @ truth + NOISE * rng.standard_normal(9)
        found = linearized_laplace(parameterization, model, replace(data, values=values), prior="common", mean="linear")
        yield found.scaled(1 / found.prior.amplitudes.values[0]), truth


def pixels(rng):
    """The same of a smooth field of pixels."""
    parameterization, model, _, _, matrix, _ = linear_problem(9)
    root = np.linalg.cholesky(smooth_covariance(PixelDifferences(), SHAPE, 0.3))
    for _ in range(DRAWS):
        truth = root @ rng.standard_normal(len(root))
        data = Data(matrix @ truth + NOISE * rng.standard_normal(9), Gaussian(NOISE))
        found = cells_laplace(parameterization, model, data, PixelDifferences(), mean="linear")
        yield found.scaled(1 / found.prior.amplitudes.values[0]), truth


@pytest.mark.parametrize("posteriors", [network, pixels])
def test_truths_of_the_prior_are_covered_as_often_as_they_should(rng, posteriors):
    covered, places = {0.5: [], 0.9: [], 0.95: []}, []
    for posterior, truth in posteriors(rng):
        for level, found in covered.items():
            low, high = (bound.ravel()[PIXELS] for bound in posterior.interval(level))
            found.append((low <= truth[PIXELS]) & (truth[PIXELS] <= high))
        drawn = posterior.sample(SAMPLES, rng).reshape(SAMPLES, -1)[:, PIXELS]
        places.append(ranks(drawn, truth[PIXELS]))
    for level, found in covered.items():
        for pixel in np.array(found).T:
            share = Share.of(pixel, confidence=0.99)
            assert share.count == DRAWS and share.low <= level <= share.high, level
    for pixel in np.array(places).T:
        assert uniformity(pixel, SAMPLES) > 0.01


def test_a_posterior_that_is_too_sure_is_found_out(rng):
    """The same check with half the deviation."""
    missed, places = [], []
    for posterior, truth in pixels(rng):
        narrow = posterior.rescaled(0.5)
        low, high = (bound.ravel()[PIXELS[0]] for bound in narrow.interval(0.9))
        missed.append(low <= truth[PIXELS[0]] <= high)
        places.append(ranks(narrow.sample(SAMPLES, rng).reshape(SAMPLES, -1)[:, PIXELS[0]], truth[PIXELS[0]]))
    assert Share.of(np.array(missed), confidence=0.99).high < 0.9
    assert uniformity(np.array(places), SAMPLES) < 1e-4
