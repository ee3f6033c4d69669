"""dolfinx-adjoint: Dirichlet energies and their gradient by automatic differentiation of a recorded tape.

The tape is recorded once. Each evaluation replays it, which solves K forward problems, and runs it backwards, which
solves K adjoint ones; every problem has a MUMPS Cholesky factor of its own, which is how the library works.
"""

import dolfinx_solver  # noqa: F401  (before dolfinx)

# isort: split
import basix.ufl
import dolfinx
import dolfinx_adjoint as adjoint
import numpy as np
import pyadjoint
import ufl
from mpi4py import MPI

OPTIONS = {"ksp_type": "preonly", "pc_type": "cholesky", "pc_factor_mat_solver_type": "mumps"}


class Peer:
    def __init__(self, problem):
        points, cells, boundary, potentials, weights = problem
        element = basix.ufl.element("Lagrange", "triangle", 1, shape=(2,))
        mesh = dolfinx.mesh.create_mesh(MPI.COMM_SELF, cells, element, points)
        space = dolfinx.fem.functionspace(mesh, ("Lagrange", 1))
        self._sigma = adjoint.Function(dolfinx.fem.functionspace(mesh, ("DG", 0)))
        self._sigma.x.array[:] = 1
        self._cells = np.asarray(mesh.topology.original_cell_index)
        nodes = np.asarray(mesh.geometry.input_global_indices)  # of the dofs
        dofs = np.flatnonzero(np.isin(nodes, boundary)).astype(np.int32)
        order = np.searchsorted(boundary, nodes[dofs])
        trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
        form = self._sigma * ufl.dot(ufl.grad(trial), ufl.grad(test)) * ufl.dx
        zero = dolfinx.fem.Constant(mesh, 0.0) * test * ufl.dx
        pyadjoint.continue_annotation()
        total, self._problems = 0, []  # kept, or the library builds them anew for each replay
        for values, weight in zip(potentials, weights, strict=True):
            given = dolfinx.fem.Function(space)
            given.x.array[dofs] = values[order]
            u = adjoint.Function(space)
            equation = adjoint.LinearProblem(
                form,
                zero,
                bcs=[dolfinx.fem.dirichletbc(given, dofs)],
                u=u,
                petsc_options=OPTIONS,
                adjoint_petsc_options=OPTIONS,
            )
            equation.solve()
            self._problems.append(equation)
            energy = adjoint.assemble_scalar(self._sigma * ufl.dot(ufl.grad(u), ufl.grad(u)) * ufl.dx)
            total = total + float(weight) * energy
        self._functional = pyadjoint.ReducedFunctional(total, pyadjoint.Control(self._sigma))
        pyadjoint.pause_annotation()

    def gradient(self, sigma):
        """Weighted sum of the energies, and its derivative by each cell's conductivity."""
        self._sigma.x.array[:] = sigma[self._cells]
        value = float(self._functional(self._sigma))
        derivative = self._functional.derivative()
        gradient = np.empty_like(sigma)
        gradient[self._cells] = derivative.x.array
        return value, gradient
