"""NumPy's files, .npy and .npz: what their headers claim is compared with what is there before it is believed."""

import io
import math
import zipfile
from collections.abc import Iterable

import numpy as np

from eitdip.data.files import LARGEST, read_bytes
from eitdip.errors import FileFormatError

SIGNATURE = b"\x93NUMPY"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path) -> np.ndarray:
    """The array of a .npy, of plain numbers.

    Raises:
        FileFormatError: If the file is missing, damaged, of another format, or holds no plain numbers.
    """
    return parse_npy(read_bytes(path), path)


def parse_npy(content: bytes, name) -> np.ndarray:
    """The array of the bytes of a .npy; `name` is said in errors."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        shape, by_columns, kind = _HEADERS[version](stream)
    except Exception as error:  # the header is a piece of Python: damage surfaces as many types
        raise FileFormatError(
            f"{name}: cannot be read as a NumPy file without objects ({type(error).__name__}: {error}); save it again "
            "with numpy.save"
        ) from error
    there = len(content) - stream.tell()
    if kind.kind not in "biufc":
        raise FileFormatError(f"{name}: got values of type {kind}, expected numbers without objects; save it again")
    if min(shape, default=0) < 0 or len(shape) > 32 or math.prod(shape) * kind.itemsize != there:
        raise FileFormatError(
            f"{name}: cannot be read as a NumPy file: got {there} bytes of numbers, expected those of an array of "
            f"shape {shape} of {kind}, as it says; fetch it again"
        )
    array = np.frombuffer(content, kind, offset=stream.tell())
    return array.reshape(shape, order="F" if by_columns else "C").copy()


def names_of_npz(content: bytes) -> set[str]:
    """Names of the arrays of an archive; none if it is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return {name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")}
    except Exception:  # damage surfaces as many types
        return set()


def read_npz(path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Some arrays of a .npz, of plain numbers.

    Raises:
        FileFormatError: If the file is missing, damaged, lacks an array, or one is larger than 1 GiB.
    """
    content, names = read_bytes(path), list(names)
    found = names_of_npz(content)
    if not set(names) <= found:
        raise FileFormatError(
            f"{path}: cannot be read as .npz: got fields {', '.join(sorted(found)) or 'none'}; expected "
            f"{', '.join(names)}; fetch it again"
        )
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        for name in names:
            member = f"{name}.npy"
            if file.getinfo(member).file_size > LARGEST:
                raise FileFormatError(f"{path}: {name} claims more than {LARGEST >> 20} MiB; fetch it again")
            try:
                unpacked = file.read(member)
            except Exception as error:  # damage surfaces as many types
                raise FileFormatError(
                    f"{path}: {name} cannot be unpacked ({type(error).__name__}: {error}); fetch it again"
                ) from error
            arrays[name] = parse_npy(unpacked, f"{path}: {name}")
    return arrays
