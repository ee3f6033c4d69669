"""The linear generator: gradient descent against the pseudo-inverse, and the recovery bound."""

import numpy as np
import pytest

from eitdip.errors import OptionError, ShapeError
from eitdip.theory.linear_generator import (
    gradient_descent,
    landweber,
    minimum_norm,
    recovery_bound,
    steps_until,
    worst_ratio,
)
from eitdip.theory.two_layer import circulant, jacobian, singular_values, triangle, trigonometric


@pytest.fixture
def small(rng):
    """A (10, 40), J (40, 160) and data that J can fit."""
    J = jacobian(circulant(triangle(40, 4)), rng.standard_normal((40, 4)), np.array([0.5, -0.5, 0.5, -0.5]))
    A = rng.standard_normal((10, 40))
    return A, J, A @ rng.standard_normal(40)


def test_gradient_descent_ends_at_the_pseudo_inverse(small):
    A, J, y = small
    exact = J @ np.linalg.pinv(A @ J) @ y
    assert np.abs(minimum_norm(A, J, y) - exact).max() < 1e-12 * np.abs(exact).max()
    assert np.abs(gradient_descent(A, J, y, steps_until(A, J, 1e-11)) - exact).max() <= 1e-8


def test_the_rate_is_what_is_promised(small):
    """Not more than promised is left, and not much less: the step is one over the largest curvature."""
    A, J, y = small
    steps = steps_until(A, J, 1e-4)
    exact = np.linalg.pinv(A @ J) @ y
    left = np.linalg.norm(gradient_descent(A, np.eye(40), y, steps_until(A, np.eye(40), 1e-4)) - np.linalg.pinv(A) @ y)
    assert left <= 1e-4 * np.linalg.norm(np.linalg.pinv(A) @ y)
    error = np.linalg.norm(gradient_descent(A, J, y, steps) - J @ exact)
    assert error <= 1e-4 * np.linalg.norm(exact) * np.linalg.norm(J, 2)
    assert np.linalg.norm(gradient_descent(A, J, y, steps // 3) - J @ exact) > 3 * error


@pytest.mark.parametrize("steps", [0, 1, 7, 300])
def test_every_iterate_is_landwebers(small, steps):
    found, formula = gradient_descent(*small, steps), landweber(*small, steps)
    assert np.abs(found - formula).max() < 1e-11
    assert (np.linalg.norm(found) == 0) == (steps == 0)


def test_it_is_the_smoothest_of_all_that_fit(small, rng):
    """J has full row rank here: the norm in question is that of J^+ x."""
    A, J, y = small
    x, inverse = minimum_norm(A, J, y), np.linalg.pinv(J)
    kernel = np.linalg.svd(A)[2][10:]
    assert np.allclose(A @ x, y)
    for _ in range(5):
        other = x + kernel.T @ rng.standard_normal(30)
        assert np.allclose(A @ other, y)
        assert np.linalg.norm(inverse @ other) > np.linalg.norm(inverse @ x)


def test_another_start_keeps_what_the_data_do_not_see(small, rng):
    A, J, y = small
    c = rng.standard_normal(160)
    found = gradient_descent(A, J, y, steps_until(A, J, 1e-11), start=c)
    unseen = c - np.linalg.pinv(A @ J) @ (A @ J @ c)
    assert np.allclose(found, minimum_norm(A, J, y) + J @ unseen, atol=1e-8)
    assert np.linalg.norm(J @ unseen) > 0.1


@pytest.mark.parametrize("m", [12, 24, 128])
def test_recovery_bound(m):
    n, trials = 256, 20
    rng, kernel = np.random.default_rng(m), triangle(n, 8)
    order = np.argsort(-singular_values(kernel), kind="stable")
    sigma, W = singular_values(kernel)[order], trigonometric(n)[:, order]
    ratios = []
    for _ in range(trials):
        A, coefficients = rng.standard_normal((m, n)), rng.standard_normal(n) * np.exp(-np.arange(n) / 10)
        x = W @ coefficients
        ratios.append(np.square(minimum_norm(A, W * sigma, A @ x) - x).sum() / recovery_bound(sigma, coefficients, m))
    assert np.mean(np.array(ratios) <= 1) >= 0.95
    assert max(ratios) > 0.05, "a bound of the right size"
    assert worst_ratio(A, sigma, W) >= ratios[-1]


def test_the_worst_signal_reaches_the_worst_ratio(rng):
    n, m = 60, 20
    sigma, W = np.geomspace(1, 1e-2, n), np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = rng.standard_normal((m, n))
    rows = np.linalg.qr((A @ (W * sigma)).T)[0]
    errors = sigma[:, None] * (np.eye(n) - rows @ rows.T)
    e = np.linalg.svd(errors)[2][0]  # coefficients <w_i, x> / sigma_i of the worst signal
    x = W @ (sigma * e)
    ratio = np.square(minimum_norm(A, W * sigma, A @ x) - x).sum() / recovery_bound(sigma, sigma * e, m)
    assert worst_ratio(A, sigma, W) == pytest.approx(ratio, rel=1e-6)


def test_recovery_bound_by_hand():
    sigma = 1 / np.arange(1, 21)
    x = np.zeros(20)
    x[1] = 3.0  # 9 / (1/4) = 36
    assert recovery_bound(sigma, x, 15) == pytest.approx(36 / 15 * np.square(sigma[10:]).sum())
    assert recovery_bound(sigma, x, 13) == pytest.approx(36 / 13 * np.square(sigma[8:]).sum())  # i > 8.67: 9, 10, ...


def test_bad_input(small):
    A, J, y = small
    with pytest.raises(ShapeError, match=r"expected \(m, n\) and \(n, N\)"):
        minimum_norm(A, J.T, y)
    with pytest.raises(ShapeError, match=r"data: got shape \(9,\)"):
        gradient_descent(A, J, y[:9], 1)
    with pytest.raises(ShapeError, match="start"):
        gradient_descent(A, J, y, 1, start=np.zeros(3))
    with pytest.raises(OptionError, match="steps"):
        gradient_descent(A, J, y, -1)
    with pytest.raises(OptionError, match="tolerance"):
        steps_until(A, J, 1.0)
    with pytest.raises(OptionError, match="at least 12"):
        recovery_bound(np.ones(20), np.ones(20), 11)
    with pytest.raises(OptionError, match="fall"):
        recovery_bound(np.arange(1.0, 21), np.ones(20), 12)
    with pytest.raises(ShapeError, match="coefficients"):
        recovery_bound(np.ones(20), np.ones(19), 12)
