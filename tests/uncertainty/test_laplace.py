"""The linearized Laplace posterior against formulas, samples and differences."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.errors import OptionError
from eitdip.imaging import DenseOperator
from eitdip.networks import SkipNetwork, initialize
from eitdip.operator import Space
from eitdip.parameterization import Affine, Between, Parameterization, draw_prior
from eitdip.uncertainty import linearized_laplace
from tests.uncertainty.linear import NOISE, SHAPE, SIZES, linear_problem


def dense(jacobian, matrix, data, theta, variances):
    """Mean and covariance of the field by the formula of two Gaussians, in weights."""
    whitened = matrix @ jacobian / NOISE
    precision = whitened.T @ whitened + np.diag(1 / variances)
    covariance = jacobian @ np.linalg.solve(precision, jacobian.T)
    return jacobian @ np.linalg.solve(precision, whitened.T @ (data.values / NOISE)), covariance


def of_tensors(theta, values):
    return np.concatenate([np.full(size, value) for size, value in zip(SIZES, values, strict=True)])


@pytest.mark.parametrize("measurements", [9, 20, 40])  # fewer than weights, and more than the field has entries
@pytest.mark.parametrize("factor", [1.0, 7.0])
def test_a_linear_network_has_the_dense_posterior(measurements, factor):
    parameterization, model, data, jacobian, matrix, theta = linear_problem(measurements)
    posterior = linearized_laplace(parameterization, model, data, mean="linear").scaled(factor)
    squares = [np.square(part).mean() for part in np.split(theta, [SIZES[0]])]
    amplitude = posterior.prior.amplitudes.values[0]
    mean, covariance = dense(jacobian, matrix, data, theta, factor * amplitude * of_tensors(theta, squares))
    np.testing.assert_allclose(posterior.mean.ravel(), mean, rtol=0, atol=1e-8)
    np.testing.assert_allclose(posterior.deviation().ravel() ** 2, np.diag(covariance), rtol=1e-8)


def test_the_network_s_field_is_the_mean_unless_asked_otherwise():
    parameterization, model, data, jacobian, *_, theta = linear_problem()
    posterior = linearized_laplace(parameterization, model, data)
    np.testing.assert_allclose(posterior.mean.ravel(), jacobian @ theta, atol=1e-12)


@pytest.mark.parametrize("prior", ["relative", "common", "per tensor"])
def test_the_evidence_is_at_its_summit(prior):
    parameterization, model, data, _, matrix, _ = linear_problem()
    if prior == "per tensor":
        with pytest.warns(UserWarning, match="degenerate"):
            posterior = linearized_laplace(parameterization, model, data, prior=prior)
    else:
        posterior = linearized_laplace(parameterization, model, data, prior=prior)
    covariance = posterior.prior.kernel.inner
    matrix, target = matrix / NOISE, data.values / NOISE

    def evidence(factor):
        full = posterior.linear.basis.T @ covariance @ posterior.linear.basis * factor
        total = matrix @ full @ matrix.T + np.eye(len(target))
        return -0.5 * np.linalg.slogdet(total)[1] - 0.5 * target @ np.linalg.solve(total, target)

    assert evidence(1.0) > max(evidence(0.97), evidence(1.03))


def test_samples_have_the_posterior_s_moments():
    parameterization, model, data, jacobian, matrix, theta = linear_problem()
    posterior = linearized_laplace(parameterization, model, data).scaled(3.0)
    drawn = posterior.sample(4000, np.random.default_rng(1)).reshape(4000, -1)
    squares = [np.square(part).mean() for part in np.split(theta, [SIZES[0]])]
    variances = 3 * posterior.prior.amplitudes.values[0] * of_tensors(theta, squares)
    _, covariance = dense(jacobian, matrix, data, theta, variances)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs((np.cov(drawn.T) - covariance) / scale).max() < 0.08
    assert np.abs((drawn.mean(axis=0) - jacobian @ theta) / np.sqrt(np.diag(covariance))).max() < 0.08


def test_intervals_go_through_the_link_and_never_leave_its_bounds():
    parameterization, model, data, jacobian, _, theta = linear_problem(link=Between(-1.0, 2.0))
    posterior = linearized_laplace(parameterization, model, data)
    low, high = posterior.interval(0.95)
    assert (low > -1).all() and (high < 2).all() and (low < high).all()
    ends = (jacobian @ theta).reshape(SHAPE) + 1.959963985 * np.stack([-1, 1])[:, None, None] * (
        posterior.raw_deviation.reshape(SHAPE)
    )
    np.testing.assert_allclose(np.stack([low, high]), -1 + 3 * torch.sigmoid(torch.from_numpy(ends)).numpy(), rtol=1e-8)


def test_what_was_set_aside_is_predicted_as_the_dense_formula_says():
    parameterization, model, data, jacobian, matrix, theta = linear_problem()
    aside = np.arange(20) >= 14
    posterior = linearized_laplace(parameterization, model, data, aside=aside, mean="linear")
    squares = [np.square(part).mean() for part in np.split(theta, [SIZES[0]])]
    variances = posterior.prior.amplitudes.values[0] * of_tensors(theta, squares)
    whitened = matrix[~aside] @ jacobian / NOISE
    precision = whitened.T @ whitened + np.diag(1 / variances)
    weights = np.linalg.solve(precision, whitened.T @ data.values[~aside] / NOISE)
    predicted, seen = posterior.predict(), matrix[aside] @ jacobian / NOISE
    np.testing.assert_allclose(predicted.error, data.values[aside] / NOISE - seen @ weights, atol=1e-7)
    np.testing.assert_allclose(predicted.covariance, seen @ np.linalg.solve(precision, seen.T), rtol=1e-6)


def test_one_kernel_by_weights_and_by_pixels():
    """More data than half the field has entries: K is summed whole."""
    few, many = (linear_problem(count) for count in (9, 40))
    for parameterization, model, data, *_ in (few, many):
        posterior = linearized_laplace(parameterization, model, data, prior="common")
        jacobian = parameterization.generator.matrix.numpy()
        whole = posterior.prior.amplitudes.values[0] * jacobian @ jacobian.T
        basis = posterior.linear.basis
        np.testing.assert_allclose(posterior.prior.kernel.inner, basis @ whole @ basis.T, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(posterior.prior.kernel.cross, basis @ whole, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(posterior.prior.kernel.diagonal, np.diag(whole), rtol=1e-9)


def test_rows_in_a_file_are_the_same_rows(tmp_path):
    parameterization, model, data, *_ = linear_problem()
    kept = linearized_laplace(parameterization, model, data)
    streamed = linearized_laplace(parameterization, model, data, scratch=tmp_path)
    np.testing.assert_array_equal(kept.raw_deviation, streamed.raw_deviation)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior": "flat"}, "prior: got 'flat', expected one of relative, common, per tensor"),
        ({"mean": "mode"}, "mean: got 'mode', expected 'network' or 'linear'"),
        ({"aside": np.ones(20, bool)}, "aside: got all measurements"),
        ({"smooth": -1.0}, "smooth: got a length of -1.0"),
    ],
)
def test_bad_options_are_refused(options, words):
    parameterization, model, data, *_ = linear_problem()
    with pytest.raises(OptionError, match=words):
        linearized_laplace(parameterization, model, data, **options)


def test_the_scale_of_weights_before_a_normalization_changes_nothing():
    """The network does not depend on it; one variance per tensor, by evidence or common, would."""
    network = initialize(
        SkipNetwork(latent_channels=3, channels=6, skips=2, levels=1), torch.Generator().manual_seed(0)
    )
    parameterization = Parameterization(draw_prior(network, (8, 8), seed=1), Affine(0.0, 1.0), unit=1.0).double()
    with torch.no_grad():  # the last layer starts at 0, where the field depends on nothing else
        for weight in parameterization.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2), dtype=weight.dtype)
    rng = np.random.default_rng(0)
    model = DenseOperator(torch.from_numpy(rng.standard_normal((20, 64))), Space((8, 8)), Space((20,)))
    data = Data(rng.standard_normal(20), Gaussian(0.1))
    before = {prior: linearized_laplace(parameterization, model, data, prior=prior) for prior in ("relative", "common")}
    convolution, norm = _before_a_normalization(parameterization)
    with torch.no_grad():
        convolution.weight *= 5
        if convolution.bias is not None:
            convolution.bias *= 5
        norm.eps *= 25
    after = {prior: linearized_laplace(parameterization, model, data, prior=prior) for prior in before}
    np.testing.assert_allclose(after["relative"].raw_deviation, before["relative"].raw_deviation, rtol=1e-5)
    assert np.abs(after["common"].raw_deviation / before["common"].raw_deviation - 1).max() > 1e-3


def _before_a_normalization(module):
    """A convolution and the normalization that follows it."""
    parts = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.GroupNorm))]
    return next(
        pair for pair in pairwise(parts) if isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.GroupNorm)
    )
