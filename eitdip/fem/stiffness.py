"""Assembly of K(sigma) restricted to some nodes, plus a fixed symmetric term, and its solver."""

import numpy as np
from scipy import sparse

from eitdip.errors import NotPositiveError
from eitdip.fem.linear_solver import CholeskySolver
from eitdip.fem.spaces import Discretization
from eitdip.operator import Space
from eitdip.parallel import gather_columns, share_of, together


class StiffnessSystem:
    """A(sigma) = R K(sigma) R^T + B, where R keeps the nodes `free`; symmetric positive definite.

    The CSR values of A are one sparse product with sigma. Right-hand sides are split over the
    ranks of `comm`, each of which holds the whole mesh and factor ("pattern-parallel").

    Args:
        discretization: Spaces and edge network.
        free: Increasing node numbers that are kept.
        constant: B on all nodes, shape (n, n), or None.
        comm: MPI communicator.
    """

    def __init__(self, discretization: Discretization, free: np.ndarray, constant, comm):
        self.comm = comm
        self.free = free
        edges, weights = discretization.edges, discretization.weights
        position = np.full(discretization.size, -1)
        position[free] = np.arange(len(free))
        i, j = position[edges[:, 0]], position[edges[:, 1]]
        e = np.arange(len(edges))
        both = (i >= 0) & (j >= 0)
        # Entries as (row, column, edge, sign): -c at (i, j) and (j, i), +c at (i, i) and (j, j).
        rows = np.concatenate([i[both], j[both], i[i >= 0], j[j >= 0]])
        columns = np.concatenate([j[both], i[both], i[i >= 0], j[j >= 0]])
        source = np.concatenate([e[both], e[both], e[i >= 0], e[j >= 0]])
        sign = np.concatenate([-np.ones(2 * both.sum()), np.ones((i >= 0).sum() + (j >= 0).sum())])

        size = len(free)
        diagonal = np.arange(size)
        fixed = sparse.coo_array((size, size)) if constant is None else constant.tocsr()[free][:, free].tocoo()
        keys = np.concatenate([rows * np.int64(size) + columns, diagonal * np.int64(size) + diagonal])
        keys = np.unique(np.concatenate([keys, fixed.row * np.int64(size) + fixed.col]))
        place = np.searchsorted(keys, rows * np.int64(size) + columns)
        scatter = sparse.csr_array((sign, (place, source)), shape=(len(keys), len(edges)))
        self._assembly = (scatter @ weights).tocsr()
        self._constant = np.zeros(len(keys))
        np.add.at(self._constant, np.searchsorted(keys, fixed.row * np.int64(size) + fixed.col), fixed.data)

        indptr = np.searchsorted(keys, np.arange(size + 1) * np.int64(size))
        pattern = sparse.csr_array((np.ones(len(keys)), keys % size, indptr), shape=(size, size))
        self.solver = CholeskySolver(pattern)

    def factorize(self, sigma: np.ndarray) -> None:
        """Assemble and factor A(sigma); an error on one rank is raised on all."""
        with together(self.comm):
            self.solver.factorize(self._assembly @ sigma + self._constant)

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """Solve for the columns of `rhs` (free, K), split over the ranks; all ranks get all columns."""
        count = rhs.shape[1]
        with together(self.comm):
            part = self.solver.solve(rhs[:, share_of(count, self.comm)])
        return gather_columns(part, count, self.comm)


def check_sigma(sigma: np.ndarray, space: Space) -> np.ndarray:
    """A conductivity as a float64 array of `space`.

    Raises:
        ShapeError: If its shape differs from the space's.
        NotPositiveError: If an entry is <= 0 or not finite; the message names the first.
    """
    sigma = space.check(sigma)
    bad = ~((sigma > 0) & np.isfinite(sigma))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise NotPositiveError(
            f"{space.label}: entry {first} is {sigma[first]:g}, expected > 0 and finite "
            f"({int(bad.sum())} such entries); use a positivity link"
        )
    return sigma
