"""Stein's estimate of the error, for estimates whose error is known: shrunken data c y have the divergence c."""

import numpy as np
import pytest
import torch

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.errors import ShapeError
from eitdip.objective import Sure, Variational
from eitdip.objective.misfit import misfit_of
from eitdip.parameterization import Affine, FreeField, Parameterization
from tests.cases.images import identity


def shrunken(share, values: np.ndarray, deviation, mask=None, shift=None) -> Variational:
    """An objective whose present estimate is share * (values + shift), the share a number or one per entry."""
    shifted, dtype = values if shift is None else values + shift, str(values.dtype)
    generator = FreeField(values.shape if values.dtype.kind == "f" else (2, *values.shape))
    parts = shifted if values.dtype.kind == "f" else np.stack([shifted.real, shifted.imag])
    with torch.no_grad():
        generator.values.copy_(torch.from_numpy(share * parts))
    field = Parameterization(generator, Affine(0.0, 1.0), unit=1.0, complex=values.dtype.kind == "c")
    return Variational(identity(values.shape, dtype), field, misfit_of(Data(shifted, Gaussian(deviation), mask)))


def risk(share: float, values: np.ndarray, deviation: float) -> float:
    shift = 0.1 * np.random.default_rng(0).standard_normal(values.shape)
    if values.dtype.kind == "c":
        shift = shift + 0.1j * np.random.default_rng(1).standard_normal(values.shape)
    twins = (shrunken(share, values, deviation, None, each) for each in (None, shift))
    return Sure(*twins, torch.from_numpy(shift))().held_out


@pytest.mark.parametrize(("share", "expected"), [(0.5, 1.0), (1.0, 1.0), (0.0, 3.0)])
def test_of_shrunken_data_by_hand(share, expected):
    """Deviation 1/2, four entries, |y|^2 = 4: chi^2 / N = 4 (1 - c)^2, and the risk is 4 (1 - c)^2 - 1 + 2 c."""
    assert risk(share, np.array([[1.0, -1.0], [1.0, 1.0]]), 0.5) == pytest.approx(expected, rel=1e-12)


def test_of_complex_data_both_parts_count():
    """Deviation 1/2 of each part, |y|^2 = 8 over 4 numbers, c = 1/2: 8 / 4 / (4 * 1/4) - 1 + 1."""
    assert risk(0.5, np.array([[2.0, 2.0j]]), 0.5) == pytest.approx(2.0, rel=1e-12)


def test_what_is_not_fitted_does_not_count():
    """Deviations 1/2 and 1 where there is a mask: chi^2 = 1 + 1/4 of two, c = 1/2; the rest is as large as it wants."""
    values, mask = np.array([[1.0, 1.0], [50.0, -70.0]]), np.array([[1, 1], [0, 0]])
    deviation = np.array([[0.5, 1.0], [1e-3, 1e-3]])
    shift = np.array([[0.05, -0.1], [3.0, 4.0]])  # as large as the noise in both, so that each counts for itself
    twins = (shrunken(0.5, values, deviation, mask, each) for each in (None, shift))
    terms = Sure(*twins, torch.from_numpy(shift))()
    assert terms.chi2 == pytest.approx(0.625, rel=1e-12)
    assert terms.held_out == pytest.approx(0.625, rel=1e-12)


def test_entries_count_in_units_of_their_own_noise():
    """Deviations 1/2 and 1 and c = 1 and 0: chi^2 / N = 1/2, the divergence is 1; from the data's units 2/5."""
    values, shift = np.array([[1.0, 1.0]]), np.array([[0.05, -0.1]])
    twins = (shrunken(np.array([[1.0, 0.0]]), values, np.array([[0.5, 1.0]]), None, each) for each in (None, shift))
    assert Sure(*twins, torch.from_numpy(shift))().held_out == pytest.approx(0.5 - 1 + 2 * 1 / 2, rel=1e-12)


def test_it_is_the_error_on_average(rng):
    """Of 20,000 pixels x = 1 with noise of deviation 2 and c = 0.3: (0.49 + 0.09 * 4) / 4 = 0.2125."""
    values = 1 + 2 * rng.standard_normal((100, 200))
    assert risk(0.3, values, 2.0) == pytest.approx(0.2125, abs=0.02)


def test_losses_of_both_are_minimized_and_only_the_estimate_is_told():
    values, shift = np.array([[1.0, -1.0]]), np.array([[0.3, 0.4]])
    one, other = shrunken(0.5, values, 0.5), shrunken(0.5, values, 0.5, None, shift)
    terms = Sure(one, other, torch.from_numpy(shift))()
    assert {name: float(loss.detach()) for name, loss in terms.losses.items()} == pytest.approx(
        {"misfit": 1.0, "twin misfit": (0.65**2 + 0.3**2) / 0.5}
    )
    np.testing.assert_array_equal(terms.x, 0.5 * values)
    assert Sure(one, other, torch.from_numpy(shift)).state().keys() == one.state().keys()


def test_shapes_must_be_one():
    twins = (shrunken(0.5, np.ones((2, 2)), 0.5) for _ in range(2))
    with pytest.raises(ShapeError, match=r"got shapes \(2, 2\), \(3,\), expected one"):
        Sure(*twins, torch.ones(3))
