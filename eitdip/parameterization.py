"""Conductivities sigma = P link(f_theta(z)): a field generator, a positivity link, a map to the mesh.

The three parts are swapped independently. Every generator starts at zero, and every link maps
zero to the background, so the first conductivity is the background whatever is chosen.
"""

import warnings
from abc import ABC, abstractmethod

import torch
from scipy import sparse
from torch import nn

from eitdip.errors import NotPositiveError, OptionError, ShapeError
from eitdip.networks import initialize
from eitdip.operator import Matrix


class Link(nn.Module, ABC):
    """A smooth increasing map from the reals to positive conductivities, 0 to `background` (S/m)."""

    def __init__(self, background: float):
        super().__init__()
        if not (background > 0 and background < float("inf")):
            raise NotPositiveError(f"background: got {background}, expected > 0 and finite, S/m")
        self.background = float(background)

    @abstractmethod
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Conductivity, S/m, of the same shape as x."""


class Exp(Link):
    """background * exp(x)."""

    def forward(self, x):
        return self.background * torch.exp(x)


class Softplus(Link):
    """background * log(1 + (e - 1) exp(x)): linear growth upwards, exponential decay downwards."""

    def forward(self, x):
        return self.background * nn.functional.softplus(x + 0.541324854612918)  # log(e - 1)


class Bounded(Link):
    """Between `low` and `high`, sigmoid in log conductivity, with slope 1 in log at the background.

    Args:
        background: S/m, strictly between the bounds.
        low: Smallest conductivity, S/m, > 0.
        high: Largest conductivity, S/m.
    """

    def __init__(self, background: float, low: float, high: float):
        super().__init__(background)
        if not 0 < low < background < high < float("inf"):
            raise OptionError(f"bounds: got {low} and {high}, expected 0 < low < background ({background:g}) < high")
        start, end = torch.tensor([low, high], dtype=torch.float64).log()
        share = float((torch.tensor(background, dtype=torch.float64).log() - start) / (end - start))
        self.low, self.high = float(low), float(high)
        self._start, self._span = float(start), float(end - start)
        self._shift = float(torch.logit(torch.tensor(share, dtype=torch.float64)))
        self._slope = 1 / (self._span * share * (1 - share))

    def forward(self, x):
        return torch.exp(self._start + self._span * torch.sigmoid(self._slope * x + self._shift))


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
    """A network applied to a fixed random latent tensor; only the network is trained.

    Args:
        network: Module with `latent_shape(image_shape)` and forward (1, C, h, w) -> (1, H, W); with one more
            axis for volumes.
        shape: (H, W) of the image, (D, H, W) of the volume.
        seed: Of the weights and the latent tensor.
        input_noise: Standard deviation of what is added to the latent tensor, anew in each step; against overfitting.

    References:
        Ulyanov, Vedaldi, Lempitsky (2018), CVPR.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...], seed: int = 0, input_noise: float = 0.0):
        super().__init__()
        if not 0 <= input_noise < float("inf"):
            raise OptionError(f"input_noise: got {input_noise}, expected >= 0 and finite")
        generator = torch.Generator().manual_seed(seed)
        self.shape, self.input_noise = tuple(shape), float(input_noise)
        self.network = initialize(network, generator)
        self.register_buffer("latent", torch.randn(1, *network.latent_shape(self.shape), generator=generator))
        self._generator = generator

    def forward(self) -> torch.Tensor:
        latent = self.latent
        if self.input_noise:
            step = torch.randn(latent.shape, generator=self._generator).to(latent.device)
            latent = latent + self.input_noise * step
        return self.network(latent)[0].double()

    def get_extra_state(self) -> dict:
        """Where the noise of the input goes on: a resumed run sees the same."""
        return {"generator": self._generator.get_state()} if self.input_noise else {}

    def set_extra_state(self, state: dict) -> None:
        """Go on from a saved state."""
        if self.input_noise:
            self._generator.set_state(state["generator"].cpu())


class CoordinateField(nn.Module):
    """A network of coordinates, evaluated at the pixels of an image or the voxels of a volume.

    Coordinates run from -1 to 1 along the longest side.

    Args:
        network: Module that takes points (P, d) to values (P,), such as `CoordinateNetwork`.
        shape: (H, W) of the image, (D, H, W) of the volume.
        seed: Of the weights.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...], seed: int = 0):
        super().__init__()
        self.shape = tuple(shape)
        self.network = initialize(network, torch.Generator().manual_seed(seed))
        axes = [(2 * torch.arange(count) + 1 - count) / max(self.shape) for count in self.shape]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(self.shape))
        self.register_buffer("points", points, persistent=False)

    def forward(self) -> torch.Tensor:
        return self.network(self.points).reshape(self.shape).double()


class TwoLayer(nn.Module):
    """ReLU(U C) v with a fixed upsampling U, trained coefficients C and fixed output weights v = +-1 / sqrt(width).

    The simplest network with an implicit prior: U makes it learn slow variations first. The coefficients
    of the positive and of the negative output weights start equal, so that the field starts at exactly 0.

    Args:
        shape: (H, W) of the image, (D, H, W) of the volume.
        width: Coefficients per point of the coarse grid, an even number.
        factor: Pixels per point of the coarse grid along each axis; U interpolates linearly.
        seed: Of the coefficients.

    Raises:
        OptionError: If width is not even.

    References:
        Heckel, Soltanolkotabi (2020), ICLR.
    """

    def __init__(self, shape: tuple[int, ...], width: int = 32, factor: int = 4, seed: int = 0):
        super().__init__()
        if width < 2 or width % 2:
            raise OptionError(f"width of the two-layer generator: got {width}, expected an even number > 0")
        self.shape, self.width = tuple(shape), width
        self._mode = {2: "bilinear", 3: "trilinear"}[len(self.shape)]
        coarse = [-(-count // factor) for count in self.shape]
        generator = torch.Generator().manual_seed(seed)
        half = torch.randn(1, width // 2, *coarse, generator=generator, dtype=torch.float64)
        self.coefficients = nn.Parameter(torch.cat([half, half]))

    def forward(self) -> torch.Tensor:
        upsampled = nn.functional.interpolate(self.coefficients, self.shape, mode=self._mode, align_corners=False)
        plus, minus = torch.relu(upsampled).sum(dim=1)
        return (plus - minus) / self.width**0.5


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


class Parameterization(nn.Module):
    """sigma = P link(generator() + drift).

    Args:
        generator: Module whose forward() gives the raw field and whose `shape` is its shape.
        link: Positivity.
        field_map: P, from the generator's field to the model's unknowns; None if they are the same.
        fit_drift: Fit the scalar drift, which lets the background differ from the link's: water
            warms up between the measurement of the empty tank and that of the objects (8 % in one
            of the KTC2023 tanks). Else it is 0.

    Raises:
        ShapeError: If the map does not take the generator's field.
    """

    def __init__(self, generator: nn.Module, link: Link, field_map: Matrix | None = None, *, fit_drift: bool = False):
        super().__init__()
        self.generator, self.link = generator, link
        drift = torch.zeros((), dtype=torch.float64)
        if fit_drift:
            self.drift = nn.Parameter(drift)
        else:
            self.register_buffer("drift", drift)
        if field_map is not None and field_map.domain.shape != generator.shape:
            raise ShapeError(f"field_map: takes {field_map.domain.shape}, but the generator gives {generator.shape}")
        self.register_buffer("_map", None if field_map is None else _sparse(field_map), persistent=False)

    def field(self) -> torch.Tensor:
        """Conductivity on the generator's own grid, S/m."""
        return self.link(self.generator() + self.drift)

    def contrast(self, field: torch.Tensor) -> torch.Tensor:
        """Log of a field over the background with its drift: what penalties see."""
        return torch.log(field / self.link(self.drift))

    def to_unknowns(self, field: torch.Tensor) -> torch.Tensor:
        """P applied to a field of conductivities: shape (N,), S/m."""
        return field if self._map is None else self._map @ field.reshape(-1)

    def matrix(self) -> sparse.csr_array | None:
        """P on flattened fields, shape (N, n); None if it is the identity."""
        if self._map is None:
            return None
        parts = self._map.values(), self._map.col_indices(), self._map.crow_indices()
        return sparse.csr_array(tuple(part.cpu().numpy() for part in parts), shape=tuple(self._map.shape))

    def forward(self) -> torch.Tensor:
        """The conductivity, shape (N,), S/m."""
        return self.to_unknowns(self.field())


def _sparse(matrix: Matrix) -> torch.Tensor:
    csr = matrix.matrix.tocsr()
    with torch.sparse.check_sparse_tensor_invariants(False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(csr.indptr.astype("int64")),
            torch.from_numpy(csr.indices.astype("int64")),
            torch.from_numpy(csr.data.astype("float64")),
            size=csr.shape,
        )
