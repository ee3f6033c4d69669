"""What the three electrical models have in common: mesh, ranks, linear system."""

import zlib

import numpy as np

from eitdip.errors import LinearSolverError
from eitdip.fem.spaces import Discretization
from eitdip.fem.stiffness import StiffnessSystem
from eitdip.mesh.domain import Domain
from eitdip.operator import ForwardModel
from eitdip.ranks.collectives import Layout, free_garbage, world

# Below, ranks with a whole mesh each are faster; above, the factor fills the memory (docs/scaling.md).
_LARGE = 300_000


class ElectricalModel(ForwardModel):
    """A model whose state is the potential of a conductivity on a domain.

    Args:
        domain: The mesh.
        sigma_element: "cells" or "vertices".
        comm: MPI communicator, by default all ranks.
        mesh_ranks: Ranks that hold the mesh and its factor together; a divisor of their number. 0
            chooses: 1 (every rank has all, patterns are split) for plane domains and small solids,
            all ranks for solids of 300,000 nodes or more.
        solver: "auto", "cholesky", "cholesky-blr", "last-factor" or "multigrid"; what "auto" means
            says `eitdip.fem.linear_solver.recommended`.

    Attributes:
        discretization: Spaces and edge network.
        layout: The ranks.
        system: Linear system and its solver.
    """

    def __init__(self, domain: Domain, sigma_element: str, comm, mesh_ranks: int):
        comm = world() if comm is None else comm
        if mesh_ranks == 0:
            mesh_ranks = comm.size if domain.dimension == 3 and len(domain.points) >= _LARGE else 1
        self.layout = Layout.of(comm, mesh_ranks)
        free_garbage(self.layout.mesh)  # of models that are no more
        self.discretization = Discretization(domain, sigma_element, self.layout.mesh)
        self.domain = self.discretization.sigma_space
        parts = self.layout.patterns.allgather(zlib.crc32(self.discretization.nodes.tobytes()))
        if len(set(parts)) > 1:
            raise LinearSolverError("mesh_ranks: groups of ranks divided the mesh differently; use 1 or all ranks")

    def _set_system(self, free: np.ndarray, constant, solver: str) -> None:
        self.system = StiffnessSystem(self.discretization, free, constant, self.layout, solver)

    def _owned_part(self, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of some nodes of the file, those owned here: their local numbers, and which of the given ones they are."""
        space = self.discretization
        owned = space.nodes[space.owned]
        mine = np.flatnonzero(np.isin(support, owned))
        return np.searchsorted(space.nodes, support[mine]), mine

    def state(self):
        return self.system.state()

    def restore(self, state):
        self.system.restore(state)

    def solver_report(self) -> dict:
        """The linear solver in use and what it has done so far, as JSON values."""
        return self.system.report()
