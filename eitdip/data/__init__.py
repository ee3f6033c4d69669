"""Measured and simulated data: what is fitted, electrical measurements, and a reader for each kind of file."""

import os
from pathlib import Path

from eitdip.data.data import Data
from eitdip.data.measurements import MODELS, Measurements, noise_deviation
from eitdip.data.noise import Gaussian, Noise, Poisson, thin
from eitdip.errors import FileFormatError, OptionError

__all__ = [
    "MODELS",
    "Data",
    "Gaussian",
    "Measurements",
    "Noise",
    "Poisson",
    "data_root",
    "load",
    "noise_deviation",
    "save",
    "thin",
]


def load(path, *, reference=None, level: int | None = None) -> Measurements:
    """Measurements from any known file; what it is, its content decides.

    Args:
        path: A .mat of KTC2023 or KIT4, or the package's own HDF5 file.
        reference: For .mat: the file of the empty tank; by default the usual one beside the data.
        level: For KTC2023: difficulty 1..7, by default 1.

    Raises:
        FileFormatError: If the file is missing, damaged or of no known format.
        OptionError: If an option does not apply to the format that was found.
        ShapeError, InvalidDataError, NotPositiveError: If its contents contradict each other.
    """
    from eitdip.data import hdf5, kit4, ktc2023  # which need more than numpy
    from eitdip.data.files import MatFile, read_bytes

    if read_bytes(path, len(hdf5.SIGNATURE)) == hdf5.SIGNATURE:
        _refuse(path, "eitdip's own format", reference=reference, level=level)
        return hdf5.load(path)
    fields = MatFile.read(path).fields
    if ktc2023.is_ktc2023(fields):
        return ktc2023.load(path, reference, 1 if level is None else level)
    if kit4.is_kit4(fields):
        _refuse(path, "KIT4", level=level)
        return kit4.load(path, reference)
    raise FileFormatError(
        f"{path}: got a MATLAB file with fields {', '.join(sorted(fields)) or 'none'}; expected "
        f"{', '.join(ktc2023.FIELDS)} (KTC2023) or {', '.join(kit4.FIELDS)} (KIT4)"
    )


def save(path, measurements: Measurements) -> None:
    """Write measurements so that `load` returns the same bits; an old file is replaced as a whole.

    Raises:
        OutputError: If the file cannot be written.
    """
    from eitdip.data import hdf5

    hdf5.save(path, measurements)


def data_root() -> Path | None:
    """The folder with the public data sets, or None if there is none here.

    It is $EITDIP_DATA, by default ../shared/data seen from the current folder.
    """
    root = Path(os.environ.get("EITDIP_DATA", "../shared/data"))
    return root.resolve() if root.is_dir() else None


def _refuse(path, format: str, **options) -> None:
    for name, value in options.items():
        if value is not None:
            raise OptionError(
                f"{path}: got {name} = {value!s}, but the file is of {format}, which has none; leave it out"
            )
