"""U-Net with group normalization."""

import torch
from torch import nn

from eitdip.networks.layers import CONVOLUTIONS, convolution_layers, divide, single, upsampling


class UNet(nn.Module):
    """Encoder and decoder with narrow skip connections, for a latent of the image's own size.

    Args:
        latent_channels: Channels of the latent tensor z.
        channels: Channels of all hidden layers.
        levels: Number of halvings; the image sides are multiples of 2^levels.
        skips: Channels of each skip connection; few, or the network copies the noise of z.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).
        outputs: Channels of the image: 3 for colours, 2 for complex images.
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

        def block(width: int) -> nn.Sequential:
            return nn.Sequential(*convolution_layers(width, channels, 2, dimension))

        self.latent_channels, self.levels = latent_channels, levels
        self.enter = block(latent_channels)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(channels, channels, 3, stride=2, padding=1), block(channels))
            for _ in range(levels)
        )
        self.skip = nn.ModuleList(convolution(channels, skips, 1) for _ in range(levels))
        self.up = nn.ModuleList(block(channels + skips) for _ in range(levels))
        self.upsample = upsampling(dimension)
        self.output = convolution(channels, outputs, 1)

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (channels, H, W) of the latent tensor for an image (H, W), and so on in 3-D."""
        divide(image_shape, 2**self.levels, least=2)  # reflection needs two pixels at the bottom
        return (self.latent_channels, *image_shape)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, H, W) to images (B, H, W), or (B, outputs, H, W) if there are several; likewise in 3-D."""
        x = self.enter(z)
        kept = []
        for skip, down in zip(self.skip, self.down, strict=True):
            kept.append(skip(x))
            x = down(x)
        for up in self.up:
            x = up(torch.cat([self.upsample(x), kept.pop()], dim=1))
        return single(self.output(x))
