"""Magnetic resonance imaging of one slice: one or several coils, on a Cartesian grid or along any trajectory.

Images and data are complex. The k-space of an image (H, W) is centred, k = 0 at index (H // 2, W // 2), and the
transform is unitary; pixels are at integer positions, the middle of the image at that index too.
"""

import math

import numpy as np
import torch

from eitdip.errors import InvalidDataError, OptionError, ShapeError, choose, require
from eitdip.imaging.deepinverse import DeepInverse, library
from eitdip.imaging.operator import ImagingOperator, on_tensors
from eitdip.imaging.pixels import check_mask
from eitdip.operator import Space

_COMPLEX = {"complex64": torch.complex64, "complex128": torch.complex128}
_ACCURACY = {"complex64": 1e-6, "complex128": 1e-12}  # of the non-uniform transform; the adjoint is exact to rounding


class CartesianMRI(DeepInverse):
    """y_c = mask * F(maps_c * x) for each coil c: k-space of each coil, zero where it was not sampled.

    Args:
        mask: Array or tensor (H, W) of True or 1 where k-space is sampled.
        maps: Sensitivities of the coils, complex (coils, H, W); by default one coil that sees all alike.
        dtype: "complex64" or "complex128".

    Raises:
        ShapeError: If mask and maps do not fit each other.
        InvalidDataError: If the mask is empty or has values that are not 0 or 1; if the maps are zero or not finite.
        OptionError: If the dtype is unknown.
    """

    def __init__(self, mask, maps=None, dtype: str = "complex64"):
        kind = choose("dtype", dtype, _COMPLEX)
        sampled = check_mask(mask)
        if sampled.ndim != 2:
            raise ShapeError(f"mask: got shape {tuple(sampled.shape)}, expected (H, W), the same for all coils")
        coils = _check_maps(maps, tuple(sampled.shape)).to(kind, copy=True)
        physics = library().MultiCoilMRI(mask=sampled.to(kind.to_real()), coil_maps=coils)
        super().__init__(physics, Space(tuple(sampled.shape), dtype, "image"), "k-space")

    def pinv(self, y):
        """The zero-filled image: the images of the coils, combined by their maps for least squares in each pixel."""
        return on_tensors(y, self.range, self.device, self._combined)

    def _combined(self, y: torch.Tensor) -> torch.Tensor:
        energy = self.physics.coil_maps[0].abs().square().sum(dim=0)
        return self.adjoint(y) * torch.where(energy > 0, 1 / energy, 0)


class NonCartesianMRI(ImagingOperator):
    """y_cs = 1 / sqrt(H W) sum over pixels r of maps_c(r) x(r) exp(-2 pi i k_s . r), by finufft on the CPU.

    deepinv's needs one of its own trajectories and single precision. Tensors of other devices are computed on the CPU.

    Args:
        samples: Points k_s of k-space, array or tensor (S, 2) along H and W, in cycles per pixel: from -0.5 to 0.5.
        shape: (H, W).
        maps: Sensitivities of the coils, complex (coils, H, W); by default one coil that sees all alike.
        dtype: "complex64" or "complex128".

    Raises:
        ShapeError: If samples, shape and maps do not fit each other.
        InvalidDataError: If a sample is not finite or beyond 0.5, or maps are as in `CartesianMRI`.
        OptionError: If the dtype is unknown.
    """

    def __init__(self, samples, shape: tuple[int, int], maps=None, dtype: str = "complex64"):
        kind = choose("dtype", dtype, _COMPLEX)
        require("finufft", "imaging")
        shape = tuple(shape)
        if len(shape) != 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            raise ShapeError(f"shape: got {shape}, expected (H, W), positive integers")
        coils = _check_maps(maps, shape).to(kind, copy=True)
        points = _check_samples(samples)
        data = Space((len(coils), len(points)), dtype, "k-space")
        super().__init__(Space(shape, dtype, "image"), data)
        self.register_buffer("samples", points.to(kind.to_real(), copy=True))
        self.register_buffer("maps", coils)

    def forward(self, x):
        images = (self.maps * x[:, None]).reshape(-1, *self.domain.shape)
        values = self._transform("nufft2d2", images, isign=-1)
        return values.reshape(len(x), *self.range.shape)

    def transpose(self, y):
        values = y.reshape(-1, self.range.shape[1])
        images = self._transform("nufft2d1", values, isign=1, n_modes=self.domain.shape)
        return (self.maps.conj() * images.reshape(len(y), *self.maps.shape)).sum(dim=1)

    def _transform(self, name: str, values: torch.Tensor, **options) -> torch.Tensor:
        transform = getattr(require("finufft", "imaging"), name)
        angles = np.ascontiguousarray((2 * math.pi * self.samples).cpu().numpy().T)
        accuracy = _ACCURACY[self.domain.dtype]
        # One thread: torch and finufft bring OpenMP libraries of their own.
        result = transform(
            *angles, values.resolve_conj().cpu().contiguous().numpy(), eps=accuracy, nthreads=1, **options
        )
        return torch.from_numpy(result).to(values.device) / math.sqrt(self.domain.size)


def coil_maps(kspace, block: int | tuple[int, int] = 24) -> np.ndarray:
    """Sensitivities of coils from the middle of their k-space, where it is fully sampled.

    The images of low resolution (Hann window) divided by their root sum of squares. So maps carry the phase of the
    image too, and what is reconstructed with them is nearly real and positive; outside of the body they mean nothing.

    Args:
        kspace: Array or tensor (coils, H, W), complex, zero where it was not sampled.
        block: Height and width of the fully sampled block.

    Returns:
        Shape (coils, H, W), of the type of kspace; the sum of squares over the coils is 1.

    Raises:
        ShapeError: If kspace is not (coils, H, W) and complex.
        OptionError: If the block does not fit into it.
        InvalidDataError: If the block is not fully sampled, or not finite.

    References:
        McKenzie, Yeh, Ohliger, Price, Sodickson (2002), Magn. Reson. Med. 47.
    """
    kspace = kspace.detach().cpu().numpy() if isinstance(kspace, torch.Tensor) else np.asarray(kspace)
    if kspace.ndim != 3 or not np.iscomplexobj(kspace):
        raise ShapeError(f"kspace: got shape {kspace.shape} of {kspace.dtype}, expected (coils, H, W), complex")
    sizes = (block, block) if isinstance(block, int) else tuple(block)
    shape = kspace.shape[1:]
    if len(sizes) != 2 or not all(2 <= size <= n for size, n in zip(sizes, shape, strict=True)):
        raise OptionError(f"block: got {block}, expected one or two integers from 2 to the size of k-space {shape}")
    middle = tuple(slice(n // 2 - size // 2, n // 2 - size // 2 + size) for size, n in zip(sizes, shape, strict=True))
    centre = kspace[:, *middle]
    sampled = np.any(centre != 0, axis=0)
    if not np.isfinite(centre).all() or not sampled.all():
        raise InvalidDataError(
            f"kspace: got {int(sampled.sum())} of {sampled.size} samples in the middle {sizes}, or numbers that are "
            "not finite; expected all: choose a smaller block (option calibration)"
        )
    low = np.zeros(kspace.shape, dtype=complex)
    # The window ends one step beyond the block, so that no sample is thrown away.
    windows = [np.sin(np.pi * np.arange(1, size + 1) / (size + 1)) ** 2 for size in sizes]
    low[:, *middle] = centre * np.outer(*windows)
    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(low, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    length = np.sqrt((np.abs(images) ** 2).sum(axis=0))
    return (images / np.maximum(length, np.finfo(float).tiny)).astype(kspace.dtype)


def _check_maps(maps, shape: tuple[int, int]) -> torch.Tensor:
    if maps is None:
        return torch.ones(1, *shape, dtype=torch.complex128)
    maps = torch.as_tensor(maps)
    if maps.ndim != 3 or tuple(maps.shape[1:]) != shape or not len(maps):
        raise ShapeError(f"maps: got shape {tuple(maps.shape)}, expected (coils, {shape[0]}, {shape[1]})")
    if not bool(torch.isfinite(maps).all()) or not bool(maps.any()):
        raise InvalidDataError("maps: got only zeros, or numbers that are not finite; expected finite ones")
    return maps


def _check_samples(samples) -> torch.Tensor:
    points = torch.as_tensor(samples)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or points.is_complex():
        raise ShapeError(f"samples: got shape {tuple(points.shape)}, expected (S, 2), real")
    if not bool((points.abs() <= 0.5).all()):  # also if one is NaN
        raise InvalidDataError(
            "samples: got numbers beyond 0.5 or not finite, expected cycles per pixel, from -0.5 to 0.5; "
            "divide angles by 2 pi"
        )
    return points
