"""Which linear solver: a small interface, a table and a rule."""

from typing import Protocol

import numpy as np

from eitdip.errors import choose
from eitdip.fem.direct import Cholesky
from eitdip.fem.iterative import LastFactor, Multigrid
from eitdip.fem.system_matrix import SystemMatrix

# Block low-rank tolerance: residuals of 2e-11, three quarters of the time at 50k nodes, half at 200k.
COMPRESSION = 1e-12


class LinearSolver(Protocol):
    """Solves A x = b for many right-hand sides and many matrices A of one pattern."""

    name: str
    factorizations: int

    def update(self, values: np.ndarray) -> None:
        """Take the values of a new matrix."""

    def solve(self, support: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Solve to a checked accuracy, or raise LinearSolverError; see `Cholesky.solve`."""

    def report(self) -> dict:
        """What was done, as JSON values."""


SOLVERS = {
    "cholesky": Cholesky,
    "cholesky-blr": lambda matrix: Cholesky(matrix, COMPRESSION),
    "last-factor": lambda matrix: LastFactor(matrix, COMPRESSION if matrix.size > 10_000 else 0.0),
    "multigrid": Multigrid,
}


def recommended(dimension: int, size: int) -> str:
    """The solver for "auto", as measured (docs/scaling.md).

    Plane meshes: Cholesky, whose factor is nearly linear in the size. Solids: the same below 10,000
    nodes; up to a million nodes conjugate gradients with the last factor, compressed; beyond,
    where the factor would need tens of GB, multigrid.
    """
    if dimension == 2 or size < 10_000:
        return "cholesky"
    return "last-factor" if size < 1_000_000 else "multigrid"


def make_solver(name: str, matrix: SystemMatrix, dimension: int) -> LinearSolver:
    """A solver by name, or "auto".

    Raises:
        OptionError: If the name is unknown.
    """
    table = {"auto": SOLVERS[recommended(dimension, matrix.size)]} | SOLVERS
    return choose("solver", name, table)(matrix)
