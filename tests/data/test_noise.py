"""What lies between prediction and data: draws, deviations, and counts split in two."""

import numpy as np
import pytest

from eitdip.data.noise import Gaussian, Poisson, thin, whole_numbers
from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError

DRAWS = 40_000


def test_gaussian_draws_have_their_mean_and_deviation(rng):
    deviation = np.repeat([0.5, 3.0], DRAWS // 2)
    error = Gaussian(deviation).sample(np.full(DRAWS, 7.0), rng) - 7
    for part, sigma in ((error[: DRAWS // 2], 0.5), (error[DRAWS // 2 :], 3.0)):
        assert abs(part.mean()) <= 4 * sigma / np.sqrt(part.size)
        assert part.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * part.size))


def test_the_deviation_of_complex_data_is_that_of_each_part(rng):
    error = Gaussian(2.0).sample(np.full(DRAWS, 1 + 1j), rng) - (1 + 1j)
    for part in (error.real, error.imag):
        assert part.std() == pytest.approx(2, rel=4 / np.sqrt(2 * DRAWS))
    assert abs(np.corrcoef(error.real, error.imag)[0, 1]) <= 4 / np.sqrt(DRAWS)


def test_poisson_draws_are_counts_with_the_background(rng):
    counts = Poisson(3.0).sample(np.full(DRAWS, 5.0), rng)
    assert counts.dtype == float and (counts == np.floor(counts)).all()
    assert counts.mean() == pytest.approx(8, abs=4 * np.sqrt(8 / DRAWS))
    assert counts.var() == pytest.approx(8, rel=4 * np.sqrt(2 / DRAWS) + 4 / np.sqrt(8 * DRAWS))
    np.testing.assert_array_equal(Poisson(np.array([0.0, 1e6])).sample(np.zeros(2), rng) > 0, [False, True])


@pytest.mark.parametrize("noise", [Gaussian(0.1), Poisson()])
def test_the_generator_decides(noise):
    mean = np.linspace(1, 9, 30)
    first, second, other = (noise.sample(mean, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_an_unknown_deviation_has_a_unit_but_no_draws(rng):
    values, mask = np.array([3.0, 4.0, 100.0]), np.array([True, True, False])
    np.testing.assert_allclose(Gaussian().deviation(values, mask), 0.05 * np.sqrt(12.5))
    np.testing.assert_array_equal(Gaussian().deviation(np.zeros(3), mask), 1)
    assert not Gaussian().known and Gaussian(1.0).known and Poisson().known
    with pytest.raises(OptionError, match="its deviation is unknown, expected a number to draw"):
        Gaussian().sample(values, rng)


def test_the_deviation_of_counts_is_their_root():
    np.testing.assert_array_equal(Poisson().deviation(np.array([0.0, 1.0, 9.0]), np.ones(3, bool)), [1, 1, 3])


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf")])
def test_deviations_out_of_range(sigma):
    with pytest.raises(NotPositiveError, match="sigma: got"):
        Gaussian(sigma)
    with pytest.raises(NotPositiveError, match=r"deviation: entry \(1,\) is"):
        Gaussian(np.array([1.0, sigma])).checked(np.ones(2), np.ones(2, bool))


def test_what_is_hidden_is_harmless():
    noise = Gaussian(np.array([2.0, np.nan])).checked(np.ones(2), np.array([True, False]))
    np.testing.assert_array_equal(noise.sigma, [2, 1])


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"deviation: got shape \(2,\), expected that of the data, \(3,\)"):
        Gaussian(np.ones(2)).checked(np.ones(3), np.ones(3, bool))
    with pytest.raises(ShapeError, match=r"background: got shape \(2,\), expected that of the data, \(3,\)"):
        Poisson(np.ones(2)).checked(np.ones(3), np.ones(3, bool))


def test_what_poisson_noise_refuses(rng):
    for background in (-0.1, float("nan"), np.array([1.0, -2.0])):
        with pytest.raises(InvalidDataError, match="background: got"):
            Poisson(background)
    with pytest.raises(InvalidDataError, match="mean of counts: got -1, expected >= 0"):
        Poisson(1.0).sample(np.array([3.0, -2.0]), rng)
    with pytest.raises(OptionError, match="mask: got one for counts"):
        Poisson().checked(np.ones(2), np.array([True, False]))


def test_thinning_splits_every_count(rng):
    counts = rng.poisson(30.0, 20_000)
    first, second = thin(counts, rng, 0.3)
    np.testing.assert_array_equal(first + second, counts)
    assert first.min() >= 0 and second.min() >= 0 and first.dtype == np.int64
    for part, mean in ((first, 9.0), (second, 21.0)):  # Poisson: variance = mean
        assert abs(part.mean() - mean) <= 4 * np.sqrt(mean / len(part))
        assert abs(part.var() / mean - 1) <= 4 * np.sqrt(2 / len(part))
    assert abs(np.corrcoef(first, second)[0, 1]) <= 4 / np.sqrt(len(counts))


def test_thinning_of_what_are_no_counts(rng):
    for counts, value in (([3, -1], "-1"), ([1.5], "1.5"), ([np.nan], "nan")):
        with pytest.raises(InvalidDataError, match=rf"entry \(\d,\) is {value}, expected an integer >= 0"):
            thin(np.array(counts), rng)
    for share in (0, 1, -0.2, float("nan")):
        with pytest.raises(OptionError, match="share: got"):
            thin(np.array([3]), rng, share)


def test_whole_numbers_are_int64():
    counts = whole_numbers([[0.0, 3.0]])
    assert counts.dtype == np.int64 and counts.tolist() == [[0, 3]]
