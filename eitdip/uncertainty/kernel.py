"""Prior covariances of a field, K = J S J^T, as far as data and marginals ask for them.

Everything that the data say is about q = Q g, r numbers (`eitdip.uncertainty.linearized`). So of a covariance K over n
entries only three arrays are needed: Q K Q^T, Q K and its diagonal. They are sums over weights in double precision.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyrk

from eitdip.errors import OptionError
from eitdip.ranks.collectives import alone
from eitdip.uncertainty.rows import Rows


@dataclass(frozen=True, eq=False)
class Kernel:
    """A prior covariance K.

    Args:
        inner: Q K Q^T, (r, r).
        cross: Q K, (r, n).
        diagonal: Of K, (n,).
    """

    inner: np.ndarray
    cross: np.ndarray
    diagonal: np.ndarray

    def __add__(self, other: "Kernel") -> "Kernel":
        return Kernel(self.inner + other.inner, self.cross + other.cross, self.diagonal + other.diagonal)

    def __mul__(self, factor: float) -> "Kernel":
        return Kernel(factor * self.inner, factor * self.cross, factor * self.diagonal)

    __rmul__ = __mul__


def weights_kernel(rows: Rows, basis: np.ndarray, variances: np.ndarray, comm=None) -> tuple[Kernel, np.ndarray]:
    """K = J S J^T with a diagonal S.

    Args:
        rows: Of J.
        basis: Q, (r, n).
        variances: Diagonal of S, >= 0, one per weight, (P,).
        comm: The ranks that share the columns of the rows.

    Returns:
        K, and J theta at the weights of the Jacobian, (n,).
    """
    size, count = basis.shape
    theta = rows.jacobian.weights.cpu().numpy().astype(np.float64)
    diagonal, shift = np.zeros(count), np.zeros(count)
    inner, cross = np.zeros((size, size)), np.zeros((size, count))
    # All of K is the cheaper sum then; one triangle of it.
    whole = np.zeros((count, count), order="F") if size > count / 2 else None
    for part, block in rows.columns():
        scaled = block * variances[part]
        diagonal += np.einsum("ij,ij->i", scaled, block)
        shift += block @ theta[part]
        if whole is None:
            seen = basis @ block
            cross += (seen * variances[part]) @ block.T
            inner += (seen * variances[part]) @ seen.T
        else:
            root = (block * np.sqrt(variances[part])).T
            whole = dsyrk(1.0, root, beta=1.0, c=whole, trans=1, overwrite_c=1)
    total = (comm or alone()).allreduce
    if whole is not None:
        whole += np.triu(whole, 1).T
        cross = basis @ total(whole)
        return Kernel(cross @ basis.T, cross, total(diagonal)), total(shift)
    return Kernel(total(inner), total(cross), total(diagonal)), total(shift)


def tensor_kernels(rows: Rows, basis: np.ndarray, comm=None) -> np.ndarray:
    """Q J_b J_b^T Q^T of each weight tensor b alone, shape (tensors, r, r); rows as for `weights_kernel`."""
    ends = np.cumsum([shape.numel() for shape in rows.jacobian.shapes.values()])
    inner = np.zeros((len(ends), len(basis), len(basis)))
    for part, block in rows.columns():
        seen, owners = basis @ block, np.searchsorted(ends, np.arange(part.start, part.stop), side="right")
        for owner in np.unique(owners):
            mine = seen[:, owners == owner]
            inner[owner] += mine @ mine.T
    return (comm or alone()).allreduce(inner)


def variances(shapes: Mapping[str, tuple], weights: np.ndarray, prior: str) -> np.ndarray:
    """Variance of each weight before the amplitude, (P,).

    Args:
        shapes: Name of a tensor to its shape, in order.
        weights: theta, (P,).
        prior: "relative": mean square of the tensor's own weights, which makes the posterior independent of the scale
            of weights before a normalization; "common": 1.

    Raises:
        OptionError: If the prior is unknown.
    """
    if prior == "common":
        return np.ones(len(weights))
    if prior != "relative":
        raise OptionError(f"prior: got {prior!r}, expected 'relative', 'common' or 'per tensor'")
    parts = np.split(weights.astype(np.float64), np.cumsum([shape.numel() for shape in shapes.values()])[:-1])
    return np.concatenate([np.full(len(part), np.square(part).mean()) for part in parts])
