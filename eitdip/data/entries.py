"""Single entries of an HDF5 file, read with their type checked."""

import math

import h5py
import numpy as np

from eitdip.data.files import LARGEST
from eitdip.errors import FileFormatError


def write_array(group: h5py.Group, name: str, array: np.ndarray | None) -> None:
    """Write an array with checksums; None is left out."""
    if array is not None:
        group.create_dataset(name, data=array, fletcher32=True, chunks=array.shape)


def read_array(dataset) -> np.ndarray:
    """An array of real numbers.

    Raises:
        FileFormatError: If it is anything else.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub" or not dataset.shape:
        raise FileFormatError(f"{dataset.name}: is not an array of real numbers")
    # An empty file may claim any shape, and HDF5 fills in what it does not hold.
    for shape in (dataset.shape, dataset.chunks or ()):
        if math.prod(shape) * max(8, dataset.dtype.itemsize) > LARGEST:
            raise FileFormatError(f"{dataset.name}: claims the shape {shape}, expected at most {LARGEST >> 20} MiB")
    return dataset[()]


def need(name: str, arrays: dict[str, np.ndarray]) -> None:
    """Check that an array is there.

    Raises:
        FileFormatError: If it is not.
    """
    if name not in arrays:
        raise FileFormatError(f"has no array {name!r}; the layout is described in eitdip.data.hdf5")


def _attribute(group: h5py.Group, name: str, default=None):
    if name not in group.attrs:
        return default
    if math.prod(group.attrs.get_id(name).shape or ()) > 10_000:
        raise FileFormatError(f"{group.name}: attribute {name!r}: got an array, expected a text or some numbers")
    return group.attrs[name]


def read_text(group: h5py.Group, name: str, default: str | None = None) -> str:
    """A text attribute.

    Raises:
        FileFormatError: If it is missing (and there is no default) or no text.
    """
    value = _attribute(group, name, default)
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise FileFormatError(f"{group.name}: attribute {name!r}: got {value!r}, expected text")
    return value


def read_number(group: h5py.Group, name: str) -> float:
    """A real number as attribute.

    Raises:
        FileFormatError: If it is missing or no real number.
    """
    value = _attribute(group, name)
    if not isinstance(value, (np.number, np.bool_)) or isinstance(value, np.complexfloating):
        raise FileFormatError(f"{group.name}: attribute {name!r}: got {value!r}, expected a number")
    return float(value)


def read_numbers(group: h5py.Group, name: str) -> int | tuple[float, ...]:
    """An integer, or a list of real numbers, as attribute.

    Raises:
        FileFormatError: If it is missing or neither.
    """
    value = _attribute(group, name)
    if isinstance(value, np.integer):
        return int(value)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "fiu":
        raise FileFormatError(
            f"{group.name}: attribute {name!r}: got {value!r}, expected an integer or a list of numbers"
        )
    return tuple(value.astype(float).tolist())
