"""The noise-weighted misfit."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian, ModelError, Poisson
from eitdip.data.streams import stream
from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.methods.build import start
from eitdip.objective.misfit import EnergyGaps, LeastSquares, PoissonDeviance, expected_deviance, misfit_of
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_bodies import simulate_dirichlet
from eitdip.reconstruction import reconstruct
from tests.cases.measurements import dtn, fitting, problem


def test_chi2_of_exact_noise_is_one(rng):
    truth, deviation = rng.standard_normal((80, 50)), rng.uniform(0.01, 1.0, (80, 50))
    misfit = LeastSquares(truth + deviation * rng.standard_normal(truth.shape), deviation)
    spread = np.sqrt(2 / truth.size)
    assert misfit.count == 4000
    assert abs(float(misfit(torch.tensor(truth))) - 1) < 4 * spread
    assert float(misfit(torch.tensor(truth + 2 * deviation))) == pytest.approx(5, rel=0.05)


def test_by_hand():
    misfit = LeastSquares([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [0.5, 1.0]])
    assert float(misfit(torch.tensor([[2.0, 2.0], [2.0, 4.0]]))) == pytest.approx((1 + 0 + 4 + 0) / 4)
    assert float(misfit(misfit.data)) == 0
    assert np.isnan(misfit.held_out(misfit.data))


def test_a_complex_number_is_two_measurements():
    """Of this deviation each: (1 + 4 + 9) / 1/4 over 4 numbers that are fitted, 16 / 1/4 over the 2 of the other."""
    held = np.array([False, True, False])
    misfit = LeastSquares(np.array([0j, 1.0, 1j]), 0.5, held_out=held)
    assert (misfit.count, misfit.held_count) == (4, 2)
    prediction = torch.tensor([1 + 2j, 1 + 4j, 3 + 1j])
    assert float(misfit(prediction)) == pytest.approx(14)
    assert misfit.held_out(prediction) == pytest.approx(32)


def test_counts_deviate_by_twice_their_log_likelihood():
    """From that of y itself: 2 (m - y + y log(y / m)), mean over 2 log 2 - 2 + 4 and 2 * 3."""
    prediction = torch.tensor([3.0, 2.0], dtype=torch.float64)
    misfit = PoissonDeviance([2, 0], background=[1.0, 1.0])
    assert float(misfit(prediction)) == pytest.approx((2 * (4 - 2 + 2 * np.log(0.5)) + 6) / 2)
    assert np.isnan(misfit.held_out(prediction))


def test_parts_of_thinned_counts_are_compared_with_their_parts_of_the_mean():
    """A quarter of 8 counts is watched, the rest fitted; the prediction, 6 beside the background, is that of all."""
    misfit = PoissonDeviance(np.full(50_000, 8.0), background=2.0, held_share=0.25, seed=3)
    right = torch.full((50_000,), float(misfit.data.mean()) / 0.75 - 2, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(misfit(right), right)
    assert abs(float(slope.sum())) < 1e-12  # the mean of the fitted part is the most likely one
    assert float(misfit.held.mean()) == pytest.approx(2, abs=0.03)
    watched = [misfit.held_out(torch.full((50_000,), mean, dtype=torch.float64)) for mean in (5.0, 6.0, 7.0)]
    assert watched[1] < min(watched[0], watched[2])


def test_a_scalar_deviation_holds_for_all():
    data = np.arange(6.0).reshape(2, 3)
    one, many = LeastSquares(data, 0.3), LeastSquares(data, np.full((2, 3), 0.3))
    prediction = torch.ones(2, 3, dtype=torch.float64)
    assert float(one(prediction)) == float(many(prediction)) > 0


def test_masked_entries_do_not_count():
    mask = np.array([True, False, True])
    misfit = LeastSquares([1.0, np.nan, 3.0], [1.0, np.nan, 2.0], mask)
    prediction = torch.tensor([2.0, 100.0, 5.0], dtype=torch.float64, requires_grad=True)
    loss = misfit(prediction)
    loss.backward()
    assert misfit.count == 2
    assert loss.item() == pytest.approx((1 + 1) / 2)
    np.testing.assert_allclose(prediction.grad, [1.0, 0.0, 0.5])


def test_held_out_entries_are_watched_but_not_fitted():
    held = np.array([False, True, False, True])
    mask = np.array([True, True, True, False])
    misfit = LeastSquares([1.0, 2.0, 3.0, np.nan], 0.5, mask, held)
    prediction = torch.tensor([1.0, 4.0, 3.5, 9.0], dtype=torch.float64, requires_grad=True)
    loss = misfit(prediction)
    loss.backward()
    assert (misfit.count, misfit.held_count) == (2, 1)
    assert loss.item() == pytest.approx((0 + 1) / 2)
    assert misfit.held_out(prediction) == pytest.approx(16.0)
    assert prediction.grad[1] == prediction.grad[3] == 0


def test_gradient(rng):
    misfit = LeastSquares(rng.standard_normal((2, 3)), rng.uniform(0.5, 1, (2, 3)), rng.random((2, 3)) < 0.7)
    prediction = torch.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    assert torch.autograd.gradcheck(misfit, prediction)


def test_the_data_travel_with_the_state(rng):
    one, other = LeastSquares(rng.standard_normal(5), 0.1), LeastSquares(np.zeros(5), 1.0)
    other.load_state_dict(one.state_dict())
    prediction = torch.tensor(rng.standard_normal(5))
    assert float(other(prediction)) == float(one(prediction))
    assert not list(one.parameters())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0, np.nan], 1.0), InvalidDataError, r"data: entry \(1,\) is nan, expected a finite number; mask it out"),
        (([[1.0], [np.inf]], 1.0), InvalidDataError, r"data: entry \(1, 0\) is inf, expected a finite number"),
        (
            ([1.0, 2.0], [1.0, 0.0]),
            NotPositiveError,
            r"deviation: entry \(1,\) is 0, expected > 0 and finite",
        ),
        (([1.0, 2.0], [np.nan, 1.0]), NotPositiveError, r"deviation: entry \(0,\) is nan"),
        (([1.0, 2.0], -1.0), NotPositiveError, r"sigma: got -1\.0, expected > 0 and finite"),
        (([1.0, 2.0], [1.0, 1.0, 1.0]), ShapeError, r"deviation: got shape \(3,\), expected .*\(2,\)"),
        (([[1.0, 2.0]], [1.0, 1.0]), ShapeError, r"deviation: got shape \(2,\), expected .*\(1, 2\)"),
        (([1.0, 2.0], 1.0, [True]), ShapeError, r"mask: got shape \(1,\)"),
        (([1.0, 2.0], 1.0, None, [True]), ShapeError, r"held_out: got shape \(1,\)"),
        (([1.0, 2.0], 1.0, [False, False]), InvalidDataError, "no measurement is left"),
        (([1.0, 2.0], 1.0, None, [True, True]), InvalidDataError, "no measurement is left to fit"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        LeastSquares(*arguments)


class TestEnergyGaps:
    """The Kohn-Vogelius misfit."""

    def test_is_the_mean_ratio_of_gaps_to_those_of_noise(self):
        misfit = EnergyGaps([0.5, 2.0])
        gaps = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
        value = misfit(gaps)
        value.backward()
        assert value.item() == pytest.approx((2 + 0.5) / 2)
        np.testing.assert_allclose(gaps.grad, [1.0, 0.25])
        assert np.isnan(misfit.held_out(gaps)) and misfit.data.shape == (2,) and misfit.expected(gaps) == 1

    @pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
    def test_noise_must_be_positive(self, wrong):
        with pytest.raises(NotPositiveError, match="expected gaps: got"):
            EnergyGaps([1.0, wrong])

    @pytest.mark.usefixtures("gmsh")
    def test_of_measured_moments(self):
        """It is about 1 at the truth, and leads to a conductivity that explains the data."""
        objects = phantom("three")
        measurements = simulate_dirichlet(objects, order=3, moments=10, points=32, noise=0.02, h=0.08)
        body = prepare(measurements, Meshing(h=0.15))
        run = start(body, fitting("cells-kv", tv=10.0, link="exp", steps=12, fit_drift=False), seed=0)
        truth = objects.on_domain(body.unknown.domain, 1.0)
        misfit, model = run.objective.misfit, run.objective.model
        assert 0.5 < float(misfit(torch.from_numpy(model(truth)))) < 2
        sigma = reconstruct(run.objective, run.optimizer, run.stop).x
        fit, start_value = misfit_of(body.data), body.unknown.start
        chi2 = [float(fit(torch.from_numpy(body.model(x)))) for x in (np.full_like(sigma, start_value), sigma)]
        assert chi2[0] > 20 and chi2[1] < 1.5
        assert np.linalg.norm(sigma - truth) < 0.75 * np.linalg.norm(start_value - truth)

    @pytest.mark.usefixtures("gmsh")
    def test_data_without_complete_fluxes_are_refused(self):
        gap = dtn().mask.copy()
        gap[2, 3] = False
        holed = dataclasses.replace(dtn(), mask=gap)
        for body, more in (
            (problem("cem"), {}),
            (prepare(holed, Meshing(h=0.25)), {}),
            (problem("dtn"), {"held_out": 0.1}),
        ):
            with pytest.raises(OptionError, match=r"misfit: got 'kohn-vogelius' for .* needs Dirichlet data, complete"):
                start(body, fitting("cells-kv", **more), seed=0)


class TestMisfitOf:
    """The misfit that fits the noise."""

    def test_gaussian_data_are_whitened_where_they_are_measured(self, rng):
        values, deviation = rng.standard_normal((6, 5)), rng.uniform(0.5, 1, (6, 5))
        mask = rng.random((6, 5)) < 0.8
        values[~mask] = np.nan
        data = Data(values, Gaussian(deviation), mask, tied=(1,))
        misfit = misfit_of(data, 0.3, 7)
        expected = LeastSquares(values, deviation, mask, data.held_out(0.3, 7))
        assert misfit.state_dict().keys() == expected.state_dict().keys()
        for name, value in misfit.state_dict().items():
            assert torch.equal(value, expected.state_dict()[name]), name
        assert (misfit.count, misfit.held_count) == (expected.count, expected.held_count) and misfit.held_count > 0
        assert misfit_of(data).held_count == 0 and misfit_of(data).count == mask.sum()

    def test_an_unknown_deviation_is_a_unit(self):
        misfit = misfit_of(Data(np.array([3.0, -4.0])))
        np.testing.assert_allclose(misfit.weight, 20 / np.sqrt(12.5))

    def test_counts_are_thinned(self, rng):
        counts = rng.poisson(5.0, (4, 6))
        misfit = misfit_of(Data(counts, Poisson(2.0)), 0.3, 7)
        assert isinstance(misfit, PoissonDeviance) and misfit.share == 0.3
        held = stream(7, "thinning").binomial(counts, 0.3)
        np.testing.assert_array_equal(misfit.held, held)
        np.testing.assert_array_equal(misfit.data, counts - held)
        assert (misfit.background == 2).all() and not misfit_of(Data(counts, Poisson())).held.any()

    @pytest.mark.parametrize("data", [Data(np.ones(4), Gaussian(1.0)), Data(np.ones(4), Poisson())])
    @pytest.mark.parametrize("share", [-0.1, 1.0])
    def test_senseless_shares_are_refused(self, data, share):
        with pytest.raises(OptionError, match="expected"):
            misfit_of(data, share)


@pytest.mark.parametrize(
    ("mean", "expected"), [(0.01, 0.0922), (0.1, 0.4741), (1.7, 1.1524), (20.0, 1.0086), (1e4, 1.0)]
)
def test_few_counts_are_not_expected_to_deviate_by_one(mean, expected):
    """Against draws: sums over counts alone could have the same fault as the table."""
    assert expected_deviance(np.array(mean)) == pytest.approx(expected, abs=2e-4)
    counts = np.random.default_rng(1).poisson(mean, 200_000)
    measured = PoissonDeviance(counts)(torch.full((200_000,), mean, dtype=torch.float64))
    assert float(measured) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("mean", [1e-6, 0.37, 3.0, 150.0, 250.0])
def test_the_expected_deviance_is_that_of_the_distribution(mean):
    """By scipy's chances of up to a thousand counts; above 200 it is 1 + 1 / (6 m), to the next power of 1 / m."""
    counts = np.arange(1000)
    chances, shifted = stats.poisson.pmf(counts, mean), np.maximum(counts, 1)
    exact = float(2 * (chances * counts * np.log(shifted)).sum() - 2 * mean * np.log(mean))
    assert expected_deviance(np.array(mean)) == pytest.approx(exact, rel=2e-4 if mean < 200 else 5e-6)
    assert expected_deviance(np.array(0.0)) == pytest.approx(0, abs=1e-6)


def test_the_fitted_part_of_thinned_counts_has_its_own_expectation():
    counts = np.full(1000, 3.0)
    whole, part = PoissonDeviance(counts), PoissonDeviance(counts, background=1.0, held_share=0.5)
    assert whole.expected(torch.full((1000,), 3.0)) == pytest.approx(float(expected_deviance(np.array(3.0))), rel=1e-9)
    assert part.expected(torch.full((1000,), 3.0)) == pytest.approx(float(expected_deviance(np.array(2.0))), rel=1e-9)
    assert LeastSquares(counts, 1.0).expected(torch.zeros(1000)) == 1.0


class TestModelError:
    """Errors that many measurements share: one covariance, not one deviation each."""

    def given(self, rng, held=None):
        modes, deviation = rng.standard_normal((3, 2, 4)), rng.uniform(0.5, 2, (2, 4))
        mask = np.ones((2, 4), bool)
        mask[1, 1] = False
        data = rng.standard_normal((2, 4))
        covariance = np.diag(deviation.ravel() ** 2) + modes.reshape(3, 8).T @ modes.reshape(3, 8)
        return LeastSquares(data, deviation, mask, held, modes), data, covariance, mask

    def test_is_the_dense_quadratic_form(self, rng):
        misfit, data, covariance, mask = self.given(rng)
        prediction = rng.standard_normal((2, 4))
        used = mask.ravel()
        residual = (prediction - data).ravel()[used]
        expected = residual @ np.linalg.solve(covariance[np.ix_(used, used)], residual) / 7
        assert float(misfit(torch.tensor(prediction))) == pytest.approx(expected, rel=1e-12)
        many = torch.tensor(rng.standard_normal((5, 2, 4)))
        white = misfit.whitened(many)
        assert white.shape == many.shape and not white[:, 1, 1].any()
        np.testing.assert_allclose(white[3], misfit.whitened(many[3]))

    def test_what_is_watched_has_the_covariance_of_its_own(self, rng):
        held = np.zeros((2, 4), bool)
        held[0, :2] = True
        misfit, data, covariance, mask = self.given(rng, held)
        prediction = rng.standard_normal((2, 4))
        for used, found in (
            ((mask & ~held).ravel(), float(misfit(torch.tensor(prediction)))),
            (held.ravel(), misfit.held_out(torch.tensor(prediction))),
        ):
            residual = (prediction - data).ravel()[used]
            expected = residual @ np.linalg.solve(covariance[np.ix_(used, used)], residual) / used.sum()
            assert found == pytest.approx(expected, rel=1e-12)

    def test_gradient(self, rng):
        misfit, *_ = self.given(rng)
        prediction = torch.tensor(rng.standard_normal((2, 4)), requires_grad=True)
        assert torch.autograd.gradcheck(misfit, prediction)

    def test_chi2_of_such_data_is_one(self, rng):
        """Of draws of the noise itself; by the deviations alone it is far more."""
        shape = (6, 10)
        error = ModelError(rng.standard_normal(shape), 2 * rng.standard_normal((4, *shape)), rng.random(shape))
        noise, mean = Gaussian(0.3, error), np.broadcast_to(rng.standard_normal(shape), (400, *shape))
        drawn = noise.sample(mean, rng)
        found, plain = [], []
        for values in drawn:
            data = Data(values, noise)
            found.append(float(misfit_of(data)(torch.tensor(mean[0]))))
            plain.append(float(LeastSquares(values, data.deviation)(torch.tensor(mean[0]))))
        assert np.mean(found) == pytest.approx(1, abs=4 * np.sqrt(2 / (60 * 400)))
        assert np.mean(plain) > 20

    def test_modes_of_another_shape_are_refused(self, rng):
        with pytest.raises(ShapeError, match=r"modes: got shape \(3, 4\), expected \(r, 2, 4\)"):
            LeastSquares(np.zeros((2, 4)), 1.0, modes=np.zeros((3, 4)))
