"""Conjugate gradients for least squares, without a matrix."""

import numpy as np

from eitdip.errors import OptionError


def cgls(operator, y, steps: int, tikhonov: float = 0.0, start=None):
    """Minimize |A x - y|^2 + tikhonov |x|^2 by conjugate gradients; each item of a batch on its own.

    On arrays and on tensors, differentiably, by what both have. Stopped early it is a regularization by itself: the
    number of steps is the parameter.

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

    def square(v, axes: tuple[int, ...]):
        return (abs(v) ** 2).sum(axis=axes, keepdims=True)

    def like(ratio, axes: tuple[int, ...]):
        """A number per item, to multiply arrays with these axes."""
        return ratio.reshape(*batch, *(1 for _ in axes))

    residual = y if start is None else y - operator(start)
    batch = y.shape[: y.ndim - len(data_axes)]
    gradient = operator.adjoint(residual)
    x = gradient - gradient if start is None else start
    gradient = gradient - tikhonov * x
    direction, gamma = gradient, square(gradient, axes)
    least, largest = gamma, 0 * gamma
    rounding = float(np.finfo(operator.domain.dtype).eps)
    for _ in range(steps):
        image = operator(direction)
        length = square(direction, axes)
        curvature = like(square(image, data_axes), axes) + tikhonov * length
        # Rounding of the gradient: it is computed from the residual, through A, of which `largest` bounds the size.
        largest = largest.clip(min=curvature / (length + (length <= 0)))
        value = like(square(residual, data_axes), axes) + tikhonov * square(x, axes)
        least = least.clip(min=largest * value)
        moving = (gamma > rounding**2 * least) & (curvature > 0)  # items that are done stay where they are
        if not moving.any():
            break
        step = moving * (gamma / (curvature + ~moving))
        x = x + step * direction
        residual = residual - like(step, data_axes) * image
        gradient = operator.adjoint(residual) - tikhonov * x
        previous, gamma = gamma, square(gradient, axes)
        direction = gradient + moving * (gamma / (previous + ~moving)) * direction
    return x
