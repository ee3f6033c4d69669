"""Decoder and U-Net: shapes, first output, and where their randomness comes from."""

import numpy as np
import pytest
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.networks import Decoder, UNet, initialize

NETWORKS = {
    "decoder": lambda: Decoder(latent_channels=3, channels=8, levels=2),
    "unet": lambda: UNet(latent_channels=3, channels=8, levels=2, skips=2),
}
every_network = pytest.mark.parametrize("make", list(NETWORKS.values()), ids=list(NETWORKS))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latent(network: nn.Module, shape: tuple[int, int], batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, *network.latent_shape(shape), generator=generator(5))


@every_network
@pytest.mark.parametrize("shape", [(16, 16), (24, 8)])
def test_shapes(make, shape):
    network = initialize(make(), generator(0))
    assert network(latent(network, shape, batch=2)).shape == (2, *shape)


@pytest.mark.parametrize("kind", [Decoder, UNet])
def test_volumes(kind):
    """The same contract in three dimensions: shapes, zero at the start, gradients everywhere, determinism."""
    make = lambda: initialize(kind(latent_channels=3, channels=8, levels=1, dimension=3), generator(0))  # noqa: E731
    network = make()
    z = latent(network, (4, 8, 6), batch=2)
    assert network(z).shape == (2, 4, 8, 6)
    assert (network(z) == 0).all()
    with torch.no_grad():
        network.output.weight.fill_(1.0)
    network(z)[..., ::2, :3].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    for name, value in make().state_dict().items():
        assert name == "output.weight" or torch.equal(value, network.state_dict()[name]), name
    with pytest.raises(ShapeError, match=r"image shape: got \(4, 8, 5\), expected multiples of 2"):
        network.latent_shape((4, 8, 5))


@every_network
def test_output_starts_at_exactly_zero(make):
    network = initialize(make(), generator(0))
    assert (network(latent(network, (16, 16))) == 0).all()


@every_network
def test_output_is_not_stuck_at_zero(make):
    """The last layer has a gradient, so the first step of any optimizer leaves zero."""
    network = initialize(make(), generator(0))
    network(latent(network, (16, 16))).sum().backward()
    assert network.output.weight.grad.abs().max() > 0
    with torch.no_grad():
        network.output.weight.fill_(1.0)
    network.zero_grad()
    network(latent(network, (16, 16)))[..., ::2, :3].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@every_network
def test_same_seed_same_weights(make):
    one, same, other = (initialize(make(), generator(seed)) for seed in (1, 1, 2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@every_network
def test_the_global_generator_is_neither_read_nor_moved(make):
    with torch.random.fork_rng(devices=[]):
        weights = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            network = initialize(make(), generator(3))
            network(latent(network, (16, 16)))
            assert torch.equal(torch.get_rng_state(), before)
            weights.append(nn.utils.parameters_to_vector(network.parameters()))
        assert torch.equal(*weights)


@every_network
def test_all_parameters_are_drawn_anew(make):
    """Nothing of what the network held before survives."""
    network = make()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(np.nan)
    initialize(network, generator(0))
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


def test_initialization_has_the_bounds_of_torch():
    layer = initialize(nn.Linear(100, 300), generator(0))
    for parameter in (layer.weight, layer.bias):
        assert parameter.abs().max() <= 0.1
        assert parameter.std().item() == pytest.approx(0.1 / np.sqrt(3), rel=0.1)
    norm = initialize(nn.GroupNorm(2, 4), generator(0))
    assert (norm.weight == 1).all() and (norm.bias == 0).all()


def test_a_layer_without_a_rule_is_refused():
    with pytest.raises(OptionError, match="no rule for layer '1' of type BatchNorm2d"):
        initialize(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), generator(0))


@every_network
@pytest.mark.parametrize("channels", [1, 6, 12])
def test_any_number_of_channels(make, channels):
    network = type(make())(latent_channels=2, channels=channels, levels=1)
    assert network(latent(network, (8, 8))).shape == (1, 8, 8)


@every_network
@pytest.mark.parametrize("shape", [(18, 16), (16, 18), (0, 16)])
def test_images_that_cannot_be_halved_are_refused(make, shape):
    with pytest.raises(ShapeError, match=r"image shape: got .*expected multiples of 4"):
        make().latent_shape(shape)


def test_an_image_of_one_pixel_at_the_bottom_of_the_unet_is_refused():
    with pytest.raises(ShapeError, match="at least 8"):
        UNet(levels=2).latent_shape((4, 16))
