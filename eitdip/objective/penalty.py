"""Penalties on the contrast of a field: total variation, sparsity and Tikhonov, on pixel images or on the mesh.

A penalty is a difference operator and a pointwise loss. Both work on `Parameterization.contrast`: log(sigma / start)
of conductivities, so that halving and doubling cost the same; values over their unit of images. So a weight does not
depend on the unit. Every difference operator is linear, x to (D x, weights), and also gives its matrices:
Gauss-Newton wants them.
"""

import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.objective.differences import Values


class TotalVariation(nn.Module):
    """Weighted sum of sqrt(|D x|^2 + smoothing^2) - smoothing, isotropic over the components of D x.

    Args:
        differences: `PixelDifferences`, `MeshJumps` or `MeshGradients`; with `Values` it is the L1 norm.
        smoothing: Jumps far below it are penalized quadratically; > 0.
    """

    def __init__(self, differences: nn.Module, smoothing: float = 1e-3):
        super().__init__()
        if not smoothing > 0:
            raise OptionError(f"smoothing: got {smoothing}, expected > 0 (the penalty must be differentiable)")
        self.differences, self.smoothing = differences, float(smoothing)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        d, weights = self.differences(x)
        return (weights * (torch.sqrt(d.square().sum(dim=0) + self.smoothing**2) - self.smoothing)).sum()


class Proximity(nn.Module):
    """Mean square distance of the contrast from that of another field, such as a pretrained network's answer.

    Args:
        anchor: Contrast of that field.
    """

    def __init__(self, anchor: torch.Tensor):
        super().__init__()
        self.register_buffer("anchor", anchor.detach().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.anchor).square().mean()


class Tikhonov(nn.Module):
    """Weighted sum of |D x|^2.

    Args:
        differences: As for `TotalVariation`; by default `Values()`, the mean of x^2.
    """

    def __init__(self, differences: nn.Module | None = None):
        super().__init__()
        self.differences = Values() if differences is None else differences

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        d, weights = self.differences(x)
        return (weights * d.square().sum(dim=0)).sum()
