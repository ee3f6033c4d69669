"""Judgements of posteriors whose truths were drawn from them, or from others."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, spearmanr

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.parameterization import Affine, Between, Bounded
from eitdip.uncertainty.calibration import conformal_factor, held_out_factor, scores
from eitdip.uncertainty.coverage import Share, gaussian_crps, judge, rank_correlation, sample_crps
from eitdip.uncertainty.laplace import linearized_laplace
from eitdip.uncertainty.reliability import ranks, reliability, uniformity
from tests.uncertainty.gaussian import Known
from tests.uncertainty.linear import linear_problem


def some(rng, shape=(60, 50), **options) -> Known:
    return Known(rng.standard_normal(shape), np.exp(rng.uniform(-2, 0, shape)), **options)


def test_truths_of_the_posterior_are_covered_as_it_says(rng):
    posterior = some(rng)
    found = judge(posterior, posterior.truth(rng))
    for level, share in found.coverage.items():
        assert share.value == pytest.approx(level, abs=2.6 * np.sqrt(level * (1 - level) / 3000)), level
    assert found.coverage[0.9].low < 0.9 < found.coverage[0.9].high
    deviation = posterior.deviation()
    assert found.width[0.95] == pytest.approx(2 * 1.959964 * deviation.mean(), rel=1e-6)
    entropy = -np.log(deviation).mean() - 0.5 * np.log(2 * np.pi) - 0.5
    assert found.log_density == pytest.approx(entropy, abs=0.05)
    assert found.constant_log_density < found.log_density
    assert found.constant_log_density == pytest.approx(-np.log(found.error) - 0.5 * np.log(2 * np.pi) - 0.5)
    assert found.crps == pytest.approx((deviation / np.sqrt(np.pi)).mean(), rel=0.05)
    assert set(found.plain()["coverage"]) == {"50", "90", "95"} and not found.patches


def test_what_the_truth_leaves_open_does_not_count(rng):
    seen = np.ones((60, 50), bool)
    seen[:, :5] = False
    posterior = some(rng, seen=seen)
    truth = posterior.truth(rng)
    truth[:10] = np.nan
    truth[:, :5] = 1e9  # the posterior says nothing there
    found = judge(posterior, truth)
    assert found.coverage[0.9].count == 50 * 45 and found.coverage[0.9].value == pytest.approx(0.9, abs=0.02)


def test_binomial_bounds_are_those_of_clopper_and_pearson():
    share = Share.of(np.arange(20) < 15)  # from their tables
    assert (share.value, round(share.low, 4), round(share.high, 4)) == (0.75, 0.509, 0.9134)
    assert Share.of(np.ones(10, bool)).high == 1 and Share.of(np.zeros(10, bool)).low == 0


def test_ranked_probability_scores_are_the_integral():
    for error, deviation in ((0.3, 1.0), (-2.0, 0.5)):

        def square(x, e=error, d=deviation):
            return (norm.cdf(x / d) - (x >= e)) ** 2

        expected = sum(quad(square, *ends)[0] for ends in ((-9, error), (error, 9)))
        assert gaussian_crps(np.array(error), np.array(deviation)) == pytest.approx(expected, rel=1e-6)
    assert gaussian_crps(np.array(0.7), np.array(0.0)) == pytest.approx(0.7)


def test_scores_of_samples_are_unbiased_for_few(rng):
    samples, truth = rng.standard_normal((3, 200000)), np.full(200000, 0.4)
    assert sample_crps(samples, truth).mean() == pytest.approx(float(gaussian_crps(0.4, 1.0)), abs=0.005)
    three = np.array([[1.0], [4.0], [2.0]])
    assert sample_crps(three, np.array([0.0]))[0] == pytest.approx(7 / 3 - (3 + 1 + 2) / 6)
    with pytest.raises(OptionError, match="samples: got 1, expected at least 2"):
        sample_crps(three[:1], np.array([0.0]))


def test_ties_share_their_rank(rng):
    first, second = rng.integers(0, 5, 100), rng.standard_normal(100)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert rank_correlation(first, np.ones(100)) is None


def test_a_black_pixel_is_covered_where_a_link_is_never_black():
    """Half a level of 256 is not told apart, else a sure and right posterior would have no coverage at all."""
    posterior = Known(np.full((4, 4), -9.0), 0.1, Between(0.0, 1.0), logarithmic=False)
    truth = np.zeros((4, 4))
    truth[0, 0] = 1.0
    found = judge(posterior, truth)
    assert found.coverage[0.95].value == 15 / 16
    assert (scores(posterior, truth) > 50).sum() == 1 and (scores(posterior, truth) == 0).sum() == 15


def test_patches_of_correlated_errors(rng):
    """Their mean varies as the pixel does, where errors of neighbours are the same; alone it would vary by a tenth."""
    whole = np.kron(np.eye(25), np.ones((1, 1)))
    blocks = np.kron(whole.reshape(5, 5, 25), np.ones((10, 10, 1))).reshape(2500, 25)
    posterior = Known(np.zeros((50, 50)), 1.0, root=blocks)
    found = judge(posterior, posterior.truth(rng), rng)
    assert set(found.patches) == {2, 10} and (found.patches[2].count, found.patches[10].count) == (625, 25)
    assert found.patches[10].coverage >= 0.84
    normal = -0.5 * np.log(2 * np.pi) - 0.5
    assert found.patches[10].mean_log_density == pytest.approx(normal, abs=0.4)
    independent = Known(np.zeros((50, 50)), 1.0)
    apart = judge(independent, posterior.truth(rng), rng).patches[10]
    assert apart.coverage < 0.5 and apart.mean_log_density < -10
    both = judge(independent, independent.truth(rng), rng).patches[2]
    assert both.joint_log_density == pytest.approx(normal, abs=0.05)
    assert judge(independent, independent.truth(rng), rng, count=50).patches[10].joint_log_density is None


@pytest.mark.parametrize("link", [None, Bounded(1.0, 0.1, 10.0)])
def test_one_factor_learnt_on_others_repairs(rng, link):
    posteriors = [some(rng, (30, 40), link=link) for _ in range(6)]
    truths = [posterior.truth(rng, stretch=3.0) for posterior in posteriors]
    assert judge(posteriors[0], truths[0]).coverage[0.95].value < 0.6
    factor = conformal_factor(posteriors[1:], truths[1:])
    assert factor == pytest.approx(3.0, rel=0.05)
    repaired = posteriors[0].rescaled(factor)
    assert judge(repaired, truths[0]).coverage[0.95].value == pytest.approx(0.95, abs=0.02)
    np.testing.assert_allclose(repaired.raw_deviation, factor * posteriors[0].raw_deviation)
    drawn = repaired.raw_samples(3000, rng)
    np.testing.assert_allclose(drawn.std(axis=0), repaired.raw_deviation, rtol=0.1)


def test_images_count_equally_whatever_their_size(rng):
    small, large = (Known(np.zeros(shape), 1.0, Affine(), logarithmic=False) for shape in ((10, 10), (100, 100)))
    truths = [np.linspace(-4, 4, 100).reshape(10, 10), np.linspace(-1, 1, 10000).reshape(100, 100)]
    factor = conformal_factor([small, large], truths, 0.75)  # half of those of the first, and all of the second
    assert factor == pytest.approx(2 / 1.1503, rel=0.05)


def test_no_factor_helps_beyond_the_bounds(rng):
    posterior = some(rng, (10, 10), link=Bounded(1.0, 0.5, 2.0))
    with pytest.raises(InvalidDataError, match="beyond the bounds of the link"):
        conformal_factor([posterior], [np.full((10, 10), 3.0)])
    with pytest.raises(OptionError, match="truths: got 0 for 1 posteriors"):
        conformal_factor([posterior], [])
    with pytest.raises(OptionError, match="factor: got 0, expected a number > 0"):
        posterior.rescaled(0)


def test_the_held_out_factor_is_the_best():
    parameterization, model, data, *_ = linear_problem(40)
    laplace = linearized_laplace(parameterization, model, data, aside=np.arange(40) >= 25, mean="linear")
    factor = held_out_factor(laplace)

    def likelihood(value):
        return laplace.scaled(value).predict().log_likelihood()

    assert likelihood(factor) >= max(likelihood(value) for value in np.geomspace(1e-3, 1e4, 50))
    with pytest.raises(OptionError, match="no measurement was set aside"):
        held_out_factor(linearized_laplace(parameterization, model, data))


@pytest.mark.parametrize(
    ("truth", "error", "words"),
    [
        (np.ones((3, 4)), ShapeError, r"truth: got shape \(3, 4\), expected the field's, \(60, 50\)"),
        (np.full((60, 50), np.nan), InvalidDataError, "got no number where the posterior says anything"),
        (np.zeros((60, 50)), InvalidDataError, "got values <= 0"),
    ],
)
def test_bad_truths_are_refused(rng, truth, error, words):
    with pytest.raises(error, match=words):
        judge(some(rng), truth)


def test_probabilities_that_are_kept(rng):
    probability = rng.uniform(size=(2, 100, 100))
    happened = rng.uniform(size=probability.shape) < probability
    found = reliability(probability, happened)
    assert found.brier == pytest.approx(1 / 6, abs=0.005) and found.base_brier == pytest.approx(1 / 4, abs=0.005)
    np.testing.assert_allclose(found.predicted, np.arange(10) / 10 + 0.05, atol=0.005)
    np.testing.assert_allclose([share.value for share in found.observed], found.predicted, atol=0.04)
    probability[0, 0] = np.nan
    assert reliability(probability, happened).brier == pytest.approx(1 / 6, abs=0.005)
    with pytest.raises(OptionError, match="beyond 0 and 1"):
        reliability(probability + 1, happened)
    with pytest.raises(ShapeError, match="probability: got"):
        reliability(probability[0, 0], happened[0, 0])


def test_ranks_of_truths_among_samples(rng):
    truth = rng.standard_normal(400)
    assert uniformity(ranks(rng.standard_normal((99, 400)), truth), 99) > 0.01
    assert uniformity(ranks(0.6 * rng.standard_normal((99, 400)), truth), 99) < 1e-4
    assert uniformity(ranks(rng.standard_normal((99, 400)) + 0.3, truth), 99) < 1e-4
    np.testing.assert_array_equal(ranks(np.array([[1.0, 1.0], [3.0, 0.0]]), np.array([2.0, -1.0])), [1, 0])
    with pytest.raises(OptionError, match="ranks: got 6 of 99"):
        uniformity(np.arange(6), 99)
