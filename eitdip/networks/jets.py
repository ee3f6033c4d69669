"""Functions with their derivatives: values, gradients and Laplacians carried forward through a network.

A differential equation needs the derivatives of K potentials at P points. Differentiating backwards costs a pass per
potential and derivative; carried forward, all of them cost d + 2 plain forward passes, whatever K is.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Jet:
    """C functions at P points in d dimensions.

    Args:
        parts: Shape (1 + d, P, C): values and first derivatives; or (2 + d, P, C), with the Laplacian last.
        dimension: d.
    """

    parts: torch.Tensor
    dimension: int

    @staticmethod
    def coordinates(points: torch.Tensor, *, laplacian: bool = True) -> "Jet":
        """The d coordinate functions themselves.

        Args:
            points: Shape (P, d).
            laplacian: Whether to carry Laplacians, not gradients alone.
        """
        count, dimension = points.shape
        slopes = torch.eye(dimension, dtype=points.dtype, device=points.device)[:, None].expand(-1, count, -1)
        rest = [torch.zeros_like(points)[None]] if laplacian else []
        return Jet(torch.cat([points[None], slopes, *rest]), dimension)

    @property
    def value(self) -> torch.Tensor:
        """Shape (P, C)."""
        return self.parts[0]

    @property
    def gradient(self) -> torch.Tensor:
        """Shape (d, P, C)."""
        return self.parts[1 : 1 + self.dimension]

    @property
    def has_laplacian(self) -> bool:
        """Whether the Laplacian is carried."""
        return len(self.parts) == 2 + self.dimension

    @property
    def laplacian(self) -> torch.Tensor:
        """Shape (P, C)."""
        return self.parts[1 + self.dimension]

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> "Jet":
        """Linear combinations: weight (C', C), bias (C',); the bias has no derivatives."""
        parts = functional.linear(self.parts, weight)
        if bias is not None:
            parts = torch.cat([parts[:1] + bias, parts[1:]])
        return Jet(parts, self.dimension)

    def through(self, value: torch.Tensor, first: torch.Tensor, second: torch.Tensor | None = None) -> "Jet":
        """f of each function, given f, f' and f'' at the values, all of shape (P, C); f'' if Laplacians are carried."""
        parts = [value[None], first * self.gradient]
        if self.has_laplacian:
            parts.append((second * self.gradient.square().sum(dim=0) + first * self.laplacian)[None])
        return Jet(torch.cat(parts), self.dimension)

    def tanh(self, shift: torch.Tensor | None = None) -> "Jet":
        """Hyperbolic tangent, of each function plus its `shift` (C,)."""
        shift = self.parts.new_zeros(self.parts.shape[-1]) if shift is None else shift
        return Jet(_Tanh.apply(self.parts, shift, self.dimension), self.dimension)

    def sin(self) -> "Jet":
        """Sine."""
        value = torch.sin(self.value)
        return self.through(value, torch.cos(self.value), -value)

    def cos(self) -> "Jet":
        """Cosine."""
        value = torch.cos(self.value)
        return self.through(value, -torch.sin(self.value), -value)

    def __add__(self, other: "Jet") -> "Jet":
        return Jet(self.parts + other.parts, self.dimension)

    def __sub__(self, other: "Jet") -> "Jet":
        return Jet(self.parts - other.parts, self.dimension)

    def __rsub__(self, number: float) -> "Jet":
        return Jet(torch.cat([number - self.parts[:1], -self.parts[1:]]), self.dimension)

    def __mul__(self, other: "Jet") -> "Jet":
        """Products of functions; one of the two may be a single function (C = 1)."""
        a, b = self.value, other.value
        parts = [(a * b)[None], a * other.gradient + b * self.gradient]
        if self.has_laplacian:
            cross = 2 * (self.gradient * other.gradient).sum(dim=0)
            parts.append((a * other.laplacian + b * self.laplacian + cross)[None])
        return Jet(torch.cat(parts), self.dimension)


class _Tanh(torch.autograd.Function):
    """`Jet.through` for tanh with few passes over memory: networks spend most of their time here."""

    @staticmethod
    def forward(ctx, parts, shift, dimension):
        value = torch.tanh(parts[0] + shift)
        first = 1 - value.square()
        result = parts * first
        result[0] = value
        if len(parts) == 2 + dimension:
            squares = parts[1 : 1 + dimension].square().sum(dim=0)
            result[-1].addcmul_(value * first, squares, value=-2)
        ctx.save_for_backward(parts, result)
        ctx.dimension = dimension
        return result

    @staticmethod
    def backward(ctx, grad):
        parts, result = ctx.saved_tensors
        value, slopes = result[0], slice(1, 1 + ctx.dimension)
        first = 1 - value.square()
        second = -2 * value * first
        inner = grad * first
        inner[0] += second * (parts[1:] * grad[1:]).sum(dim=0)
        if len(parts) == 2 + ctx.dimension:
            third = first * (6 * value.square() - 2)
            inner[0] += third * parts[slopes].square().sum(dim=0) * grad[-1]
            inner[slopes] += 2 * second * grad[-1] * parts[slopes]
        return inner, inner[0].sum(dim=0), None
