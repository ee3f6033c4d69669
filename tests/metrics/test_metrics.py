"""Metrics against hand-made cases, and the challenge's score against a brute-force one."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from eitdip.data import data_root, ktc2023
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.metrics import contrast_error, dice, ktc_score, label_image, mcc, psnr, relative_l2

TRUTH = np.array([1.0, 1.0, 3.0, 0.5, np.nan])


def test_relative_l2_is_weighted_and_blind_outside():
    estimate = np.array([1.0, 2.0, 3.0, 0.5, 77.0])
    assert relative_l2(estimate, TRUTH) == pytest.approx(1 / np.sqrt(11.25))
    weights = np.array([1.0, 4.0, 2.0, 1.0, 9.0])
    assert relative_l2(estimate, TRUTH, weights) == pytest.approx(2 / np.sqrt(23.25))


def test_contrast_error_is_one_for_an_empty_estimate():
    assert contrast_error(np.ones(5), TRUTH, 1.0) == pytest.approx(1)
    weights = np.array([1.0, 4.0, 2.0, 1.0, 9.0])
    assert contrast_error(np.array([1.0, 2.0, 3.0, 0.5, 7.0]), TRUTH, 1.0, weights) == pytest.approx(2 / np.sqrt(8.25))
    assert contrast_error(np.nan_to_num(TRUTH), TRUTH, 1.0) == 0
    with pytest.raises(InvalidDataError, match="the truth is the background everywhere"):
        contrast_error(np.ones(3), np.ones(3), 1.0)


def test_dice_by_sign():
    truth = np.array([1, 1, 3, 3, 0.2, 0.2])
    estimate = np.array([1, 2.5, 2.5, 1.95, 0.5, 0.61])
    assert dice(estimate, truth, 1.0, 1) == pytest.approx(2 * 1 / (2 + 2))
    assert dice(estimate, truth, 1.0, -1) == pytest.approx(2 * 1 / (1 + 2))
    assert dice(estimate, truth, 1.0, -1, threshold=0.3) == pytest.approx(1)
    assert dice([1.54, 2.0, 2.02], [3.0, 3.0, 3.0], 1.0, 1) == pytest.approx(2 * 1 / (1 + 3))  # half is not over half
    assert dice([2.04, 1.0], [3.0, 1.0], 1.0, 1) == 1
    weights = np.array([1, 1, 3, 1, 1, 1.0])
    assert dice(estimate, truth, 1.0, 1, weights=weights) == pytest.approx(2 * 3 / (4 + 4))


def test_dice_without_a_true_inclusion_is_undefined():
    assert np.isnan(dice(np.array([0.5, 1]), np.array([2.0, 1]), 1.0, -1))
    assert dice(np.array([1.0, 1]), np.array([2.0, 1]), 1.0, 1) == 0


def test_psnr():
    truth = np.array([[0.0, 2.0], [1.0, np.nan]])
    estimate = truth + np.array([[0.1, -0.1], [0.1, 0.0]])
    assert psnr(estimate, truth) == pytest.approx(20 * np.log10(2 / 0.1))
    assert psnr(estimate, truth, data_range=1.0) == pytest.approx(20)
    assert psnr(estimate, truth, [[True, False], [True, True]]) == pytest.approx(20)  # the range is 1 then
    assert psnr(np.array([1.0, 2.0]), np.array([0.0, 2.0]), [1.0, 3.0]) == pytest.approx(20 * np.log10(2 / 0.5))
    assert psnr(truth, truth) == np.inf
    with pytest.raises(InvalidDataError, match=r"data range: got 0, expected > 0"):
        psnr(np.zeros((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("metric", [relative_l2, psnr, lambda *a: contrast_error(*a, 1.0), lambda *a: dice(*a, 1.0, 1)])
def test_wrong_shapes_and_values(metric):
    with pytest.raises(ShapeError, match=r"estimate: got shape \(4,\), expected \(5,\) as the truth"):
        metric(np.ones(4), TRUTH)
    with pytest.raises(InvalidDataError, match="estimate: got 1 entries that are not finite"):
        metric(np.array([1, np.nan, 1, 1, 1]), TRUTH)
    with pytest.raises(InvalidDataError, match="truth: got 1 entries that are not finite"):
        metric(np.ones(2), np.array([1, np.inf]))
    with pytest.raises(InvalidDataError, match="none > 0 inside the body"):
        metric(np.ones(2), np.full(2, np.nan))


def test_wrong_weights():
    with pytest.raises(ShapeError, match=r"weights: got shape \(2,\), expected \(5,\)"):
        relative_l2(np.ones(5), TRUTH, np.ones(2))
    with pytest.raises(InvalidDataError, match="weights: got a negative one"):
        relative_l2(np.ones(5), TRUTH, np.array([1, -1, 3, 1, 1]))
    with pytest.raises(InvalidDataError, match="the truth is zero"):
        relative_l2(np.ones(2), np.zeros(2))


def test_wrong_options():
    with pytest.raises(OptionError, match="sign: got 0, expected 1 or -1"):
        dice(TRUTH, TRUTH, 1.0, 0)
    with pytest.raises(OptionError, match="threshold: got 1, expected"):
        dice(TRUTH, TRUTH, 1.0, 1, threshold=1)
    with pytest.raises(OptionError, match="low, high: got 2, 1; expected low < high"):
        label_image(np.ones((2, 2)), 2, 1)


def test_label_image():
    labels = label_image([[0.1, 0.3, 1.0], [2.0, 5.0, np.nan]], 0.3, 2.0)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, [[1, 0, 0], [0, 2, 0]])
    with pytest.raises(ShapeError, match=r"conductivity: got shape \(3,\), expected an image"):
        label_image(np.ones(3), 0.3, 2.0)


def two_disks(rng) -> np.ndarray:
    """A label image with a disk of either class."""
    row, column = np.indices((256, 256))
    labels = np.zeros((256, 256), dtype=np.uint8)
    for label in (1, 2):
        r, c, radius = *rng.integers(70, 186, 2), rng.integers(15, 40)
        labels[np.hypot(row - r, column - c) < radius] = label
    return labels


def brute_force_score(truth, labels) -> float:
    """The published definition as it stands: one 321 x 321 window, FFT convolution, weights divided out."""
    axis = np.arange(-160, 161)
    window = np.exp(-0.5 * (axis[:, None] ** 2 + axis**2) / 80**2)
    mass = fftconvolve(np.ones((256, 256)), window, mode="same")

    def local(x):
        return fftconvolve(x, window, mode="same") / mass

    scores = []
    for label in (1, 2):
        a, b = (truth == label) * 1.0, (labels == label) * 1.0
        ma, mb = local(a), local(b)
        va, vb, cab = local(a * a) - ma**2, local(b * b) - mb**2, local(a * b) - ma * mb
        c1, c2 = 0.01**2, 0.03**2
        index = (2 * ma * mb + c1) * (2 * cab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
        scores.append(index.mean())
    return float(np.mean(scores))


def test_ktc_score_is_the_published_one(rng):
    for _ in range(4):
        truth, labels = two_disks(rng), two_disks(rng)
        assert ktc_score(truth, labels) == pytest.approx(brute_force_score(truth, labels), abs=1e-12)
    noise = rng.integers(3, size=(2, 256, 256))
    assert ktc_score(*noise) == pytest.approx(brute_force_score(*noise), abs=1e-12)


def test_ktc_score_of_special_predictions(rng):
    truth = two_disks(rng)
    assert ktc_score(truth, truth) == pytest.approx(1, abs=1e-12)
    assert ktc_score(truth, np.zeros_like(truth)) < 0.1
    single = np.where(truth == 2, 2, 0)
    assert ktc_score(single, np.zeros_like(truth)) == pytest.approx(0.5, abs=0.02)
    assert ktc_score(single, truth) < 0.6  # an invented object costs half


@pytest.mark.parametrize("shape", [(255, 256), (256,), (256, 256, 1), ()])
def test_ktc_score_of_a_wrong_shape_is_zero(shape):
    assert ktc_score(np.zeros((256, 256)), np.zeros(shape)) == 0


def test_ktc_score_refuses_a_wrong_truth():
    with pytest.raises(ShapeError, match=r"truth: got shape \(255, 256\), expected \(256, 256\)"):
        ktc_score(np.zeros((255, 256)), np.zeros((256, 256)))
    with pytest.raises(InvalidDataError, match="truth: got other values than 0, 1 and 2"):
        ktc_score(np.full((256, 256), 0.75), np.zeros((256, 256)))


@pytest.mark.parametrize(("tank", "expected"), [(1, 0.893), (2, 0.884), (3, 0.959), (4, 0.916)])
def test_ktc_score_between_the_two_editions_of_the_truth(tank, expected):
    root = data_root()
    if root is None:
        pytest.skip("needs the public data sets: set EITDIP_DATA to their folder (default ../shared/data)")
    older, newer = (ktc2023.truth(root / f"ktc2023/truth_{year}/true{tank}.mat") for year in (2023, 2024))
    assert ktc_score(older, newer) == pytest.approx(expected, abs=5e-4)


def test_matthews_correlation_from_the_table_of_counts(rng):
    truth, estimate = rng.integers(0, 2, (2, 40, 30))
    estimate[:10] = truth[:10]
    counts = [int(((estimate == e) & (truth == t)).sum()) for e, t in ((1, 1), (0, 0), (1, 0), (0, 1))]
    right, absent, wrong, missed = counts
    product = (right + wrong) * (right + missed) * (absent + wrong) * (absent + missed)
    assert mcc(estimate, truth) == pytest.approx((right * absent - wrong * missed) / product**0.5, rel=1e-12)
    assert mcc(truth.astype(bool), truth) == pytest.approx(1) and mcc(1 - truth, truth) == pytest.approx(-1)
    assert mcc(np.ones_like(truth), truth) == 0 == mcc(truth, np.zeros_like(truth))


def test_matthews_correlation_refuses_what_is_no_segmentation():
    with pytest.raises(ShapeError, match=r"got shape \(3,\), expected \(4,\)"):
        mcc(np.ones(3), np.ones(4))
    with pytest.raises(InvalidDataError, match="truth: got other values than 0 and 1"):
        mcc(np.ones(2), np.array([0, 255]))
