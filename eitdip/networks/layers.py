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


def continued(images: torch.Tensor, multiple: int) -> torch.Tensor:
    """Images (B, C, *shape) whose last pixels are repeated until the sides are multiples, at least twice."""
    missing = [max(-side % multiple, 2 * multiple - side) for side in images.shape[2:]]
    if not any(missing):
        return images
    return nn.functional.pad(images, [n for side in reversed(missing) for n in (0, side)], mode="replicate")


def split(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Patches as channels: (B, C, H, W) to (B, C patch^2, H / patch, W / patch), likewise in 3-D."""
    if patch == 1:
        return images
    count, channels, *shape = images.shape
    axes = range(len(shape))
    coarse = divide(tuple(shape), patch)
    parts = images.reshape(count, channels, *(size for side in coarse for size in (side, patch)))
    order = (0, 1, *(3 + 2 * axis for axis in axes), *(2 + 2 * axis for axis in axes))
    return parts.permute(order).reshape(count, channels * patch ** len(shape), *coarse)


def join(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Channels as patches: the inverse of `split`."""
    if patch == 1:
        return images
    count, channels, *shape = images.shape
    dimension = len(shape)
    parts = images.reshape(count, channels // patch**dimension, *(patch,) * dimension, *shape)
    order = (0, 1, *(axis for pair in range(dimension) for axis in (2 + dimension + pair, 2 + pair)))
    return parts.permute(order).reshape(count, -1, *(side * patch for side in shape))


class Scale(nn.Module):
    """A learned factor and offset for each channel; the identity before training."""

    def __init__(self, channels: int, dimension: int):
        super().__init__()
        shape = (channels,) + (1,) * dimension
        self.factor, self.offset = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))

    def draw(self, generator: torch.Generator) -> None:
        """Back to the identity."""
        self.factor.fill_(1)
        self.offset.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x + self.offset
