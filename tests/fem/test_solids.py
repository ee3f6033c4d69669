"""The electrical models on solids, against exact solutions."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from eitdip.fem import CompleteElectrodeModel, DirichletModel, Discretization, NeumannModel
from eitdip.fem.patterns import adjacent
from eitdip.ranks.collectives import alone
from eitdip.verify import adjoint_error, convergence_order, taylor_orders
from tests.cases.solids import box, box_with_electrodes, column


def test_energy_of_a_linear_potential(rng):
    """u^T K(sigma) u = int sigma |grad u|^2."""
    domain = box(2, 3, 4, (1.0, 2.0, 0.5))
    for element in ("cells", "vertices"):
        space = Discretization(domain, element)
        at = domain.centroids[:, 0] if element == "cells" else domain.points[:, 0]
        u = domain.points @ np.array([2.0, -3.0, 1.0])
        energy = (space.weights @ (1 + at)) @ space.differences(u[:, None])[:, 0] ** 2
        assert energy == pytest.approx(14 * 1.5 * 1.0, rel=1e-12)  # volume 1, mean of 1 + x is 1.5


def test_facets_have_their_areas():
    domain = box(2, 3, 4, (1.0, 2.0, 0.5))
    space = Discretization(domain)
    assert domain.facet_sizes.sum() == pytest.approx(2 * (2.0 + 0.5 + 1.0))
    np.testing.assert_allclose(space.facet_loads.sum(axis=1), domain.facet_sizes, rtol=1e-12)
    np.testing.assert_allclose(space.facet_masses.sum(axis=(1, 2)), domain.facet_sizes, rtol=1e-12)
    triangle = (np.ones((3, 3)) + np.eye(3)) / 12
    np.testing.assert_allclose(space.facet_masses, domain.facet_sizes[:, None, None] * triangle, rtol=1e-12)


def test_resistance_of_a_column():
    length, width, sigma, z = 3.0, 0.7, 2.3, 0.05
    area = width**2
    domain = column(2, length, width)
    model = CompleteElectrodeModel(domain, [[1.0, -1.0]], z, [[1.0, -1.0]], comm=alone())
    value, derivative = model.linearize(np.full(model.domain.shape, sigma))
    assert value[0, 0] == pytest.approx(length / (sigma * area) + 2 * z / area, rel=1e-12)
    # dV = -int dsigma |E|^2 with E = 1 / (sigma area)
    np.testing.assert_allclose(derivative.dense()[0], -domain.cell_sizes / (sigma * area) ** 2, rtol=1e-9)


def harmonic(points: np.ndarray) -> np.ndarray:
    """Harmonic polynomials that are no finite-element functions: (3, n)."""
    x, y, z = points.T
    return np.stack([x**2 - y**2, x * y * z, x**3 - 3 * x * z**2])


def exact_moments() -> np.ndarray:
    """int over the unit cube of grad u_i . grad u_j, by a Gauss rule that is exact for them."""
    nodes, weights = np.polynomial.legendre.leggauss(6)
    nodes, weights = (nodes + 1) / 2, weights / 2
    x, y, z = np.meshgrid(nodes, nodes, nodes, indexing="ij")
    w = np.einsum("i,j,k->ijk", weights, weights, weights)
    zero = np.zeros_like(x)
    gradients = np.array([[2 * x, -2 * y, zero], [y * z, x * z, x * y], [3 * x**2 - 3 * z**2, zero, -6 * x * z]])
    return np.einsum("aixyz,bixyz,xyz->ab", gradients, gradients, w)


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_flux_moments_converge_with_order_two(sigma):
    exact, errors, sizes = sigma * exact_moments(), [], (4, 8, 12)
    for n in sizes:
        domain = box(n, n, n)
        model = DirichletModel(domain, harmonic(domain.points[domain.boundary_nodes]), comm=alone())
        value = model(np.full(model.domain.shape, sigma))
        errors.append(np.abs(value - exact).max() / np.abs(exact).max())
    assert errors[-1] < 0.01
    assert 1.8 < convergence_order(1 / np.array(sizes), errors)[-1] < 2.3


def test_neumann_voltage_of_a_uniform_current():
    """A current density of 1 along x through a unit cube: u = x / sigma."""
    domain = box(4, 4, 4)
    boundary = domain.points[domain.boundary_nodes]
    # Tested with x: int g x = 1 for the normal component of the unit field, by Green's formula.
    space = Discretization(domain)
    flux = np.zeros(len(domain.points))
    for facet, load in zip(domain.facets, space.facet_loads, strict=True):
        side = domain.points[facet, 0]
        flux[facet] += load * (np.all(side == 1.0).astype(float) - np.all(side == 0.0))
    density = spsolve(space.boundary_mass.tocsc(), flux[domain.boundary_nodes])
    model = NeumannModel(domain, density[None], (boundary[:, :1] - 0.5).T, comm=alone())
    value = model(np.full(model.domain.shape, 4.0))
    # The moment of u = x / 4 against x - 1/2 over the surface: ends 2 * 1/4, four sides 1/12 each.
    assert value[0, 0] == pytest.approx((0.5 + 4 / 12) / 4, rel=1e-9)


@pytest.mark.parametrize("solver", ["cholesky", "cholesky-blr", "last-factor", "multigrid"])
def test_derivatives_are_exact_with_every_solver(solver, rng):
    model = CompleteElectrodeModel(box_with_electrodes(4), adjacent(4), 0.1, comm=alone(), solver=solver)
    sigma = rng.uniform(0.5, 2.0, model.domain.shape)
    orders = taylor_orders(model, sigma, rng.uniform(-0.5, 0.5, model.domain.shape))
    assert 1.9 < np.median(orders) < 2.1
    _, derivative = model.linearize(sigma)
    assert adjoint_error(derivative, rng) < 1e-13


@pytest.mark.parametrize("kind", ["electrodes", "dirichlet"])
def test_factors_of_the_derivative_on_voxels(kind, rng):
    domain = box_with_electrodes(4)
    if kind == "electrodes":
        model = CompleteElectrodeModel(domain, adjacent(4), 0.1, adjacent(4, 1), comm=alone())
    else:
        functions = harmonic(domain.points[domain.boundary_nodes])
        model = DirichletModel(domain, functions, functions[1:], comm=alone())
    _, derivative = model.linearize(rng.uniform(0.5, 2.0, model.domain.shape))
    inner = sparse.random_array((model.domain.size, 7), density=0.5, rng=rng, format="csr")
    left, right = derivative.factored(inner)
    assert len(left) == model.range.size and right.shape[1] == 7
    assert left.shape[1] == len(right) == (10 if kind == "electrodes" else 6)  # pairs of 4 and of 3 fields
    np.testing.assert_allclose(left @ right, derivative.dense() @ inner, rtol=1e-10, atol=1e-13)


def test_jumps_cost_what_voxels_cost(rng):
    """A jump over a plane of area A costs A w / (64 V)."""
    domain = box(4, 4, 8, (1.0, 1.0, 2.0))
    matrix, weights = domain.jumps
    above = (domain.centroids[:, 2] > 1.0).astype(float)
    assert weights @ np.abs(matrix @ above) == pytest.approx(1.0 * 2.0 / (64 * 2.0), rel=1e-12)


def concentric_eigenvalue(degree: int, contrast: float, radius: float) -> float:
    """Dirichlet-to-Neumann eigenvalue of a ball of conductivity 1 with a concentric ball of `contrast`."""
    n = degree
    b = n * (1 - contrast) / (contrast * n + n + 1) * radius ** (2 * n + 1)
    return (n - (n + 1) * b) / (1 + b)


@pytest.mark.parametrize(("contrast", "limits"), [(1.0, (0.05, 0.016)), (3.0, (0.14, 0.05))])
def test_concentric_balls(contrast, limits, gmsh, rng):
    """The eigenvalues of degree 1 and 2; second order in the edge length, less where cells cross the interface."""
    from eitdip.mesh import ball

    errors = []
    for h in (0.35, 0.2):
        domain = ball(1.0, h)
        x, y, z = domain.points[domain.boundary_nodes].T
        model = DirichletModel(domain, np.array([x, z, x * y, x**2 - z**2]), comm=alone())
        samples = np.einsum("qv,cvx->cqx", rng.dirichlet(np.ones(4), 200), domain.points[domain.cells])
        share = (np.linalg.norm(samples, axis=2) < 0.6).mean(axis=1)
        value = np.diag(model(1 + (contrast - 1) * share))
        norms = np.pi * np.array([4 / 3, 4 / 3, 4 / 15, 16 / 15])  # of the functions on the unit sphere
        exact = norms * [concentric_eigenvalue(n, contrast, 0.6) for n in (1, 1, 2, 2)]
        errors.append(np.abs(value / exact - 1).max())
    assert errors[0] < limits[0] and errors[1] < limits[1]
