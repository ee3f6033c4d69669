"""Spaces, forward models and linear operators: the vocabulary of the whole package.

A `ForwardModel` maps coefficient arrays to coefficient arrays. Its `linearize` returns the value
*and* the derivative as a `LinearOperator` that owns everything it needs, so it stays valid after
further calls of the model: nothing in a model remembers "the last point".

A model says on which arrays it computes. One that computes on tensors takes NumPy arrays too and gives
arrays back, so whatever is composed of both kinds is a model on arrays.
"""

from eitdip.operator.krylov import cgls
from eitdip.operator.matrix import Matrix
from eitdip.operator.models import ForwardModel, LinearOperator
from eitdip.operator.spaces import Space
from eitdip.operator.stack import stack

__all__ = ["ForwardModel", "LinearOperator", "Matrix", "Space", "cgls", "stack"]
