"""Derivatives carried forward against derivatives taken backwards."""

import pytest
import torch

from eitdip.errors import OptionError
from eitdip.networks import initialize
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import GatedNetwork, SmoothNetwork

NETWORKS = {
    "smooth": lambda d: SmoothNetwork(3, (9, 7), d),
    "smooth with features": lambda d: SmoothNetwork(3, (9,), d, features=4),
    "gated": lambda d: GatedNetwork(3, 8, 2, d),
}


def made(name: str, dimension: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    network = initialize(NETWORKS[name](dimension), generator).double()
    torch.nn.init.normal_(network.output.weight, generator=generator)
    return network


def points_in(dimension: int) -> torch.Tensor:
    return torch.rand(6, dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5


def backwards(value: torch.Tensor, points: torch.Tensor):
    (gradient,) = torch.autograd.grad(value.sum(), points, create_graph=True)
    second = [
        torch.autograd.grad(gradient[:, i].sum(), points, create_graph=True)[0][:, i] for i in range(len(points.T))
    ]
    return gradient.T, sum(second)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_carry_the_derivatives_that_backward_passes_give(name, dimension):
    network, points = made(name, dimension), points_in(dimension).requires_grad_()
    jet = network(Jet.coordinates(points))
    assert jet.value.shape == (6, 3)
    for c in range(3):
        gradient, laplacian = backwards(jet.value[:, c], points)
        torch.testing.assert_close(jet.gradient[..., c], gradient)
        torch.testing.assert_close(jet.laplacian[:, c], laplacian)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_laplacians_values_and_gradients_are_the_same(name):
    network, points = made(name, 2), points_in(2)
    full, short = (network(Jet.coordinates(points, laplacian=flag)) for flag in (True, False))
    assert full.has_laplacian and not short.has_laplacian
    torch.testing.assert_close(short.value, full.value)
    torch.testing.assert_close(short.gradient, full.gradient)


@pytest.mark.parametrize("laplacian", [True, False])
def test_the_derivative_of_tanh_is_exact(laplacian):
    generator = torch.Generator().manual_seed(3)
    parts = torch.randn(4 if laplacian else 3, 5, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    shift = torch.randn(2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda parts, shift: Jet(parts, 2).tanh(shift).parts, (parts, shift))
    by_rules = Jet(parts, 2)
    value = torch.tanh(parts[0])
    first = 1 - value.square()
    torch.testing.assert_close(by_rules.tanh().parts, by_rules.through(value, first, -2 * value * first).parts)


def test_products_sums_and_sines_follow_the_rules_of_calculus():
    points = points_in(2).requires_grad_()
    x = Jet.coordinates(points)
    weight = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    f, g = x.linear(weight, torch.tensor([0.3], dtype=torch.float64)).sin(), x.cos()
    for jet in (f * g, g * f, f * g - g, 1.0 - g, g + g.tanh()):
        for c in range(2):
            gradient, laplacian = backwards(jet.value[:, c], points)
            torch.testing.assert_close(jet.gradient[..., c], gradient)
            torch.testing.assert_close(jet.laplacian[:, c], laplacian)


def test_networks_start_at_zero_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    networks = [initialize(make(2), torch.Generator().manual_seed(0)) for make in NETWORKS.values()]
    assert torch.equal(torch.get_rng_state(), before)
    for network in networks:
        assert float(network(Jet.coordinates(points_in(2).float())).parts.detach().abs().max()) == 0


@pytest.mark.parametrize(
    "make", [lambda: SmoothNetwork(1, ()), lambda: SmoothNetwork(0), lambda: GatedNetwork(1, depth=0)]
)
def test_networks_without_layers_are_refused(make):
    with pytest.raises(OptionError, match="at least 1"):
        make()
