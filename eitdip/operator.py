"""Spaces, forward models and linear operators: the vocabulary of the whole package.

A `ForwardModel` maps coefficient arrays to coefficient arrays. Its `linearize` returns the value
*and* the derivative as a `LinearOperator` that owns everything it needs, so it stays valid after
further calls of the model: nothing in a model remembers "the last point".
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import prod

import numpy as np

from eitdip.errors import CheckpointError, ShapeError


@dataclass(frozen=True)
class Space:
    """Arrays of one shape and type. Equality of shape and dtype decides what composes with what.

    Args:
        shape: Shape of the arrays, without batch axes.
        dtype: NumPy name of the scalar type.
        label: What the numbers are, with their unit; for people, not compared.
    """

    shape: tuple[int, ...]
    dtype: str = "float64"
    label: str = field(default="", compare=False)

    @property
    def size(self) -> int:
        """Number of scalars."""
        return prod(self.shape)

    def check(self, x: np.ndarray) -> np.ndarray:
        """`x` as an array of this space.

        Raises:
            ShapeError: If the shape differs, or x is complex and the space is real.
        """
        x, what = np.asarray(x), self.label or "array"
        if np.iscomplexobj(x) and not np.issubdtype(self.dtype, np.complexfloating):
            raise ShapeError(f"{what}: got complex numbers, expected {self.dtype}")
        x = x.astype(self.dtype, copy=False)
        if x.shape != self.shape:
            raise ShapeError(f"{what}: got shape {x.shape}, expected {self.shape}")
        return x

    def random(self, rng: np.random.Generator) -> np.ndarray:
        """A standard normal element."""
        x = rng.standard_normal(self.shape)
        if np.issubdtype(np.dtype(self.dtype), np.complexfloating):
            x = x + 1j * rng.standard_normal(self.shape)
        return x.astype(self.dtype)


class ForwardModel(ABC):
    """A differentiable map between two spaces.

    Subclasses set `domain` and `range` and implement `linearize`.
    """

    domain: Space
    range: Space

    def __call__(self, x):
        """The value at `x`."""
        return self.linearize(x)[0]

    @abstractmethod
    def linearize(self, x) -> "tuple[np.ndarray, LinearOperator]":
        """The value at `x` and the derivative there, which stays valid after further calls."""

    def state(self) -> dict[str, np.ndarray]:
        """What later values depend on, to rounding: a preconditioner's point. Most models have none."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state()`, so that an interrupted run goes on with the same bits.

        Raises:
            CheckpointError: If this model keeps no state but is given one.
        """
        if state:
            raise CheckpointError(
                f"solver state: got {', '.join(state)}, but this model keeps none; resume with the options of the run"
            )

    def __matmul__(self, inner: "ForwardModel") -> "ForwardModel":
        """Composition: `(A @ B)(x) = A(B(x))`, derivatives by the chain rule."""
        if isinstance(self, LinearOperator) and isinstance(inner, LinearOperator):
            return _Product(self, inner)
        return _Composition(self, inner)


class LinearOperator(ForwardModel):
    """A linear map with its exact (conjugate) transpose on coefficient vectors.

    Riesz maps are never hidden here: `adjoint` satisfies sum(conj(A x) * y) = sum(conj(x) * A* y).
    """

    @abstractmethod
    def __call__(self, x):
        """`A x`."""

    @abstractmethod
    def adjoint(self, y):
        """`A* y`."""

    def linearize(self, x):
        """`A x` and the operator itself."""
        return self(x), self

    @property
    def H(self) -> "LinearOperator":
        """The adjoint as an operator."""
        return _Adjoint(self)

    def __add__(self, other: "LinearOperator") -> "LinearOperator":
        return _Sum(self, other)

    def __mul__(self, scalar) -> "LinearOperator":
        return _Scaled(self, scalar)

    __rmul__ = __mul__

    def __neg__(self) -> "LinearOperator":
        return _Scaled(self, -1.0)

    def __sub__(self, other: "LinearOperator") -> "LinearOperator":
        return _Sum(self, -other)

    def dense(self) -> np.ndarray:
        """The matrix, shape (range.size, domain.size), built column by column."""
        columns = np.empty((self.range.size, self.domain.size), dtype=self.range.dtype)
        unit = np.zeros(self.domain.size, dtype=self.domain.dtype)
        for j in range(self.domain.size):
            unit[j] = 1
            columns[:, j] = np.asarray(self(unit.reshape(self.domain.shape))).ravel()
            unit[j] = 0
        return columns


class Matrix(LinearOperator):
    """A dense or sparse matrix acting on flattened arrays.

    Args:
        matrix: Array or scipy.sparse matrix of shape (range.size, domain.size).
        domain: Space of the argument; by default vectors.
        range: Space of the value; by default vectors.
    """

    def __init__(self, matrix, domain: Space | None = None, range: Space | None = None):
        rows, columns = matrix.shape
        dtype = np.dtype(matrix.dtype).name
        self.matrix = matrix
        self.domain = domain or Space((columns,), dtype)
        self.range = range or Space((rows,), dtype)
        if (self.range.size, self.domain.size) != (rows, columns):
            raise ShapeError(
                f"matrix: got shape {matrix.shape}, expected {(self.range.size, self.domain.size)} for these spaces"
            )

    def __call__(self, x):
        return (self.matrix @ self.domain.check(x).ravel()).reshape(self.range.shape)

    def adjoint(self, y):
        return (self.matrix.conj().T @ self.range.check(y).ravel()).reshape(self.domain.shape)


def _must_match(got: Space, expected: Space, what: str) -> None:
    if got != expected:
        raise ShapeError(f"{what}: got {got}, expected {expected}")


class _Composition(ForwardModel):
    def __init__(self, outer: ForwardModel, inner: ForwardModel):
        _must_match(inner.range, outer.domain, "range of the inner model of a composition")
        self.outer, self.inner = outer, inner
        self.domain, self.range = inner.domain, outer.range

    def state(self):
        parts = {"outer": self.outer.state(), "inner": self.inner.state()}
        return {f"{part}.{name}": value for part, state in parts.items() for name, value in state.items()}

    def restore(self, state):
        for part, model in (("outer", self.outer), ("inner", self.inner)):
            start = f"{part}."
            model.restore({name.removeprefix(start): v for name, v in state.items() if name.startswith(start)})

    def linearize(self, x):
        y, inner = self.inner.linearize(x)
        z, outer = self.outer.linearize(y)
        return z, outer @ inner


class _Product(LinearOperator):
    def __init__(self, left: LinearOperator, right: LinearOperator):
        _must_match(right.range, left.domain, "range of the right factor")
        self.left, self.right = left, right
        self.domain, self.range = right.domain, left.range

    def __call__(self, x):
        return self.left(self.right(x))

    def adjoint(self, y):
        return self.right.adjoint(self.left.adjoint(y))


class _Adjoint(LinearOperator):
    def __init__(self, operator: LinearOperator):
        self.operator = operator
        self.domain, self.range = operator.range, operator.domain

    def __call__(self, x):
        return self.operator.adjoint(x)

    def adjoint(self, y):
        return self.operator(y)


class _Sum(LinearOperator):
    def __init__(self, left: LinearOperator, right: LinearOperator):
        _must_match(right.domain, left.domain, "domain of the second summand")
        _must_match(right.range, left.range, "range of the second summand")
        self.left, self.right = left, right
        self.domain, self.range = left.domain, left.range

    def __call__(self, x):
        return self.left(x) + self.right(x)

    def adjoint(self, y):
        return self.left.adjoint(y) + self.right.adjoint(y)


class _Scaled(LinearOperator):
    def __init__(self, operator: LinearOperator, scalar):
        if np.iscomplexobj(scalar) and not np.issubdtype(operator.range.dtype, np.complexfloating):
            raise ShapeError(f"scalar: got the complex number {scalar}, but the operator is {operator.range.dtype}")
        self.operator, self.scalar = operator, scalar
        self.domain, self.range = operator.domain, operator.range

    def __call__(self, x):
        return self.scalar * self.operator(x)

    def adjoint(self, y):
        return np.conj(self.scalar) * self.operator.adjoint(y)
