"""Variable projection: the output layer of a potential network is solved for, not trained.

Potentials enter a strong-form loss linearly, and a network is linear in its output layer. So the best output
layer for given hidden layers and a given conductivity is a small least-squares problem. At its solution the
slope of the loss along the output layer is zero, so the loss may be differentiated as if that layer were
constant: the other parameters descend the loss with the potentials already at their best. A small ridge, without which
the problem could be singular, leaves an error of a few thousandths in that slope where the functions nearly depend.

References:
    Golub, Pereyra (1973), SIAM J. Numer. Anal. 10(2).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from eitdip.errors import DivergenceError
from eitdip.networks.jets import Jet


@dataclass(frozen=True)
class Condition:
    """R linear conditions on each of K potentials: weight * (rows - target) should be small.

    Args:
        rows: What they ask of C functions, such as their residual: shape (R, C). For the potentials themselves C = K.
        target: Shape (R, K), or one that broadcasts to it.
        weight: Shape (R, K), or (1, K) if all conditions on a potential have the same.
    """

    rows: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor

    def error(self) -> torch.Tensor:
        """weight * (rows - target) of the potentials themselves, shape (R, K)."""
        return self.weight * (self.rows - self.target)

    def times(self, factor: torch.Tensor) -> "Condition":
        """The same with all weights multiplied by a factor, shape (R, K), (R, 1), (1, K) or (1, 1)."""
        if factor.shape[1] > 1:
            return Condition(self.rows, self.target, self.weight * factor)
        return Condition(self.rows * factor, self.target * factor, self.weight)  # one weight for all rows stays one


def basis(network: nn.Module, x: Jet) -> Jet:
    """What the output layer of a network combines: its J inputs, and 1 for the bias; C = J + 1 functions."""
    count = network.output.weight.shape[1]
    identity = torch.eye(count + 1, dtype=x.parts.dtype, device=x.parts.device)
    output = {"output.weight": identity[:, :count], "output.bias": identity[:, count]}
    return torch.func.functional_call(network, output, (x,))


def best_combination(conditions: Iterable[Condition], ridge: float = 1e-12) -> torch.Tensor:
    """Minimize the squares of all conditions over combinations of C functions, in double precision.

    Args:
        conditions: On the C functions.
        ridge: On the coefficients, relative to the mean diagonal of the normal equations; > 0. Functions of
            a network nearly depend on each other, and there is no use in large coefficients that cancel.

    Returns:
        Coefficients, shape (C, K).

    Raises:
        DivergenceError: If the conditions are not finite.
    """
    gram, load = 0.0, 0.0
    for condition in conditions:
        rows, squares = condition.rows.double(), condition.weight.double().square().T[..., None]  # (K, R or 1, 1)
        target = condition.target.double().expand(len(rows), -1)
        if squares.shape[1] == 1:  # one product serves all potentials
            gram = gram + squares * (rows.T @ rows)
            load = load + squares[:, 0] * (target.T @ rows)
        else:
            weighted = squares * rows
            gram = gram + weighted.mT @ rows
            load = load + (weighted * target.T[..., None]).sum(dim=1)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    diagonal += ridge * diagonal.mean(dim=1, keepdim=True)
    factor, failed = torch.linalg.cholesky_ex(gram)
    if failed.any():
        raise DivergenceError(
            f"potentials: the least-squares problem of pattern {int(failed.argmax())} is singular or not finite, "
            "expected a conductivity and networks that are; lower the learning rate"
        )
    return torch.cholesky_solve(load[..., None], factor)[..., 0].T
