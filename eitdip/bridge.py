"""From a forward model to a differentiable torch function."""

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from eitdip.errors import ShapeError
from eitdip.operator import ForwardModel


def apply(model: ForwardModel, x: torch.Tensor) -> torch.Tensor:
    """The value of a forward model, differentiable in `x`.

    The gradient is the exact dual gradient `J.adjoint(dL/dy)`: coefficients against coefficients,
    with no Riesz map, smoothing or scaling. The derivative lives in the autograd graph, so any
    number of forwards may precede a backward.

    Args:
        model: Any `ForwardModel`; it computes in its own precision on the CPU.
        x: Tensor of shape (*batch, *model.domain.shape), on any device.

    Returns:
        Tensor of shape (*batch, *model.range.shape) on the device of `x`, in the model's precision.

    Raises:
        ShapeError: If the last axes of `x` are not the model's domain.
    """
    shape = model.domain.shape
    if tuple(x.shape[x.ndim - len(shape) :]) != shape:
        raise ShapeError(f"{model.domain.label or 'argument'}: got shape {tuple(x.shape)}, expected (*batch, {shape})")
    return _Apply.apply(x, model)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, model):
        ctx.shape, ctx.dtype, ctx.device = x.shape, x.dtype, x.device
        batch = x.shape[: x.ndim - len(model.domain.shape)]
        items = x.detach().cpu().numpy().reshape(-1, *model.domain.shape).astype(model.domain.dtype, copy=False)
        pairs = [model.linearize(item) for item in items]
        ctx.derivatives = [derivative for _, derivative in pairs]
        values = np.stack([value for value, _ in pairs])
        return torch.from_numpy(values.reshape(*batch, *model.range.shape)).to(x.device)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        weights = gradient.detach().cpu().numpy()
        count = len(ctx.derivatives)
        weights = weights.reshape(count, *weights.shape[weights.ndim - len(ctx.derivatives[0].range.shape) :])
        pulled = np.stack([J.adjoint(w) for J, w in zip(ctx.derivatives, weights, strict=True)])
        return torch.from_numpy(pulled.reshape(ctx.shape)).to(ctx.device, ctx.dtype), None
