"""Forward models, linear operators and their algebra: sums, products, multiples, adjoints."""

from abc import ABC, abstractmethod

import numpy as np

from eitdip.errors import CheckpointError, ShapeError
from eitdip.operator.krylov import cgls
from eitdip.operator.spaces import Space, must_match


class ForwardModel(ABC):
    """A differentiable map between two spaces.

    Subclasses set `domain` and `range` and implement `linearize`.

    Attributes:
        arrays: "numpy", or "torch" for tensors with any batch axes, differentiably.
        device: Where the tensors are; "cpu" on NumPy arrays.
        linear: Whether it is a `LinearOperator`.
    """

    domain: Space
    range: Space
    arrays: str = "numpy"
    device = "cpu"
    linear: bool = False

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

    def to(self, device) -> "ForwardModel":
        """This model with its tensors moved to a device; nothing happens on NumPy arrays."""
        return self

    def solver_report(self) -> dict:
        """The solver in use and what it has done so far, as JSON values; empty if there is none."""
        return {}

    def __matmul__(self, inner: "ForwardModel") -> "ForwardModel":
        """Composition: `(A @ B)(x) = A(B(x))`, derivatives by the chain rule."""
        return _Composition(self, inner)


class LinearOperator(ForwardModel):
    """A linear map with its exact (conjugate) transpose on coefficient vectors.

    Riesz maps are never hidden here: `adjoint` satisfies sum(conj(A x) * y) = sum(conj(x) * A* y).
    """

    linear = True

    @abstractmethod
    def __call__(self, x):
        """`A x`."""

    @abstractmethod
    def adjoint(self, y):
        """`A* y`."""

    def linearize(self, x):
        """`A x` and the operator itself."""
        return self(x), self

    def pinv(self, y):
        """An approximate least-squares solution, the input of networks that post-process: 30 steps of CGLS."""
        return cgls(self, self.range.check(y), steps=30)

    def norm(self, steps: int = 50, seed: int = 0) -> float:
        """Largest singular value by the power method, from below."""
        x, largest = self.start(seed), 0.0
        for _ in range(steps):
            x = self.adjoint(self(x / self.length(x)))
            largest = float(self.length(x))
            if not largest > 0:
                break
        return largest**0.5

    # What depends on the kind of arrays: operators on tensors have their own.

    concatenate = staticmethod(np.concatenate)  # several arrays, along an axis
    length = staticmethod(np.linalg.norm)  # Euclidean, of one array

    def start(self, seed: int):
        """A standard normal element of the domain."""
        return self.domain.random(np.random.default_rng(seed))

    def composed(self, composition: "LinearOperator") -> "LinearOperator":
        """What stands for a composition of this operator with others."""
        return composition

    @property
    def H(self) -> "LinearOperator":
        """The adjoint as an operator."""
        return self.composed(_Adjoint(self))

    def __matmul__(self, inner: ForwardModel) -> ForwardModel:
        return self.composed(_Product(self, inner)) if inner.linear else super().__matmul__(inner)

    def __add__(self, other: "LinearOperator") -> "LinearOperator":
        return self.composed(_Sum(self, other))

    def __mul__(self, scalar) -> "LinearOperator":
        return self.composed(_Scaled(self, scalar))

    __rmul__ = __mul__

    def __neg__(self) -> "LinearOperator":
        return -1.0 * self

    def __sub__(self, other: "LinearOperator") -> "LinearOperator":
        return self + -other

    def dense(self) -> np.ndarray:
        """The matrix, shape (range.size, domain.size), built column by column."""
        columns = np.empty((self.range.size, self.domain.size), dtype=self.range.dtype)
        unit = np.zeros(self.domain.size, dtype=self.domain.dtype)
        for j in range(self.domain.size):
            unit[j] = 1
            columns[:, j] = np.asarray(self(unit.reshape(self.domain.shape))).ravel()
            unit[j] = 0
        return columns


class Composed(ForwardModel):
    """What compositions have of their parts: tensors only if all of them compute on tensors."""

    def __init__(self, domain: Space, range: Space, *parts: ForwardModel):
        self.domain, self.range, self.parts = domain, range, parts
        self.arrays = "torch" if all(part.arrays == "torch" for part in parts) else "numpy"

    @property
    def device(self):
        return self.parts[0].device if self.arrays == "torch" else "cpu"

    def to(self, device):
        for part in self.parts:
            part.to(device)
        return self

    def solver_report(self):
        return {name: value for part in self.parts for name, value in part.solver_report().items()}


class _Composition(Composed):
    def __init__(self, outer: ForwardModel, inner: ForwardModel):
        must_match(inner.range, outer.domain, "range of the inner model of a composition")
        super().__init__(inner.domain, outer.range, outer, inner)

    def __call__(self, x):
        outer, inner = self.parts
        return outer(inner(x))

    def state(self):
        parts = zip(("outer", "inner"), self.parts, strict=True)
        return {f"{name}.{key}": value for name, part in parts for key, value in part.state().items()}

    def restore(self, state):
        for name, part in zip(("outer.", "inner."), self.parts, strict=True):
            part.restore({key.removeprefix(name): v for key, v in state.items() if key.startswith(name)})

    def linearize(self, x):
        outer, inner = self.parts
        y, inner_slope = inner.linearize(x)
        z, outer_slope = outer.linearize(y)
        return z, outer_slope @ inner_slope


class _Product(_Composition, LinearOperator):
    linearize = LinearOperator.linearize

    def adjoint(self, y):
        left, right = self.parts
        return right.adjoint(left.adjoint(y))


class _Adjoint(Composed, LinearOperator):
    def __init__(self, operator: LinearOperator):
        super().__init__(operator.range, operator.domain, operator)

    def __call__(self, x):
        return self.parts[0].adjoint(x)

    def adjoint(self, y):
        return self.parts[0](y)


class _Sum(Composed, LinearOperator):
    def __init__(self, left: LinearOperator, right: LinearOperator):
        must_match(right.domain, left.domain, "domain of the second summand")
        must_match(right.range, left.range, "range of the second summand")
        super().__init__(left.domain, left.range, left, right)

    def __call__(self, x):
        left, right = self.parts
        return left(x) + right(x)

    def adjoint(self, y):
        left, right = self.parts
        return left.adjoint(y) + right.adjoint(y)


class _Scaled(Composed, LinearOperator):
    def __init__(self, operator: LinearOperator, scalar):
        if np.iscomplexobj(scalar) and not np.issubdtype(operator.range.dtype, np.complexfloating):
            raise ShapeError(f"scalar: got the complex number {scalar}, but the operator is {operator.range.dtype}")
        super().__init__(operator.domain, operator.range, operator)
        # Python's own numbers leave the precision of arrays and tensors alone.
        self.scalar = complex(scalar) if np.iscomplexobj(scalar) else float(scalar)

    def __call__(self, x):
        return self.scalar * self.parts[0](x)

    def adjoint(self, y):
        return self.parts[0].adjoint(self.scalar.conjugate() * y)  # before A*, which may take the real part
