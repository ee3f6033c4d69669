"""The linear problem at an estimate: products, transposes, matrices and differences of one operator, for all kinds."""

import numpy as np
import pytest
import torch

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian, ModelError, Poisson
from eitdip.errors import InvalidDataError, OptionError
from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.fem.patterns import trigonometric_currents
from eitdip.imaging import DenseOperator
from eitdip.operator import Space
from eitdip.parameterization import Affine, Between, Bounded, FreeField, Parameterization, Softplus
from eitdip.uncertainty.point import point
from tests.cases.meshes import ring_disk

SHAPE = (4, 4)


def field(rng, shape=SHAPE, link=None, **options):
    made = FreeField(shape)
    with torch.no_grad():
        made.values += torch.from_numpy(0.3 * rng.standard_normal(shape))
    return Parameterization(made, link or Affine(0.0, 2.0), **({"unit": 1.0} | options))


def operator(rng, kind="float64", measurements=9):
    numbers = rng.standard_normal((measurements, 16))
    if kind == "complex128":
        numbers = numbers + 1j * rng.standard_normal(numbers.shape)
    return DenseOperator(torch.from_numpy(numbers), Space(SHAPE, kind), Space((measurements,), kind))


def tank(rng):
    domain = ring_disk(rings=4, electrodes=8)
    patterns = trigonometric_currents(8)
    model = CompleteElectrodeModel(domain, patterns, np.full(8, 0.1))
    parameterization = field(
        rng, (8, 8), Bounded(1.0, 0.1, 10.0), unit=None, field_map=pixel_map(model.discretization, (8, 8))
    )
    return parameterization, model, np.asarray(model(np.ones(model.domain.shape)))


def problem(kind: str):
    """Parameterization, model and data."""
    rng = np.random.default_rng(3)
    if kind == "tank":
        parameterization, model, values = tank(rng)
        mask = rng.random(values.shape) > 0.2
        return parameterization, model, Data(values + 0.01, Gaussian(0.02 + 0.01 * rng.random(values.shape)), mask)
    if kind == "model's error":
        parameterization, model, values = tank(rng)
        error = ModelError(0.01 * np.ones(values.shape), 0.05 * rng.standard_normal((3, *values.shape)),
                           0.02 * np.ones(values.shape))  # fmt: skip
        return parameterization, model, Data(values, Gaussian(0.03, error), rng.random(values.shape) > 0.2)
    if kind == "complex":
        values = rng.standard_normal(9) + 1j * rng.standard_normal(9)
        parameterization = field(rng, (2, *SHAPE), complex=True)
        return parameterization, operator(rng, "complex128"), Data(values, Gaussian(0.1), rng.random(9) > 0.2)
    if kind == "counts":
        model = DenseOperator(torch.from_numpy(rng.random((9, 16))), Space(SHAPE), Space((9,)))
        return field(rng, link=Softplus(2.0)), model, Data(rng.poisson(20, 9), Poisson(1.5))
    return field(rng, link=Between(-1.0, 3.0)), operator(rng), Data(rng.standard_normal(9), Gaussian(0.1))


every_kind = pytest.mark.parametrize("kind", ["tank", "model's error", "complex", "counts", "image"])


@every_kind
def test_products_are_those_of_the_matrix(kind):
    at, rng = point(*problem(kind)), np.random.default_rng(0)
    matrix = at.dense()
    directions, data = rng.standard_normal((3, len(at.centre))), rng.standard_normal((2, len(at.residual)))
    np.testing.assert_allclose(at.forward(directions), directions @ matrix.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(at.transpose(data), data @ matrix, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["tank", "model's error", "complex", "image"])  # that of counts moves their deviation
def test_the_matrix_is_the_derivative_of_the_whitened_residual(kind):
    parameterization, model, data = problem(kind)
    at = point(parameterization, model, data)
    direction, step = np.random.default_rng(1).standard_normal(len(at.centre)), 1e-5

    def residual(size):
        raw = np.zeros(at.shape)
        raw[at.seen] = size * direction
        with torch.no_grad():
            values = parameterization.generator.values
            before = values.clone()
            values += torch.from_numpy(raw)
            found = point(parameterization, model, data).residual
            values.copy_(before)
        return found

    slope = (residual(step) - residual(-step)) / (2 * step)
    np.testing.assert_allclose(-slope, at.dense() @ direction, rtol=1e-5, atol=1e-6 * np.abs(slope).max())


def test_correlated_errors_are_whitened():
    parameterization, model, data = problem("model's error")
    at, error, used = point(parameterization, model, data), data.noise.error, data.mask
    covariance = error.modes[:, used].T @ error.modes[:, used] + np.diag((0.03**2 + error.deviation**2)[used])
    with torch.no_grad():
        plain = (data.values - model(parameterization().numpy()) - error.mean)[used]
    assert at.residual @ at.residual == pytest.approx(plain @ np.linalg.solve(covariance, plain), rel=1e-9)


def test_counts_have_the_deviation_of_their_mean():
    parameterization, model, data = problem("counts")
    with torch.no_grad():
        mean = model(parameterization()).numpy() + 1.5
    np.testing.assert_allclose(point(parameterization, model, data).residual, (data.values - mean) / np.sqrt(mean))


@pytest.mark.parametrize("complex_data", [False, True])
def test_an_unknown_deviation_is_that_of_the_misfit(complex_data):
    parameterization, model, data = problem("complex" if complex_data else "image")
    at = point(parameterization, model, Data(data.values, Gaussian(None), data.mask))
    assert np.mean(at.residual**2) == pytest.approx(1.0)


def test_an_estimate_takes_the_place_of_the_weights_field():
    parameterization, model, data = problem("image")
    at = point(parameterization, model, data, estimate=np.full(SHAPE, 2.0))
    np.testing.assert_allclose(parameterization.link(torch.from_numpy(at.centre)).numpy(), 2.0)
    with pytest.raises(InvalidDataError, match="at or beyond the bounds of the link"):
        point(parameterization, model, data, estimate=np.full(SHAPE, 3.0))


def test_not_all_may_be_set_aside():
    parameterization, model, data = problem("tank")
    with pytest.raises(OptionError, match="aside: got all measurements"):
        point(parameterization, model, data, aside=np.ones(data.shape, bool))
