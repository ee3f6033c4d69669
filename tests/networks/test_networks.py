"""Networks: shapes, first output, distributions of their weights, and where their randomness comes from."""

import numpy as np
import pytest
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.networks import ConvolutionalDecoder, CoordinateNetwork, Decoder, DeepDecoder, SkipNetwork, UNet, initialize
from eitdip.networks.coordinates import FourierFeatures, SineLayer

NETWORKS = {
    "decoder": lambda channels=8, **how: Decoder(latent_channels=3, channels=channels, levels=2, **how),
    "deep-decoder": lambda channels=8, **how: DeepDecoder(channels=channels, levels=2, **how),
    "convolutional-decoder": lambda channels=8, **how: ConvolutionalDecoder(channels=channels, levels=2, **how),
    "unet": lambda channels=8, **how: UNet(latent_channels=3, channels=channels, levels=2, skips=2, **how),
    "skip": lambda channels=8, **how: SkipNetwork(latent_channels=3, channels=channels, levels=2, skips=2, **how),
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


@every_network
def test_volumes(make):
    """The same contract in three dimensions: shapes, zero at the start, gradients everywhere, determinism."""
    network = initialize(make(dimension=3), generator(0))
    z = latent(network, (8, 16, 12), batch=2)
    assert network(z).shape == (2, 8, 16, 12)
    assert (network(z) == 0).all()
    with torch.no_grad():
        network.output.weight.fill_(1.0)
    network(z)[..., ::2, :3].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    for name, value in initialize(make(dimension=3), generator(0)).state_dict().items():
        assert name == "output.weight" or torch.equal(value, network.state_dict()[name]), name
    with pytest.raises(ShapeError, match=r"image shape: got \(8, 16, 10\), expected multiples of 4"):
        network.latent_shape((8, 16, 10))


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
    network = make(channels)
    assert network(latent(network, (8, 8))).shape == (1, 8, 8)


@every_network
@pytest.mark.parametrize("shape", [(18, 16), (16, 18), (0, 16)])
def test_images_that_cannot_be_halved_are_refused(make, shape):
    with pytest.raises(ShapeError, match=r"image shape: got .*expected multiples of 4"):
        make().latent_shape(shape)


@pytest.mark.parametrize("kind", [UNet, SkipNetwork])
def test_an_image_of_one_pixel_at_the_bottom_of_an_hourglass_is_refused(kind):
    with pytest.raises(ShapeError, match="at least 8"):
        kind(levels=2).latent_shape((4, 16))
    assert kind(levels=2).latent_shape((8, 16)) == (8, 8, 16)


def test_the_deep_decoder_has_fewer_weights_than_the_image_has_pixels():
    network = DeepDecoder(channels=32, levels=3)
    assert nn.utils.parameters_to_vector(network.parameters()).numel() == 3 * (32**2 + 2 * 32) + 32 + 1 < 64**2


@pytest.mark.parametrize(("first", "bound"), [(True, 1 / 50), (False, np.sqrt(6 / 50) / 7)], ids=["first", "further"])
def test_sine_layers_have_the_bounds_of_their_paper(first, bound):
    layer = initialize(nn.Sequential(SineLayer(50, 400, omega=7.0, first=first)), generator(0))[0]
    for parameter, limit in ((layer.weight, bound), (layer.bias, 1 / np.sqrt(50))):
        assert 0.98 * limit < parameter.abs().max() <= limit
        assert parameter.std().item() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    x = torch.randn(3, 50, generator=generator(1))
    expected = np.sin(7.0 * (x.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()))
    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-5)


def test_values_keep_their_size_through_sine_layers():
    network = initialize(CoordinateNetwork("sine", channels=256, depth=5, frequency=30.0), generator(0))
    x = 2 * torch.rand(200, 2, generator=generator(1)) - 1
    for layer in network.body:
        x = layer(x)
        assert x.std().item() == pytest.approx(np.sqrt(0.5), rel=0.1)  # of the sine of a wide distribution


def test_fourier_features_are_waves_of_their_scale():
    features = initialize(nn.Sequential(FourierFeatures(2, 5000, scale=1.5)), generator(0))[0]
    frequencies = features.frequencies
    assert not list(features.parameters()) and frequencies.shape == (2, 5000)
    assert frequencies.mean().abs() < 0.05 and frequencies.std().item() == pytest.approx(1.5, rel=0.03)
    x = torch.tensor([[0.3, -0.2]])
    phase = 2 * np.pi * (0.3 * frequencies[0] - 0.2 * frequencies[1]).numpy()
    np.testing.assert_allclose(features(x)[0], np.concatenate([np.sin(phase), np.cos(phase)]), atol=1e-5)


def test_frequencies_of_networks_of_coordinates():
    for given, fourier, sine in ((None, 1.5, 10.0), (4.0, 4.0, 4.0)):
        assert CoordinateNetwork("fourier", 8, frequency=given).body[0].scale == fourier
        assert {layer.omega for layer in CoordinateNetwork("sine", 8, frequency=given).body} == {sine}
    assert [layer.first for layer in CoordinateNetwork("sine", 8, depth=3).body] == [True, False, False]


@pytest.mark.parametrize(("kind", "depth"), [("relu", 3), ("sine", 0), ("fourier", -1)])
def test_networks_of_coordinates_out_of_range_are_refused(kind, depth):
    with pytest.raises(OptionError, match=f"kind, depth: got '{kind}', {depth}, expected 'fourier' or 'sine'"):
        CoordinateNetwork(kind, depth=depth)
