"""Images and their links; objectives that average or judge themselves; Poisson counts and complex data."""

from math import e, log

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from torch import nn

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.imaging import SparseOperator
from eitdip.objective import Averaged, Sure, Variational
from eitdip.objective.differences import PixelDifferences
from eitdip.objective.misfit import LeastSquares, PoissonDeviance
from eitdip.objective.penalty import TotalVariation
from eitdip.operator import Matrix, Space
from eitdip.parameterization import Affine, Between, Cropped, Exp, FreeField, Parameterization, Softplus


class Fixed(nn.Module):
    """A generator that gives one image."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.as_tensor(values, dtype=torch.float64))
        self.shape = tuple(self.values.shape)

    def forward(self):
        return self.values


def test_links_by_hand():
    x = torch.tensor([-30.0, 0.0, 30.0], dtype=torch.float64)
    torch.testing.assert_close(Affine(1.0, 2.0)(x), torch.tensor([-59.0, 1.0, 61.0], dtype=torch.float64))
    torch.testing.assert_close(Between(-1.0, 3.0)(x), torch.tensor([-1.0, 1.0, 3.0], dtype=torch.float64))
    found = Softplus(2.0)(x)
    torch.testing.assert_close(found[1:], torch.tensor([2.0, 2 * (30 + log(e - 1))], dtype=torch.float64))
    assert 0 < found[0] < 1e-11


@pytest.mark.parametrize("link", [Affine(1.0, 0.5), Between(0.0, 2.0), Softplus(3.0)], ids=lambda x: type(x).__name__)
def test_links_are_differentiable(link, rng):
    x = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    assert torch.autograd.gradcheck(link, x)


@pytest.mark.parametrize(
    "make",
    [lambda: Affine(0.0, 0.0), lambda: Affine(torch.inf), lambda: Between(1.0, 1.0), lambda: Between(0.0, torch.inf)],
)
def test_links_that_cannot_be(make):
    with pytest.raises(OptionError, match="got"):
        make()


@pytest.mark.parametrize(
    ("link", "start"),
    [(Affine(1.0, 2.0), 1.0), (Between(-1.0, 3.0), 1.0), (Softplus(2.0), 2.0), (Exp(0.3), 0.3)],
    ids=lambda x: type(x).__name__,
)
def test_links_start_where_they_say(link, start):
    assert link.start == start and float(link(torch.zeros((), dtype=torch.float64))) == pytest.approx(start, rel=1e-15)


def test_a_complex_image_has_two_channels(rng):
    parts = rng.standard_normal((2, 3, 4))
    image = Parameterization(Fixed(parts), Affine(), complex=True, unit=2.0)
    np.testing.assert_allclose(image().detach(), parts[0] + 1j * parts[1])
    np.testing.assert_allclose(image.contrast(image()).detach(), parts / 2)
    with pytest.raises(ShapeError, match=r"got fields \(3, 4\), expected \(2, H, W\)"):
        Parameterization(Fixed(parts[0]), Affine(), complex=True, unit=1.0)
    with pytest.raises(OptionError, match="field_map: got one for a complex field"):
        Parameterization(Fixed(parts), Affine(), Matrix(np.ones((5, 12)), Space((3, 4))), complex=True, unit=1.0)


def test_penalties_see_images_over_their_unit(rng):
    values = rng.standard_normal((3, 4))
    image = Parameterization(Fixed(values), Affine(), unit=0.5)
    np.testing.assert_array_equal(image.contrast(image.field()).detach(), values / 0.5)
    for arguments in ({"unit": 0.0}, {"unit": np.nan}, {}, {"complex": True}):
        with pytest.raises(NotPositiveError, match=r"unit: got .* expected a number > 0"):
            Parameterization(Fixed(rng.standard_normal((2, 3, 4))), Affine(), **arguments)


def test_a_cropped_image_is_the_upper_left_part(rng):
    values = rng.standard_normal((3, 8, 8))
    cropped = Cropped(Fixed(values), (5, 7))
    np.testing.assert_array_equal(cropped().detach(), values[:, :5, :7])
    assert cropped.shape == (3, 5, 7)
    volume = Cropped(Fixed(values), (2, 8, 6))
    np.testing.assert_array_equal(volume().detach(), values[:2, :, :6])
    for larger in ((5, 9), (1, 1, 1, 1)):
        with pytest.raises(ShapeError, match="expected a part of"):
            Cropped(Fixed(values), larger)


def test_variation_by_hand_and_by_differences(rng):
    image, plane = torch.zeros(4, 5, dtype=torch.float64), PixelDifferences(dimension=2)
    image[:, 2:] = 3.0
    pixel = 5 / 64  # the unit of length: 64 of them along the longest side
    assert float(TotalVariation(plane, 1e-9)(image)) == pytest.approx(pixel * 4 * 3.0 / 20)
    # Edges at the same place in two channels count once, with their common length.
    both = torch.stack([image, image])
    assert float(TotalVariation(plane, 1e-9)(both)) == pytest.approx(2**0.5 * pixel * 4 * 3.0 / 20)
    x = torch.tensor(rng.standard_normal((2, 4, 5)), requires_grad=True)
    assert torch.autograd.gradcheck(TotalVariation(plane, 0.1), x)
    with pytest.raises(OptionError, match="smoothing"):
        TotalVariation(plane, 0.0)


def test_the_deviance_is_twice_the_lost_log_likelihood(rng):
    mean = rng.uniform(1, 20, (4, 5))
    counts = rng.poisson(mean + 3.0)
    lost = stats.poisson.logpmf(counts, np.maximum(counts, 1e-300)) - stats.poisson.logpmf(counts, mean + 3.0)
    assert float(PoissonDeviance(counts, 3.0)(torch.from_numpy(mean))) == pytest.approx(2 * lost.mean())


def test_the_deviance_of_true_means_is_about_one(rng):
    mean = rng.uniform(20, 60, 20_000)
    misfit = PoissonDeviance(rng.poisson(mean), held_share=0.3, seed=1)
    assert float(misfit(torch.from_numpy(mean))) == pytest.approx(1, abs=0.05)
    assert misfit.held_out(torch.from_numpy(mean)) == pytest.approx(1, abs=0.05)
    both = misfit.data + misfit.held
    np.testing.assert_array_equal(both, PoissonDeviance(both.numpy()).data)
    assert float(misfit.held.sum() / both.sum()) == pytest.approx(0.3, abs=0.01)


def test_the_deviance_is_differentiable_also_without_counts(rng):
    misfit = PoissonDeviance([0, 3, 1, 0], [0.0, 0.5, 0.0, 2.0])
    mean = torch.tensor(rng.uniform(1, 4, 4), requires_grad=True)
    assert torch.autograd.gradcheck(misfit, mean)
    assert np.isnan(misfit.held_out(mean))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([-1.0],), InvalidDataError),
        (([0.5],), InvalidDataError),
        (([1.0], -1.0), InvalidDataError),
        (([1.0], 0.0, 1.0), OptionError),
    ],
)
def test_wrong_counts(arguments, error):
    with pytest.raises(error, match="expected"):
        PoissonDeviance(*arguments)


def test_complex_data_count_twice(rng):
    """Real and imaginary part have the deviation each: exact noise gives 1."""
    data = rng.standard_normal(5000) + 1j * rng.standard_normal(5000)
    misfit = LeastSquares(data, 1.0)
    assert float(misfit(torch.zeros(5000, dtype=torch.complex128))) == pytest.approx(1, abs=4 / np.sqrt(5000))
    few = LeastSquares(data[:3], 0.5)
    prediction = torch.tensor(rng.standard_normal(3) + 1j * rng.standard_normal(3), requires_grad=True)
    assert torch.autograd.gradcheck(few, prediction)


def free(data: np.ndarray, start: np.ndarray) -> Variational:
    """Pixels that fit an image directly."""
    space = Space(data.shape)
    operator = SparseOperator(sparse.eye_array(data.size, format="csr"), space, space)
    field = FreeField(data.shape)
    with torch.no_grad():
        next(field.parameters()).copy_(torch.from_numpy(start))
    return Variational(operator, Parameterization(field, Affine(), unit=1.0), LeastSquares(data, 0.1))


def test_the_average_watches_what_is_held_out(rng):
    """Its held-out value is that of the average, not the average of the values."""
    data, held = rng.standard_normal((4, 4)), rng.random((4, 4)) < 0.3
    space = Space((4, 4))
    operator = SparseOperator(sparse.eye_array(16, format="csr"), space, space)
    field = FreeField((4, 4))
    misfit = LeastSquares(data, 0.1, np.ones((4, 4), bool), held)
    averaged = Averaged(Variational(operator, Parameterization(field, Affine(), unit=1.0), misfit), 0.5)
    iterates = []
    for _ in range(3):
        with torch.no_grad():
            next(field.parameters()).copy_(torch.from_numpy(rng.standard_normal((4, 4))))
        terms = averaged()
        iterates.append(next(field.parameters()).detach().numpy().copy())
    expected = (0.125 * iterates[0] + 0.25 * iterates[1] + 0.5 * iterates[2]) / 0.875
    np.testing.assert_allclose(terms.x, expected)
    assert terms.held_out == pytest.approx(np.mean((expected - data)[held] ** 2) / 0.01)
    with pytest.raises(OptionError, match=r"got a decay of 1\.0"):
        Averaged(free(data, data), 1.0)


def test_sure_of_a_linear_denoiser_is_its_risk(rng):
    """x = a y has the divergence a N: the estimate is (1 - a)^2 |y|^2 / (N s^2) - 1 + 2 a."""
    y = rng.standard_normal((60, 60))
    shift = 0.05 * rng.standard_normal(y.shape)
    for share in (0.0, 0.4, 1.0):
        sure = Sure(free(y, share * y), free(y + shift, share * (y + shift)), torch.from_numpy(shift))
        expected = (1 - share) ** 2 * np.mean(y**2) / 0.01 - 1 + 2 * share
        assert sure().held_out == pytest.approx(expected, rel=1e-9)


def test_sure_counts_what_is_fitted_in_units_of_its_noise(rng):
    """The same with a deviation of each pixel, of which some are masked: all by N, the fitted ones."""
    y, deviation, mask = rng.standard_normal((60, 60)), rng.uniform(0.05, 0.2, (60, 60)), rng.random((60, 60)) < 0.7
    shift = 0.5 * deviation * rng.standard_normal(y.shape)

    def fit(data):
        made = free(data, 0.4 * data)
        made.misfit = LeastSquares(data, deviation, mask)
        return made

    sure = Sure(fit(y), fit(y + shift), torch.from_numpy(shift))
    expected = 0.6**2 * np.mean((y / deviation)[mask] ** 2) - 1 + 2 * 0.4
    assert sure().held_out == pytest.approx(expected, rel=1e-9)


def test_sure_of_complex_images(rng):
    """Real and imaginary parts are two measurements each."""
    y, shift = (rng.standard_normal((2, 40, 40)) for _ in range(2))

    def fit(parts):
        space = Space((40, 40), "complex128")
        operator = SparseOperator(sparse.eye_array(1600, format="csr", dtype=complex), space, space)
        image = Parameterization(Fixed(0.4 * parts), Affine(), unit=1.0, complex=True)
        return Variational(operator, image, LeastSquares(parts[0] + 1j * parts[1], 0.1))

    sure = Sure(fit(y), fit(y + 0.05 * shift), torch.from_numpy(0.05 * (shift[0] + 1j * shift[1])))
    assert sure().held_out == pytest.approx(0.6**2 * np.mean(y**2) / 0.01 - 1 + 2 * 0.4, rel=1e-9)


def test_sure_of_other_shapes_is_refused(rng):
    y = rng.standard_normal((4, 4))
    with pytest.raises(ShapeError, match="perturbation, unknowns, data: got shapes"):
        Sure(free(y, y), free(y, y), torch.zeros(4, 5))
