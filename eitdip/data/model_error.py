"""Errors of a model as a file, made for a measurement by `eitdip model-error`.

/            attributes format = "eitdip model error", version = 1, provenance = JSON text,
             background = conductivity at which it was made, in the unit of the data
sources      (K, L)     as of the measurement, exactly
moments      (M, L)
mask         (K, M)     measurements that it is for
mean         (K, M)     V; see `eitdip.data.noise.ModelError`
modes        (r, K, M)  V
deviation    (K, M)     V, >= 0
"""

import json

import h5py
import numpy as np

from eitdip.data.entries import need, read_array, read_number, read_text, write_array
from eitdip.data.files import naming, read_bytes
from eitdip.data.hdf5 import SIGNATURE
from eitdip.data.measurements import Measurements
from eitdip.data.noise import ModelError
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError
from eitdip.writing import atomic_path

FORMAT = "eitdip model error"
VERSION = 1
_ERROR = ("mean", "modes", "deviation")
_TABLES = ("sources", "moments", "mask")


def save(path, error: ModelError, measurements: Measurements, background: float, provenance: dict) -> None:
    """Write an error of the model for such measurements; an old file is replaced as a whole.

    Args:
        path: The file.
        error: In the unit of the data.
        measurements: Of which patterns and mask count.
        background: Conductivity of the homogeneous body, in the unit of the data.
        provenance: Plain JSON values: how it was made.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_path(path) as scratch, h5py.File(scratch, "w", libver="v110") as file:
        file.attrs["format"], file.attrs["version"] = np.bytes_(FORMAT), VERSION
        file.attrs["background"], file.attrs["provenance"] = float(background), np.bytes_(json.dumps(provenance))
        for name in _ERROR:
            write_array(file, name, getattr(error, name))
        for name in _TABLES:
            write_array(file, name, getattr(measurements, name))


def load(path, measurements: Measurements, background: float) -> ModelError:
    """Read the error of a model for measurements.

    Args:
        path: A file of `save`.
        measurements: What it shall be used for: the same patterns, and no measurement that it was not made for.
        background: Conductivity of their homogeneous body; errors of voltages are inversely proportional to it.

    Raises:
        FileFormatError: If the file is missing, damaged or of another format.
        InvalidDataError: If it was made for others; it says what differs.
    """
    try:
        if read_bytes(path, len(SIGNATURE)) != SIGNATURE:
            raise FileFormatError(f"{path}: is no HDF5 file, expected one of format {FORMAT!r}")
        with naming(path), h5py.File(path, "r") as file:
            arrays, made_at = _read(file)
    except EitdipError:
        raise
    except Exception as error:  # damage surfaces as many types from inside h5py
        raise FileFormatError(f"{path}: is damaged ({type(error).__name__}: {error}); make it again") from error
    remedy = "make one for this measurement with `eitdip model-error`"
    for name in ("sources", "moments"):
        if not np.array_equal(arrays[name], getattr(measurements, name)):
            raise InvalidDataError(f"{path}: made for other {name}, expected those of the data; {remedy}")
    if (measurements.mask & (arrays["mask"] == 0)).any():
        raise InvalidDataError(
            f"{path}: made for {int(arrays['mask'].sum())} measurements, expected all {measurements.count} of the "
            f"data among them; {remedy}, or one with more electrodes"
        )
    return ModelError(*(made_at / background * arrays[name] for name in _ERROR))


def _read(file: h5py.File) -> tuple[dict[str, np.ndarray], float]:
    if read_text(file, "format", "") != FORMAT or read_number(file, "version") != VERSION:
        raise FileFormatError(f"is no file of format {FORMAT!r}, version {VERSION}")
    arrays = {name: read_array(file[name]) for name in (*_ERROR, *_TABLES) if name in file}
    for name in (*_ERROR, *_TABLES):
        need(name, arrays)
    return arrays, read_number(file, "background")
