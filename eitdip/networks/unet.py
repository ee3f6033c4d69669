"""U-Net with group normalization."""

import math

import torch
from torch import nn

from eitdip.networks.decoder import _divide


def _block(width: int, channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [
            nn.Conv2d(width, channels, 3, padding=1, padding_mode="reflect"),
            nn.GroupNorm(math.gcd(8, channels), channels),
            nn.LeakyReLU(0.2),
        ]
        width = channels
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Encoder and decoder with narrow skip connections, for a latent of the image's own size.

    Args:
        latent_channels: Channels of the latent tensor z.
        channels: Channels of all hidden layers.
        levels: Number of halvings; the image sides are multiples of 2^levels.
        skips: Channels of each skip connection; few, or the network copies the noise of z.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(self, latent_channels: int = 8, channels: int = 32, levels: int = 3, skips: int = 4):
        super().__init__()
        self.latent_channels, self.levels = latent_channels, levels
        self.enter = _block(latent_channels, channels)
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, stride=2, padding=1), _block(channels, channels))
            for _ in range(levels)
        )
        self.skip = nn.ModuleList(nn.Conv2d(channels, skips, 1) for _ in range(levels))
        self.up = nn.ModuleList(_block(channels + skips, channels) for _ in range(levels))
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.output = nn.Conv2d(channels, 1, 1)

    def latent_shape(self, image_shape: tuple[int, int]) -> tuple[int, int, int]:
        """Shape (channels, H, W) of the latent tensor for an image (H, W)."""
        _divide(image_shape, 2**self.levels, least=2)  # reflection needs two pixels at the bottom
        return (self.latent_channels, *image_shape)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, H, W) to images (B, H, W)."""
        x = self.enter(z)
        kept = []
        for skip, down in zip(self.skip, self.down, strict=True):
            kept.append(skip(x))
            x = down(x)
        for up in self.up:
            x = up(torch.cat([self.upsample(x), kept.pop()], dim=1))
        return self.output(x)[:, 0]
