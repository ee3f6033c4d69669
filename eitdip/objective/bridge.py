"""From a forward model to a differentiable torch function."""

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from eitdip.cost import Stopwatch
from eitdip.errors import ShapeError
from eitdip.operator import ForwardModel


def apply(model: ForwardModel, x: torch.Tensor, stopwatch: Stopwatch | None = None) -> torch.Tensor:
    """The value of a forward model, differentiable in `x`.

    The gradient is the exact dual gradient `J.adjoint(dL/dy)`: coefficients against coefficients,
    with no Riesz map, smoothing or scaling. The derivative lives in the autograd graph, so any
    number of forwards may precede a backward.

    Args:
        model: Any `ForwardModel`. One on NumPy arrays computes on the CPU in its own precision; one on tensors, such
            as an `eitdip.imaging.ImagingOperator`, on their device, and all its derivatives are torch's.
        x: Tensor of shape (*batch, *model.domain.shape), on any device.
        stopwatch: Counts "model" (value and adjoint) and "data movement" (copies between
            devices and number types), in the backward pass too.

    Returns:
        Tensor of shape (*batch, *model.range.shape) on the device of `x`, in the model's precision.

    Raises:
        ShapeError: If the last axes of `x` are not the model's domain.
    """
    if model.arrays == "torch":
        with (stopwatch or Stopwatch())("model"):
            return model(x)
    shape = model.domain.shape
    if tuple(x.shape[x.ndim - len(shape) :]) != shape:
        raise ShapeError(f"{model.domain.label or 'argument'}: got shape {tuple(x.shape)}, expected (*batch, {shape})")
    return _Apply.apply(x, model, Stopwatch() if stopwatch is None else stopwatch)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, model, stopwatch):
        ctx.shape, ctx.dtype, ctx.device, ctx.stopwatch = x.shape, x.dtype, x.device, stopwatch
        batch = x.shape[: x.ndim - len(model.domain.shape)]
        with stopwatch("data movement"):
            items = x.detach().cpu().numpy().reshape(-1, *model.domain.shape).astype(model.domain.dtype, copy=False)
        with stopwatch("model"):
            pairs = [model.linearize(item) for item in items]
        ctx.derivatives = [derivative for _, derivative in pairs]
        with stopwatch("data movement"):
            values = np.stack([value for value, _ in pairs])
            return torch.from_numpy(values.reshape(*batch, *model.range.shape)).to(x.device)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        count = len(ctx.derivatives)
        with ctx.stopwatch("data movement"):
            weights = gradient.detach().cpu().numpy()
            weights = weights.reshape(count, *weights.shape[weights.ndim - len(ctx.derivatives[0].range.shape) :])
        with ctx.stopwatch("model"):
            pulled = [J.adjoint(w) for J, w in zip(ctx.derivatives, weights, strict=True)]
        with ctx.stopwatch("data movement"):
            return torch.from_numpy(np.stack(pulled).reshape(ctx.shape)).to(ctx.device, ctx.dtype), None, None
