"""Derivatives with respect to the weights of a parameterization, as linear operators.

With weights theta, field g(theta), unknowns x = P g and model F the chain is

    d data = F'(x) P g'(theta) d theta,

and each factor is an operator: products with g' by forward mode, with its adjoint by reverse mode, and P by itself,
since a sparse product has no forward mode. Matrices are made only by `dense()`; with more weights than data
`J.H.dense()` is the cheaper one.

An operator owns a copy of the parameterization, so it stays valid while that is trained on. The copy computes in
evaluation mode, and in double precision unless another is asked for: it is a derivative to rounding also for networks
that are trained in single precision.
"""

import warnings
from copy import deepcopy

import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.imaging import ImagingOperator
from eitdip.operator import ForwardModel, LinearOperator, Space
from eitdip.parameterization import Parameterization


def field_jacobian(parameterization: Parameterization) -> LinearOperator:
    """dg / d theta at the present weights.

    Args:
        parameterization: Its weights theta are all parameters that require gradients, in the order of `parameters()`.

    Returns:
        From weights (P,) to the field before its map P, both float64 tensors or arrays with any batch axes; a complex
        field (*shape) is (*shape, 2), its real and imaginary part.

    Raises:
        OptionError: If no parameter requires gradients.
    """
    return Jacobian(Fields(parameterization))


def unknowns_jacobian(parameterization: Parameterization, space: Space | None = None) -> LinearOperator:
    """dx / d theta at the present weights.

    Args:
        parameterization: As for `field_jacobian`.
        space: Of the unknowns, in the precision of the model; by default as the parameterization gives them.

    Returns:
        From weights (P,) to the unknowns, on tensors or arrays with any batch axes.

    Raises:
        OptionError: If no parameter requires gradients.
        ShapeError: If the unknowns are not in the space.
    """
    fields = Fields(parameterization)
    return FieldMap(fields, space) @ Jacobian(fields)


def data_jacobian(
    model: ForwardModel, parameterization: Parameterization, precision: str = "float64"
) -> LinearOperator:
    """dF(x) / d theta at the present weights: the derivative of the model at x, after that of x.

    Args:
        model: F, linearized once.
        parameterization: As for `field_jacobian`.
        precision: Of g', "float64" or "float32".

    Returns:
        From weights (P,) to data, on tensors if the model is, else on arrays.

    Raises:
        OptionError: If no parameter requires gradients.
        ShapeError: If the unknowns are not the model's.
    """
    fields = Fields(parameterization)
    lower = fields if precision == "float64" else Fields(parameterization, precision)
    to_unknowns = FieldMap(fields, model.domain) @ Jacobian(lower, precision)
    with torch.no_grad():
        x = fields.unknowns()
    _, slope = model.linearize(x if model.arrays == "torch" else x.cpu().numpy())
    return slope @ to_unknowns


def raw_jacobian(parameterization: Parameterization, precision: str = "float64") -> LinearOperator:
    """Derivative of the field before its link, generator() + drift, at the present weights.

    Args:
        parameterization: As for `field_jacobian`.
        precision: "float64", or "float32" for half the time and memory.

    Returns:
        From weights (P,) of that precision to the generator's shape, float64.

    Raises:
        OptionError: If no parameter requires gradients.
    """
    return Jacobian(RawFields(parameterization, precision), precision)


class Fields(nn.Module):
    """A copy of a parameterization in double precision; forward() is its field in real numbers."""

    def __init__(self, parameterization: Parameterization, precision: str = "float64"):
        super().__init__()
        # Sparse maps cannot be copied, and nothing changes them.
        shared = {id(buffer): buffer for buffer in parameterization.buffers() if buffer.layout is not torch.strided}
        self.parameterization = deepcopy(parameterization, shared).to(getattr(torch, precision)).eval()
        if not any(weight.requires_grad for weight in self.parameters()):
            raise OptionError(
                "parameterization: no parameter requires gradients, expected weights to differentiate for"
            )

    def forward(self) -> torch.Tensor:
        field = self.parameterization.field()
        return torch.view_as_real(field) if field.is_complex() else field

    def unknowns(self) -> torch.Tensor:
        """x."""
        return self.parameterization()

    def space(self) -> Space:
        """Of the fields."""
        with torch.no_grad():
            return Space(tuple(self().shape), label="field")


class RawFields(Fields):
    """The same before the link; complex fields are two channels there."""

    def forward(self) -> torch.Tensor:
        return self.parameterization.raw()


class Jacobian(ImagingOperator):
    """g': each product is one pass through the network and its derivative; see `field_jacobian`.

    Attributes:
        shapes: Name of a weight tensor to its shape, in the order in which they make the vector of weights.
    """

    def __init__(self, fields: Fields, precision: str = "float64"):
        named = {name: weight for name, weight in fields.named_parameters() if weight.requires_grad}
        weights = torch.cat([weight.detach().reshape(-1) for weight in named.values()])
        weights = weights.to(getattr(torch, precision))
        super().__init__(Space(tuple(weights.shape), precision, label="weights"), fields.space())
        self.fields = fields
        self.shapes = {name: weight.shape for name, weight in named.items()}
        self.register_buffer("weights", weights)

    def forward(self, x):
        with warnings.catch_warnings():  # torch compiles rules of its own by what it deprecates itself
            warnings.filterwarnings("ignore", "`torch.jit.script` is", DeprecationWarning)
            # Not all directions at once: forward mode under vmap has no rule for some layers, and is no faster.
            return torch.stack([torch.func.jvp(self._field, (self.weights,), (direction,))[1] for direction in x])

    def transpose(self, y):
        _, pull = torch.func.vjp(self._field, self.weights)
        # All directions at once use the cores better: 1.6 times as fast as one by one; more than 32 are slower again.
        return torch.func.vmap(lambda direction: pull(direction)[0], chunk_size=32)(y)

    def _field(self, weights: torch.Tensor) -> torch.Tensor:
        parts = weights.split([shape.numel() for shape in self.shapes.values()])
        named = zip(self.shapes.items(), parts, strict=True)
        return torch.func.functional_call(self.fields, {name: part.reshape(shape) for (name, shape), part in named}, ())


class FieldMap(ImagingOperator):
    """P, from fields in real numbers to unknowns, by what the parameterization does; see `unknowns_jacobian`."""

    def __init__(self, fields: Fields, space: Space | None):
        with torch.no_grad():
            unknowns = fields.unknowns()
        shape = tuple(unknowns.shape)
        space = Space(shape, str(unknowns.dtype).removeprefix("torch."), "unknowns") if space is None else space
        if space.shape != shape or (unknowns.is_complex() and not space.dtype.startswith("complex")):
            raise ShapeError(f"unknowns: got shape {shape} of {unknowns.dtype}, expected {space}")
        super().__init__(fields.space(), space)
        self.fields, self._complex = fields, unknowns.is_complex()
        self.register_buffer("_zero", torch.zeros(self.domain.shape, dtype=torch.float64, device=unknowns.device))

    def forward(self, x):
        return torch.stack([self._map(field) for field in x]).to(getattr(torch, self.range.dtype))

    def transpose(self, y):
        with torch.enable_grad():
            field = self._zero.clone().requires_grad_()
            image = self._map(field)
            y = y.real if y.is_complex() and not image.is_complex() else y  # the adjoint of real numbers
        pull = [torch.autograd.grad(image, field, direction.to(image), retain_graph=True)[0] for direction in y]
        return torch.stack(pull)

    def _map(self, field: torch.Tensor) -> torch.Tensor:
        return self.fields.parameterization.to_unknowns(torch.view_as_complex(field) if self._complex else field)
