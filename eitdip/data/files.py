"""Opening data files: what is missing, unreadable, damaged or incomplete is named before it is used."""

import hashlib
import io
import os
import stat
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from eitdip.data.matlab import LARGEST, DamagedError, checked
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError, ShapeError

__all__ = ["LARGEST", "MatFile", "as_path", "check_currents", "naming", "read_bytes"]


def as_path(path) -> Path:
    """What was given as a path.

    Raises:
        FileFormatError: If it is nothing of the kind.
    """
    try:
        return Path(path)
    except TypeError as error:
        raise FileFormatError(f"{path!r}: is no path ({error}); give the name of a file") from error


def read_bytes(path, count: int = -1) -> bytes:
    """The first `count` bytes of a file, or all.

    Raises:
        FileFormatError: If it is missing, a folder or not readable.
    """
    path = as_path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise FileFormatError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # a zero in it
        raise FileFormatError(f"{str(path)!r}: is no path ({error}); give the name of a file") from error
    if stat.S_ISDIR(mode):
        raise FileFormatError(f"{path}: is a folder, expected a data file; name one of the files in it")
    if not stat.S_ISREG(mode):  # a pipe or a device may never end
        raise FileFormatError(f"{path}: is a pipe or a device, expected a file")
    try:
        with path.open("rb") as file:
            if count < 0 and os.fstat(file.fileno()).st_size > 4 * LARGEST:
                raise FileFormatError(f"{path}: is larger than {4 * LARGEST >> 30} GiB, expected a data file")
            return file.read(count)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


@contextmanager
def naming(path):
    """Put the file's name before the message of an eitdip error."""
    try:
        yield
    except EitdipError as error:
        raise type(error)(f"{path}: {error}") from error


@dataclass(frozen=True, eq=False)
class MatFile:
    """The variables of a MATLAB file (version 7 or older).

    Args:
        path: Where it was.
        sha256: Of the file's bytes.
        fields: Variables by name.
    """

    path: Path
    sha256: str
    fields: dict[str, np.ndarray]

    @classmethod
    def read(cls, path) -> "MatFile":
        """Read all variables.

        Raises:
            FileFormatError: If the file is missing, damaged, no MATLAB file or of version 7.3.
        """
        content = read_bytes(path)
        try:
            fields = scipy.io.loadmat(io.BytesIO(checked(content)))
        except NotImplementedError as error:
            raise FileFormatError(
                f"{path}: is a MATLAB file of version 7.3, expected 7 or older; load it in MATLAB and "
                "save it again with save(..., '-v7')"
            ) from error
        except DamagedError as error:
            raise FileFormatError(f"{path}: cannot be read as a MATLAB file: {error}; fetch it again") from error
        except Exception as error:  # damage surfaces anywhere inside scipy
            raise FileFormatError(
                f"{path}: cannot be read as a MATLAB file ({type(error).__name__}: {error}); fetch it again"
            ) from error
        fields = {name: value for name, value in fields.items() if not name.startswith("__")}
        return cls(Path(path), hashlib.sha256(content).hexdigest(), fields)

    def expect(self, names: Iterable[str], what: str) -> None:
        """Check that it is `what`: that all of `names` are there.

        Raises:
            FileFormatError: If one is missing.
        """
        if not set(names) <= set(self.fields):
            raise FileFormatError(
                f"{self.path}: got fields {', '.join(sorted(self.fields)) or 'none'}; "
                f"expected {', '.join(names)} of {what}"
            )

    def matrix(self, name: str, rows: int | None = None) -> np.ndarray:
        """A field as float matrix, with NaN where the file has it.

        Raises:
            FileFormatError: If it is not a real matrix.
            ShapeError: If it has another number of rows.
            InvalidDataError: If an entry is infinite.
        """
        value = self.fields[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or value.ndim != 2:
            raise FileFormatError(f"{self.path}: {name} is not a matrix of real numbers")
        if rows is not None and value.shape[0] != rows:
            raise ShapeError(f"{self.path}: {name}: got shape {value.shape}, expected {rows} rows")
        value = value.astype(float)
        if np.isinf(value).any():
            row, column = (int(i) + 1 for i in np.argwhere(np.isinf(value))[0])
            raise InvalidDataError(f"{self.path}: {name} is infinite in row {row}, column {column} (counted from 1)")
        return value


def check_currents(file: MatFile, name: str, electrodes: int) -> np.ndarray:
    """Field `name` as current patterns, one a column: shape (electrodes, K).

    Raises:
        FileFormatError, ShapeError, InvalidDataError: As `MatFile.matrix`, or if one is not finite
            or does not sum to zero.
    """
    currents = file.matrix(name, electrodes)
    for index, column in enumerate(currents.T):
        if not abs(column.sum()) <= 1e-6 * np.abs(column).sum():
            raise InvalidDataError(
                f"{file.path}: {name}: the currents of injection {index + 1} (counted from 1) sum to "
                f"{column.sum():g}, expected 0: what enters must leave"
            )
    return currents
