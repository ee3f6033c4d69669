"""Spherical harmonics: formulas, orthonormality, and the eigenvalues of the ball."""

import numpy as np
import pytest

from eitdip.errors import OptionError, ShapeError
from eitdip.fem import DirichletModel, Discretization
from eitdip.fem.harmonics import spherical_harmonics
from eitdip.mesh import ball, cylinder
from tests.cases.meshes import ring_disk
from tests.cases.solids import box


def test_the_first_degrees_by_hand():
    domain = box(2, 2, 2, (1.0, 1.0, 1.0))
    middle = domain.points[domain.boundary_nodes] - 0.5
    unit = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    x, y, z = unit.T
    r = np.sqrt(np.square(domain.points[domain.facets] - 0.5).sum(axis=2).mean())  # facets of equal size
    one, two = np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    expected = [one * y, one * z, one * x]
    expected += [two * x * y, two * y * z, two / np.sqrt(12) * (3 * z**2 - 1), two * x * z, two * (x**2 - y**2) / 2]
    np.testing.assert_allclose(spherical_harmonics(domain, 2), np.array(expected) / r, atol=1e-14)
    np.testing.assert_allclose(spherical_harmonics(domain, 1), np.array(expected[:3]) / r, atol=1e-14)


def test_they_are_orthonormal_on_a_ball(gmsh):
    domain = ball(2.0, 0.3)
    functions, mass = spherical_harmonics(domain, 3), Discretization(domain).boundary_mass
    assert functions.shape == (15, len(domain.boundary_nodes))
    gram = functions @ (mass @ functions.T)
    np.testing.assert_allclose(np.diag(gram), 1, atol=0.045)
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=5e-3)
    np.testing.assert_allclose(functions @ (mass @ np.ones(functions.shape[1])), 0, atol=0.01)


def test_the_ball_turns_degree_n_into_n_over_r(gmsh):
    """Eigenvalues of its Dirichlet-to-Neumann map, with second order in h."""
    exact = np.diag(np.repeat([1.0, 2.0], [3, 5]) / 2.0)
    errors = []
    for h in (0.8, 0.4):
        domain = ball(2.0, h)
        found = DirichletModel(domain, spherical_harmonics(domain, 2))(np.ones(len(domain.cells)))
        errors.append(np.abs(found - exact).max())
    assert errors[1] < 0.02
    assert errors[0] / errors[1] > 2.8


def test_the_scale_does_not_depend_on_where_the_mesh_is_fine(gmsh):
    """Data of one mesh are fitted on another."""
    plain, graded = cylinder(1.0, 2.0, 0.2), cylinder(1.0, 2.0, 0.2, electrodes=4, width=0.2, electrode_height=0.2)
    top = [spherical_harmonics(d, 1)[1][np.isclose(d.points[d.boundary_nodes, 2], 2)].max() for d in (plain, graded)]
    assert top[1] == pytest.approx(top[0], rel=5e-3)
    # The mean square distance from the center over the wall (2/3 of the surface) and both ends.
    exact = np.sqrt(2 / 3 * (1 + 1 / 3) + 1 / 3 * (1 + 1 / 2))
    peak = spherical_harmonics(plain, 1)[1].max()
    assert peak == pytest.approx(np.sqrt(3 / (4 * np.pi)) / exact, rel=0.02)


def test_plane_domains_and_empty_orders():
    with pytest.raises(ShapeError, match=r"got a plane one, expected a solid; use eitdip\.fem\.trigonometric"):
        spherical_harmonics(ring_disk(2), 2)
    with pytest.raises(OptionError, match="order: got 0, expected at least 1"):
        spherical_harmonics(box(1, 1, 1), 0)
