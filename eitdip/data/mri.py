"""Cartesian k-space of several coils, as a NumPy file."""

import hashlib
from pathlib import Path

import numpy as np

from eitdip.data.arrays import parse_npy
from eitdip.data.data import Data
from eitdip.data.files import read_bytes
from eitdip.data.noise import Gaussian
from eitdip.errors import FileFormatError, InvalidDataError, ShapeError


def load_kspace(path) -> tuple[Data, np.ndarray]:
    """K-space and where it was sampled.

    Args:
        path: A .npy with complex numbers of shape (coils, H, W) or (H, W), k = 0 in the middle at (H // 2, W // 2), and
            zeros where it was not sampled, at the same places in all coils.

    Returns:
        Values (coils, H, W) in the unit of the file, to single precision, of unknown noise and tied over the coils; and
        booleans (H, W): where any coil is not zero.

    Raises:
        FileFormatError: If the file is missing, damaged, of another format, or its numbers are not complex.
        ShapeError: If it has another number of axes.
        InvalidDataError: If a number is not finite, or all are zero.
    """
    content = read_bytes(path)
    if content.startswith(b"PK"):
        raise FileFormatError(f"{path}: got an archive of arrays, expected one array of complex numbers: a .npy")
    kspace = parse_npy(content, path)
    if kspace.dtype.kind != "c":
        raise FileFormatError(f"{path}: got {kspace.dtype}, expected one array of complex numbers: k-space")
    if kspace.ndim not in (2, 3) or not kspace.size:
        raise ShapeError(f"{path}: got shape {kspace.shape}, expected (coils, H, W) or (H, W)")
    kspace = kspace.astype(np.complex64).reshape(-1, *kspace.shape[-2:])
    if not np.isfinite(kspace).all():
        coil, row, column = (int(i) for i in np.argwhere(~np.isfinite(kspace))[0])
        raise InvalidDataError(
            f"{path}: coil {coil}, row {row}, column {column} (counted from 0) is not finite, expected numbers, and "
            "zero where nothing was sampled"
        )
    _check_layout(path, kspace)
    mask = np.any(kspace != 0, axis=0)
    if not mask.any():
        raise InvalidDataError(f"{path}: all numbers are zero, expected the samples of at least one point of k-space")
    provenance = {"format": "k-space", "file": Path(path).name, "sha256": hashlib.sha256(content).hexdigest()}
    return Data(kspace, Gaussian(None), np.broadcast_to(mask, kspace.shape), (0,), provenance), mask


def _check_layout(path, kspace: np.ndarray) -> None:
    """Whether the coils are the first axis and k = 0 is in the middle, as far as sizes and energies tell."""
    coils, height, width = kspace.shape
    if coils > min(height, width):
        raise InvalidDataError(
            f"{path}: got {coils} coils of {height} x {width} points, expected (coils, H, W) with fewer coils than "
            "points along a side; move the axis of the coils to the front: numpy.moveaxis(kspace, -1, 0)"
        )
    strength = np.square(np.abs(kspace)).sum(axis=0)
    near = max(1, min(height, width) // 8)
    rolled = np.roll(strength, (near, near), axis=(0, 1))[: 2 * near, : 2 * near].sum()
    top, left = height // 2 - near, width // 2 - near
    middle = strength[top : top + 2 * near, left : left + 2 * near].sum()
    if rolled > 4 * middle:
        raise InvalidDataError(
            f"{path}: the largest samples are in the corners, expected k = 0 in the middle at (H // 2, W // 2); apply "
            "numpy.fft.fftshift(kspace, axes=(-2, -1))"
        )
