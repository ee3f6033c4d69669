"""Assembly of K(sigma) restricted to some nodes, plus a fixed symmetric term, and its solver."""

import numpy as np
from scipy import sparse

from eitdip.errors import NotPositiveError
from eitdip.fem.linear_solver import make_solver
from eitdip.fem.spaces import Discretization
from eitdip.fem.system_matrix import SystemMatrix
from eitdip.operator import Space
from eitdip.ranks.collectives import Layout, gather_columns, share_of, together
from eitdip.ranks.failures import ending_together


class StiffnessSystem:
    """A(sigma) = R K(sigma) R^T + B, where R keeps the nodes `free`; symmetric positive definite.

    The entries of A are sparse products with sigma. Each group of ranks that holds a mesh solves for
    its share of the right-hand sides.

    Args:
        discretization: Spaces and edge network.
        free: Increasing node numbers of the file that are kept.
        constant: B on all nodes of the file, shape (n, n), or None.
        layout: The ranks.
        solver: A name of `eitdip.fem.linear_solver.SOLVERS`, or "auto".
    """

    def __init__(self, discretization: Discretization, free: np.ndarray, constant, layout: Layout, solver="auto"):
        self.layout = layout
        self.space = discretization
        # Rows of A: the free nodes in the order in which ranks own them.
        position = discretization.position
        ordered = np.sort(position[free])
        self.row = np.full(len(position), -1)
        self.row[free] = np.searchsorted(ordered, position[free])
        self._kept = self.row[discretization.nodes[discretization.owned]] >= 0
        rows, columns = self._assemble_once(constant)
        self.matrix = SystemMatrix(rows, columns, int(self._kept.sum()), layout.mesh)
        self.solver = make_solver(solver, self.matrix, discretization.domain.dimension)
        self._sigma = self._factored = None

    def _assemble_once(self, constant) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of this rank's entries; keeps what turns a conductivity into their values."""
        space, row = self.space, self.row
        ends = row[space.nodes[space.edges]]
        i, j = ends.T
        e = np.arange(len(ends))
        both = (i >= 0) & (j >= 0)
        # Entries as (row, column, edge, sign): -c at (i, j) and (j, i), +c at (i, i) and (j, j).
        rows = np.concatenate([i[both], j[both], i[i >= 0], j[j >= 0]])
        columns = np.concatenate([j[both], i[both], i[i >= 0], j[j >= 0]])
        source = np.concatenate([e[both], e[both], e[i >= 0], e[j >= 0]])
        sign = np.concatenate([-np.ones(2 * both.sum()), np.ones((i >= 0).sum() + (j >= 0).sum())])

        size = np.int64(row.max() + 1)  # 64 bits: row * size + column overflows 32 beyond 46340 rows
        own = row[space.nodes[space.owned]]
        own = own[own >= 0]
        fixed = self._fixed_entries(constant)
        diagonal = own * size + own
        keys = np.unique(np.concatenate([rows * size + columns, diagonal, fixed.row * size + fixed.col]))
        place = np.searchsorted(keys, rows * size + columns)
        scatter = sparse.csr_array((sign, (place, source)), shape=(len(keys), len(space.edges)))
        # On plane meshes one product; on solids, where many cells share an edge, two thin ones have fewer entries.
        merged = (scatter @ space.weights).tocsr() if space.domain.dimension == 2 else None
        self._products = (space.weights, scatter) if merged is None else (merged,)
        constant = sparse.coo_array((fixed.data, (np.searchsorted(keys, fixed.row * size + fixed.col),)), (len(keys),))
        constant.sum_duplicates()
        self._constant = constant.coords[0], constant.data
        return keys // size, keys % size

    def _fixed_entries(self, constant) -> sparse.coo_array:
        """Entries of B, by rows and columns of A, in the rows that this rank owns."""
        size = int(self.row.max() + 1)
        if constant is None:
            return sparse.coo_array((size, size))
        entries = constant.tocoo()
        owned = np.zeros(len(self.row), dtype=bool)
        owned[self.space.nodes[self.space.owned]] = True
        rows, columns = self.row[entries.row], self.row[entries.col]
        mine = owned[entries.row] & (rows >= 0) & (columns >= 0)
        return sparse.coo_array((entries.data[mine], (rows[mine], columns[mine])), shape=(size, size))

    def assembled(self, sigma: np.ndarray) -> np.ndarray:
        """Values of this rank's entries of A(sigma)."""
        values = sigma
        for product in self._products:
            values = product @ values
        where, fixed = self._constant
        values[where] += fixed
        return values

    def update(self, sigma: np.ndarray) -> None:
        """Assemble A(sigma) and prepare its solver; an error on one rank is raised on all."""
        before = self.solver.factorizations
        with together(self.layout.everyone), ending_together(self.layout.mesh):
            self.solver.update(self.assembled(sigma))
        self._sigma = sigma
        self._note_factor(before)

    def solve(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Potentials for K loads, split over the groups of ranks.

        Args:
            support: Free nodes of the file where there is load, shape (S,).
            values: Loads there, shape (S, K), the same on every rank.

        Returns:
            Potentials at this rank's nodes, shape (n, K), zero where a node is not free.
        """
        count, before = values.shape[1], self.solver.factorizations
        with together(self.layout.everyone), ending_together(self.layout.mesh):
            part = self.solver.solve(self.row[support], values[:, share_of(count, self.layout.patterns)])
        self._note_factor(before)
        self._agree(before)
        part = gather_columns(part, count, self.layout.patterns)
        # Rows contiguous, as the edge sums want them.
        if self._kept.all():
            owned = np.ascontiguousarray(part)
        else:
            owned = np.zeros((len(self._kept), count))
            owned[self._kept] = part
        return self.space.with_neighbours(owned)

    def _note_factor(self, before: int) -> None:
        if self.solver.factorizations > before:
            self._factored = self._sigma.copy()

    def _agree(self, before: int) -> None:
        """Groups that solve for other columns need other numbers of iterations, but renew factors together."""
        if self.layout.patterns.size > 1 and self.solver.name == "last-factor":
            restless = self.solver.tired or self.solver.factorizations > before
            self.solver.tired = any(self.layout.patterns.allgather(restless))

    def state(self) -> dict[str, np.ndarray]:
        """The conductivity whose factor preconditions later solves, where there is such."""
        if self.solver.name != "last-factor" or self._factored is None:
            return {}
        return {"factored": self._factored, "tired": np.array(self.solver.tired)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Make that factor anew."""
        if state and self.solver.name == "last-factor":
            self.solver.tired = True
            self.update(np.asarray(state["factored"], dtype=float))
            self.solver.tired = bool(state["tired"])

    def report(self) -> dict:
        """What the solver did, for the result's file."""
        return self.solver.report() | {"unknowns": self.matrix.size, "ranks per mesh": self.layout.mesh.size}


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
