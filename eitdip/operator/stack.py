"""Several operators on the same x as one."""

from dataclasses import replace

import numpy as np

from eitdip.errors import ShapeError
from eitdip.operator.models import Composed, LinearOperator
from eitdip.operator.spaces import must_match


class _Stack(Composed, LinearOperator):
    def __init__(self, *operators: LinearOperator):
        (rows, *others), first = operators[0].range.shape, operators[0]
        for operator in operators[1:]:
            must_match(operator.domain, first.domain, "domain of a part of the stack")
            alike = replace(operator.range, shape=(rows, *operator.range.shape[1:]))
            must_match(alike, first.range, "range of a part of the stack, but for its first axis")
        ends = np.cumsum([operator.range.shape[0] for operator in operators]).tolist()
        super().__init__(first.domain, replace(first.range, shape=(ends[-1], *others)), *operators)
        self.concatenate = next(part for part in operators if part.arrays == self.arrays).concatenate
        # The last piece is open: each part refuses what has not the shape of its range.
        pieces = zip([0, *ends], [*ends[:-1], None], strict=False)
        self._pieces = [(..., slice(*ends), *(slice(None) for _ in others)) for ends in pieces]

    def __call__(self, x):
        return self.concatenate([part(x) for part in self.parts], -len(self.range.shape))

    def adjoint(self, y):
        first, *others = (part.adjoint(y[piece]) for part, piece in zip(self.parts, self._pieces, strict=True))
        return sum(others, first)


def stack(*operators: LinearOperator) -> LinearOperator:
    """All images of x in one: the ranges, which may differ in their first axis only, behind each other along it.

    Raises:
        ShapeError: If the operators do not fit, or there is none.
    """
    if not operators or not all(operator.range.shape for operator in operators):
        got = "an operator whose values have no first axis" if operators else "none"
        raise ShapeError(f"stack: got {got}, expected operators with ranges that can be joined")
    return operators[0].composed(_Stack(*operators))
