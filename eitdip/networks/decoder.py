"""Decoders: from a small latent tensor to an image or a volume, by repeated doubling."""

import torch
from torch import nn

from eitdip.networks.layers import CONVOLUTIONS, convolution_layers, divide, single, upsampling


class _Doubling(nn.Module):
    """A body that doubles the latent tensor `levels` times, and an output layer."""

    def __init__(self, latent_channels: int, channels: int, layers: list[nn.Module], levels: int, output: nn.Module):
        super().__init__()
        self.latent_channels, self.levels = latent_channels, levels
        self.body = nn.Sequential(*layers)
        self.output = output

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (channels, h, w) of the latent tensor for an image (H, W), and so on in 3-D."""
        return (self.latent_channels, *divide(image_shape, 2**self.levels))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, h, w) to images (B, H, W), or (B, outputs, H, W) if there are several; likewise in 3-D."""
        return single(self.output(self.body(z)))


class Decoder(_Doubling):
    """Repeated linear up-sampling and convolutions; the up-sampling is what favours smooth images.

    Args:
        latent_channels: Channels of the latent tensor z.
        channels: Channels of all hidden layers.
        levels: Number of doublings: a latent of h x w gives an image of h 2^levels x w 2^levels.
        convolutions: Convolutions of width 3 after each doubling.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).
        outputs: Channels of the image: 3 for colours, 2 for complex images.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(
        self,
        latent_channels: int = 16,
        channels: int = 48,
        levels: int = 3,
        convolutions: int = 2,
        dimension: int = 2,
        outputs: int = 1,
    ):
        layers: list[nn.Module] = []
        width = latent_channels
        for _ in range(levels):
            layers += [upsampling(dimension), *convolution_layers(width, channels, convolutions, dimension)]
            width = channels
        super().__init__(latent_channels, channels, layers, levels, CONVOLUTIONS[dimension](channels, outputs, 1))


class DeepDecoder(_Doubling):
    """Mix channels at each pixel, upsample linearly, cut with ReLU, normalize each channel; repeat.

    It has levels * (channels^2 + 2 channels) + channels + 1 weights: with 32 channels and 3 levels 3297, fewer
    than the 4096 pixels of an image 64 x 64. So it cannot fit all noise, whatever the number of steps.

    Args:
        channels: Of the latent tensor and all hidden layers.
        levels: Number of doublings: a latent of h x w gives an image of h 2^levels x w 2^levels.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).
        outputs: Channels of the image: 3 for colours, 2 for complex images.

    References:
        Heckel, Hand (2019), ICLR.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(self, channels: int = 32, levels: int = 3, dimension: int = 2, outputs: int = 1):
        layers: list[nn.Module] = []
        for _ in range(levels):
            mix = CONVOLUTIONS[dimension](channels, channels, 1, bias=False)
            layers += [mix, upsampling(dimension), nn.ReLU(), nn.GroupNorm(channels, channels)]
        super().__init__(channels, channels, layers, levels, CONVOLUTIONS[dimension](channels, outputs, 1))


class ConvolutionalDecoder(_Doubling):
    """Nearest-neighbour up-sampling, convolutions of width 3, ReLU, normalization of each channel; repeat.

    Args:
        channels: Of the latent tensor and all hidden layers.
        levels: Number of doublings: a latent of h x w gives an image of h 2^levels x w 2^levels.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).
        outputs: Channels of the image: 3 for colours, 2 for complex images.

    References:
        Darestani, Heckel (2021), IEEE Trans. Comput. Imaging 7 (ConvDecoder).
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(self, channels: int = 64, levels: int = 3, dimension: int = 2, outputs: int = 1):
        convolution = CONVOLUTIONS[dimension]
        layers: list[nn.Module] = []
        for level in range(levels + 1):
            grow = [nn.Upsample(scale_factor=2, mode="nearest")] if level else []
            mix = convolution(channels, channels, 3, padding=1)
            layers += [*grow, mix, nn.ReLU(), nn.GroupNorm(channels, channels)]
        super().__init__(channels, channels, layers, levels, convolution(channels, outputs, 1))
