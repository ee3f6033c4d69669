"""Denoising, inpainting, super-resolution and deblurring of images (H, W) or (C, H, W): operators of deepinv."""

from math import ceil

import numpy as np
import torch

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError, choose
from eitdip.imaging.deepinverse import DeepInverse, PartialIsometry, library
from eitdip.operator import Space

_REAL = {"float32": torch.float32, "float64": torch.float64}
_BOUNDARIES = {name: name for name in ("reflect", "circular", "replicate", "zeros", "valid")}
_TAIL = 5.0  # standard deviations at which a Gaussian kernel ends; 1e-6 of it is beyond


def denoising(shape: tuple[int, ...], dtype: str = "float32") -> PartialIsometry:
    """y = x.

    Args:
        shape: (H, W) or (C, H, W).
        dtype: "float32" or "float64".

    Raises:
        ShapeError, OptionError: If the shape or the dtype is not one of these.
    """
    domain = _images(shape, dtype)
    return PartialIsometry(library().Denoising(), domain, "image")


def inpainting(mask, dtype: str = "float32") -> PartialIsometry:
    """y = mask * x: the pixels that are known, and zeros.

    Args:
        mask: Array or tensor of True or 1 where a pixel is known, False or 0 elsewhere; shape (H, W) or (C, H, W).
        dtype: "float32" or "float64".

    Raises:
        ShapeError, OptionError: If the shape or the dtype is not one of these.
        InvalidDataError: If the mask has other values, or no pixel is known.
    """
    values = check_mask(mask)
    domain = _images(values.shape, dtype)
    channels = values[None] if values.ndim == 2 else values
    physics = library().Inpainting(img_size=tuple(channels.shape), mask=channels.to(choose("dtype", dtype, _REAL)))
    return PartialIsometry(physics, domain, "known pixels")


def downsampling(shape: tuple[int, ...], factor: int, dtype: str = "float32") -> DeepInverse:
    """A smaller image by bicubic interpolation without aliasing, as MATLAB's imresize does: super-resolution.

    The pixels of the small image are where its grid has them, in the middle of factor x factor pixels; edges reflect.
    (deepinv's other one, a strided filter, is half a pixel off at factor 3 and a whole one at factor 4.)

    Args:
        shape: (H, W) or (C, H, W) of the large image.
        factor: At least 2; it divides H and W.
        dtype: "float32" or "float64".

    Raises:
        ShapeError: If the shape is not one of these, or the factor does not divide it, or leaves a single pixel.
        OptionError: If the factor or the dtype is not one of these.
    """
    domain = _images(shape, dtype)
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 2:
        raise OptionError(f"factor: got {factor!r}, expected an integer, at least 2")
    if any(n % factor for n in domain.shape[-2:]):
        raise ShapeError(f"shape: got {domain.shape}, expected H and W divisible by {factor}; crop or pad the image")
    if any(n // factor < 2 for n in domain.shape[-2:]):
        raise ShapeError(f"shape: got {domain.shape}, expected H and W of at least {2 * factor} at factor {factor}")
    return DeepInverse(library().DownsamplingMatlab(factor=factor), domain, "small image")


def blur(
    shape: tuple[int, ...],
    *,
    kernel=None,
    sigma: float | None = None,
    boundary: str = "reflect",
    dtype: str = "float32",
) -> DeepInverse:
    """Convolution with a kernel, or with a Gaussian.

    Args:
        shape: (H, W) or (C, H, W).
        kernel: Array or tensor (h, w), both odd: its middle is the pixel itself. It is used as it is, also if its sum
            is not 1.
        sigma: Standard deviation of a Gaussian in pixels, > 0, instead of a kernel.
        boundary: What is beyond the edge: "reflect", "circular", "replicate" or "zeros"; "valid" leaves out the data
            that would need to know.
        dtype: "float32" or "float64".

    Raises:
        OptionError: If not exactly one of kernel and sigma is given, or boundary or dtype are unknown.
        ShapeError: If shape or kernel are not like this, or the kernel reaches over the image.
        InvalidDataError: If the kernel is not finite, or zero.
        NotPositiveError: If sigma is not positive and finite.
    """
    domain = _images(shape, dtype)
    boundary = choose("boundary", boundary, _BOUNDARIES)
    if (kernel is None) == (sigma is None):
        raise OptionError("kernel, sigma: got both or none of them, expected one")
    taps = _gaussian(sigma) if kernel is None else _check_kernel(kernel)
    for length, n in zip(taps.shape, domain.shape[-2:], strict=True):
        # A reflection does not repeat the edge itself: a radius of n - 1 is the most it can fill.
        most = 2 * n - 1 if boundary in ("reflect", "circular") else n
        if length > most:
            raise ShapeError(
                f"kernel: got shape {tuple(taps.shape)} for images {domain.shape} with boundary {boundary!r}, expected "
                f"at most {most} along an axis of {n}; use a smaller kernel or sigma"
            )
    taps = taps.to(choose("dtype", dtype, _REAL), copy=True)[None, None]
    if taps.numel() == 1:
        boundary = "valid"  # the same, and deepinv warns of any other
    return DeepInverse(library().Blur(filter=taps, padding=boundary), domain, "blurred image")


def check_mask(mask) -> torch.Tensor:
    """A mask as tensor of booleans.

    Raises:
        InvalidDataError: If a value is not 0 or 1, or all are 0.
    """
    values = torch.as_tensor(mask)
    known = values == 1
    if not bool((known | (values == 0)).all()):
        raise InvalidDataError("mask: got values that are not 0 or 1, expected True or 1 where there are data")
    if not bool(known.any()):
        raise InvalidDataError("mask: got an empty one, expected True or 1 somewhere: there would be no data")
    return known


def _images(shape, dtype: str) -> Space:
    choose("dtype", dtype, _REAL)
    shape = tuple(shape)
    integers = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in shape)
    if len(shape) not in (2, 3) or not integers:
        raise ShapeError(f"shape: got {shape}, expected (H, W) or (C, H, W), positive integers")
    return Space(tuple(int(n) for n in shape), dtype, "image")


def _check_kernel(kernel) -> torch.Tensor:
    taps = torch.as_tensor(kernel)
    if taps.ndim != 2 or not all(n % 2 for n in taps.shape) or taps.is_complex():
        raise ShapeError(
            f"kernel: got shape {tuple(taps.shape)}, {taps.dtype}; expected (h, w) real numbers, h and w odd; "
            "pad an even one with zeros"
        )
    if not bool(torch.isfinite(taps).all()) or not bool(taps.any()):
        raise InvalidDataError("kernel: got only zeros, or numbers that are not finite; expected finite ones")
    return taps


def _gaussian(sigma: float) -> torch.Tensor:
    if not 0 < sigma < float("inf"):
        raise NotPositiveError(f"sigma: got {sigma}, expected > 0 and finite, in pixels")
    radius = ceil(_TAIL * sigma)
    profile = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
    profile = profile / profile.sum()
    return torch.outer(profile, profile)
