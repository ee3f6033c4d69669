"""Images and their links; objectives that average or judge themselves; Poisson counts and complex data."""

from math import e, log

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from torch import nn

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.images import Affine, Between, Cropped, Image, ImageVariation, Positive
from eitdip.imaging import SparseOperator
from eitdip.misfit import LeastSquares, PoissonDeviance
from eitdip.objective import Averaged, Sure, Variational
from eitdip.operator import Space
from eitdip.parameterization import FreeField


class Fixed(nn.Module):
    """A generator that gives one image."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.as_tensor(values, dtype=torch.float64))

    def forward(self):
        return self.values


def test_links_by_hand():
    x = torch.tensor([-30.0, 0.0, 30.0], dtype=torch.float64)
    torch.testing.assert_close(Affine(1.0, 2.0)(x), torch.tensor([-59.0, 1.0, 61.0], dtype=torch.float64))
    torch.testing.assert_close(Between(-1.0, 3.0)(x), torch.tensor([-1.0, 1.0, 3.0], dtype=torch.float64))
    found = Positive(2.0)(x)
    torch.testing.assert_close(found[1:], torch.tensor([2.0, 2 * (30 + log(e - 1))], dtype=torch.float64))
    assert 0 < found[0] < 1e-11


@pytest.mark.parametrize("link", [Affine(1.0, 0.5), Between(0.0, 2.0), Positive(3.0)], ids=lambda x: type(x).__name__)
def test_links_are_differentiable(link, rng):
    x = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    assert torch.autograd.gradcheck(link, x)


@pytest.mark.parametrize(
    "make",
    [lambda: Affine(0.0, 0.0), lambda: Between(1.0, 1.0), lambda: Between(0.0, torch.inf), lambda: Positive(0.0)],
)
def test_links_that_cannot_be(make):
    with pytest.raises(OptionError, match="got"):
        make()


def test_a_complex_image_has_two_channels(rng):
    parts = rng.standard_normal((2, 3, 4))
    image = Image(Fixed(parts), Affine(), complex=True, unit=2.0)
    np.testing.assert_allclose(image().detach(), parts[0] + 1j * parts[1])
    np.testing.assert_allclose(image.contrast(image()).detach(), parts / 2)
    with pytest.raises(ShapeError, match=r"got images \(3, 4\), expected \(2, H, W\)"):
        Image(Fixed(parts[0]), Affine(), complex=True)


def test_a_cropped_image_is_the_upper_left_part(rng):
    values = rng.standard_normal((3, 8, 8))
    np.testing.assert_array_equal(Cropped(Fixed(values), (5, 7))().detach(), values[:, :5, :7])


def test_variation_by_hand_and_by_differences(rng):
    image = torch.zeros(4, 5, dtype=torch.float64)
    image[:, 2:] = 3.0
    assert float(ImageVariation(1e-9)(image)) == pytest.approx(4 * 3.0 / 20)
    # Edges at the same place in two channels count once, with their common length.
    assert float(ImageVariation(1e-9)(torch.stack([image, image]))) == pytest.approx(2**0.5 * 4 * 3.0 / 20)
    x = torch.tensor(rng.standard_normal((2, 4, 5)), requires_grad=True)
    assert torch.autograd.gradcheck(ImageVariation(0.1), x)
    with pytest.raises(OptionError, match="smoothing"):
        ImageVariation(0.0)


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
    return Variational(operator, Image(field, Affine()), LeastSquares(data, 0.1))


def test_the_average_watches_what_is_held_out(rng):
    """Its held-out value is that of the average, not the average of the values."""
    data, held = rng.standard_normal((4, 4)), rng.random((4, 4)) < 0.3
    space = Space((4, 4))
    operator = SparseOperator(sparse.eye_array(16, format="csr"), space, space)
    field = FreeField((4, 4))
    misfit = LeastSquares(data, 0.1, np.ones((4, 4), bool), held)
    averaged = Averaged(Variational(operator, Image(field, Affine()), misfit), 0.5)
    iterates = []
    for _ in range(3):
        with torch.no_grad():
            next(field.parameters()).copy_(torch.from_numpy(rng.standard_normal((4, 4))))
        terms = averaged()
        iterates.append(next(field.parameters()).detach().numpy().copy())
    expected = (0.125 * iterates[0] + 0.25 * iterates[1] + 0.5 * iterates[2]) / 0.875
    np.testing.assert_allclose(terms.sigma, expected)
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
