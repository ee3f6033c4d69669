"""The U-Net with an input: patches as channels, widths by level, sides of any length, learned scales, its stages."""

import pytest
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.networks import UNet, initialize
from eitdip.networks.layers import Scale, continued, join, split

SHAPES = {2: (3, 2, 8, 12), 3: (3, 2, 4, 8, 12)}


def drawn(*shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def disturbed(seed: int = 0, **how) -> UNet:
    """With weights whose output is not 0."""
    network = initialize(UNet(**({"latent_channels": 2, "channels": 6, "levels": 1, "skips": 3} | how)),
                         torch.Generator().manual_seed(seed))  # fmt: skip
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter += 0.2 * drawn(*parameter.shape, seed=number)
    return network


def test_patches_are_those_of_torch():
    x = drawn(*SHAPES[2])
    for patch in (1, 2, 4):
        assert torch.equal(split(x, patch), nn.functional.pixel_unshuffle(x, patch))
    parts = drawn(2, 8, 3, 5)
    for patch in (1, 2):
        assert torch.equal(join(parts, patch), nn.functional.pixel_shuffle(parts, patch))


def test_patches_of_volumes():
    x = drawn(*SHAPES[3])
    parts = split(x, 2)
    assert parts.shape == (3, 2 * 8, 2, 4, 6) and torch.equal(join(parts, 2), x)
    for number in range(8):  # the last axis counts fastest
        z, row, column = number // 4, number // 2 % 2, number % 2
        assert torch.equal(parts[:, 8 + number], x[:, 1, z::2, row::2, column::2])


@pytest.mark.parametrize("dimension", SHAPES)
@pytest.mark.parametrize("patch", [1, 2])
def test_shapes_with_patches_and_widths_by_level(dimension, patch):
    network = disturbed(channels=(4, 8, 16), levels=2, dimension=dimension, outputs=3, patch=patch)
    shape = (16, 8) if dimension == 2 else (8, 16, 8)
    assert network(drawn(2, 2, *shape)).shape == (2, 3, *shape)
    assert network.enter[0].in_channels == 2 * patch**dimension
    assert network.output.out_channels == 3 * patch**dimension
    assert [block[0].out_channels for block in network.down] == [8, 16]
    assert [block[0].in_channels for block in network.up] == [16 + 3, 8 + 3]
    assert network.latent_shape((32,) * dimension) == (2, *(32,) * dimension)
    with pytest.raises(ShapeError, match=f"expected multiples of {patch * 4}, at least {patch * 8}"):
        network.latent_shape((4 * patch,) * dimension)


def test_a_number_of_channels_for_each_level_is_needed():
    with pytest.raises(OptionError, match=r"channels: got \(4, 8\) for 2 levels, expected 3 numbers, or one"):
        UNet(channels=(4, 8), levels=2)


def test_one_width_is_the_same_width_everywhere():
    one, three = (disturbed(channels=channels, levels=2) for channels in (6, (6, 6, 6)))
    x = drawn(1, 2, 8, 8)
    assert torch.equal(one(x), three(x)) and one(x).abs().max() > 0


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("shape", [(9, 12), (12, 15), (3, 20), (1, 1)])
def test_sides_of_any_length_are_continued_by_their_last_pixels(shape, patch):
    network, multiple = disturbed(outputs=2, patch=patch, scaled=True), 2 * patch
    x = drawn(2, 2, *shape)
    wanted = [max(2 * multiple, -(-side // multiple) * multiple) for side in shape]
    rows, columns = (torch.arange(side).clamp(max=last - 1) for side, last in zip(wanted, shape, strict=True))
    padded = x[:, :, rows][:, :, :, columns]
    found = network(x)
    assert found.shape == (2, 2, *shape)
    assert torch.equal(found, network(padded)[:, :, : shape[0], : shape[1]])
    assert torch.equal(continued(x, multiple), padded)


def test_volumes_are_continued_along_their_own_axes():
    x = drawn(1, 1, 3, 4, 5)
    found = continued(x, 2)
    assert found.shape == (1, 1, 4, 4, 6)
    assert torch.equal(found[..., :3, :, :5], x) and torch.equal(found[..., 3, :, :5], x[..., 2, :, :])
    assert torch.equal(found[..., :3, :, 5], x[..., 4]) and continued(x[..., :4, :, :4], 1).shape[-3:] == (3, 4, 4)
    assert continued(found, 2) is found
    assert disturbed(dimension=3)(drawn(1, 2, 5, 4, 7)).shape == (1, 5, 4, 7)


def test_scales_are_the_identity_before_training_and_act_on_input_and_output():
    x = drawn(2, 2, 8, 8)
    plain, scaled = disturbed(outputs=3), UNet(latent_channels=2, channels=6, levels=1, skips=3, outputs=3, scaled=True)
    scaled.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(scaled(x), plain(x))
    factors, offsets = (torch.tensor([2.0, -3.0])[:, None, None], torch.tensor([0.5, 1.0])[:, None, None])
    with torch.no_grad():
        scaled.scale_in.factor.copy_(factors)
        scaled.scale_in.offset.copy_(offsets)
        scaled.scale_out.factor.fill_(4.0)
        scaled.scale_out.offset.copy_(torch.tensor([1.0, 2.0, 3.0])[:, None, None])
    expected = 4 * plain(factors * x + offsets) + torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    torch.testing.assert_close(scaled(x), expected)
    initialize(scaled, torch.Generator().manual_seed(0))
    assert (scaled.scale_in.factor == 1).all() and (scaled.scale_in.offset == 0).all()
    assert not list(disturbed().scale_in.parameters())
    assert Scale(2, 3).factor.shape == (2, 1, 1, 1)


def test_stages_are_what_comes_after_the_bottom_and_what_comes_last():
    network = disturbed(channels=(4, 6, 8), levels=2, scaled=True)
    names = {id(parameter): name for name, parameter in network.named_parameters()}

    def parts(stage: str) -> set[str]:
        return {
            ".".join(names[id(p)].split(".")[: 2 if names[id(p)].startswith("up") else 1])
            for module in network.stages[stage]
            for p in module.parameters()
        }

    assert parts("decoder") == {"skip", "up.0", "up.1", "output", "scale_out"}
    assert parts("last") == {"up.1", "output", "scale_out"}
    assert network.up[1][0].out_channels == 4  # the finest one is the last
    flat = UNet(channels=4, levels=0)
    assert flat.stages["last"] == (flat.output, flat.scale_out)
