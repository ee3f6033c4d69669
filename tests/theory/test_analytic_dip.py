"""The analytic deep prior: trained by autograd against its solution by hand."""

import numpy as np
import pytest
import torch

from eitdip.errors import NotPositiveError, OptionError, ShapeError
from eitdip.theory.analytic_dip import (
    AnalyticPrior,
    analytic_filter,
    ivanov,
    landweber_filter,
    tikhonov_filter,
    train,
    truncated_filter,
)

ALPHA = 0.04
SIGMA = np.array([1.0, 0.7, 0.5, 0.41, 0.39, 0.3, 0.2, 0.1, 0.03])  # the threshold is 0.4


def matrix(rng, extra: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (m, n), V (n, n) and A = U diag(SIGMA) V^T with m = n + extra."""
    n = len(SIGMA)
    U, V = (np.linalg.qr(rng.standard_normal((rows, n)))[0] for rows in (n + extra, n))
    return U, V, (U * SIGMA) @ V.T


def test_filter_is_the_best_weight():
    """Against a search over b, for every singular value."""
    b = np.geomspace(1e-3, 1e3, 400_001)
    outputs = b / (b**2 + ALPHA)
    for sigma, found in zip(SIGMA, analytic_filter(SIGMA, ALPHA), strict=True):
        best = np.abs(sigma * outputs - 1).min()
        assert abs(sigma * found - 1) == pytest.approx(best, abs=1e-4)
        assert outputs.max() >= found - 1e-9


def test_filters_at_the_threshold():
    assert 0.4 * analytic_filter(0.4, ALPHA) == pytest.approx(1.0)
    assert 0.4 * tikhonov_filter(0.4, ALPHA) == pytest.approx(0.8)
    assert truncated_filter(np.array([0.4, 0.399]), ALPHA) == pytest.approx([2.5, 0.0])
    assert analytic_filter(np.array([0.0, 0.1]), ALPHA) == pytest.approx([2.5, 2.5])
    assert (tikhonov_filter(SIGMA, ALPHA) <= analytic_filter(SIGMA, ALPHA) + 1e-12).all()


def test_landweber_filter_is_the_iteration():
    x, largest = np.zeros_like(SIGMA), SIGMA.max()
    for _ in range(round(largest**2 / ALPHA)):
        x += SIGMA / largest**2 * (1 - SIGMA * x)
    assert np.allclose(landweber_filter(SIGMA, ALPHA), x)
    assert landweber_filter(np.array([1.0, 0.0]), ALPHA)[1] == 0


def test_untrained_it_is_tikhonov(rng):
    U, V, A = matrix(rng)
    y = rng.standard_normal(len(A))
    x = AnalyticPrior(A, y, ALPHA)().detach().numpy()
    assert np.allclose(x, V @ (tikhonov_filter(SIGMA, ALPHA) * (U.T @ y)))
    assert np.allclose(train(AnalyticPrior(A, y, ALPHA), 0).numpy(), x)


def test_unrolled_layers_tend_to_it(rng):
    prior = AnalyticPrior(matrix(rng)[2], rng.standard_normal((3, len(SIGMA) + 2)), ALPHA)
    gaps = [float((prior.unrolled(depth) - prior()).detach().norm()) for depth in (1, 50, 600)]
    assert gaps[0] > gaps[1] > 1e3 * gaps[2] and gaps[2] < 1e-9


def test_gradient(rng):
    """Of the loss with respect to the weights, by finite differences."""
    prior = AnalyticPrior(matrix(rng)[2], rng.standard_normal(len(SIGMA) + 2), ALPHA)
    prior.loss().backward()
    start, direction = prior.weights.detach().clone(), torch.from_numpy(rng.standard_normal(prior.weights.shape))
    values = []
    for step in (1e-5, -1e-5):
        prior.weights.data = start + step * direction
        values.append(float(prior.loss().detach()))
    slope = (values[0] - values[1]) / 2e-5
    assert float((prior.weights.grad * direction).sum()) == pytest.approx(slope, rel=1e-6)


def test_trained_on_each_singular_vector_it_is_the_soft_truncation(rng):
    """A full matrix of weights, which could leave the singular vectors of A, but does not."""
    U, V, A = matrix(rng)
    prior = AnalyticPrior(A, 3.0 * U.T, ALPHA)
    outputs = train(prior, 400).numpy() @ V / 3.0
    assert np.abs(np.diag(outputs) / analytic_filter(SIGMA, ALPHA) - 1).max() < 1e-6
    assert np.abs(outputs - np.diag(np.diag(outputs))).max() < 1e-10
    weights = np.einsum("mi,kmn,nj->kij", U, prior.weights.detach().numpy(), V)
    b = weights[np.arange(9), np.arange(9), np.arange(9)]
    above = SIGMA >= 0.4
    assert np.allclose(b[~above], 0.2, atol=1e-3), "sqrt(alpha) below the threshold"
    assert np.allclose(b[above] ** 2 - SIGMA[above] * b[above] + ALPHA, 0, atol=1e-6), "the larger root above"


def test_outputs_fill_the_ball_and_no_more(rng):
    """Random weights stay in |x| <= |y| / (2 sqrt(alpha)); B = s y d^T / |y| gives any x of it."""
    y = rng.standard_normal(5)
    prior = AnalyticPrior(rng.standard_normal((5, 4)), y, ALPHA)
    radius = np.linalg.norm(y) / 0.4
    for scale in (0.05, 0.2, 1.0):
        prior.weights.data = torch.from_numpy(scale * rng.standard_normal((5, 4)))
        assert float(prior().detach().norm()) <= radius * (1 + 1e-12)
    direction = rng.standard_normal(4)
    direction /= np.linalg.norm(direction)
    prior.weights.data = torch.from_numpy(0.2 * np.outer(y / np.linalg.norm(y), direction))
    assert np.allclose(prior().detach().numpy(), radius * direction)


def test_trained_on_all_of_y_it_is_ivanovs(rng):
    """Data with so much noise that the least-squares solution is far outside of the ball."""
    A, y = matrix(rng)[2], rng.standard_normal(len(SIGMA) + 2)
    radius = np.linalg.norm(y) / 0.4
    goal = ivanov(A, y, radius)
    assert np.linalg.norm(goal) == pytest.approx(radius) and np.linalg.norm(np.linalg.pinv(A) @ y) > 1.5 * radius
    prior = AnalyticPrior(A, y, ALPHA)
    assert np.linalg.norm(prior().detach().numpy() - goal) > 0.3 * radius
    assert np.linalg.norm(train(prior, 1000).numpy() - goal) < 1e-3 * radius


def test_ivanov(rng):
    """Stationary on the sphere with a positive weight; the pseudo-inverse in a large ball; also for a singular A."""
    _, _, A = matrix(rng)
    y = rng.standard_normal(len(A))
    x = ivanov(A, y, 0.7)
    slope = A.T @ (y - A @ x)
    weight = (slope @ x) / (x @ x)
    assert np.linalg.norm(x) == pytest.approx(0.7) and weight > 0
    assert np.allclose(slope, weight * x)
    assert np.allclose(ivanov(A, y, 1e6), np.linalg.pinv(A) @ y)
    flat = A.copy()
    flat[:, 0] = flat[:, 1]
    assert np.allclose(ivanov(flat, y, 1e6), np.linalg.pinv(flat) @ y)
    assert np.linalg.norm(ivanov(flat, y, 0.7)) == pytest.approx(0.7)


def test_bad_input():
    with pytest.raises(NotPositiveError, match="alpha"):
        analytic_filter(SIGMA, 0.0)
    with pytest.raises(NotPositiveError, match="alpha, sigma"):
        tikhonov_filter([-1.0], ALPHA)
    with pytest.raises(NotPositiveError, match="alpha"):
        AnalyticPrior(np.eye(2), np.ones(2), -1.0)
    with pytest.raises(ShapeError, match=r"expected \(m,\) or \(K, m\)"):
        AnalyticPrior(np.eye(2), np.ones(3), ALPHA)
    with pytest.raises(OptionError, match="steps"):
        train(AnalyticPrior(np.eye(2), np.ones(2), ALPHA), -1)
    with pytest.raises(NotPositiveError, match="radius"):
        ivanov(np.eye(2), np.ones(2), 0.0)
