"""Stiffness matrices, boundary masses and the canonical order of unknowns."""

import dataclasses
import shutil

import numpy as np
import pytest
from scipy import sparse

from eitdip.errors import OptionError
from eitdip.fem import Discretization
from eitdip.fem.spaces import dolfinx_mesh
from eitdip.ranks.collectives import alone
from tests.cases.meshes import curved, rectangle, ring_disk

needs_compiler = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")),
    reason="UFL forms need a C compiler",
)


SHIFT = np.array([10.0, 0.1])


def stiffness(space: Discretization, sigma: np.ndarray) -> np.ndarray:
    """K(sigma) from the edge network."""
    conductances = sparse.diags_array(space.weights @ sigma)
    return (space.incidence.T @ conductances @ space.incidence).toarray()


def ufl_stiffness(space: Discretization, sigma: np.ndarray, quadrature: int, cache) -> np.ndarray:
    """K(sigma) by DOLFINx's own assembly, in file order."""
    import ufl
    from dolfinx import fem

    mesh = dolfinx_mesh(space.domain, alone())
    potentials = fem.functionspace(mesh, ("Lagrange", space.domain.degree))
    sigmas = fem.functionspace(mesh, ("DG", 0) if space.sigma_element == "cells" else ("Lagrange", 1))
    coefficient = fem.Function(sigmas)
    coefficient.x.array[sigmas.dofmap.list] = sigma[space.cell_sigmas]
    u, v = ufl.TrialFunction(potentials), ufl.TestFunction(potentials)
    dx = ufl.dx(metadata={"quadrature_degree": quadrature})
    form = fem.form(coefficient * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx, jit_options={"cache_dir": str(cache)})
    matrix = fem.assemble_matrix(form).to_scipy().toarray()
    node = np.empty(space.size, dtype=int)  # the node of each dof, by coordinates: independent of cell_nodes
    for dof, place in enumerate(potentials.tabulate_dof_coordinates()[:, : space.domain.dimension]):
        node[dof] = np.linalg.norm(space.domain.points - place, axis=1).argmin()
    ordered = np.empty(matrix.shape)
    ordered[np.ix_(node, node)] = matrix
    return ordered


@needs_compiler
@pytest.mark.parametrize("sigma_element", ["cells", "vertices"])
@pytest.mark.parametrize("degree", [1, 2])
def test_stiffness_is_the_one_of_the_weak_form(degree, sigma_element, rng, tmp_path):
    space = Discretization(ring_disk(4, degree=degree), sigma_element)
    sigma = rng.uniform(0.5, 2.0, space.sigma_space.size)
    matrix = stiffness(space, sigma)
    scale = np.abs(matrix).max()
    same_rule = ufl_stiffness(space, sigma, 1 if degree == 1 else 6, tmp_path)
    np.testing.assert_allclose(matrix, same_rule, rtol=0, atol=1e-13 * scale)
    if degree == 2:  # rational integrands: the rule must be far better than the discretization
        finer = ufl_stiffness(space, sigma, 14, tmp_path)
        np.testing.assert_allclose(matrix, finer, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("sigma_element", ["cells", "vertices"])
@pytest.mark.parametrize("degree", [1, 2])
def test_energy_of_linear_and_quadratic_potentials(degree, sigma_element):
    """u^T K(sigma) u = int sigma |grad u|^2 on the unit square, with sigma = 1 + x at the vertices."""
    domain = rectangle(4, 3)
    domain = domain if degree == 1 else curved_square(domain)
    space = Discretization(domain, sigma_element)
    x, y = domain.points.T
    at = domain.centroids[:, 0] if sigma_element == "cells" else x[domain.vertices]
    matrix = stiffness(space, 1 + at)
    u = 2 * x - 3 * y
    assert u @ matrix @ u == pytest.approx(13 * 1.5, rel=1e-12)
    np.testing.assert_allclose(matrix @ np.ones(len(u)), 0, atol=1e-12)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
    if degree == 2 and sigma_element == "vertices":
        quadratic = x**2  # int (1 + x) 4 x^2 = 4/3 + 1
        assert quadratic @ matrix @ quadratic == pytest.approx(7 / 3, rel=1e-12)


def curved_square(domain):
    """Second order with straight edges: far from the origin no edge runs along a circle."""
    moved = dataclasses.replace(domain, points=domain.points + SHIFT)
    second = curved(moved)
    return dataclasses.replace(second, points=second.points - SHIFT)


@pytest.mark.parametrize(("degree", "bound"), [(1, 2e-3), (2, 2e-7)])
def test_boundary_mass_measures_the_circle(degree, bound):
    domain = ring_disk(10, radius=0.14, degree=degree)
    space = Discretization(domain)
    ones = np.ones(len(domain.boundary_nodes))
    assert ones @ space.boundary_mass @ ones == pytest.approx(2 * np.pi * 0.14, rel=bound)
    assert space.facet_loads.sum() == pytest.approx(2 * np.pi * 0.14, rel=bound)
    x = domain.points[domain.boundary_nodes, 0]
    assert x @ space.boundary_mass @ x == pytest.approx(np.pi * 0.14**3, rel=3 * bound)


def test_facet_masses_of_straight_edges():
    """The textbook's matrices, for linear and quadratic functions."""
    linear = rectangle(3, 2)
    quadratic = curved_square(linear)
    for domain, matrix in (
        (linear, np.array([[2, 1], [1, 2]]) / 6),
        (quadratic, np.array([[4, -1, 2], [-1, 4, 2], [2, 2, 16]]) / 30),
    ):
        space = Discretization(domain)
        expected = domain.facet_sizes[:, None, None] * matrix
        np.testing.assert_allclose(space.facet_masses, expected, atol=1e-15)
        np.testing.assert_allclose(space.facet_loads, expected.sum(axis=2), atol=1e-15)


def test_unknowns_are_in_file_order(rng):
    """Renumbering the cells of the file renumbers the columns of W, and nothing else."""
    domain = ring_disk(3)
    order = rng.permutation(len(domain.cells))
    shuffled = dataclasses.replace(domain, cells=domain.cells[order])
    sigma = rng.uniform(0.5, 2.0, len(domain.cells))
    one, other = stiffness(Discretization(domain), sigma), stiffness(Discretization(shuffled), sigma[order])
    np.testing.assert_allclose(one, other, atol=1e-14)


def test_only_vertices_carry_a_conductivity_on_curved_cells():
    domain = ring_disk(3, degree=2)
    assert Discretization(domain, "vertices").sigma_space.shape == (len(ring_disk(3).points),)
    assert Discretization(domain).size == len(domain.points)


def test_unknown_element_is_refused():
    with pytest.raises(OptionError, match="unknown sigma_element: got 'dg1', expected one of: cells, vertices"):
        Discretization(ring_disk(2), "dg1")
