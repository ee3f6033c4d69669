"""Chains, residuals and CUQIpy's samplers, on posteriors that have a formula."""

import numpy as np
import pytest
import torch

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.errors import MissingPackageError, OptionError
from eitdip.imaging import DenseOperator
from eitdip.operator import Space
from eitdip.parameterization import Affine, Exp, Parameterization
from eitdip.parameterization.low_dimensional import Modes
from eitdip.uncertainty.chains import Chains, effective_size, split_rhat
from eitdip.uncertainty.cuqi import sample
from eitdip.uncertainty.laplace import linearized_laplace
from eitdip.uncertainty.residuals import Residuals, leading_modes
from tests.uncertainty.linear import linear_problem


def autoregressive(rng, correlation: float, shape=(4, 20000)) -> np.ndarray:
    """Chains of variance 1 whose effective size is (1 - c) / (1 + c) of their count."""
    samples = rng.standard_normal((*shape, 1))
    for i in range(1, shape[1]):
        samples[:, i] = correlation * samples[:, i - 1] + np.sqrt(1 - correlation**2) * samples[:, i]
    return samples


@pytest.mark.parametrize("correlation", [0.0, 0.8, -0.3])
def test_effective_size_of_an_autoregression(rng, correlation):
    expected = 80000 * (1 - correlation) / (1 + correlation)
    assert effective_size(autoregressive(rng, correlation))[0] == pytest.approx(expected, rel=0.1)


def test_scale_reduction_sees_chains_apart_and_drifts(rng):
    samples = rng.standard_normal((4, 2000, 3))
    assert (split_rhat(samples) < 1.005).all()
    samples[0, :, 0] += 1.0
    samples[:, :, 1] += np.linspace(0, 1, 2000)[:, None].T
    rhat = split_rhat(samples)
    # Between four chains of which one is off by 1 there is a variance of 1 / 4, of halves 2 / 7.
    assert rhat[0] == pytest.approx(np.sqrt(1 + 1.5 / 7), rel=0.03) and rhat[1] > 1.02 and rhat[2] < 1.005
    with pytest.raises(OptionError, match="chains: got 3 samples, expected at least 4"):
        split_rhat(samples[:, :3])


def test_the_error_of_a_deviation(rng):
    chains = Chains(rng.standard_normal((4, 5000, 1)), "none", 0)
    assert chains.deviation_error()[0] == pytest.approx(1 / np.sqrt(2 * 20000), rel=0.1)


def linear(rng, count=4):
    """Residuals of a few modes of an image; mean and covariance of their posterior."""
    modes, matrix, centre = (
        rng.standard_normal((count, 6, 6)),
        rng.standard_normal((15, 36)),
        rng.standard_normal((6, 6)),
    )
    parameterization = Parameterization(Modes(centre, modes), Affine(0.0, 1.0), unit=1.0)
    data = Data(rng.standard_normal(15), Gaussian(5.0))
    residuals = Residuals(parameterization, DenseOperator(torch.from_numpy(matrix), Space((6, 6)), Space((15,))), data)
    slope = matrix @ modes.reshape(count, -1).T / 5
    covariance = np.linalg.inv(slope.T @ slope + np.eye(count))
    return residuals, covariance @ slope.T @ (data.values - matrix @ centre.ravel()) / 5, covariance


def nonlinear(rng) -> Residuals:
    """The same with an exponential link."""
    modes, matrix = 0.3 * rng.standard_normal((3, 6, 6)), rng.standard_normal((15, 36))
    parameterization = Parameterization(Modes(np.zeros((6, 6)), modes), Exp(1.0))
    model = DenseOperator(torch.from_numpy(matrix), Space((6, 6)), Space((15,)))
    return Residuals(parameterization, model, Data(matrix @ np.ones(36) + rng.standard_normal(15), Gaussian(0.5)))


def test_slopes_are_those_of_the_density(rng):
    residuals = nonlinear(rng)
    xi, step = rng.standard_normal(3), 1e-5
    expected = [
        (residuals.log_density(xi + step * unit) - residuals.log_density(xi - step * unit)) / (2 * step)
        for unit in np.eye(3)
    ]
    np.testing.assert_allclose(residuals.slope(xi), expected, rtol=1e-6)
    jacobian, direction = residuals.jacobian(xi), rng.standard_normal(15)
    np.testing.assert_allclose(residuals.adjoint(direction, xi), jacobian.T @ direction, rtol=1e-9)


def test_value_and_slope_share_an_evaluation(rng):
    residuals = nonlinear(rng)
    xi = rng.standard_normal(3)
    residuals.log_density(xi), residuals.slope(xi)
    assert residuals.evaluations == 1
    residuals.log_density(xi + 1)
    assert residuals.evaluations == 2


def test_the_summit_of_a_linear_problem_is_its_posterior(rng):
    residuals, mean, covariance = linear(rng)
    summit = residuals.summit()
    np.testing.assert_allclose(summit.mean, mean, atol=1e-6)
    np.testing.assert_allclose(summit.covariance, covariance, rtol=1e-8)


def test_the_summit_of_a_nonlinear_problem_has_no_slope(rng):
    residuals = nonlinear(rng)
    assert np.abs(residuals.slope(residuals.summit().mean)).max() < 1e-4


def test_all_leading_modes_are_the_posterior_as_the_data_see_it():
    parameterization, model, data, _, matrix, _ = linear_problem(9)
    laplace = linearized_laplace(parameterization, model, data, mean="linear").scaled(2.0)
    generator, here = leading_modes(laplace, 9)
    few = Parameterization(generator, parameterization.link, unit=1.0)
    residuals = Residuals(few, model, data)
    residuals.set(here)
    np.testing.assert_allclose(few().detach(), parameterization().detach(), atol=1e-9)
    summit = residuals.summit()
    residuals.set(summit.mean)
    np.testing.assert_allclose(matrix @ few().detach().numpy().ravel(), matrix @ laplace.mean.ravel(), atol=1e-5)
    modes = generator.modes.numpy().reshape(9, -1)
    variances = np.einsum("ki,kl,li->i", modes @ matrix.T, summit.covariance, modes @ matrix.T)
    np.testing.assert_allclose(variances, np.diag(laplace.predict(np.ones(9, bool)).covariance) * data.deviation**2)
    with pytest.raises(OptionError, match="modes: got 10, expected at most 9"):
        leading_modes(laplace, 10)


@pytest.fixture
def cuqi():
    try:
        from eitdip.uncertainty.cuqi import _cuqi

        return _cuqi()
    except MissingPackageError as error:
        pytest.skip(f"needs CUQIpy: {error}")


@pytest.mark.parametrize(("sampler", "count"), [("nuts", 200), ("mala", 600), ("pcn", 600), ("linear-rto", 200)])
def test_samplers_find_the_posterior_of_a_linear_problem(rng, cuqi, sampler, count):
    residuals, mean, covariance = linear(rng)
    around = None if sampler == "linear-rto" else residuals.summit()
    state, before = np.random.get_state()[1].copy(), residuals.present()
    chains = sample(residuals, sampler, count=count, warmup=100, chains=2, around=around, scale=0.5)
    assert chains.samples.shape == (2, count, 4) and chains.evaluations > 0
    assert (chains.rhat() < 1.1).all()
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((chains.mean - mean) / deviation, 0, atol=0.35)
    np.testing.assert_allclose(chains.deviation / deviation, 1, atol=0.3)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.testing.assert_array_equal(residuals.present(), before)


def test_a_chain_repeats_itself(rng, cuqi):
    residuals, *_ = linear(rng)
    chains = [sample(residuals, count=10, warmup=5, chains=2, seed=seed).samples for seed in (0, 0, 1)]
    np.testing.assert_array_equal(chains[0], chains[1])
    assert np.abs(chains[0] - chains[2]).max() > 1e-3


def test_ugla_samples_the_pixels_of_an_image(rng, cuqi):
    residuals, *_ = linear(rng, 36)
    with torch.no_grad():
        residuals.parameterization.generator.modes.copy_(torch.eye(36).reshape(36, 6, 6))
    chains = sample(residuals, "ugla", count=20, warmup=5, chains=1)
    assert chains.samples.shape == (1, 20, 36) and np.isfinite(chains.samples).all()
    with pytest.raises(OptionError, match="expected the pixels of a square image"):
        sample(linear(rng)[0], "ugla")


def test_bad_choices_are_refused(rng, cuqi):
    residuals = nonlinear(rng)
    with pytest.raises(OptionError, match="unknown sampler: got 'gibbs', expected one of: nuts, mala"):
        sample(residuals, "gibbs")
    with pytest.raises(OptionError, match="residuals that are not affine, expected nuts, mala or pcn"):
        sample(residuals, "linear-rto")
    with pytest.raises(OptionError, match="count, warmup, chains, scale: got 3"):
        sample(residuals, count=3)
    with pytest.raises(OptionError, match="around: got a Gaussian for 'linear-rto'"):
        sample(residuals, "linear-rto", around=residuals.summit())


def test_a_density_needs_a_known_noise(rng):
    residuals = nonlinear(rng)
    with pytest.raises(OptionError, match="Gaussian noise of known deviation"):
        Residuals(residuals.parameterization, residuals.model, Data(np.ones(15), Gaussian(None)))


def test_without_cuqipy_the_error_names_the_extra(rng, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cuqi", None)
    with pytest.raises(MissingPackageError, match=r"eitdip\[uq\]"):
        sample(nonlinear(rng))
