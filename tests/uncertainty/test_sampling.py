"""Samples of weights: against formulas, and what they leave behind."""

from itertools import islice

import numpy as np
import pytest
import torch

from eitdip.errors import DivergenceError, OptionError
from eitdip.imaging import denoising
from eitdip.networks import Decoder
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares, misfit_of
from eitdip.parameterization import Affine, Parameterization, draw_prior
from eitdip.parameterization.weights import snapshot
from eitdip.uncertainty.sampling import langevin, langevin_path, largest_curvature, monte_carlo_dropout
from tests.uncertainty.linear import NOISE, SHAPE, SIZES, linear_problem


@pytest.mark.parametrize(("first", "burn"), [(0.2, 1e12), (0.02, 100)])
def test_a_path_in_a_parabola_has_its_moments(first, burn):
    """Of each of 4000 chains; the rule of Euler and Maruyama widens them by 1 / (1 - e curvature / 4)."""
    curvature, variance, goal = 3.0, 0.5, 2.0
    weight = torch.nn.Parameter(torch.zeros(4000, dtype=torch.float64))

    def energy():
        return 0.5 * curvature * (weight - goal).square().sum()

    path = langevin_path(energy, [weight], [variance], first, burn, torch.Generator().manual_seed(0))
    for _ in islice(path, 1500):
        pass
    total = curvature + 1 / variance
    last = first * (1 + 1499 / burn) ** -0.55
    expected = 1 / total / (1 - last * variance * total / 4)
    weight = weight.detach()
    assert float(weight.mean()) == pytest.approx(curvature * goal / total, abs=0.03)
    assert float(weight.var()) == pytest.approx(expected, rel=0.05)


def test_curvature_is_the_largest_in_prior_units():
    weight, other = (torch.nn.Parameter(torch.full((2,), 0.3, dtype=torch.float64)) for _ in range(2))

    def energy():
        return weight[0] ** 2 + 5 * weight[1] ** 2 + 50 * other[0] ** 2

    assert largest_curvature(energy, [weight, other], [4.0, 0.01], torch.Generator()) == pytest.approx(40, rel=1e-3)
    np.testing.assert_array_equal(weight.detach(), [0.3, 0.3])
    assert largest_curvature(lambda: 0 * energy(), [weight, other], [4.0, 0.01], torch.Generator()) == 0


def test_langevin_has_the_posterior_of_a_linear_network():
    parameterization, model, data, jacobian, matrix, theta = linear_problem(30)
    objective = Variational(model, parameterization, misfit_of(data))
    before = snapshot(parameterization)
    posterior = langevin(objective, 30, steps=3000, burn=500, count=1000, share=0.3, amplitude=2.0)
    for name, value in snapshot(parameterization).items():
        assert torch.equal(value, before[name])
    squares = [2 * np.square(part).mean() for part in np.split(theta, [SIZES[0]])]
    prior = np.concatenate([np.full(size, value) for size, value in zip(SIZES, squares, strict=True)])
    whitened = matrix @ jacobian / NOISE
    precision = whitened.T @ whitened + np.diag(1 / prior)
    mean = jacobian @ np.linalg.solve(precision, whitened.T @ (data.values / NOISE))
    deviation = np.sqrt(np.diag(jacobian @ np.linalg.solve(precision, jacobian.T)))
    assert posterior.method == "langevin" and posterior.shape == SHAPE
    assert np.abs((posterior.mean.ravel() - mean) / deviation).mean() < 0.5
    assert (posterior.deviation().ravel() / deviation).mean() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": 1.0}, "share, amplitude: got 1.0 and 1.0"),
        ({"amplitude": 0.0}, "share, amplitude: got 0.2 and 0.0"),
        ({"steps": 100, "burn": 100}, "steps, burn, count: got 100, 100 and 100"),
        ({"steps": 100, "burn": 50}, "steps, burn, count: got 100, 50 and 100"),
    ],
)
def test_bad_options_of_a_path_are_refused(options, words):
    parameterization, model, data, *_ = linear_problem()
    with pytest.raises(OptionError, match=words):
        langevin(Variational(model, parameterization, misfit_of(data)), 20, **options)


def test_a_path_that_leaves_the_numbers_is_no_result():
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    path = langevin_path(lambda: weight.sum() / 0, [weight], [1.0], 0.1, 10, torch.Generator())
    with pytest.raises(DivergenceError, match="the energy became inf at step 0: use a smaller share"):
        next(path)


def denoised(probability=0.2, seed=0, count=60):
    """Dropout of a small network on a noisy ramp; the objective with it."""
    generator = torch.Generator().manual_seed(1)
    prior = draw_prior(Decoder(4, 8, 2), (16, 16), 1)
    picture = np.linspace(0, 1, 256).reshape(16, 16) + 0.05 * np.random.default_rng(0).standard_normal((16, 16))
    objective = Variational(
        denoising((16, 16)), Parameterization(prior, Affine(0.5, 1.0), unit=1.0), LeastSquares(picture, 0.05)
    )
    with torch.no_grad():
        for weight in prior.network.output.parameters():
            weight.normal_(0, 0.1, generator=generator)
    return (
        objective,
        picture,
        monte_carlo_dropout(objective, probability=probability, steps=50, learning_rate=5e-3, count=count, seed=seed),
    )


def test_dropout_has_samples_around_what_was_seen():
    objective, picture, posterior = denoised()
    assert posterior.method == "dropout" and len(posterior.stored) == 60
    assert np.abs(posterior.mean - picture).mean() < 0.2
    assert (posterior.deviation() > 0.01).all()
    again = objective.parameterization()
    assert torch.equal(again, objective.parameterization()), "hooks are gone"
    assert denoised(0.02)[2].deviation().mean() < 0.7 * posterior.deviation().mean()


def test_dropout_repeats_itself_and_leaves_the_weights():
    before = snapshot(denoised(count=2)[0].parameterization)
    objective, _, posterior = denoised(count=2)
    for name, value in snapshot(objective.parameterization).items():
        assert torch.equal(value, before[name])
    np.testing.assert_array_equal(posterior.stored, denoised(count=2)[2].stored)
    assert np.abs(posterior.stored - denoised(count=2, seed=1)[2].stored).max() > 1e-3


def test_dropout_needs_a_probability_and_a_network():
    parameterization, model, data, *_ = linear_problem()
    objective = Variational(model, parameterization, misfit_of(data))
    with pytest.raises(OptionError, match=r"probability: got 1\.0"):
        monte_carlo_dropout(objective, probability=1.0)
    with pytest.raises(OptionError, match="no activations to drop channels after"):
        monte_carlo_dropout(objective)
