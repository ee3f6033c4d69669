"""The noise-weighted misfit."""

import dataclasses

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.methods import options_for, prepare, start
from eitdip.misfit import EnergyGaps, LeastSquares
from eitdip.phantoms import phantom
from eitdip.reconstruction import reconstruct
from eitdip.simulation import simulate_dirichlet
from tests.reconstruction.small import SETTINGS, cem, dtn


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
        (([1.0, np.nan], 1.0), InvalidDataError, r"data: entry \(1,\) is not finite; mask it out"),
        (([[1.0], [np.inf]], 1.0), InvalidDataError, r"data: entry \(1, 0\) is not finite"),
        (
            ([1.0, 2.0], [1.0, 0.0]),
            NotPositiveError,
            r"deviation: entry \(1,\) is 0, expected > 0 and finite",
        ),
        (([1.0, 2.0], [np.nan, 1.0]), NotPositiveError, r"deviation: entry \(0,\) is nan"),
        (([1.0, 2.0], -1.0), NotPositiveError, r"deviation: entry \(0,\) is -1"),
        (([1.0, 2.0], [1.0, 1.0, 1.0]), ShapeError, r"deviation: got shape \(3,\), expected .*\(2,\)"),
        (([[1.0, 2.0]], [1.0, 1.0]), ShapeError, r"deviation: got shape \(2,\), expected .*\(1, 2\)"),
        (([1.0, 2.0], 1.0, [True]), ShapeError, r"mask: got shape \(1,\)"),
        (([1.0, 2.0], 1.0, None, [True]), ShapeError, r"held_out: got shape \(1,\)"),
        (([1.0, 2.0], 1.0, [False, False]), InvalidDataError, "no measurement is left to fit"),
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
        assert np.isnan(misfit.held_out(gaps)) and misfit.data.shape == (2,)

    @pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
    def test_noise_must_be_positive(self, wrong):
        with pytest.raises(NotPositiveError, match="expected gaps: got"):
            EnergyGaps([1.0, wrong])

    @pytest.mark.usefixtures("gmsh")
    def test_of_measured_moments(self):
        """It is about 1 at the truth, and leads to a conductivity that explains the data."""
        objects = phantom("three")
        measurements = simulate_dirichlet(objects, order=3, moments=10, points=32, noise=0.02, h=0.08)
        options = options_for("cells-kv", {"h": 0.15, "tv": 10.0, "link": "exp", "steps": 12, "fit_drift": False})
        problem = prepare(measurements, options)
        run = start(problem, options, seed=0)
        truth = objects.on_domain(problem.domain, 1.0)
        misfit, model = run.objective.misfit, run.objective.model
        assert 0.5 < float(misfit(torch.from_numpy(model(truth)))) < 2
        sigma = reconstruct(run.objective, run.optimizer, run.stop).sigma
        fit = LeastSquares(problem.data, measurements.deviation)
        chi2 = [
            float(fit(torch.from_numpy(problem.model(x)))) for x in (np.full_like(sigma, problem.background), sigma)
        ]
        assert chi2[0] > 20 and chi2[1] < 1.5
        assert np.linalg.norm(sigma - truth) < 0.75 * np.linalg.norm(problem.background - truth)

    @pytest.mark.usefixtures("gmsh")
    def test_data_without_complete_fluxes_are_refused(self):
        gap = dtn().mask.copy()
        gap[2, 3] = False
        holed = dataclasses.replace(dtn(), mask=gap)
        for data, more, message in (
            (cem(), {}, "model 'electrodes' with 0 missing"),
            (holed, {}, "model 'dirichlet' with 1 missing"),
            (dtn(), {"held_out": 0.1}, "held_out=0.1; expected 'dirichlet'"),
        ):
            options = options_for("cells-kv", SETTINGS | more)
            with pytest.raises(OptionError, match=message):
                prepare(data, options)
