"""Posteriors of free fields against the formula of two Gaussians."""

import numpy as np
import pytest
import torch
from scipy.special import kn

from eitdip.classical.lagged import curvature
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.errors import OptionError
from eitdip.imaging import DenseOperator
from eitdip.objective.differences import MeshJumps, PixelDifferences
from eitdip.objective.penalty import TotalVariation
from eitdip.operator import Space
from eitdip.parameterization import Affine, Exp, FreeField, Parameterization
from eitdip.uncertainty.cells import cells_laplace, smooth_covariance
from tests.cases.meshes import ring_disk

SHAPE, NOISE, UNIT = (6, 7), 0.2, 2.0


def problem(rng, link=None, unit=UNIT):
    """A linear model of a free field of pixels that is not at its start."""
    parameterization = Parameterization(FreeField(SHAPE), link or Affine(0.3, UNIT), unit=unit)
    with torch.no_grad():
        parameterization.generator.values.copy_(torch.from_numpy(0.3 * rng.standard_normal(SHAPE)))
    matrix = rng.standard_normal((25, 42))
    model = DenseOperator(torch.from_numpy(matrix), Space(SHAPE), Space((25,)))
    return parameterization, model, Data(matrix @ rng.standard_normal(42), Gaussian(NOISE)), matrix


@pytest.mark.parametrize("prior", ["smooth", "tv"])
@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_a_linear_model_has_the_dense_posterior(rng, prior, factor):
    parameterization, model, data, matrix = problem(rng)
    differences = PixelDifferences()
    posterior = cells_laplace(parameterization, model, data, differences, prior=prior, mean="linear").scaled(factor)
    if prior == "smooth":
        covariance = smooth_covariance(differences, SHAPE, 0.3)
    else:
        form = curvature(TotalVariation(differences, 1e-2), parameterization.generator.values.detach()).toarray()
        covariance = np.linalg.inv(form + 1e-4 * np.diag(form).mean() * np.eye(42))
        covariance /= np.diag(covariance).mean()
    # Of the values: contrasts are theirs less the start, over the unit.
    covariance = factor * posterior.prior.amplitudes.values[0] * UNIT**2 * covariance
    gain = covariance @ matrix.T @ np.linalg.inv(matrix @ covariance @ matrix.T + NOISE**2 * np.eye(25))
    expected = 0.3 + gain @ (data.values - matrix.sum(axis=1) * 0.3)
    after = covariance - gain @ matrix @ covariance
    np.testing.assert_allclose(posterior.mean.ravel(), expected, atol=1e-8)
    np.testing.assert_allclose(posterior.deviation().ravel(), np.sqrt(np.diag(after)), atol=1e-8)
    assert posterior.method == "cells"
    drawn = posterior.sample(4000, rng).reshape(4000, -1)
    np.testing.assert_allclose(np.cov(drawn.T), after, atol=0.1 * after.max())


def test_the_amplitude_is_the_most_likely(rng):
    parameterization, model, data, matrix = problem(rng)
    posterior = cells_laplace(parameterization, model, data, PixelDifferences())
    covariance = posterior.prior.amplitudes.values[0] * UNIT**2 * smooth_covariance(PixelDifferences(), SHAPE, 0.3)
    target = data.values - matrix.sum(axis=1) * 0.3

    def evidence(factor):
        total = factor * matrix @ covariance @ matrix.T + NOISE**2 * np.eye(25)
        return -0.5 * np.linalg.slogdet(total)[1] - 0.5 * target @ np.linalg.solve(total, target)

    assert evidence(1.0) > max(evidence(0.97), evidence(1.03))
    np.testing.assert_allclose(posterior.mean.ravel(), parameterization().detach().numpy().ravel(), atol=1e-12)


def test_conductivities_have_a_prior_of_their_logarithm(rng):
    parameterization, model, data, matrix = problem(rng, Exp(0.7), None)
    posterior = cells_laplace(parameterization, model, data, PixelDifferences())
    x = parameterization().detach().numpy().ravel()
    seen = matrix * x / NOISE
    covariance = posterior.prior.amplitudes.values[0] * smooth_covariance(PixelDifferences(), SHAPE, 0.3)
    after = np.linalg.inv(seen.T @ seen + np.linalg.inv(covariance))
    np.testing.assert_allclose(posterior.deviation().ravel(), np.sqrt(np.diag(after)), rtol=1e-7)
    given = cells_laplace(parameterization, model, data, PixelDifferences(), estimate=x.reshape(SHAPE))
    np.testing.assert_allclose(given.deviation(), posterior.deviation(), rtol=1e-9)


@pytest.mark.parametrize("grid", ["pixels", "cells"])
def test_correlation_is_that_of_matern(grid):
    """On pixels and on the cells of a disk, from its middle outwards; borders make it a little larger."""
    if grid == "pixels":
        covariance = smooth_covariance(PixelDifferences(), (32, 32), 0.25)
        places = np.stack(np.meshgrid(*[(np.arange(32) + 0.5) / 32] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    else:
        domain = ring_disk(12, 48)
        covariance = smooth_covariance(MeshJumps(*domain.jumps), (len(domain.cells),), 0.25, domain.cell_sizes)
        places = domain.centroids / np.ptp(domain.points, axis=0).max() + 0.5
    assert np.diag(covariance).mean() == pytest.approx(1)
    middle = np.argmin(np.linalg.norm(places - 0.5, axis=1))
    distance = np.linalg.norm(places - places[middle], axis=1)
    correlation = covariance[middle] / np.sqrt(covariance[middle, middle] * np.diag(covariance))
    for length in (0.05, 0.125, 0.25):
        scaled = np.sqrt(8) * length / 0.25
        at = correlation[np.abs(distance - length) < 0.02].mean()
        assert at == pytest.approx(scaled * kn(1, scaled), abs=0.075), length


def test_total_variation_frees_the_edges():
    """Across an edge of the estimate the prior has less correlation than within."""
    parameterization, model, data, _ = problem(np.random.default_rng(0))
    with torch.no_grad():
        parameterization.generator.values.copy_((torch.arange(42).reshape(SHAPE) % 7 >= 3).double())
    posterior = cells_laplace(parameterization, model, data, PixelDifferences(), prior="tv")
    drawn = posterior.prior.draw(4000, np.random.default_rng(0)).reshape(-1, *SHAPE)
    steps = np.diff(drawn, axis=2).var(axis=(0, 1))
    assert steps[2] > 3 * np.delete(steps, 2).max()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior": "flat"}, "prior: got 'flat', expected one of smooth, tv"),
        ({"length": 0.0}, "length: got 0.0, expected a share"),
        ({"aside": np.ones(25, bool)}, "aside: got all measurements"),
    ],
)
def test_bad_options_are_refused(rng, options, words):
    parameterization, model, data, _ = problem(rng)
    with pytest.raises(OptionError, match=words):
        cells_laplace(parameterization, model, data, PixelDifferences(), **options)
