"""The Jacobian of the two-layer generator against autograd, its formula and its limit."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.parameterization import draw_two_layer
from eitdip.theory.two_layer import (
    circulant,
    dual,
    expected_gram,
    gaussian,
    gram,
    jacobian,
    singular_values,
    smallest_cosine,
    triangle,
    trigonometric,
)

KERNELS = {"triangle": triangle(128, 8), "Gaussian": gaussian(128, 4)}
every_kernel = pytest.mark.parametrize("kernel", list(KERNELS.values()), ids=list(KERNELS))


def autograd_jacobian(generator, of) -> np.ndarray:
    """d forward / d coefficients, shape (outputs, coefficients)."""
    rows = torch.autograd.functional.jacobian(
        lambda c: torch.func.functional_call(generator, {"coefficients": c}).reshape(-1), of
    )
    return rows.reshape(len(rows), -1).numpy()


@every_kernel
def test_kernels(kernel):
    assert np.linalg.norm(kernel) == pytest.approx(1)
    assert np.array_equal(kernel[1:], kernel[:0:-1])
    assert kernel.argmax() == 0 and (kernel >= 0).all()
    x = np.random.default_rng(0).standard_normal(128)
    convolution = np.fft.ifft(np.fft.fft(kernel) * np.fft.fft(x)).real
    assert np.allclose(circulant(kernel) @ x, convolution)


def test_triangle_interpolates():
    """Values at every 4th point, spread with the triangle of width 4, are joined by straight lines."""
    kernel, coarse = triangle(32, 4), np.array([0.0, 2, 1, 1, 3, 0, 0, 1])
    spread = np.zeros(32)
    spread[::4] = coarse
    lines = np.interp(np.arange(32), np.arange(9) * 4, np.append(coarse, coarse[0]))
    assert np.allclose(circulant(kernel) @ spread / kernel[0], lines)


def test_dual_is_an_expectation():
    """g(t) = t P(a > 0, b > 0) for normal a, b of correlation t."""
    rng = np.random.default_rng(0)
    a, other = rng.standard_normal((2, 400_000))
    for t in (-0.7, 0.0, 0.3, 0.9):
        both = np.mean((a > 0) & (t * a + np.sqrt(1 - t**2) * other > 0))
        assert dual(t) == pytest.approx(t * both, abs=4 * 0.5 / 400_000**0.5)
    assert dual(1.0) == 0.5 and dual(-1.0) == 0 and dual(1 + 1e-12) == 0.5


def test_gram_is_that_of_the_jacobian():
    """Without the Jacobian, with it, and by autograd."""
    U, k = circulant(triangle(24, 4)), 10
    coefficients = np.random.default_rng(3).standard_normal((24, k), dtype=np.float32)
    generator = draw_two_layer(matrix=U, width=k)
    C = torch.from_numpy(coefficients).double()
    exact = autograd_jacobian(generator, C.T.reshape(2, k // 2, 24))
    by_channel = jacobian(U, coefficients, np.repeat([1.0, -1.0], k // 2) / k**0.5)
    assert np.allclose(exact, by_channel, atol=1e-12)
    assert np.allclose(gram(U, k, np.random.default_rng(3)), exact @ exact.T, atol=1e-12)


def test_gram_in_chunks_is_an_average():
    U = circulant(gaussian(20, 2))
    whole = gram(U, 7, np.random.default_rng(1), chunk=1)
    rng = np.random.default_rng(1)
    assert np.allclose(whole, np.mean([gram(U, 1, rng) for _ in range(7)], axis=0))


@every_kernel
def test_limit_is_circulant_with_the_singular_values_of_the_formula(kernel):
    limit, sigma, waves = expected_gram(circulant(kernel)), singular_values(kernel), trigonometric(128)
    assert np.allclose(waves.T @ waves, np.eye(128), atol=1e-12)
    assert np.allclose(limit, (waves * sigma**2) @ waves.T, atol=1e-12)
    assert np.allclose(singular_values(3 * kernel), 3 * sigma)
    assert sigma[0] > 10 * sigma[-1], "slow waves have the large ones"


def test_odd_sizes():
    kernel = triangle(31, 5)
    waves = trigonometric(31)
    assert np.allclose(expected_gram(circulant(kernel)), (waves * singular_values(kernel) ** 2) @ waves.T, atol=1e-12)


@every_kernel
def test_convergence_with_the_channels(kernel):
    """Slope -1/2 within 0.15 for the singular values; and the vectors of large k are sines and cosines."""
    kernel = kernel[::2] / np.linalg.norm(kernel[::2])  # 64 points, for speed
    order = np.argsort(-singular_values(kernel), kind="stable")
    sigma, waves = singular_values(kernel)[order], trigonometric(64)[:, order[:7]]
    channels, errors, cosines = (500, 2000, 8000), [], []
    for k in channels:
        worst = []
        for seed in range(24):
            values, vectors = np.linalg.eigh(gram(circulant(kernel), k, np.random.default_rng(seed)))
            worst.append(np.abs(np.sqrt(np.maximum(values[::-1], 0)) - sigma).max())
        errors.append(np.sqrt(np.mean(np.square(worst))))
        cosines.append(smallest_cosine(vectors[:, ::-1][:, :7], waves))
    assert np.polyfit(np.log(channels), np.log(errors), 1)[0] == pytest.approx(-0.5, abs=0.15)
    assert cosines[-1] > 0.995 > cosines[0]


def test_smallest_cosine_is_of_spans():
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((9, 3)))[0]
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    assert smallest_cosine(basis, basis @ turn) == pytest.approx(1)
    tilted = np.eye(3)[:, :2].copy()
    tilted[:, 1] = [0, np.cos(0.4), np.sin(0.4)]
    assert smallest_cosine(np.eye(3)[:, :2], tilted) == pytest.approx(np.cos(0.4))


def test_it_is_the_two_layer_parameterization():
    """`TwoLayer` has the same Jacobian and the same limit, with the matrix of its interpolation as U."""
    shape, width = (6, 8), 400
    generator = draw_two_layer(shape, width=width, factor=2)
    coarse = torch.eye(12, dtype=torch.float64).reshape(12, 1, 3, 4)
    U = torch.nn.functional.interpolate(coarse, shape, mode="bilinear", align_corners=False).reshape(12, 48).T.numpy()
    C = generator.coefficients.detach()
    J = autograd_jacobian(generator, C)
    flat = C.reshape(width, 12).T.numpy()
    weights = np.repeat([1.0, -1.0], width // 2) / width**0.5
    assert np.allclose(J, jacobian(U, flat, weights), atol=1e-12)
    limit = expected_gram(U)
    wide = J @ J.T
    few = draw_two_layer(shape, 20, 2)
    narrow = autograd_jacobian(few, few.coefficients.detach())
    distance = np.linalg.norm(wide - limit, 2)
    assert distance < 0.15 * np.linalg.norm(limit, 2)
    assert distance < 0.5 * np.linalg.norm(narrow @ narrow.T - limit, 2)


def test_bad_input(rng):
    with pytest.raises(OptionError, match="at most half of its 10 points"):
        triangle(10, 6)
    with pytest.raises(OptionError, match="width of the kernel: got 0"):
        gaussian(10, 0)
    with pytest.raises(ShapeError, match=r"u\[i\] = u\[-i\]"):
        singular_values([1.0, 2, 3])
    with pytest.raises(ShapeError, match="rows of zeros"):
        expected_gram(np.zeros((3, 2)))
    with pytest.raises(OptionError, match="channels, chunk: got 0"):
        gram(np.eye(3), 0, rng)
