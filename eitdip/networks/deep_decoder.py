"""Deep decoder: no convolutions wider than a pixel, and fewer weights than the image has pixels."""

import torch
from torch import nn

from eitdip.networks.layers import CONVOLUTIONS, divide, upsampling


class DeepDecoder(nn.Module):
    """Mix channels at each pixel, upsample linearly, cut with ReLU, normalize each channel; repeat.

    It has levels * (channels^2 + 2 channels) + channels + 1 weights: with 32 channels and 3 levels 3297, fewer
    than the 4096 pixels of an image 64 x 64. So it cannot fit all noise, whatever the number of steps.

    Args:
        channels: Of the latent tensor and all hidden layers.
        levels: Number of doublings: a latent of h x w gives an image of h 2^levels x w 2^levels.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).

    References:
        Heckel, Hand (2019), ICLR.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(self, channels: int = 32, levels: int = 3, dimension: int = 2):
        super().__init__()
        self.latent_channels, self.levels = channels, levels
        layers: list[nn.Module] = []
        for _ in range(levels):
            mix = CONVOLUTIONS[dimension](channels, channels, 1, bias=False)
            layers += [mix, upsampling(dimension), nn.ReLU(), nn.GroupNorm(channels, channels)]
        self.body = nn.Sequential(*layers)
        self.output = CONVOLUTIONS[dimension](channels, 1, 1)

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (channels, h, w) of the latent tensor for an image (H, W), and so on in 3-D."""
        return (self.latent_channels, *divide(image_shape, 2**self.levels))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, h, w) to images (B, H, W), or (B, C, d, h, w) to (B, D, H, W)."""
        return self.output(self.body(z))[:, 0]
