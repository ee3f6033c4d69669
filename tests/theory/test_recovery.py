"""Gradient descent with the two-layer generator against the linear theory."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.parameterization import TwoLayer, draw_two_layer
from eitdip.theory.linear_generator import landweber, minimum_norm
from eitdip.theory.recovery import denoising_bound, iterates, linear_iterates
from eitdip.theory.two_layer import circulant, expected_gram, jacobian, singular_values, triangle, trigonometric

N = 64
KERNEL = triangle(N, 8)
U, K, W, EIGENVALUES = (
    circulant(KERNEL),
    expected_gram(circulant(KERNEL)),
    trigonometric(N),
    singular_values(KERNEL) ** 2,
)


def smooth_signal(rng) -> np.ndarray:
    coefficients = np.zeros(N)
    coefficients[:7] = rng.standard_normal(7)
    return coefficients / np.linalg.norm(coefficients)


def descend(data, step, steps, width=1000, operator=None) -> np.ndarray:
    generator = draw_two_layer(matrix=U, width=width)
    optimizer = torch.optim.SGD(generator.parameters(), lr=step)
    signals = iterates(generator, torch.from_numpy(data), optimizer, steps, operator)
    return torch.stack(list(signals)).numpy()


def columns(generator: TwoLayer) -> np.ndarray:
    """C, shape (p, width), and v = +-1 / sqrt(width) of its columns."""
    C = generator.coefficients.detach().flatten(0, 1).T.numpy()
    return C, np.repeat([1.0, -1.0], C.shape[1] // 2) / C.shape[1] ** 0.5


def test_generator_starts_at_zero_and_is_the_formula():
    generator = draw_two_layer(matrix=U[:, :5], width=6, seed=1)
    assert generator().abs().max() < 1e-14
    with torch.no_grad():
        generator.coefficients += torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    C, v = columns(generator)
    assert np.allclose(generator().detach().numpy(), np.maximum(U[:, :5] @ C, 0) @ v)
    one, other = (draw_two_layer(matrix=U, width=6, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.coefficients, other.coefficients)


def test_interpolation_is_one_of_the_matrices():
    """On images, with the matrix of the interpolation as U and the same coefficients."""
    field = draw_two_layer((4, 6), width=8, factor=2)
    coarse = torch.eye(6, dtype=torch.float64).reshape(6, 1, 2, 3)
    rows = torch.nn.functional.interpolate(coarse, (4, 6), mode="bilinear", align_corners=False).reshape(6, 24).T
    with torch.no_grad():
        field.coefficients += torch.randn(2, 4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    generator = TwoLayer(field.coefficients.detach(), (4, 6), rows)
    assert field().abs().max() > 0.1 and torch.allclose(generator(), field())


def test_first_step_is_that_of_the_jacobian(rng):
    """Taylor: a small step moves the output from 0 by step J J^T y, up to its square."""
    y, generator = rng.standard_normal(N), draw_two_layer(matrix=U, width=100)
    J = jacobian(U, *columns(generator))
    for step in (1e-4, 1e-6):
        before, after = descend(y, step, 1, width=100)
        assert np.abs(before).max() < 1e-13
        assert np.linalg.norm((after - before) / step - J @ J.T @ y) < 1e3 * step * np.linalg.norm(y) + 1e-8


def test_linear_iterates_are_a_recursion(rng):
    A, y, step = rng.standard_normal((10, N)), rng.standard_normal(10), 1e-3
    x = np.zeros(N)
    for _ in range(5):
        x = x + step * K @ A.T @ (y - A @ x)
    found = linear_iterates(K, y, step, [0, 5, np.inf], A)
    assert np.allclose(found[0], 0, atol=1e-15)
    assert np.allclose(found[1], x, rtol=1e-10)
    root = W * np.sqrt(EIGENVALUES)  # J with J J^T = K
    assert np.allclose(found[2], minimum_norm(A, root, y), atol=1e-8)
    length = 1 / np.linalg.norm(A @ root, 2) ** 2
    assert np.allclose(linear_iterates(K, y, length, [9], A)[0], landweber(A, root, y, 9))


def test_a_wide_network_follows_the_linear_theory(rng):
    y, step = W @ smooth_signal(rng) + 0.05 * rng.standard_normal(N), 1 / EIGENVALUES.max()
    predicted = linear_iterates(K, y, step, np.arange(31))
    gaps = [
        np.linalg.norm(descend(y, step, 30, width) - predicted, axis=1).max() / np.linalg.norm(y)
        for width in (50, 4000)
    ]
    assert gaps[1] < 0.05
    assert gaps[1] < 0.4 * gaps[0], "the wider, the closer"


def test_denoising_stops_early(rng):
    """The bound holds; the best iterate has little more than p / n of the energy of the noise; the last has much."""
    coefficients, z = smooth_signal(rng), 0.5 / N**0.5 * rng.standard_normal(N)
    x, step, counts = W @ coefficients, 1 / EIGENVALUES.max(), np.arange(201)
    bound = denoising_bound(EIGENVALUES, coefficients, W.T @ z, step, counts)
    linear = np.linalg.norm(linear_iterates(K, x + z, step, counts) - x, axis=1)
    assert (linear <= bound + 1e-12).all() and bound.min() < 3 * linear.min()
    errors = np.linalg.norm(descend(x + z, step, 200) - x, axis=1)
    assert errors.min() < 1.5 * np.linalg.norm(z) * (7 / N) ** 0.5
    assert 0 < errors.argmin() < 50 and errors[-1] > 1.7 * errors.min()


def test_bound_without_noise_or_signal(rng):
    """Each half is sharp: one wave alone, and noise alone."""
    wave, nothing, step = np.zeros(N), np.zeros(N), 0.5 / EIGENVALUES.max()
    wave[3] = 2.0
    counts = np.array([0, 4, 50])
    error = np.linalg.norm(linear_iterates(K, W @ wave, step, counts) - W @ wave, axis=1)
    assert np.allclose(denoising_bound(EIGENVALUES, wave, nothing, step, counts), error)
    z = rng.standard_normal(N)
    fitted = np.linalg.norm(linear_iterates(K, W @ z, step, counts), axis=1)
    assert np.allclose(denoising_bound(EIGENVALUES, nothing, z, step, counts), fitted)


def test_compressed_sensing_needs_no_stopping(rng):
    m, x = 24, W @ smooth_signal(rng)
    A = rng.standard_normal((m, N)) / m**0.5
    step, rows = 1 / np.linalg.norm(A @ K @ A.T, 2), torch.from_numpy(A)
    signals = descend(A @ x, step, 500, operator=lambda signal: rows @ signal)
    errors = np.linalg.norm(signals - x, axis=1)
    assert np.linalg.norm(A @ signals[-1] - A @ x) < 0.01 * np.linalg.norm(A @ x)
    assert errors[-1] < 1.02 * errors.min()
    limit = minimum_norm(A, W * np.sqrt(EIGENVALUES), A @ x)
    assert np.linalg.norm(signals[-1] - limit) < 0.1 and errors[-1] < 0.25
    plain = np.linalg.norm(minimum_norm(A, np.eye(N), A @ x) - x)
    assert errors[-1] < 0.4 * plain, "pixels of least norm know nothing"


def test_bad_input():
    with pytest.raises(OptionError, match="even number"):
        draw_two_layer(matrix=U, width=3)
    with pytest.raises(ShapeError, match=r"expected \(n, p\)"):
        draw_two_layer(matrix=KERNEL)
    drawn = draw_two_layer((8, 8), 4)
    with pytest.raises(ShapeError, match=r"matrix: got shape \(64, 64\), expected \(64, 4\)"):
        TwoLayer(drawn.coefficients, (64,), torch.from_numpy(U))
    with pytest.raises(ShapeError, match=r"coefficients: got shape \(2, 2, 2, 2\), expected .* for \(8,\)"):
        TwoLayer(drawn.coefficients, (8,))
    with pytest.raises(ShapeError, match=r"data: got shape \(3,\), expected \(64,\)"):
        descend(np.zeros(3), 1.0, 1)
    with pytest.raises(OptionError, match="steps: got -1"):
        descend(np.zeros(N), 1.0, -1)
    with pytest.raises(ShapeError, match="operator"):
        linear_iterates(K, np.zeros(3), 0.1, [1])
    with pytest.raises(OptionError, match="diverges"):
        linear_iterates(K, np.zeros(N), 2.1 / EIGENVALUES.max(), [1])
    with pytest.raises(ShapeError, match="expected"):
        denoising_bound(EIGENVALUES, np.zeros(3), np.zeros(N), 0.1, [1])
    with pytest.raises(OptionError, match="step"):
        denoising_bound(EIGENVALUES, np.zeros(N), np.zeros(N), 1.1 / EIGENVALUES.max(), [1])
