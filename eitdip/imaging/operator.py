"""Linear operators on batches of torch tensors, differentiable by their own adjoint."""

from abc import abstractmethod

import numpy as np
import torch
from torch import nn

from eitdip.errors import ShapeError
from eitdip.imaging.krylov import cgls
from eitdip.imaging.noise import Gaussian, Noise
from eitdip.operator import LinearOperator, Space


class ImagingOperator(nn.Module, LinearOperator):
    """y = A x on tensors (*batch, *domain.shape), on the device of its buffers.

    NumPy arrays are taken too and give arrays back, so it is a `LinearOperator` like any other: sums, products,
    `dense`, `.H` and all that is verified of operators. On tensors it is differentiable any number of times, forward
    and backward, also under `torch.func.vmap`: by its own adjoint, never by what a library's code makes of it.

    Subclasses call `super().__init__(domain, range)`, keep all arrays in buffers, and implement `forward` and
    `transpose` for tensors (B, *shape) of the dtypes of the spaces.

    Args:
        domain: Of images.
        range: Of data.
        noise: What is between A x and the data that are measured; by default Gaussian of deviation 1.
    """

    def __init__(self, domain: Space, range: Space, noise: Noise | None = None):
        super().__init__()
        self.domain, self.range = domain, range
        self.noise = Gaussian() if noise is None else noise

    @abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, *domain.shape) to (B, *range.shape); the gradient of what happens here is not used."""

    @abstractmethod
    def transpose(self, y: torch.Tensor) -> torch.Tensor:
        """(B, *range.shape) to (B, *domain.shape): the exact conjugate transpose of `forward`."""

    def __call__(self, x):
        """`A x`.

        Raises:
            ShapeError: If the last axes are not the domain's, or x is complex and the domain is real.
        """
        return _on_tensors(x, self.domain, lambda t: _Linear.apply(t, self, False))

    def adjoint(self, y):
        """`A* y`.

        Raises:
            ShapeError: If the last axes are not the range's, or y is complex and the range is real.
        """
        return _on_tensors(y, self.range, lambda t: _Linear.apply(t, self, True))

    def pinv(self, y):
        """An approximate least-squares solution, the input of networks that post-process: 30 steps of CGLS."""
        return _on_tensors(y, self.range, lambda t: cgls(self, t, steps=30))

    def norm(self, steps: int = 50, seed: int = 0) -> float:
        """Largest singular value by the power method, from below."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(self.domain.shape, generator=generator, dtype=_TYPES[self.domain.dtype]).to(self.device)
        largest = 0.0
        for _ in range(steps):
            x = self.adjoint(self(x / torch.linalg.vector_norm(x)))
            largest = float(torch.linalg.vector_norm(x))
        return largest**0.5

    @property
    def device(self) -> torch.device:
        """Where its buffers are; operators without any follow the CPU."""
        return next((buffer.device for buffer in self.buffers()), torch.device("cpu"))


_TYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}


def _on_tensors(x, space: Space, apply):
    """`apply` on tensors of the space's dtype; what comes in as an array goes out as one."""
    tensor = x if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))
    what = space.label or "array"
    if tensor.ndim < len(space.shape) or tuple(tensor.shape[tensor.ndim - len(space.shape) :]) != space.shape:
        raise ShapeError(f"{what}: got shape {tuple(tensor.shape)}, expected (*batch, {space.shape})")
    if tensor.is_complex() and not space.dtype.startswith("complex"):
        raise ShapeError(f"{what}: got complex numbers, expected {space.dtype}")
    result = apply(tensor.to(_TYPES[space.dtype]))
    return result if isinstance(x, torch.Tensor) else result.detach().cpu().numpy()


class _Linear(torch.autograd.Function):
    """A or A*, whose derivative is itself and whose transpose is the other one."""

    @staticmethod
    def forward(x, operator, flipped):
        before, after = (operator.range, operator.domain) if flipped else (operator.domain, operator.range)
        batch = x.shape[: x.ndim - len(before.shape)]
        with torch.no_grad():
            items = x.reshape(-1, *before.shape)
            image = operator.transpose(items) if flipped else operator.forward(items)
        return image.reshape(*batch, *after.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.operator, ctx.flipped = inputs

    @staticmethod
    def backward(ctx, gradient):
        return _Linear.apply(gradient, ctx.operator, not ctx.flipped), None, None

    @staticmethod
    def jvp(ctx, direction, *_):
        return _Linear.apply(direction, ctx.operator, ctx.flipped)

    @staticmethod
    def vmap(info, axes, x, operator, flipped):
        return _Linear.apply(x.movedim(axes[0], 0), operator, flipped), 0
