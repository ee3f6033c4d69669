"""Posteriors of given fields."""

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.parameterization import Affine, Between, Exp
from eitdip.uncertainty import Variable
from eitdip.uncertainty.calibration import conformal_factor
from eitdip.uncertainty.coverage import gaussian_crps, judge
from eitdip.uncertainty.ensemble import Ensemble, Sampled

LOG = Variable(Exp(2.0), True)


@pytest.fixture
def fields(rng) -> np.ndarray:
    """Log-normal, 5 fields of 3 x 4."""
    return 2 * np.exp(0.3 * rng.standard_normal((5, 3, 4)))


def test_moments_are_those_of_the_logarithms(fields):
    for posterior in (Ensemble(fields, LOG), Sampled(fields, LOG)):
        np.testing.assert_allclose(posterior.mean, np.log(fields).mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(posterior.deviation(), np.log(fields).std(axis=0, ddof=1), rtol=1e-9)


def test_an_ensemble_has_gaussian_quantiles(fields):
    logs = np.log(fields)
    expected = np.exp(logs.mean(axis=0) + 1.959963985 * logs.std(axis=0, ddof=1))
    np.testing.assert_allclose(Ensemble(fields, LOG).quantile(0.975), expected, rtol=1e-8)


def test_samples_of_an_ensemble_have_its_covariance(fields, rng):
    drawn = np.log(Ensemble(fields, LOG).sample(20000, rng)).reshape(20000, -1)
    expected = np.cov(np.log(fields).reshape(5, -1).T)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.05 * np.abs(expected).max())


def test_quantiles_of_samples_are_below_the_next_one_as_often_as_they_say(rng):
    samples, fresh = rng.exponential(size=(39, 40000)), rng.exponential(size=40000)
    posterior = Sampled(samples, Variable(Affine(), False))
    low, high = posterior.interval(0.95)
    assert (fresh < low).mean() == pytest.approx(0.025, abs=0.003)
    assert (fresh > high).mean() == pytest.approx(0.025, abs=0.003)


def test_too_few_samples_for_a_level_are_refused(fields):
    with pytest.raises(OptionError, match=r"got 5 samples for the share 0.025, expected at least 39"):
        Sampled(fields, LOG).interval(0.95)
    assert Sampled(np.concatenate([fields] * 8)[:39], LOG).interval(0.95)[0].shape == (3, 4)


def test_rescaling_samples_keeps_their_medians_and_the_bounds(rng):
    variable = Variable(Between(0.0, 1.0), False)
    fields = variable.values(rng.standard_normal((41, 5)))
    wider = Sampled(fields, variable).rescaled(3.0)
    np.testing.assert_allclose(wider.quantile(0.5), np.median(fields, axis=0), rtol=1e-9)
    assert wider.stored.min() > 0 and wider.stored.max() < 1
    raw = variable.raw(fields)
    np.testing.assert_allclose(
        variable.raw(wider.stored) - np.median(raw, axis=0), 3 * (raw - np.median(raw, axis=0)), atol=1e-9
    )


def test_factors_are_learnt_for_samples_too(rng):
    fields, truth = 0.5 * rng.standard_normal((99, 2000)), rng.standard_normal(2000)
    posterior = Sampled(fields, Variable(Affine(), False))
    factor = conformal_factor([posterior], [truth], 0.9)
    assert factor == pytest.approx(2, rel=0.1)
    found = judge(posterior.rescaled(factor), truth)
    assert found.coverage[0.9].value == pytest.approx(0.9, abs=0.01)
    assert found.crps == pytest.approx(gaussian_crps(truth, np.ones(2000)).mean(), rel=0.03)


def test_drawing_from_samples_gives_them_back(fields, rng):
    seen = np.ones((3, 4), bool)
    seen[0, 0] = False
    drawn = Sampled(fields, LOG, seen).sample(50, rng)
    assert np.isnan(drawn[:, 0, 0]).all()
    assert {value.item() for value in np.unique(drawn[:, 1, 1])} == {value.item() for value in fields[:, 1, 1]}


def test_complex_fields_are_two_channels(rng):
    fields = rng.standard_normal((4, 3, 3)) + 1j * rng.standard_normal((4, 3, 3))
    posterior = Ensemble(fields, Variable(Affine(), False))
    assert posterior.shape == (2, 3, 3)
    np.testing.assert_allclose(posterior.mean, [fields.mean(axis=0).real, fields.mean(axis=0).imag])


def test_bad_fields_are_refused(fields):
    with pytest.raises(OptionError, match="fields: got 1, expected at least 2: use more seeds"):
        Ensemble(fields[:1], LOG)
    with pytest.raises(InvalidDataError, match="beyond the bounds of the link"):
        Ensemble(-fields, LOG)
    with pytest.raises(ShapeError, match=r"seen: got shape \(2,\)"):
        Sampled(fields, LOG, np.ones(2, bool))
