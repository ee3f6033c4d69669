"""How far a network's answers to many inputs are from the right ones."""

import torch
from torch import nn

from eitdip.parameterization import Link


class Squared(nn.Module):
    """Mean square of link(output) - target, over the square of a unit.

    Args:
        link: From raw outputs to images.
        unit: Size of the values.
        complex: Whether two channels of the outputs are real and imaginary part of a complex target.
    """

    def __init__(self, link: Link, unit: float = 1.0, complex: bool = False):
        super().__init__()
        self.link, self.unit, self.complex = link, float(unit), complex

    def images(self, outputs: torch.Tensor) -> torch.Tensor:
        """The images that outputs (B, *shape), or (B, channels, *shape), stand for."""
        values = self.link(outputs)
        return torch.complex(values[:, 0], values[:, 1]) if self.complex else values

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named losses, each the mean over the pairs."""
        return {"squared": ((self.images(outputs) - targets).abs() / self.unit).square().mean()}
