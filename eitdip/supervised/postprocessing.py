"""A classical reconstruction, mended by a network."""

import torch
from torch import nn

from eitdip.imaging import ImagingOperator
from eitdip.networks import UNet, initialize


class PostProcessing(nn.Module):
    """x = x0 + network(x0) with x0 = A^+ y, such as filtered back-projection and a U-Net.

    Args:
        operator: A, with its `pinv`.
        network: Images (B, 1, H, W) to corrections (B, H, W); by default a U-Net that starts at zero.
        seed: Of the weights of the default network.

    References:
        Jin, McCann, Froustey, Unser (2017), IEEE Trans. Image Process. 26(9).
    """

    def __init__(self, operator: ImagingOperator, network: nn.Module | None = None, seed: int = 0):
        super().__init__()
        if network is None:
            network = initialize(UNet(latent_channels=1, skips=32), torch.Generator().manual_seed(seed))
            network.to(getattr(torch, operator.domain.dtype))
        self._operator = (operator,)  # no submodule: its matrices do not belong to the weights
        self.network = network

    @property
    def operator(self) -> ImagingOperator:
        """A."""
        return self._operator[0]

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Data (B, *range.shape) to images (B, H, W)."""
        first = self.operator.pinv(y)
        return first + self.network(first[:, None])
