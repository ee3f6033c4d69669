"""Pixel operators against what they should be, computed by others or by hand."""

import sys

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from eitdip.errors import InvalidDataError, MissingPackageError, NotPositiveError, OptionError, ShapeError
from eitdip.imaging import DeepInverse, blur, denoising, downsampling, inpainting
from eitdip.operator import Space

physics = pytest.importorskip("deepinv.physics", reason="needs deepinv")


def gaussian(n: int, sigma: float) -> np.ndarray:
    """Density of a centred normal distribution at the pixels of an odd grid."""
    r = np.arange(n) - n // 2
    profile = np.exp(-0.5 * (r / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    return np.outer(profile, profile)


def test_denoising_is_the_identity(rng):
    x = torch.from_numpy(rng.standard_normal((2, 3, 8, 9)))
    operator = denoising((3, 8, 9), "float64")
    assert torch.equal(operator(x), x) and torch.equal(operator.pinv(x), x)


@pytest.mark.parametrize("shape", [(8, 9), (3, 8, 9)])
def test_inpainting_keeps_what_is_known(shape, rng):
    mask, x = rng.random(shape) < 0.3, rng.standard_normal((2, *shape))
    operator = inpainting(mask, "float64")
    assert np.array_equal(operator(x), np.where(mask, x, 0))
    assert np.array_equal(operator.pinv(x), np.where(mask, x, 0))


def test_masks_may_be_numbers_and_tensors(rng):
    mask, x = rng.random((8, 9)) < 0.3, rng.standard_normal((8, 9))
    expected = inpainting(mask)(x)
    for same in (mask.astype(int), mask.astype(float), torch.from_numpy(mask)):
        assert np.array_equal(inpainting(same)(x), expected)


def test_a_gaussian_blurred_by_a_gaussian_is_a_wider_one():
    got = blur((41, 41), sigma=1.5, dtype="float64")(gaussian(41, 2.0))
    expected = gaussian(41, 2.5)  # 1.5^2 + 2^2 = 2.5^2
    assert np.abs(got - expected).max() <= 2e-6 * expected.max()


@pytest.mark.parametrize(
    ("boundary", "mode"),
    [("reflect", "mirror"), ("circular", "wrap"), ("replicate", "nearest"), ("zeros", "constant")],
)
def test_blur_is_a_convolution(boundary, mode, rng):
    kernel, x = rng.standard_normal((5, 3)), rng.standard_normal((3, 9, 8))
    operator = blur((3, 9, 8), kernel=kernel, boundary=boundary, dtype="float64")
    expected = [ndimage.convolve(channel, kernel, mode=mode) for channel in x]
    np.testing.assert_allclose(operator(x), expected, rtol=0, atol=1e-12)


def test_valid_blur_leaves_out_the_edge(rng):
    kernel, x = rng.standard_normal((5, 3)), rng.standard_normal((9, 8))
    operator = blur((9, 8), kernel=kernel, boundary="valid", dtype="float64")
    assert operator.range.shape == (5, 6)
    np.testing.assert_allclose(operator(x), signal.convolve2d(x, kernel, mode="valid"), rtol=0, atol=1e-12)


def test_a_kernel_of_one_tap_is_a_factor(rng):
    x = rng.standard_normal((8, 9))
    np.testing.assert_allclose(blur((8, 9), kernel=[[2.5]], dtype="float64")(x), 2.5 * x, rtol=1e-15)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_downsampling_keeps_constants_and_slopes_in_their_place(factor):
    n = 12 * factor
    operator = downsampling((n, n), factor, "float64")
    np.testing.assert_allclose(operator(np.ones((n, n))), 1, rtol=0, atol=1e-14)
    row, column = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    small = (np.arange(12) + 0.5) * factor - 0.5  # middles of blocks of factor pixels
    expected = small[:, None] - 2 * small[None, :]
    inner = slice(3, -3)  # near the edges the slope is reflected
    np.testing.assert_allclose(operator(row - 2.0 * column)[inner, inner], expected[inner, inner], rtol=0, atol=1e-11)


def test_downsampling_removes_what_the_small_grid_cannot_show():
    row = np.arange(32)
    stripes = np.tile(np.cos(np.pi * row), (32, 1))  # one pixel wide
    small = downsampling((32, 32), 4, "float64")(stripes)
    assert np.abs(small[:, 2:-2]).max() < 1e-12  # at the edges the reflection breaks the stripes


def test_the_operator_owns_its_arrays(rng):
    mask, kernel, x = rng.random((8, 9)) < 0.5, rng.standard_normal((3, 3)), rng.standard_normal((8, 9))
    operators = inpainting(mask, "float64"), blur((8, 9), kernel=kernel, dtype="float64")
    before = [operator(x) for operator in operators]
    mask[:], kernel[:] = False, 0
    assert all(np.array_equal(operator(x), y) for operator, y in zip(operators, before, strict=True))


def test_building_and_applying_touches_no_global_random_state(rng):
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    for operator in (denoising((8, 8)), inpainting(rng.random((8, 8)) < 0.5), downsampling((8, 8), 2)):
        operator.pinv(operator(torch.ones(8, 8)))
    blur((8, 8), sigma=0.7).norm()
    assert torch.equal(torch.get_rng_state(), state[0]) and np.random.get_state()[1].tolist() == state[1]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: denoising((8,)), ShapeError, r"got \(8,\), expected \(H, W\) or \(C, H, W\)"),
        (lambda: denoising((8, 0)), ShapeError, "positive integers"),
        (lambda: denoising((8, 8), "float16"), OptionError, "got 'float16', expected one of: float32, float64"),
        (lambda: denoising((8, 8), "complex64"), OptionError, "got 'complex64'"),
        (lambda: inpainting(np.zeros((4, 4))), InvalidDataError, "empty"),
        (lambda: inpainting(np.full((4, 4), 0.5)), InvalidDataError, "not 0 or 1"),
        (lambda: inpainting(np.full((4, 4), np.nan)), InvalidDataError, "not 0 or 1"),
        (lambda: inpainting(np.ones(4)), ShapeError, r"got \(4,\)"),
        (lambda: downsampling((9, 8), 2), ShapeError, "divisible by 2"),
        (lambda: downsampling((4, 8), 4), ShapeError, "at least 8 at factor 4"),
        (lambda: downsampling((8, 8), 1), OptionError, "got 1, expected an integer, at least 2"),
        (lambda: downsampling((8, 8), 2.0), OptionError, "got 2.0"),
        (lambda: blur((8, 8)), OptionError, "expected one"),
        (lambda: blur((8, 8), kernel=np.ones((3, 3)), sigma=1.0), OptionError, "expected one"),
        (lambda: blur((8, 8), sigma=0.0), NotPositiveError, "got 0.0"),
        (lambda: blur((8, 8), sigma=float("nan")), NotPositiveError, "got nan"),
        (lambda: blur((8, 8), kernel=np.ones((2, 3))), ShapeError, "h and w odd"),
        (lambda: blur((8, 8), kernel=np.ones(3)), ShapeError, r"got shape \(3,\)"),
        (lambda: blur((8, 8), kernel=[[0.0, np.inf, 0.0]]), InvalidDataError, "not finite"),
        (lambda: blur((8, 8), kernel=np.zeros((3, 3))), InvalidDataError, "only zeros"),
        (lambda: blur((8, 8), kernel=np.ones((1, 17))), ShapeError, "at most 15"),
        (lambda: blur((8, 8), kernel=np.ones((9, 1)), boundary="valid"), ShapeError, "at most 8"),
        (lambda: blur((8, 8), sigma=4.0), ShapeError, "smaller kernel or sigma"),
        (lambda: blur((8, 8), sigma=1.0, boundary="mirror"), OptionError, "expected one of: reflect, circular"),
        (lambda: DeepInverse(torch.nn.Identity(), Space((8, 8))), OptionError, "got Identity"),
        (lambda: DeepInverse(physics.Denoising(), Space((8,))), ShapeError, r"expected \(H, W\) or \(C, H, W\)"),
        (lambda: DeepInverse(physics.Denoising(), Space((2, 8, 8), "complex64")), ShapeError, r"expected \(H, W\)$"),
        (
            lambda: DeepInverse(physics.Inpainting((1, 8, 8), mask=torch.ones(1, 8, 8)), Space((8, 7))),
            ShapeError,
            r"got shape \(1, 8, 7\) \(with channels\), which Inpainting refuses",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_explained(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_without_the_library_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepinv.physics", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'eitdip\[imaging\]'"):
        denoising((8, 8))
