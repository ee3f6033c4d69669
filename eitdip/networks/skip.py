"""Hourglass with skip connections, the network of the first deep image priors."""

import torch
from torch import nn

from eitdip.networks.layers import CONVOLUTIONS, convolution_layers, divide, single, upsampling


class SkipNetwork(nn.Module):
    """Down and up again, with a narrow branch past the bottleneck at each scale.

    Args:
        latent_channels: Channels of the latent tensor z.
        channels: Channels of all hidden layers.
        levels: Number of halvings; the image sides are multiples of 2^levels.
        skips: Channels of each skip branch, which is normalized before it joins.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).
        outputs: Channels of the image: 3 for colours, 2 for complex images.

    References:
        Ulyanov, Vedaldi, Lempitsky (2018), CVPR.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(
        self,
        latent_channels: int = 8,
        channels: int = 32,
        levels: int = 3,
        skips: int = 4,
        dimension: int = 2,
        outputs: int = 1,
    ):
        super().__init__()
        convolution = CONVOLUTIONS[dimension]
        widths = [latent_channels] + [channels] * (levels - 1)

        def down(width: int) -> nn.Sequential:
            halve = convolution(width, channels, 3, stride=2, padding=1)
            return nn.Sequential(halve, *_activated(channels), *convolution_layers(channels, channels, 1, dimension))

        def up() -> nn.Sequential:
            mix = convolution(channels, channels, 1)
            joined = convolution_layers(channels + skips, channels, 1, dimension)
            return nn.Sequential(nn.GroupNorm(1, channels + skips), *joined, mix, *_activated(channels))

        self.latent_channels, self.levels = latent_channels, levels
        self.skip = nn.ModuleList(nn.Sequential(convolution(width, skips, 1), *_activated(skips)) for width in widths)
        self.down = nn.ModuleList(down(width) for width in widths)
        self.up = nn.ModuleList(up() for _ in widths)
        self.upsample = upsampling(dimension)
        self.output = convolution(channels, outputs, 1)

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (channels, H, W) of the latent tensor for an image (H, W), and so on in 3-D."""
        divide(image_shape, 2**self.levels, least=2)  # reflection needs two pixels at the bottom
        return (self.latent_channels, *image_shape)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, H, W) to images (B, H, W), or (B, outputs, H, W) if there are several; likewise in 3-D."""
        x, kept = z, []
        for skip, down in zip(self.skip, self.down, strict=True):
            kept.append(skip(x))
            x = down(x)
        for up in self.up:
            x = up(torch.cat([kept.pop(), self.upsample(x)], dim=1))
        return single(self.output(x))


def _activated(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(1, channels), nn.LeakyReLU(0.2)]
