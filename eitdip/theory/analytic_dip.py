"""The analytic deep prior: a network whose training can be solved by hand.

The network is gradient descent on |B x - y|^2 / 2 + alpha |x|^2 / 2, unrolled to infinite depth, with the matrix B as
its weights. Its output is x(B) = (B^T B + alpha)^-1 B^T y. B is trained, from B = A on, on the one y: |A x(B) - y|^2.

**Singular value by singular value.** For B = sum over i of b_i u_i v_i^T, with the singular vectors of A, and with data
y along one of them, x = b y / (b^2 + alpha) is never longer than |y| / (2 sqrt(alpha)), reached at b = sqrt(alpha). So

    min over b of |sigma x(b) - y|  is at  x = y / sigma                 if sigma >= 2 sqrt(alpha)
                                           x = y / (2 sqrt(alpha))       else

a *soft* truncated SVD: what is above the threshold is inverted without any bias, what is below is not amplified more
than at the threshold. Training starts at Tikhonov's x = sigma y / (sigma^2 + alpha), which has lost 20 % there.

**All at once.** For free B the outputs x(B) are exactly the ball |x| <= |y| / (2 sqrt(alpha)). So, trained to the end,
the prior is Ivanov's method, min |A x - y| over that ball, which is Tikhonov's again with another weight (`ivanov`).
The prior is in the restriction to the singular vectors of A, and in stopping early.

References:
    Dittmer, Kluth, Maass, Otero Baguer (2020), J. Math. Imaging Vis. 62. Arndt (2022), Inverse Problems 38.
"""

import numpy as np
import torch
from scipy import optimize
from torch import nn

from eitdip.errors import NotPositiveError, OptionError, ShapeError


def analytic_filter(sigma, alpha: float) -> np.ndarray:
    """x / y of the trained prior at each singular value: 1 / sigma, or 1 / (2 sqrt(alpha)) if that is less.

    Args:
        sigma: Singular values >= 0, any shape.
        alpha: > 0.

    Raises:
        NotPositiveError: If alpha <= 0 or a singular value is negative.
    """
    sigma = _checked(sigma, alpha)
    return 1 / np.maximum(sigma, 2 * np.sqrt(alpha))


def tikhonov_filter(sigma, alpha: float) -> np.ndarray:
    """sigma / (sigma^2 + alpha): the untrained prior. Arguments and errors as `analytic_filter`."""
    sigma = _checked(sigma, alpha)
    return sigma / (sigma**2 + alpha)


def truncated_filter(sigma, alpha: float) -> np.ndarray:
    """1 / sigma from the prior's threshold 2 sqrt(alpha) on, else 0. Arguments and errors as `analytic_filter`."""
    sigma = _checked(sigma, alpha)
    return np.where(sigma >= 2 * np.sqrt(alpha), analytic_filter(sigma, alpha), 0)


def landweber_filter(sigma, alpha: float) -> np.ndarray:
    """(1 - (1 - sigma^2 / s^2)^t) / sigma after t = s^2 / alpha steps, s the largest singular value.

    That many steps act like Tikhonov's weight alpha. Arguments and errors as `analytic_filter`.
    """
    sigma = _checked(sigma, alpha)
    largest = sigma.max()
    shares = 1 - (1 - (sigma / largest) ** 2) ** (largest**2 / alpha)
    return np.divide(shares, sigma, out=np.zeros_like(sigma), where=sigma > 0)


class AnalyticPrior(nn.Module):
    """x(B) = (B^T B + alpha)^-1 B^T y with the weights B, which start at A.

    Args:
        operator: A, shape (m, n).
        data: y, shape (m,), or a batch (K, m): then each datum has weights of its own.
        alpha: > 0.

    Raises:
        ShapeError: If the arrays do not fit together.
        NotPositiveError: If alpha <= 0.
    """

    def __init__(self, operator, data, alpha: float):
        super().__init__()
        operator = torch.as_tensor(operator, dtype=torch.float64)
        data = torch.as_tensor(data, dtype=torch.float64)
        if operator.ndim != 2 or data.ndim not in (1, 2) or data.shape[-1] != len(operator):
            raise ShapeError(f"data: got {tuple(data.shape)} for A {tuple(operator.shape)}; expected (m,) or (K, m)")
        _checked(0.0, alpha)
        self.alpha = float(alpha)
        self.register_buffer("operator", operator)
        self.register_buffer("data", data)
        self.weights = nn.Parameter(operator.expand(*data.shape[:-1], *operator.shape).clone())

    def forward(self) -> torch.Tensor:
        """x, shape (n,) or (K, n)."""
        B = self.weights
        ridge = self.alpha * torch.eye(B.shape[-1], dtype=B.dtype, device=B.device)
        return torch.linalg.solve(B.mT @ B + ridge, (B.mT @ self.data[..., None])[..., 0])

    def unrolled(self, depth: int) -> torch.Tensor:
        """The same network with `depth` layers x <- x - (B^T (B x - y) + alpha x) / (|B|^2 + alpha), from x = 0."""
        B = self.weights
        length = 1 / (torch.linalg.matrix_norm(B, 2).square() + self.alpha)[..., None]
        x = torch.zeros_like(B[..., 0, :])
        for _ in range(depth):
            residual = (B @ x[..., None])[..., 0] - self.data
            x = x - length * ((B.mT @ residual[..., None])[..., 0] + self.alpha * x)
        return x

    def loss(self) -> torch.Tensor:
        """Sum over the batch of |A x(B) - y|^2 / (2 |y|^2)."""
        misfit = (self() @ self.operator.mT - self.data).square().sum(dim=-1)
        return (misfit / self.data.square().sum(dim=-1)).sum() / 2


def train(prior: AnalyticPrior, steps: int) -> torch.Tensor:
    """Gradient descent on the loss, with steps of 4 alpha: one over its curvature at the minimum.

    Args:
        prior: Its weights are changed.
        steps: How many, >= 0.

    Returns:
        x after them, shape (n,) or (K, n), detached.

    Raises:
        OptionError: If steps < 0.
    """
    if steps < 0:
        raise OptionError(f"steps: got {steps}, expected >= 0")
    optimizer = torch.optim.SGD(prior.parameters(), lr=4 * prior.alpha)
    for _ in range(steps):
        optimizer.zero_grad()
        prior.loss().backward()
        optimizer.step()
    return prior().detach()


def ivanov(operator, data, radius: float) -> np.ndarray:
    """Minimize |A x - y| over |x| <= radius.

    Args:
        operator: A, shape (m, n).
        data: y, shape (m,).
        radius: > 0.

    Returns:
        The shortest least-squares solution if it is in the ball; else Tikhonov's solution of norm `radius`.

    Raises:
        NotPositiveError: If the radius is not > 0.
    """
    if not radius > 0:
        raise NotPositiveError(f"radius: got {radius}, expected > 0")
    left, sigma, right = np.linalg.svd(np.asarray(operator, dtype=float), full_matrices=False)
    coefficients = left.T @ np.asarray(data, dtype=float)
    small = sigma <= sigma[0] * len(sigma) * np.finfo(float).eps
    shortest = np.divide(coefficients, sigma, out=np.zeros_like(sigma), where=~small)
    if np.linalg.norm(shortest) <= radius:
        return right.T @ shortest

    def excess(log_weight: float) -> float:
        return float(np.linalg.norm(tikhonov_filter(sigma, np.exp(log_weight)) * coefficients)) / radius - 1

    # |x| <= sigma_1 |y| / weight bounds the weight from above; far below the rounding of sigma nothing changes.
    highest = np.log(sigma[0] * np.linalg.norm(coefficients) / radius)
    lowest = np.log(np.finfo(float).tiny)
    weight = np.exp(optimize.brentq(excess, lowest, highest, xtol=1e-13))
    return right.T @ (tikhonov_filter(sigma, weight) * coefficients)


def _checked(sigma, alpha: float) -> np.ndarray:
    sigma = np.asarray(sigma, dtype=float)
    if not alpha > 0 or not (sigma >= 0).all():
        raise NotPositiveError(f"alpha, sigma: got {alpha}, at least {sigma.min()}; expected > 0 and >= 0")
    return sigma
