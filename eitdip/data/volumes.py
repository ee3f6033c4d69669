"""Volumes as arrays: from a file, or drawn."""

import io

import numpy as np

from eitdip.data.arrays import read_npy
from eitdip.data.streams import stream
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.phantoms import random_picture

DRAWN = "phantom:"


def read_volume(source, size: int = 0) -> np.ndarray:
    """A volume (D, H, W) with values from 0 to 1.

    Args:
        source: A .npy of real numbers; or "phantom:FAMILY-NUMBER" for a cube that `eitdip.phantoms.random_picture`
            draws, such as "phantom:shapes-3".
        size: Voxels along each side: a larger cube is averaged over blocks. 0 takes a file as it is.

    Raises:
        FileFormatError: If the file cannot be read.
        ShapeError: If it is no volume, or no cube of a multiple of the size.
        InvalidDataError: If a number is not within 0 and 1.
        OptionError: If there is no such phantom, or its size is 0.
    """
    if str(source).startswith(DRAWN):
        family, _, number = str(source).removeprefix(DRAWN).rpartition("-")
        if not number.isdecimal() or len(number) > 9:
            raise OptionError(f"{source}: got the number {number!r}, expected {DRAWN}FAMILY-NUMBER, as {DRAWN}shapes-3")
        if size < 1:
            raise OptionError(f"size: got {size} for {source}, expected at least 1: voxels along each side")
        return random_picture(stream(int(number), "held-out pairs"), (size,) * 3, family)
    volume = read_npy(source)
    if volume.dtype.kind not in "biuf" or volume.ndim != 3 or not volume.size:
        raise ShapeError(f"{source}: got {volume.dtype} of shape {volume.shape}, expected real numbers (D, H, W)")
    volume = volume.astype(float)
    if not (volume.min() >= 0 and volume.max() <= 1):  # NaN is neither
        raise InvalidDataError(
            f"{source}: got values from {volume.min():g} to {volume.max():g}, expected numbers from 0 to 1; scale them"
        )
    return _averaged(volume, size, source) if size else volume


def is_volume(start: bytes) -> bool:
    """Whether a NumPy file that begins so holds real numbers of three axes; what is damaged is none."""
    try:
        stream = io.BytesIO(start)
        reader = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, _, kind = reader[np.lib.format.read_magic(stream)[0]](stream)
    except Exception:  # the header is a piece of Python: damage surfaces as many types
        return False
    return kind.kind in "biuf" and len(shape) == 3


def _averaged(volume: np.ndarray, size: int, source) -> np.ndarray:
    side = volume.shape[0]
    if set(volume.shape) != {side} or side % size:
        raise ShapeError(
            f"{source}: got shape {volume.shape}, expected a cube whose side is a multiple of size = {size}; "
            "--set size=0 takes it as it is"
        )
    factor = side // size
    return volume.reshape(size, factor, size, factor, size, factor).mean(axis=(1, 3, 5))
