"""Convolutional decoder: from a small latent tensor to an image."""

import math

import torch
from torch import nn

from eitdip.errors import ShapeError


class Decoder(nn.Module):
    """Repeated bilinear up-sampling and convolutions; the up-sampling is what favours smooth images.

    Args:
        latent_channels: Channels of the latent tensor z.
        channels: Channels of all hidden layers.
        levels: Number of doublings: a latent of h x w gives an image of h 2^levels x w 2^levels.
        convolutions: 3 x 3 convolutions after each doubling.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(self, latent_channels: int = 16, channels: int = 48, levels: int = 3, convolutions: int = 2):
        super().__init__()
        self.latent_channels, self.levels = latent_channels, levels
        layers: list[nn.Module] = []
        width = latent_channels
        for _ in range(levels):
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            for _ in range(convolutions):
                layers += [
                    nn.Conv2d(width, channels, 3, padding=1, padding_mode="reflect"),
                    nn.GroupNorm(math.gcd(8, channels), channels),
                    nn.LeakyReLU(0.2),
                ]
                width = channels
        self.body = nn.Sequential(*layers)
        self.output = nn.Conv2d(channels, 1, 1)

    def latent_shape(self, image_shape: tuple[int, int]) -> tuple[int, int, int]:
        """Shape (channels, h, w) of the latent tensor for an image (H, W)."""
        return (self.latent_channels, *_divide(image_shape, 2**self.levels))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, h, w) to images (B, H, W)."""
        return self.output(self.body(z))[:, 0]


def _divide(shape: tuple[int, int], factor: int, least: int = 1) -> tuple[int, int]:
    if any(side % factor or side < least * factor for side in shape):
        raise ShapeError(
            f"image shape: got {shape}, expected multiples of {factor}, at least {least * factor}, for this network"
        )
    return shape[0] // factor, shape[1] // factor
