"""Leading singular values and vectors of a linear operator, from products with it and its adjoint alone.

A random block is sent through the operator and, by subspace iteration, turned towards the leading singular
vectors; the values are those of the operator on that block (Rayleigh-Ritz). The error of a value is the square
of that of the subspace, and falls in each round by the fourth power of (first value left out / value).

The adjoint of operators is that of real numbers here: complex arrays are pairs of real ones, since weights are real.

References:
    Halko, Martinsson, Tropp (2011), Finding structure with randomness, SIAM Review 53, algorithms 4.4 and 5.1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, subspace_angles, svd

from eitdip.errors import LinearSolverError, OptionError, ShapeError
from eitdip.operator import LinearOperator, Space


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Leading singular triplets.

    Args:
        values: Decreasing, shape (r,).
        left: In the operator's range, of length one and orthogonal, shape (r, *range.shape).
        right: In its domain, shape (r, *domain.shape).
    """

    values: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def angle(self, other: "Spectrum", count: int | None = None) -> float:
        """Largest angle between the spaces of the leading left vectors, radians, 0 to pi / 2.

        Args:
            other: Of an operator with the same range.
            count: How many vectors lead; by default all.

        Raises:
            OptionError: If one has not so many.
            ShapeError: If their ranges differ.
        """
        count = len(self.values) if count is None else count
        if not 1 <= count <= min(len(self.values), len(other.values)):
            raise OptionError(f"count: got {count}, expected 1 to {min(len(self.values), len(other.values))} vectors")
        if self.left.shape[1:] != other.left.shape[1:]:
            raise ShapeError(f"left vectors: got shape {other.left.shape[1:]}, expected {self.left.shape[1:]}")
        mine, theirs = (_reals(spectrum.left[:count]).T for spectrum in (self, other))
        return float(subspace_angles(mine, theirs)[0])


def randomized_svd(
    operator: LinearOperator,
    rank: int,
    rng: np.random.Generator,
    *,
    oversampling: int = 10,
    tolerance: float = 1e-8,
    rounds: int = 50,
) -> Spectrum:
    """The leading singular triplets.

    Args:
        operator: On arrays or on tensors; only products with it and its adjoint are used, 2 (rank + oversampling) in
            each round.
        rank: How many, at most what both sides of the operator have.
        rng: Draws the block.
        oversampling: Vectors more than asked for: they are what makes a round pay.
        tolerance: It ends when a round changes no value by more than this part of the first one, or than rounding of
            the operator's numbers does.
        rounds: At most.

    Raises:
        OptionError: If the rank is not positive, or larger than a side of the operator.
        LinearSolverError: If the values still change after all rounds.
    """
    sides = [
        space.size * (1 + np.issubdtype(space.dtype, np.complexfloating)) for space in (operator.domain, operator.range)
    ]
    if not 1 <= rank <= min(sides):
        raise OptionError(f"rank: got {rank}, expected 1 to {min(sides)}, the smaller side of the operator")
    width = min(rank + max(oversampling, 0), *sides)
    tolerance = max(tolerance, *(10 * np.finfo(space.dtype).eps for space in (operator.domain, operator.range)))
    forward = _Products(operator, operator.domain, operator.range)
    backward = _Products(operator.adjoint, operator.range, operator.domain)
    block, before = rng.standard_normal((sides[0], width)), np.inf
    for _ in range(rounds):
        # Orthogonal bases in every half round: without, all columns turn to the first vector.
        right, _ = qr(block, mode="economic")
        left, values, turn = svd(forward(right), full_matrices=False)
        if np.abs(values[:rank] - before).max() <= tolerance * values[0]:
            return Spectrum(values[:rank], forward.split(left[:, :rank]), backward.split(right @ turn[:rank].T))
        block, before = backward(left), values[:rank]
    raise LinearSolverError(
        f"randomized SVD: the {rank} values still change after {rounds} rounds; take more rounds or oversampling"
    )


class _Products:
    """A linear map on the columns of a matrix of real numbers."""

    def __init__(self, call, source: Space, target: Space):
        self.call, self.source, self.target = call, source, target

    def __call__(self, columns: np.ndarray) -> np.ndarray:
        images = (self.call(_elements(column, self.source)) for column in columns.T)
        return np.stack([_reals(np.asarray(image)[None])[0] for image in images], axis=1)

    def split(self, columns: np.ndarray) -> np.ndarray:
        """Columns as elements of the target, along the first axis."""
        return np.stack([_elements(column, self.target) for column in columns.T])


def _elements(column: np.ndarray, space: Space) -> np.ndarray:
    column = np.ascontiguousarray(column)
    if np.issubdtype(space.dtype, np.complexfloating):
        column = column.view(complex)
    return column.reshape(space.shape)


def _reals(elements: np.ndarray) -> np.ndarray:
    """Elements along the first axis as rows of real numbers."""
    flat = np.ascontiguousarray(elements).reshape(len(elements), -1)
    return (flat.view(flat.real.dtype) if np.iscomplexobj(flat) else flat).astype(float, copy=False)
