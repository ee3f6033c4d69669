"""Linear operators on batches of torch tensors, differentiable by their own adjoint."""

from abc import abstractmethod

import numpy as np
import torch
from torch import nn

from eitdip.errors import ShapeError
from eitdip.operator import LinearOperator, Space, cgls


class ImagingOperator(nn.Module, LinearOperator):
    """y = A x on tensors (*batch, *domain.shape), on the device of its buffers.

    NumPy arrays are taken too and give arrays back, so it is a `LinearOperator` like any other: sums, products,
    `dense`, `.H` and all that is verified of operators. On tensors it is differentiable any number of times, forward
    and backward, also under `torch.func.vmap`: by its own adjoint, never by what a library's code makes of it. So are
    sums, products, multiples, adjoints and stacks of such operators.

    Subclasses call `super().__init__(domain, range)`, keep all arrays in buffers, and implement `forward` and
    `transpose` for tensors (B, *shape) of the dtypes of the spaces.

    Args:
        domain: Of images.
        range: Of data.
    """

    arrays = "torch"

    def __init__(self, domain: Space, range: Space):
        super().__init__()
        self.domain, self.range = domain, range

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
        return on_tensors(x, self.domain, self.device, lambda t: _Linear.apply(t, self, False))

    def adjoint(self, y):
        """`A* y`.

        Raises:
            ShapeError: If the last axes are not the range's, or y is complex and the range is real.
        """
        return on_tensors(y, self.range, self.device, lambda t: _Linear.apply(t, self, True))

    def pinv(self, y):
        return on_tensors(y, self.range, self.device, lambda t: cgls(self, t, steps=30))

    concatenate = staticmethod(torch.cat)
    length = staticmethod(torch.linalg.vector_norm)

    def start(self, seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(self.domain.shape, generator=generator, dtype=_TYPES[self.domain.dtype]).to(self.device)

    def composed(self, composition):
        return ComposedOperator(composition) if composition.arrays == "torch" else composition

    @property
    def device(self) -> torch.device:
        """Where its buffers are; operators without any follow the CPU."""
        return next((buffer.device for buffer in self.buffers()), torch.device("cpu"))


class ComposedOperator(ImagingOperator):
    """A sum, product, multiple, adjoint or stack of operators on tensors, as one of them.

    Args:
        composition: What `eitdip.operator` made of them.
    """

    def __init__(self, composition: LinearOperator):
        super().__init__(composition.domain, composition.range)
        self.composition, self.parts = composition, nn.ModuleList(composition.parts)

    def forward(self, x):
        return self.composition(x)

    def transpose(self, y):
        return self.composition.adjoint(y)


_TYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}


def on_tensors(x, space: Space, device: torch.device, apply):
    """`apply` on tensors of the space's dtype; what comes in as an array goes to the device and out as an array.

    Here arrays become tensors, and nowhere else.

    Raises:
        ShapeError: If the last axes are not the space's, or x is complex and the space is real.
    """
    tensor = x if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x)).to(device)
    what = space.label or "array"
    if tensor.ndim < len(space.shape) or tuple(tensor.shape[tensor.ndim - len(space.shape) :]) != space.shape:
        raise ShapeError(f"{what}: got shape {tuple(tensor.shape)}, expected (*batch, {space.shape})")
    if tensor.is_complex() and not space.dtype.startswith("complex"):
        raise ShapeError(f"{what}: got complex numbers, expected {space.dtype}")
    result = apply(tensor.to(_TYPES[space.dtype]))
    return result if isinstance(x, torch.Tensor) else result.detach().cpu().resolve_conj().numpy()


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
