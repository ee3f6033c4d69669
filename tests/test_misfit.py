"""The noise-weighted misfit."""

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, NotPositiveError, ShapeError
from eitdip.misfit import EnergyGaps, LeastSquares


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
