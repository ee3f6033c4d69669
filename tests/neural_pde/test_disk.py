"""Boundary data of a disk without a mesh, against exact fluxes and against finite elements."""

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.fem import DirichletModel, trigonometric
from eitdip.mesh import Tank
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.disk import DirichletDisk, unit_coordinates
from eitdip.neural_pde.fields import Conductivity, HardPotentials, drawn
from eitdip.parameterization import Bounded
from eitdip.ranks.collectives import alone


@pytest.fixture
def disk():
    return DirichletDisk(np.eye(6)[:4], np.eye(6), dtype=torch.float64)


def flux_of(potentials, points):
    u = potentials(Jet.coordinates(points))
    return (u.gradient * points.T[..., None]).sum(dim=0)


def test_flux_moments_of_harmonic_functions_are_the_frequencies(disk):
    points = disk.boundary(32)
    flux = flux_of(lambda x: disk.harmonic(x, disk.sources), points)
    moments = disk.flux_moments(points, flux)
    exact = np.zeros((4, 6))
    exact[range(4), range(4)] = [1, 1, 2, 2]
    np.testing.assert_allclose(moments, exact, atol=1e-12)


def test_moments_do_not_depend_on_the_radius_and_agree_with_finite_elements():
    radius, count = 0.2, 4
    domain = Tank(radius).mesh(0.1 * radius, degree=2)
    basis = trigonometric(domain, count // 2)
    model = DirichletModel(domain, basis, basis, comm=alone())
    disk = DirichletDisk(np.eye(count), np.eye(count), radius, dtype=torch.float64)
    points = disk.boundary(16)
    moments = disk.flux_moments(points, flux_of(lambda x: disk.harmonic(x, disk.sources), points))
    # Potentials of amplitude 1 / sqrt(pi radius) have fluxes 1 / radius as large, on 2 pi radius.
    np.testing.assert_allclose(model(np.ones(model.domain.shape)), moments, atol=0.01 * float(moments.max()))


def test_harmonic_functions_are_harmonic_and_take_their_boundary_values(disk):
    points = disk.interior(20, torch.Generator().manual_seed(0))
    x = Jet.coordinates(points.requires_grad_())
    u = disk.harmonic(x, disk.sources)
    assert float(u.laplacian.detach().abs().max()) == 0
    for k in range(4):
        (slope,) = torch.autograd.grad(u.value[:, k].sum(), points, retain_graph=True)
        torch.testing.assert_close(slope.T, u.gradient[..., k].detach())
    boundary = disk.boundary(16)
    angle = torch.atan2(boundary[:, 1], boundary[:, 0])
    values = disk.harmonic(Jet.coordinates(boundary), disk.sources).value
    torch.testing.assert_close(values[:, 3], torch.sin(2 * angle) / torch.pi**0.5)


def test_interior_points_are_evenly_spread_and_follow_the_generator(disk):
    first = disk.interior(20000, torch.Generator().manual_seed(1))
    radii = first.norm(dim=1)
    assert float(radii.max()) < 1
    assert abs(float((radii < 0.5).double().mean()) - 0.25) < 0.001
    assert float(first.mean(dim=0).abs().max()) < 0.001
    few = disk.interior(400, torch.Generator().manual_seed(1))
    gaps = torch.cdist(few, few).fill_diagonal_(1).min(dim=1).values
    assert float(gaps.min()) > 0.03 and float(gaps.max()) < 0.12  # independent points nearly touch
    assert torch.equal(first, disk.interior(20000, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, disk.interior(20000, torch.Generator().manual_seed(2)))


def test_hard_potentials_keep_their_boundary_values_and_carry_their_derivatives(disk):
    generator = torch.Generator().manual_seed(0)
    network = drawn(SmoothNetwork(4, (8, 8)), generator, torch.float64)
    torch.nn.init.normal_(network.output.weight, generator=generator)
    potentials = HardPotentials(disk, network, scale=torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    boundary = Jet.coordinates(disk.boundary(20))
    exact = disk.harmonic(boundary, disk.sources).value
    torch.testing.assert_close(potentials(boundary).value, exact, atol=1e-14, rtol=0)
    points = disk.interior(5, generator).requires_grad_()
    u = potentials(Jet.coordinates(points))
    (slope,) = torch.autograd.grad(u.value[:, 2].sum(), points, create_graph=True)
    torch.testing.assert_close(slope.T, u.gradient[..., 2])
    second = [torch.autograd.grad(slope[:, i].sum(), points, retain_graph=True)[0][:, i] for i in range(2)]
    torch.testing.assert_close(sum(second), u.laplacian[:, 2].detach())


def test_conductivity_carries_its_gradient_through_any_link(disk):
    generator = torch.Generator().manual_seed(0)
    network = drawn(SmoothNetwork(1, (8, 8), features=3), generator, torch.float64)
    conductivity = Conductivity(network, Bounded(2.0, 0.1, 30.0))
    points = disk.interior(5, generator).requires_grad_()
    start = conductivity(points)
    torch.testing.assert_close(start.value, torch.full((5, 1), 2.0, dtype=torch.float64))
    torch.nn.init.normal_(network.output.weight, generator=generator)
    sigma = conductivity(points)
    (slope,) = torch.autograd.grad(sigma.value.sum(), points)
    torch.testing.assert_close(slope.T, sigma.gradient[..., 0].detach())
    with torch.no_grad():
        assert torch.equal(conductivity(points).value, sigma.value.detach())


def test_unit_coordinates_of_a_disk_and_refusal_of_other_bodies():
    domain = Tank(0.5).mesh(0.1)
    points = unit_coordinates(domain, domain.points)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)
    square = domain.points * [1.0, 0.8]
    with pytest.raises(InvalidDataError, match="not a disk"):
        unit_coordinates(type(domain)(square, domain.cells, domain.facets, domain.facet_tags), square)


def test_bad_input_is_refused(disk):
    with pytest.raises(ShapeError, match="expected \\(K, 2 n\\)"):
        DirichletDisk(np.eye(5), np.eye(5))
    with pytest.raises(OptionError, match="expected more than 6"):
        disk.boundary(6)
