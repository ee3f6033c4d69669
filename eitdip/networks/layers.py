"""The pieces that the networks share, in two and three dimensions."""

import math

import torch
from torch import nn

from eitdip.errors import ShapeError

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}


def convolution_layers(width: int, channels: int, count: int, dimension: int) -> list[nn.Module]:
    """`count` times convolution of width 3, normalization and activation; the first takes `width` channels."""
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [
            CONVOLUTIONS[dimension](width, channels, 3, padding=1, padding_mode="reflect"),
            nn.GroupNorm(math.gcd(8, channels), channels),
            nn.LeakyReLU(0.2),
        ]
        width = channels
    return layers


def upsampling(dimension: int) -> nn.Module:
    """Linear interpolation to twice the size along each axis."""
    mode = {2: "bilinear", 3: "trilinear"}[dimension]
    return nn.Upsample(scale_factor=2, mode=mode, align_corners=False)


def single(images: torch.Tensor) -> torch.Tensor:
    """Without the axis of channels if there is one channel only."""
    return images[:, 0] if images.shape[1] == 1 else images


def divide(shape: tuple[int, ...], factor: int, least: int = 1) -> tuple[int, ...]:
    """An image shape divided by `factor`.

    Raises:
        ShapeError: If a side is no multiple of it, or less than `least` times it.
    """
    if any(side % factor or side < least * factor for side in shape):
        raise ShapeError(
            f"image shape: got {shape}, expected multiples of {factor}, at least {least * factor}, for this network"
        )
    return tuple(side // factor for side in shape)
