"""Images x = link(generator()), in the unit of the data's operator."""

import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.imaging.primal_dual import differences


class Affine(nn.Module):
    """start + scale * x: any real values.

    Args:
        start: Value of the first image.
        scale: Size of the structures in it, > 0.
    """

    def __init__(self, start: float = 0.0, scale: float = 1.0):
        super().__init__()
        if not 0 < scale < float("inf"):
            raise OptionError(f"scale: got {scale}, expected > 0 and finite")
        self.start, self.scale = float(start), float(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        return self.start + self.scale * x


class Between(nn.Module):
    """low + (high - low) * sigmoid(x): values between two bounds; the first image is halfway.

    Args:
        low: Least value.
        high: Largest value, > low.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0):
        super().__init__()
        if not -float("inf") < low < high < float("inf"):
            raise OptionError(f"bounds: got {low} and {high}, expected low < high")
        self.low, self.high = float(low), float(high)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        return self.low + (self.high - self.low) * torch.sigmoid(x)


class Positive(nn.Module):
    """start * log(1 + (e - 1) exp(x)): values > 0, such as activities; the first image is `start`.

    Args:
        start: > 0.
    """

    def __init__(self, start: float = 1.0):
        super().__init__()
        if not 0 < start < float("inf"):
            raise OptionError(f"start: got {start}, expected > 0 and finite")
        self.start = float(start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of the same shape."""
        return self.start * nn.functional.softplus(x + 0.541324854612918)  # log(e - 1)


class Image(nn.Module):
    """x = link(generator()): the parameterization of images.

    It has the methods that objectives ask of an `eitdip.parameterization.Parameterization`.

    Args:
        generator: Module whose forward() gives (H, W), or (C, H, W) with channels.
        link: `Affine`, `Between` or `Positive`.
        complex: Take the two channels of the generator as real and imaginary part.
        unit: Size of the image's values; penalties see the image over it.

    Raises:
        ShapeError: If the image is complex and the generator has not two channels.
    """

    def __init__(self, generator: nn.Module, link: nn.Module, *, complex: bool = False, unit: float = 1.0):
        super().__init__()
        self.generator, self.link, self.complex, self.unit = generator, link, complex, float(unit)
        with torch.no_grad():
            shape = tuple(generator().shape)
        if complex and (len(shape) != 3 or shape[0] != 2):
            raise ShapeError(f"generator: got images {shape}, expected (2, H, W) for real and imaginary part")

    def field(self) -> torch.Tensor:
        """The image: (H, W), (C, H, W), or complex (H, W)."""
        values = self.link(self.generator())
        return torch.complex(values[0], values[1]) if self.complex else values

    def contrast(self, field: torch.Tensor) -> torch.Tensor:
        """The image over its unit, real: what penalties see, (H, W) or (C, H, W)."""
        return (torch.view_as_real(field).movedim(-1, 0) if field.is_complex() else field) / self.unit

    def to_unknowns(self, field: torch.Tensor) -> torch.Tensor:
        """The image itself."""
        return field

    def forward(self) -> torch.Tensor:
        """The image."""
        return self.field()


class Cropped(nn.Module):
    """The upper left part of a generator's image: networks make sides that are multiples of a power of 2 only.

    Args:
        generator: Module whose forward() gives (..., H', W').
        shape: (H, W), no larger.
    """

    def __init__(self, generator: nn.Module, shape: tuple[int, int]):
        super().__init__()
        self.generator, self.shape = generator, tuple(shape)

    def forward(self) -> torch.Tensor:
        """Shape (..., H, W)."""
        return self.generator()[..., : self.shape[0], : self.shape[1]]


class ImageVariation(nn.Module):
    """Mean of sqrt(|grad x|^2 + smoothing^2) - smoothing over pixels; channels share their edges.

    Args:
        smoothing: Differences between neighbours far below it are penalized quadratically; > 0.
    """

    def __init__(self, smoothing: float = 1e-3):
        super().__init__()
        if not smoothing > 0:
            raise OptionError(f"smoothing: got {smoothing}, expected > 0 (the penalty must be differentiable)")
        self.smoothing = float(smoothing)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of an image (H, W) or (C, H, W)."""
        square = differences(x, 2).square().sum(dim=0)
        square = square.sum(dim=0) if x.ndim == 3 else square
        return (torch.sqrt(square + self.smoothing**2) - self.smoothing).mean()
