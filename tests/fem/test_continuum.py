"""Dirichlet-to-Neumann and Neumann-to-Dirichlet models against exact eigenvalues."""

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.fem import DirichletModel, Discretization, NeumannModel, trigonometric
from eitdip.mesh import disk
from eitdip.verify import convergence_order
from tests.cases.meshes import rectangle, ring_disk

CONTRAST, RADIUS, ORDER = 5.0, 0.5, 4


def exact_eigenvalues(contrast: float = CONTRAST) -> np.ndarray:
    """Eigenvalues of the Dirichlet-to-Neumann map of a unit disk with a concentric inclusion, n = 1..4."""
    n, mu = np.arange(1, ORDER + 1), (contrast - 1) / (contrast + 1)
    return n * (1 + mu * RADIUS ** (2 * n)) / (1 - mu * RADIUS ** (2 * n))


def eigenvalue_errors(domain, model=DirichletModel, contrast: float = CONTRAST) -> np.ndarray:
    """Largest relative error of the cosine and the sine of each order, shape (4,)."""
    sigma = np.where(np.linalg.norm(domain.centroids, axis=1) < RADIUS, contrast, 1.0)
    exact = exact_eigenvalues(contrast) if model is DirichletModel else 1 / exact_eigenvalues(contrast)
    data = model(domain, trigonometric(domain, ORDER))(sigma)
    mixing = np.abs(data - np.diag(np.diag(data))).max()
    assert mixing <= 10 * np.abs(np.diag(data).reshape(-1, 2) - exact[:, None]).max() + 1e-12
    return np.abs(np.diag(data).reshape(-1, 2) / exact[:, None] - 1).max(axis=1)


@pytest.mark.parametrize("model", [DirichletModel, NeumannModel])
def test_straight_triangles_converge_with_order_two(model):
    rings = np.array([10, 20, 40])
    errors = np.array([eigenvalue_errors(ring_disk(k), model) for k in rings])
    assert convergence_order(1 / rings, errors.max(axis=1)).min() >= 1.9
    for n in range(ORDER):
        assert convergence_order(1 / rings, errors[:, n]).min() >= 1.9
    assert errors[1].max() <= (2e-3 if model is DirichletModel else 2e-2)


@pytest.mark.parametrize("model", [DirichletModel, NeumannModel])
def test_curved_triangles_converge_with_order_four(model):
    rings = np.array([4, 8, 16])
    errors = np.array([eigenvalue_errors(ring_disk(k, degree=2), model) for k in rings])
    for n in range(ORDER):
        assert convergence_order(1 / rings, errors[:, n]).min() >= 3.5
    assert errors[-1].max() <= (1e-5 if model is DirichletModel else 4e-5)


def test_generated_meshes_converge_with_order_two(gmsh):
    sizes = [0.1, 0.05, 0.025]
    errors = np.array([eigenvalue_errors(disk(1.0, h, inclusions=[(0, 0, RADIUS)])) for h in sizes])
    assert convergence_order(sizes, errors.max(axis=1)).min() >= 1.9
    assert errors[1].max() <= 2e-3


def test_generated_curved_meshes_converge_with_order_four(gmsh):
    sizes = [0.08, 0.04]
    errors = np.array([eigenvalue_errors(disk(1.0, h, inclusions=[(0, 0, RADIUS)], degree=2)) for h in sizes])
    assert convergence_order(sizes, errors.max(axis=1)).min() >= 3.5
    assert errors[0].max() <= 2e-5


@pytest.mark.parametrize(("degree", "rings", "bound"), [(1, 20, 2e-3), (2, 8, 1e-4)])
@pytest.mark.parametrize("radius", [1.0, 0.14])
def test_homogeneous_disk_has_the_whole_numbers(degree, rings, bound, radius):
    """Eigenvalues n sigma / R, also for a disk in metres."""
    domain = ring_disk(rings, radius=radius, degree=degree)
    waves = trigonometric(domain, ORDER)
    data = np.diag(DirichletModel(domain, waves)(np.full(len(domain.cells), 0.3)))
    expected = 0.3 * np.repeat(np.arange(1, ORDER + 1), 2) / radius
    np.testing.assert_allclose(data, expected, rtol=bound)


def test_a_constant_potential_draws_no_current(rng):
    domain = ring_disk(6)
    sources = np.concatenate([np.ones((1, len(domain.boundary_nodes))), trigonometric(domain, 1)])
    data = DirichletModel(domain, sources)(rng.uniform(0.5, 2.0, len(domain.cells)))
    assert np.abs(data[0]).max() <= 1e-12 * np.abs(data).max()


@pytest.mark.parametrize("degree", [1, 2])
def test_trigonometric_functions_are_orthonormal_on_a_fine_disk(degree):
    domain = ring_disk(40 if degree == 1 else 20, radius=0.14, degree=degree)
    waves = trigonometric(domain, 4)
    gram = waves @ Discretization(domain).boundary_mass @ waves.T
    np.testing.assert_allclose(gram, np.eye(8), atol=3e-3 if degree == 1 else 1e-5)


def test_trigonometric_functions_alternate_cosine_and_sine():
    domain = ring_disk(4)
    angle = np.arctan2(*domain.points[domain.boundary_nodes].T[::-1])
    waves = trigonometric(domain, 2) * np.sqrt(np.pi)
    expected = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    np.testing.assert_allclose(waves, expected, atol=1e-12)
    with pytest.raises(OptionError, match="order: got 0, expected at least 1"):
        trigonometric(domain, 0)


def test_more_than_46341_nodes():
    """Node pairs are numbered i n + j, which overflows 32 bits from here on."""
    domain = rectangle(230, 205, 2.3, 2.05)
    assert len(domain.points) > 46341
    slope = domain.points[domain.boundary_nodes, 0] / 2.3
    model = DirichletModel(domain, slope[None])
    data, derivative = model.linearize(np.full(len(domain.cells), 3.0))
    np.testing.assert_allclose(data, [[3.0 * 2.05 / 2.3]], rtol=1e-11)
    np.testing.assert_allclose(derivative.adjoint(np.ones((1, 1))), domain.cell_sizes / 2.3**2, rtol=1e-8)


@pytest.mark.parametrize("model", [DirichletModel, NeumannModel])
def test_wrong_boundary_functions_are_refused(model):
    domain = ring_disk(4)
    waves = trigonometric(domain, 1)
    name = "potentials" if model is DirichletModel else "currents"
    with pytest.raises(ShapeError, match=rf"{name}: got shape \(2, 23\), expected \(patterns, 24 boundary nodes\)"):
        model(domain, waves[:, 1:])
    with pytest.raises(ShapeError, match=rf"{name}: got shape \(24,\)"):
        model(domain, waves[0])
    with pytest.raises(ShapeError, match="moments: got shape"):
        model(domain, waves, waves.T)
    spoilt = waves.copy()
    spoilt[1, 3] = np.nan
    with pytest.raises(InvalidDataError, match=f"{name}: pattern 1 is not finite"):
        model(domain, spoilt)
    with pytest.raises(InvalidDataError, match="moments: pattern 1 is not finite"):
        model(domain, waves, spoilt)
    with pytest.raises(OptionError, match="sigma_element: got 'nodes', expected one of: cells, vertices"):
        model(domain, waves, sigma_element="nodes")


def test_voltages_have_zero_mean_over_the_boundary():
    """So a constant in a moment changes nothing, and a small net current is removed."""
    domain = ring_disk(4)
    waves, sigma = trigonometric(domain, 2), 1 + domain.centroids[:, 0] ** 2
    plain = NeumannModel(domain, waves)(sigma)
    np.testing.assert_allclose(NeumannModel(domain, waves, waves + 3.0)(sigma), plain, rtol=0, atol=1e-13)
    np.testing.assert_allclose(NeumannModel(domain, waves + 1e-3, waves)(sigma), plain, rtol=0, atol=1e-13)


def test_currents_that_do_not_cancel_are_refused():
    domain = ring_disk(4)
    with pytest.raises(InvalidDataError, match="currents: pattern 1 does not integrate to zero"):
        NeumannModel(domain, trigonometric(domain, 1) + np.array([[0.0], [1.0]]))
