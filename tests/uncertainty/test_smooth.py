"""The smooth field beside a network: its covariance, its samples, and that it finds what the network has not drawn."""

import numpy as np
import pytest

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.errors import OptionError
from eitdip.uncertainty import linearized_laplace
from eitdip.uncertainty.smooth import Smooth
from tests.uncertainty.linear import NOISE, SHAPE, linear_problem


def test_correlation_falls_with_distance_in_units_of_the_longest_side():
    smooth = Smooth((4, 8), np.ones((4, 8), bool), 0.25)
    first = smooth.covariance.reshape(4, 8, 4, 8)[0, 0]
    assert first[0, 0] == pytest.approx(1) and first[1, 0] == pytest.approx(first[0, 1])
    assert first[0, 2] == pytest.approx((1 + np.sqrt(3)) * np.exp(-np.sqrt(3)))  # at the length itself, 2 pixels
    assert (np.diff(first[0]) < 0).all()


def test_channels_are_independent_and_slices_of_a_volume_are_not():
    seen = np.ones((2, 3, 3), bool)
    colours, volume = (Smooth(seen.shape, seen, 0.3, dimension).covariance for dimension in (2, 3))
    assert not colours[:9, 9:].any() and volume[:9, 9:].min() > 0
    np.testing.assert_allclose(colours[:9, :9], volume[:9, :9])


def test_samples_have_its_covariance():
    seen = np.arange(12).reshape(3, 4) % 5 > 0
    smooth = Smooth((3, 4), seen, 0.5)
    drawn = smooth.draw(4000, np.random.default_rng(0))
    assert np.abs(np.cov(drawn.T) - smooth.covariance).max() < 0.1


def test_the_kernel_is_that_of_the_covariance():
    smooth, basis = Smooth(SHAPE, np.ones(SHAPE, bool), 0.4), np.random.default_rng(0).standard_normal((4, 30))
    kernel = smooth.kernel(basis)
    np.testing.assert_allclose(kernel.inner, basis @ smooth.covariance @ basis.T)
    np.testing.assert_allclose(kernel.cross, basis @ smooth.covariance)
    np.testing.assert_allclose(kernel.diagonal, 1.0)


def test_evidence_gives_it_a_variance_where_the_network_cannot_explain_the_data():
    """A network of 12 directions misses a bump; the smooth field does not."""
    parameterization, model, data, _, matrix, _ = linear_problem(40)
    rows, columns = np.indices(SHAPE)
    bump = 3 * np.exp(-((rows - 2) ** 2 + (columns - 3) ** 2) / 4)
    data = Data(data.values + matrix @ bump.ravel(), Gaussian(NOISE))
    alone = linearized_laplace(parameterization, model, data, mean="linear")
    beside = linearized_laplace(parameterization, model, data, mean="linear", smooth=0.4)
    assert len(beside.prior.amplitudes.values) == 2 and beside.prior.amplitudes.values[1] > 0.1
    assert beside.prior.amplitudes.log_evidence > alone.prior.amplitudes.log_evidence + 50
    assert beside.deviation().min() > 2 * alone.deviation().min()


@pytest.mark.parametrize("length", [0.0, -1.0, np.inf, np.nan])
def test_a_bad_length_is_refused(length):
    with pytest.raises(OptionError, match="smooth: got a length of"):
        Smooth(SHAPE, np.ones(SHAPE, bool), length)
