"""The Kohn-Vogelius gap: an energy, a norm of the misfit, a derivative without adjoint states."""

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.fem import DirichletModel, KohnVogelius, NeumannModel, dual_functions, noise_gaps, trigonometric
from eitdip.verify import taylor_orders
from tests.cases.meshes import ring_disk
from tests.cases.solids import box

DOMAINS = {"straight": lambda: ring_disk(6), "curved": lambda: ring_disk(4, degree=2), "solid": lambda: box(3, 3, 2)}
every_domain = pytest.mark.parametrize("domain", DOMAINS)


def functions(domain) -> np.ndarray:
    """Three functions on the boundary without a mean."""
    if domain.dimension == 2:
        return trigonometric(domain, 2)[:3]
    return (domain.points[domain.boundary_nodes] - 0.5).T


def flux(domain, potentials: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodal values of the consistent flux of each potential, and the boundary mass."""
    model = DirichletModel(domain, potentials, np.eye(len(domain.boundary_nodes)))
    mass = model.discretization.boundary_mass.toarray()
    return np.linalg.solve(mass, model(sigma).T).T, mass


@every_domain
def test_it_is_half_the_squared_norm_of_the_flux_misfit(domain, rng):
    """1/2 <r, Lambda^-1 r> with r = Lambda f - g."""
    domain = DOMAINS[domain]()
    f, sigma = functions(domain), rng.uniform(0.5, 2.0, len(domain.cells))
    g = f[[1, 2, 0]] + 0.5 * f
    found, mass = flux(domain, f, sigma)
    residual = found - g
    residual -= (residual @ mass.sum(axis=0) / mass.sum())[:, None]
    expected = 0.5 * np.diagonal(NeumannModel(domain, residual)(sigma))
    assert expected.min() > 1e-2
    np.testing.assert_allclose(KohnVogelius(domain, f, g)(sigma), expected, rtol=1e-9)


@every_domain
def test_it_and_its_gradient_vanish_where_the_fluxes_are_right(domain, rng):
    domain = DOMAINS[domain]()
    f, sigma = functions(domain), rng.uniform(0.5, 2.0, len(domain.cells))
    model = KohnVogelius(domain, f, flux(domain, f, sigma)[0])
    gaps, derivative = model.linearize(sigma)
    other, slope = model.linearize(1.3 * sigma)
    assert np.abs(gaps).max() < 1e-12 * other.min() / 1e-2 and other.min() > 1e-3
    pulled = derivative.adjoint(np.ones(3))
    assert np.abs(pulled).max() < 1e-10 * np.abs(slope.adjoint(np.ones(3))).max()


def test_scaling_the_conductivity_has_a_closed_form(rng):
    """Of c sigma, with the fluxes of sigma: (c - 1)^2 / c times half the energy."""
    domain = ring_disk(6)
    f, sigma = functions(domain), rng.uniform(0.5, 2.0, len(domain.cells))
    model = KohnVogelius(domain, f, flux(domain, f, sigma)[0])
    energy = np.diagonal(DirichletModel(domain, f)(sigma))
    for factor in (0.5, 3.0):
        np.testing.assert_allclose(model(factor * sigma), 0.5 * energy * (factor - 1) ** 2 / factor, rtol=1e-9)


@pytest.mark.parametrize("sigma_element", ["cells", "vertices"])
@every_domain
def test_derivative(domain, sigma_element, rng):
    domain = DOMAINS[domain]()
    f = functions(domain)
    model = KohnVogelius(domain, f, 0.7 * f[[1, 2, 0]] + 0.2, sigma_element)
    sigma = rng.uniform(0.5, 2.0, model.domain.shape)
    orders = taylor_orders(model, sigma, rng.uniform(-1, 1, sigma.shape), steps=(0.04, 0.02, 0.01))
    assert orders.min() >= 1.95 and orders.max() < 2.2


def test_one_factorization_and_one_solve_a_pattern_with_each_model():
    domain = ring_disk(6)
    model = KohnVogelius(domain, functions(domain), functions(domain))
    _, derivative = model.linearize(np.ones(model.domain.shape))
    derivative.adjoint(np.ones(3))
    for part in (model.dirichlet, model.neumann):
        assert (part.system.solver.factorizations, part.system.solver.solves) == (1, 3)


def test_means_of_the_fluxes_do_not_count():
    domain = ring_disk(6)
    f = functions(domain)
    sigma = np.linspace(0.5, 2, len(domain.cells))
    one, other = (KohnVogelius(domain, f, 0.8 * f + mean)(sigma) for mean in (0.0, 5.0))
    np.testing.assert_allclose(one, other, rtol=1e-10)


def test_dual_functions_have_the_moments_given(rng):
    domain = ring_disk(8)
    model = DirichletModel(domain, trigonometric(domain, 1))
    w = rng.standard_normal((4, 4)) @ trigonometric(domain, 2)
    dual = dual_functions(model.discretization, w)
    np.testing.assert_allclose(dual @ (model.discretization.boundary_mass @ w.T), np.eye(4), atol=1e-10)
    assert np.linalg.matrix_rank(np.concatenate([w, dual])) == 4


def test_noise_makes_the_gaps_expected(rng):
    """Mean over 400 draws of the noise, at the conductivity of the data."""
    domain = ring_disk(6)
    w, sigma = trigonometric(domain, 3), rng.uniform(0.5, 2.0, len(domain.cells))
    f = w[:2]
    deviation = rng.uniform(0.1, 0.5, (2, 6))
    exact = flux(domain, f, sigma)[0]
    draws = np.repeat(deviation, 400, axis=0) * rng.standard_normal((800, 6))
    gaps = KohnVogelius(domain, np.repeat(f, 400, axis=0), np.repeat(exact, 400, axis=0) + draws @ w)(sigma)
    expected = noise_gaps(domain, w, deviation, sigma)
    means, spread = gaps.reshape(2, 400).mean(axis=1), gaps.reshape(2, 400).std(axis=1) / 20
    assert (np.abs(means - expected) < 4 * spread).all() and (spread < 0.1 * expected).all()


def test_bad_functions_are_refused():
    domain = ring_disk(6)
    f = functions(domain)
    with pytest.raises(ShapeError, match=r"fluxes: got shape \(2, .*expected that of the potentials"):
        KohnVogelius(domain, f, f[:2])
    with pytest.raises(ShapeError, match="potentials: got shape"):
        KohnVogelius(domain, f[:, 1:], f[:, 1:])
    broken = f.copy()
    broken[1, 3] = np.nan
    with pytest.raises(InvalidDataError, match="currents: pattern 1 is not finite"):
        KohnVogelius(domain, f, broken)
