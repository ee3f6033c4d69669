"""The two sums over cells, assembly and contraction, against what DOLFINx offers for them."""

import time
from collections.abc import Iterator

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from dolfinx.fem import petsc
from petsc4py import PETSc

from benchmarks.speed.limit import Bare
from benchmarks.speed.measure import Figure, interleave, milliseconds
from benchmarks.speed.problems import Plane, Settings, plane
from benchmarks.speed.report import Check

PART = "kernels"
ASKED = 0.15


class Forms:
    """The same mesh in DOLFINx, with compiled forms."""

    def __init__(self, problem: Plane):
        element = basix.ufl.element("Lagrange", "triangle", 1, shape=(2,))
        domain = problem.domain
        mesh = dmesh.create_mesh(PETSc.COMM_SELF.tompi4py(), domain.cells, element, domain.points)
        potentials, cells = fem.functionspace(mesh, ("Lagrange", 1)), fem.functionspace(mesh, ("DG", 0))
        self.u, self.p, self.sigma = fem.Function(potentials), fem.Function(potentials), fem.Function(cells)
        trial, test = ufl.TrialFunction(potentials), ufl.TestFunction(potentials)
        self._stiffness = fem.form(self.sigma * ufl.dot(ufl.grad(trial), ufl.grad(test)) * ufl.dx)
        products = ufl.dot(ufl.grad(self.u), ufl.grad(self.p)) * ufl.TestFunction(cells) * ufl.dx
        self._products = fem.form(products)
        self.matrix = petsc.create_matrix(self._stiffness)
        # P1 dofs and DG0 dofs have the numbers of geometry nodes and cells.
        self.nodes = np.asarray(mesh.geometry.input_global_indices)
        self.cells = np.asarray(mesh.topology.original_cell_index)

    def assemble(self, sigma):
        """K(sigma) in `matrix`, with the seconds."""
        start = time.process_time()
        self.sigma.x.array[:] = sigma[self.cells]
        self.matrix.zeroEntries()
        petsc.assemble_matrix(self.matrix, self._stiffness)
        self.matrix.assemble()
        return None, time.process_time() - start

    def contract(self, states, adjoints):
        """Sum over k of the integrals of grad u_k . grad p_k over each cell, with the seconds."""
        states, adjoints = states[self.nodes].T.copy(), adjoints[self.nodes].T.copy()
        start = time.process_time()
        total = np.zeros(len(self.cells))
        for u, p in zip(states, adjoints, strict=True):
            self.u.x.array[:], self.p.x.array[:] = u, p
            total += fem.assemble_vector(self._products).array
        seconds = time.process_time() - start
        gradient = np.empty_like(total)
        gradient[self.cells] = total
        return gradient, seconds


def run(settings: Settings) -> Iterator[Check]:
    """Two rows per size."""
    for size in settings.sizes:
        problem, forms = plane(size), Forms(plane(size))
        repetitions = settings.repetitions(size)
        for name, seconds in (
            ("assembly: eitdip / dolfinx assemble_matrix", _assembly(problem, forms, repetitions)),
            ("contraction of 16 pairs: eitdip / ufl loop", _contraction(problem, forms, repetitions)),
        ):
            figure = Figure.ratio(seconds["eitdip"], seconds["dolfinx"])
            details = {"ms": milliseconds(seconds)}
            yield Check(PART, name, problem.nodes, figure, at_most=ASKED, details=details)


def _assembly(problem: Plane, forms: Forms, repetitions: int) -> dict[str, np.ndarray]:
    system, rng = problem.electrodes.system, np.random.default_rng(3)
    vector = rng.standard_normal(problem.nodes)

    def assemble(sigma):
        start = time.process_time()
        system.matrix.set(system.assembled(sigma))
        return None, time.process_time() - start

    def products(sigma):
        assemble(sigma), forms.assemble(sigma)
        x = np.empty((problem.nodes, 1))
        x[system.row] = vector[:, None]
        ours = (system.matrix @ x)[system.row, 0]
        u, y = forms.matrix.createVecs()
        u.array[:] = vector[forms.nodes]
        forms.matrix.mult(u, y)
        theirs = np.empty(problem.nodes)
        theirs[forms.nodes] = y.array
        return ours, theirs

    def agree(_):
        # eitdip's matrix has the contact terms as well; they do not depend on the conductivity.
        draw = problem.draws(problem.electrodes, seed=4)
        (ours, theirs), (our_base, their_base) = products(draw()[0]), products(draw()[0])
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours - our_base, theirs - their_base, rtol=0, atol=1e-10 * scale)

    codes = {"eitdip": assemble, "dolfinx": forms.assemble}
    draw = problem.draws(problem.electrodes)
    return interleave(codes, lambda: draw()[:1], repetitions, agree)


def _contraction(problem: Plane, forms: Forms, repetitions: int) -> dict[str, np.ndarray]:
    model, bare, draw = problem.electrodes, Bare(problem), problem.draws(problem.electrodes)
    sigma, _ = draw()
    _, derivative = model.linearize(sigma)
    potentials, _ = bare(sigma)
    states, _ = bare.states(potentials, model.currents)

    def ours(weight):
        start = time.process_time()
        return derivative.adjoint(weight), time.process_time() - start

    def theirs(weight):
        adjoints, _ = bare.states(potentials, weight)
        gradient, seconds = forms.contract(states, adjoints)
        return -gradient, seconds

    def agree(results):
        ours = results["eitdip"]
        np.testing.assert_allclose(results["dolfinx"], ours, rtol=0, atol=1e-8 * np.abs(ours).max())

    return interleave({"eitdip": ours, "dolfinx": theirs}, lambda: draw()[1:], repetitions, agree)
