"""U-Net with group normalization."""

from itertools import pairwise

import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.networks.layers import (
    CONVOLUTIONS,
    Scale,
    continued,
    convolution_layers,
    divide,
    join,
    single,
    split,
    upsampling,
)


class UNet(nn.Module):
    """Encoder and decoder with narrow skip connections, for a latent, or an input, of the image's own size.

    Args:
        latent_channels: Channels of the latent tensor z, or of the input.
        channels: Channels of all hidden layers; or of those of each level, levels + 1 numbers from fine to coarse.
        levels: Number of halvings; the image sides are multiples of patch * 2^levels.
        skips: Channels of each skip connection; few, or the network copies the noise of z.
        dimension: 2 for images (H, W), 3 for volumes (D, H, W).
        outputs: Channels of the image: 3 for colours, 2 for complex images, one for each class.
        patch: The network works on patches of patch x patch pixels as channels, which is faster by about its square.
        scaled: Learn a factor and an offset of the input and of the output, one of each for each channel.

    Raises:
        OptionError: If there is not one number of channels for each level.

    References:
        Ronneberger, Fischer, Brox (2015), MICCAI; with `scaled` Barbano et al. (2022), arXiv:2111.11926.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(
        self,
        latent_channels: int = 8,
        channels: int | tuple[int, ...] = 32,
        levels: int = 3,
        skips: int = 4,
        dimension: int = 2,
        outputs: int = 1,
        patch: int = 1,
        scaled: bool = False,
    ):
        super().__init__()
        convolution = CONVOLUTIONS[dimension]
        widths = (channels,) * (levels + 1) if isinstance(channels, int) else tuple(channels)
        if len(widths) != levels + 1:
            raise OptionError(f"channels: got {channels} for {levels} levels, expected {levels + 1} numbers, or one")

        def block(width: int, channels: int) -> nn.Sequential:
            return nn.Sequential(*convolution_layers(width, channels, 2, dimension))

        self.latent_channels, self.levels, self.patch = latent_channels, levels, patch
        pixels = patch**dimension
        self.enter = block(latent_channels * pixels, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(convolution(fine, coarse, 3, stride=2, padding=1), block(coarse, coarse))
            for fine, coarse in pairwise(widths)
        )
        self.skip = nn.ModuleList(convolution(width, skips, 1) for width in widths[:-1])
        # From coarse to fine, as they are used.
        self.up = nn.ModuleList(block(widths[level + 1] + skips, widths[level]) for level in reversed(range(levels)))
        self.upsample = upsampling(dimension)
        self.output = convolution(widths[0], outputs * pixels, 1)
        self.scale_in = Scale(latent_channels, dimension) if scaled else nn.Identity()
        self.scale_out = Scale(outputs, dimension) if scaled else nn.Identity()

    @property
    def stages(self) -> dict[str, tuple[nn.Module, ...]]:
        """Parts of the network that may be trained alone: what comes after the bottom, and what comes last."""
        last = (self.up[-1], self.output, self.scale_out) if self.levels else (self.output, self.scale_out)
        return {"decoder": (self.skip, self.up, self.output, self.scale_out), "last": last}

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (channels, H, W) of the latent tensor for an image (H, W), and so on in 3-D."""
        divide(image_shape, self.patch * 2**self.levels, least=2)  # reflection needs two pixels at the bottom
        return (self.latent_channels, *image_shape)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Latent (B, C, H, W) to images (B, H, W), or (B, outputs, H, W) if there are several; likewise in 3-D.

        Sides that are no multiples of what the levels need are continued by their last pixels, and cut off again.
        """
        shape = z.shape[2:]
        x = self.enter(split(continued(self.scale_in(z), self.patch * 2**self.levels), self.patch))
        kept = []
        for skip, down in zip(self.skip, self.down, strict=True):
            kept.append(skip(x))
            x = down(x)
        for up in self.up:
            x = up(torch.cat([self.upsample(x), kept.pop()], dim=1))
        images = self.scale_out(join(self.output(x), self.patch))
        return single(images[(..., *(slice(side) for side in shape))])
