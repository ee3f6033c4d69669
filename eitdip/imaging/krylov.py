"""Conjugate gradients for least squares, without a matrix."""

import torch

from eitdip.errors import OptionError


def cgls(operator, y: torch.Tensor, steps: int, tikhonov: float = 0.0, start: torch.Tensor | None = None):
    """Minimize |A x - y|^2 + tikhonov |x|^2 by conjugate gradients; each item of a batch on its own.

    Stopped early it is a regularization by itself: the number of steps is the parameter.

    Args:
        operator: A, with `adjoint`.
        y: Data, shape (*batch, *range.shape).
        steps: Iterations; it ends before if the residual of the normal equations is at rounding level.
        tikhonov: Weight, >= 0.
        start: First x, shape (*batch, *domain.shape); by default 0.

    Returns:
        x, shape (*batch, *domain.shape).

    Raises:
        OptionError: If steps < 1 or tikhonov < 0.

    References:
        Björck (1996), Numerical methods for least squares problems, section 7.4.
    """
    if steps < 1 or not tikhonov >= 0:
        raise OptionError(f"steps, tikhonov: got {steps}, {tikhonov}; expected at least 1, and >= 0")
    axes = tuple(range(-len(operator.domain.shape), 0))
    data_axes = tuple(range(-len(operator.range.shape), 0))

    def square(v: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        return v.abs().square().sum(dim=axes, keepdim=True)

    def like(ratio: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """A number per item, to multiply arrays with these axes."""
        return ratio.reshape(*batch, *(1 for _ in axes))

    residual = y if start is None else y - operator(start)
    batch = y.shape[: y.ndim - len(data_axes)]
    gradient = operator.adjoint(residual)
    x = torch.zeros_like(gradient) if start is None else start
    gradient = gradient - tikhonov * x
    direction, gamma = gradient, square(gradient, axes)
    least, largest = gamma, torch.zeros_like(gamma)
    for _ in range(steps):
        image = operator(direction)
        length = square(direction, axes)
        curvature = like(square(image, data_axes), axes) + tikhonov * length
        # Rounding of the gradient: it is computed from the residual, through A, of which `largest` bounds the size.
        largest = torch.maximum(largest, curvature / torch.where(length > 0, length, 1))
        value = like(square(residual, data_axes), axes) + tikhonov * square(x, axes)
        least = torch.maximum(least, largest * value)
        floor = torch.finfo(gamma.dtype).eps ** 2 * least
        moving = (gamma > floor) & (curvature > 0)  # items that are done stay where they are
        if not moving.any():
            break
        step = torch.where(moving, gamma / torch.where(moving, curvature, 1), 0)
        x = x + step * direction
        residual = residual - like(step, data_axes) * image
        gradient = operator.adjoint(residual) - tikhonov * x
        previous, gamma = gamma, square(gradient, axes)
        direction = gradient + torch.where(moving, gamma / torch.where(moving, previous, 1), 0) * direction
    return x
