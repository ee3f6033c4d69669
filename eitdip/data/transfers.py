"""Simulated tanks in an HDF5 file: made part by part, so that a killed simulation goes on where it was.

    /                attributes format = "eitdip simulated tanks", version = 1, provenance = JSON text
    transfer         (n, L, L) float32   transfer matrix minus that of the empty tank, 1 / background
    classes          (n, S, S) uint8     row 0 at the top: 0 background, 1 resistive, 2 conductive; of solids
                     (n, D, S, S), slice 0 at the bottom

While it is made, part i lies in a file of its own in the folder PATH.parts; each is complete or not there. At the end
all are joined, in order, in one file that does not tell how often it was interrupted, nor on how many ranks.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from eitdip.data.entries import need, read_number, read_text
from eitdip.data.files import naming
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.ranks.collectives import together
from eitdip.ranks.failures import ending_together
from eitdip.writing import atomic_path, make_folder

FORMAT = "eitdip simulated tanks"
VERSION = 1
_ARRAYS = {"transfer": np.dtype("float32"), "classes": np.dtype("uint8")}
_LARGEST = 1 << 33  # bytes


@dataclass(frozen=True, eq=False)
class Transfers:
    """Simulated tanks.

    Args:
        transfer: Transfer matrix of each minus that of its empty tank, shape (n, L, L), 1 / background.
        classes: What is where, shape (n, S, S), row 0 at the top: 0 background, 1 resistive, 2 conductive; of solids
            (n, D, S, S), slice 0 at the bottom.
        provenance: How they were made, as JSON values.

    Raises:
        ShapeError, InvalidDataError: If the arrays contradict the above.
    """

    transfer: np.ndarray
    classes: np.ndarray
    provenance: dict

    def __post_init__(self):
        shapes = self.transfer.shape, self.classes.shape
        square = all(
            len(shape) in ranks and shape[-2] == shape[-1] for shape, ranks in zip(shapes, ((3,), (3, 4)), strict=True)
        )
        if not square or shapes[0][0] != shapes[1][0] or not shapes[0][0]:
            raise ShapeError(
                f"transfer, classes: got {shapes[0]} and {shapes[1]}, expected (n, L, L) and (n, S, S), or (n, D, S, S)"
            )
        finite = np.isfinite(self.transfer).all(axis=(1, 2))
        if not finite.all():
            raise InvalidDataError(f"transfer: tank {int(finite.argmin())} has NaN or infinity; simulate it again")
        if self.classes.max() > 2:
            worst = int(self.classes.reshape(len(self), -1).max(axis=1).argmax())
            raise InvalidDataError(f"classes: tank {worst} has {self.classes.max()}, expected only 0, 1 and 2")

    def __len__(self) -> int:
        return len(self.transfer)

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of both arrays."""
        digest = hashlib.sha256(np.ascontiguousarray(self.transfer))
        digest.update(np.ascontiguousarray(self.classes))
        return digest.hexdigest()[:16]

    def part(self, where: slice) -> "Transfers":
        """Some of them."""
        return Transfers(self.transfer[where], self.classes[where], self.provenance)


def record(path, parts: int, make: Callable[[int], tuple[np.ndarray, np.ndarray]], provenance: dict, comm) -> Path:
    """Make a file part by part, the parts divided over ranks; what an earlier, killed call has made stays.

    Args:
        path: The file.
        parts: How many.
        make: Number of a part to its transfer matrices and classes; the same whenever it is asked.
        provenance: All that decides them, as JSON values.
        comm: MPI communicator.

    Raises:
        OptionError: If `parts` is not positive, or the file or its parts are there with another provenance.
        OutputError: If it cannot be written.
    """
    path, text = Path(path), json.dumps(provenance | {"parts": parts}, sort_keys=True)
    folder = path.with_name(f"{path.name}.parts")
    with together(comm):
        if parts < 1:
            raise OptionError(f"parts: got {parts}, expected at least 1")
        done = path.exists()
        if done and json.dumps(_read(path).provenance, sort_keys=True) != text:
            raise OptionError(f"{path}: is there, made with other settings; choose another file or remove it")
        make_folder(folder if not done else path.parent)
    if done:
        return path
    files = [folder / f"{number:06d}.h5" for number in range(parts)]
    with ending_together(comm):
        for number in range(comm.rank, parts, comm.size):
            if not _is_part(files[number], text):
                _write(files[number], [make(number)], text)
        comm.allgather(None)  # all parts are there
    with together(comm):
        if comm.rank == 0:
            _write(path, (_arrays(file) for file in files), text)
            shutil.rmtree(folder)
    return path


def load(path) -> Transfers:
    """Read a file of `record`.

    Raises:
        FileFormatError: If it is missing, empty, damaged or of another format.
        ShapeError, InvalidDataError: If its arrays contradict each other, or have NaN.
    """
    path = Path(path)
    if not path.is_file() or not path.stat().st_size:
        raise FileFormatError(f"{path}: {'is empty' if path.is_file() else 'no such file'}, expected simulated tanks")
    return _read(path)


def _read(path: Path) -> Transfers:
    try:
        with naming(path), h5py.File(path, "r") as file:
            if read_text(file, "format", "") != FORMAT or read_number(file, "version") != VERSION:
                raise FileFormatError(f"is no file of format {FORMAT!r}, version {VERSION}")
            arrays = {name: _entry(file[name], kind) for name, kind in _ARRAYS.items() if name in file}
            for name in _ARRAYS:
                need(name, arrays)
            return Transfers(**arrays, provenance=json.loads(read_text(file, "provenance", "{}")))
    except EitdipError:
        raise
    except Exception as error:  # damage surfaces as many types from inside h5py
        raise FileFormatError(
            f"{path}: is damaged or cut off ({type(error).__name__}: {error}); make it again"
        ) from error


def _entry(dataset: h5py.Dataset, kind: np.dtype) -> np.ndarray:
    """All of an array. An empty file may claim any shape, and HDF5 fills in what it does not hold."""
    if dataset.dtype != kind or dataset.size * kind.itemsize > _LARGEST:
        raise FileFormatError(
            f"{dataset.name}: got {dataset.dtype} of shape {dataset.shape}, expected {kind} and at most 8 GiB"
        )
    return dataset[()]


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    tanks = _read(path)
    return tanks.transfer, tanks.classes


def _is_part(path: Path, text: str) -> bool:
    """Whether a part is there.

    Raises:
        OptionError: If it was made with other settings.
    """
    if not path.exists():
        return False
    if json.dumps(_read(path).provenance, sort_keys=True) != text:
        raise OptionError(f"{path.parent}: has parts made with other settings; choose another file or remove them")
    return True


def _write(path: Path, parts, text: str) -> None:
    """Parts one after the other; never more than one of them is in memory."""
    with atomic_path(path) as scratch, h5py.File(scratch, "w", libver="v110") as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = VERSION
        for part in parts:
            for name, array in zip(_ARRAYS, part, strict=True):
                if name not in file:
                    file.create_dataset(
                        name, data=array, maxshape=(None, *array.shape[1:]), chunks=array.shape, fletcher32=True,
                        compression=1 if name == "classes" else None,
                    )  # fmt: skip
                    continue
                known = len(file[name])
                file[name].resize(known + len(array), axis=0)
                file[name][known:] = array
        file.attrs["provenance"] = np.bytes_(text)
