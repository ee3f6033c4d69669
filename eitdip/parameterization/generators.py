"""Generators of raw fields: modules whose forward() gives an array of their `shape`, 0 where nothing is known."""

from math import prod

import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.networks import initialize


class FreeField(nn.Module):
    """One parameter per entry of an array: cells (N,), vertices (N,) or pixels (H, W)."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(shape, dtype=torch.float64))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the field."""
        return tuple(self.values.shape)

    def forward(self) -> torch.Tensor:
        return self.values


class DeepImagePrior(nn.Module):
    """A network applied to a fixed latent tensor; only the network is trained. `draw_prior` draws both.

    Args:
        network: Module with forward (1, C, h, w) -> (1, H, W), or (1, outputs, H, W); with one more axis for volumes.
        latent: (1, C, h, w).
        input_noise: Standard deviation of what is added to the latent tensor, anew in each training step.
        generator: Draws that noise; its state is part of this module's.

    Raises:
        OptionError: If the input noise is out of range, or has no generator.

    References:
        Ulyanov, Vedaldi, Lempitsky (2018), CVPR.
    """

    def __init__(
        self,
        network: nn.Module,
        latent: torch.Tensor,
        input_noise: float = 0.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if not 0 <= input_noise < float("inf"):
            raise OptionError(f"input_noise: got {input_noise}, expected >= 0 and finite")
        if input_noise and generator is None:
            raise OptionError(f"generator: got none for the input noise {input_noise:g}, expected one that draws it")
        self.network, self.input_noise = network, float(input_noise)
        self.register_buffer("latent", latent)
        self._generator = generator
        with torch.no_grad():
            self.shape = tuple(network(latent).shape[1:])

    def forward(self) -> torch.Tensor:
        """The raw field, float64, shape (H, W), or (outputs, H, W)."""
        latent = self.latent
        if self.input_noise and self.training:
            step = torch.randn(latent.shape, generator=self._generator).to(latent.device)
            latent = latent + self.input_noise * step
        return self.network(latent)[0].double()

    def get_extra_state(self) -> torch.Tensor:
        """Where the noise of the input goes on: a resumed run sees the same. Empty without noise."""
        return self._generator.get_state() if self.input_noise else torch.empty(0, dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Go on from a saved state."""
        if self.input_noise:
            self._generator.set_state(state.cpu())


def draw_prior(network: nn.Module, shape: tuple[int, ...], seed: int = 0, input_noise: float = 0.0) -> DeepImagePrior:
    """A deep image prior with weights, latent tensor and input noise drawn in this order from one seed.

    Args:
        network: Module with `latent_shape(image_shape)`; its weights are drawn anew.
        shape: (H, W) of the image, (D, H, W) of the volume.
        seed: Of all.
        input_noise: As for `DeepImagePrior`.
    """
    generator = torch.Generator().manual_seed(seed)
    network = initialize(network, generator)
    latent = torch.randn(1, *network.latent_shape(tuple(shape)), generator=generator)
    return DeepImagePrior(network, latent, input_noise, generator)


class CoordinateField(nn.Module):
    """A network of coordinates, evaluated at the pixels of an image or the voxels of a volume.

    Coordinates run from -1 to 1 along the longest side.

    Args:
        network: Module that takes points (P, d) to values (P,), such as `CoordinateNetwork`, with its weights:
            `eitdip.networks.initialize` draws them.
        shape: (H, W) of the image, (D, H, W) of the volume.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...]):
        super().__init__()
        self.shape, self.network = tuple(shape), network
        axes = [(2 * torch.arange(count) + 1 - count) / max(self.shape) for count in self.shape]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(self.shape))
        self.register_buffer("points", points, persistent=False)

    def forward(self) -> torch.Tensor:
        return self.network(self.points).reshape(self.shape).double()


class TwoLayer(nn.Module):
    """ReLU(U C) v with a fixed up-sampling U, trained coefficients C and fixed output weights v = +-1 / sqrt(width).

    The simplest network with an implicit prior: U makes it learn slow variations first. `draw_two_layer` draws
    coefficients that start equal for positive and negative output weights, so that the field starts at 0, exactly if U
    interpolates and to rounding if it is a matrix.

    Args:
        coefficients: Of positive and of negative output weights, shape (2, width / 2, *coarse).
        shape: Of the field: (H, W), (D, H, W), or (n,).
        matrix: U on flattened fields, shape (n, p), from p points of the coarse grid; by default U interpolates
            linearly to an image or a volume.

    Raises:
        ShapeError: If the shapes do not fit together.

    References:
        Heckel, Soltanolkotabi (2020), ICLR.
    """

    def __init__(self, coefficients: torch.Tensor, shape: tuple[int, ...], matrix: torch.Tensor | None = None):
        super().__init__()
        self.shape, coarse = tuple(shape), tuple(coefficients.shape[2:])
        if coefficients.ndim < 3 or len(coefficients) != 2 or (matrix is None and len(coarse) != len(self.shape)):
            raise ShapeError(
                f"coefficients: got shape {tuple(coefficients.shape)}, "
                f"expected (2, width / 2, *coarse) for {self.shape}"
            )
        if matrix is not None and matrix.shape != (prod(self.shape), prod(coarse)):
            raise ShapeError(
                f"matrix: got shape {tuple(matrix.shape)}, expected {(prod(self.shape), prod(coarse))} "
                "for the shapes of field and coefficients"
            )
        self.coefficients = nn.Parameter(coefficients)
        self.register_buffer("_matrix", matrix, persistent=False)

    def forward(self) -> torch.Tensor:
        if self._matrix is None:
            mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(self.shape)]
            raised = nn.functional.interpolate(self.coefficients, self.shape, mode=mode, align_corners=False)
        else:
            raised = self.coefficients.flatten(2) @ self._matrix.T
        plus, minus = torch.relu(raised).sum(dim=1)
        return ((plus - minus) / (2 * self.coefficients.shape[1]) ** 0.5).reshape(self.shape)


def draw_two_layer(
    shape: tuple[int, ...] | None = None, width: int = 32, factor: int = 4, seed: int = 0, matrix=None
) -> TwoLayer:
    """A two-layer generator with standard normal coefficients, whose field starts at 0.

    Args:
        shape: (H, W) of the image, (D, H, W) of the volume; with a matrix by default (n,).
        width: Coefficients per point of the coarse grid, an even number.
        factor: Pixels per point of the coarse grid along each axis; without a matrix.
        seed: Of the coefficients.
        matrix: U, shape (n, p): array or tensor.

    Raises:
        OptionError: If the width is not even.
        ShapeError: If U is no matrix.
    """
    if width < 2 or width % 2:
        raise OptionError(f"width of the two-layer generator: got {width}, expected an even number > 0")
    generator, half = torch.Generator().manual_seed(seed), width // 2
    if matrix is None:
        coarse = [-(-count // factor) for count in shape]
        drawn = torch.randn(half, *coarse, generator=generator, dtype=torch.float64)
    else:
        matrix = torch.as_tensor(matrix, dtype=torch.float64)
        if matrix.ndim != 2:
            raise ShapeError(f"matrix: got shape {tuple(matrix.shape)}, expected (n, p)")
        drawn = torch.randn(matrix.shape[1], half, generator=generator, dtype=torch.float64).T  # C is (p, width) there
    shape = (len(matrix),) if shape is None else shape
    return TwoLayer(torch.stack([drawn, drawn]), shape, matrix)


class LevelSets(nn.Module):
    """A piecewise constant field: each level-set function adds its value where it is positive.

    Raw field = sum over j of values[j] H(phi[j]), with the smooth Heaviside function H(t) = sigmoid(sharpness t)
    and phi on pixels. n functions make up to 2^n phases. It starts with all phi = 0, where H = 1/2, and with
    values in pairs of opposite signs (1, -1, 1/2, -1/2, ...), so that the field is exactly 0 and yet has slopes: the
    functions of positive values grow where the conductivity should rise, the others where it should fall.

    Args:
        shape: (H, W) of the image, (D, H, W) of the volume.
        pairs: Half the number of level-set functions.
        sharpness: Slope of H is a quarter of it where phi = 0; the larger, the thinner the transitions.

    References:
        Chan, Vese (2001); Chung, Chan, Tai (2005), for impedance tomography.
    """

    def __init__(self, shape: tuple[int, ...], pairs: int = 1, sharpness: float = 10.0):
        super().__init__()
        if pairs < 1 or not 0 < sharpness < float("inf"):
            raise OptionError(f"pairs, sharpness: got {pairs}, {sharpness}, expected at least 1, and > 0")
        self.shape, self.sharpness = tuple(shape), float(sharpness)
        values = [sign * 0.5**number for number in range(pairs) for sign in (1.0, -1.0)]
        self.values = nn.Parameter(torch.tensor(values, dtype=torch.float64))
        self.functions = nn.Parameter(torch.zeros(2 * pairs, *self.shape, dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        return torch.tensordot(self.values, torch.sigmoid(self.sharpness * self.functions), dims=1)


class Cropped(nn.Module):
    """The upper left part of a generator's image: networks make sides that are multiples of a power of 2 only.

    Args:
        generator: Module whose forward() gives (..., *padded).
        shape: (H, W) or (D, H, W), no larger.

    Raises:
        ShapeError: If it is larger.
    """

    def __init__(self, generator: nn.Module, shape: tuple[int, ...]):
        super().__init__()
        before, padded = generator.shape[: -len(shape)], generator.shape[-len(shape) :]
        if len(padded) < len(shape) or any(side > whole for side, whole in zip(shape, padded, strict=True)):
            raise ShapeError(f"shape: got {tuple(shape)}, expected a part of {tuple(generator.shape)}")
        self.generator, self.shape = generator, (*before, *shape)

    def forward(self) -> torch.Tensor:
        """Shape (..., *shape)."""
        return self.generator()[tuple(slice(side) for side in self.shape)]
