"""The package's own file for measurements: HDF5, so that data of any tank can be brought along.

Write it with `save`, or with h5py by this layout (sizes: K excitations, M measurements of each, L
electrodes; "?" marks what may be left out; numbers of any real type are read as float64):

    /                     attributes format = "eitdip measurements", version = 1,
                          model = "electrodes", "dirichlet" or "neumann", provenance? = JSON text,
                          conductivity_unit? = text for pictures and tables, by default "S/m"
    patterns/sources      (K, L)  currents, A; each row sums to zero
    patterns/moments      (M, L)  measurement m is sum_l moments[m, l] U_l
    data/values           (K, M)  V; NaN only where the mask is false
    data/deviation        (K, M)  standard deviations, V, > 0
    data/mask?            (K, M)  true where there is a measurement; by default everywhere
    data/reference?       (K, M)  the same measurements of the homogeneous body, V
    data/reference_mask?  (K, M)  true where it was measured, if that is more than data/mask; by default
                          where data/mask is: what lies beyond counts nowhere, whatever stands there
    data/truth?           (H, W)  true conductivity, row 0 at the top, over the bounding square;
                          (D, H, W) of a solid, slice 0 at the bottom, over the bounding box
    geometry/             attributes kind = "tank", "cylinder", "ball" or "mesh", unit = "m", "cm" or "mm"
      for a tank          attributes radius, electrodes, width, first (degrees), clockwise
      for a cylinder      attributes radius, height, rings (how many, an integer, or their heights),
                          electrodes (per ring), width, electrode_height, first, clockwise
      for a ball          attributes radius, rings (how many, an integer, or their latitudes in
                          degrees), electrodes (per ring), electrode_radius, first, clockwise
      for a mesh          attribute hash? (checked), and the arrays of `eitdip.mesh.Domain`:
                          points (n, 2), cells (C, 3 or 6), facets (F, 2 or 3), facet_tags (F,);
                          of a solid points (n, 3), cells (C, 4), facets (F, 3)
    geometry/contact_impedance   (L,) Ohm m^2 (per m of depth, for plane models); only for "electrodes"

For the other models the patterns have J columns, see `eitdip.data.Measurements`. Any other
consistent set of units will do (mA with mS and kOhm, for example; conductivity_unit
says so). Arrays that `save` writes carry
checksums, so damage is found when they are read.
"""

import json

import h5py
import numpy as np

from eitdip.data.entries import need, read_array, read_number, read_text, write_array
from eitdip.data.files import naming, read_bytes
from eitdip.data.geometry import ARRAYS, read_geometry, write_geometry
from eitdip.data.measurements import Measurements
from eitdip.errors import EitdipError, FileFormatError, choose
from eitdip.writing import atomic_path

FORMAT = "eitdip measurements"
VERSION = 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"

_PATTERNS = {"sources", "moments"}
_DATA = {"values", "deviation", "mask", "reference", "reference_mask", "truth"}


def save(path, measurements: Measurements) -> None:
    """Write measurements so that `load` returns the same bits; an old file is replaced as a whole.

    Raises:
        OutputError: If the file cannot be written.
    """
    # This version of the file format has checksums of its own structure too.
    with atomic_path(path) as scratch, h5py.File(scratch, "w", libver="v110") as file:
        _write(file, measurements)


def load(path) -> Measurements:
    """Read measurements.

    Raises:
        FileFormatError: If the file is missing, damaged, not of this format or of a newer version.
        ShapeError, InvalidDataError, NotPositiveError, OptionError: If its contents contradict
            each other; see `Measurements`.
    """
    if read_bytes(path, len(SIGNATURE)) != SIGNATURE:
        raise FileFormatError(f"{path}: is no HDF5 file, expected one of format {FORMAT!r}")
    try:
        with naming(path), h5py.File(path, "r") as file:
            return _read(file)
    except EitdipError:
        raise
    except Exception as error:  # damage surfaces as many types from inside h5py
        raise FileFormatError(
            f"{path}: is damaged ({type(error).__name__}: {error}); fetch or write it again"
        ) from error


def _write(file: h5py.File, measurements: Measurements) -> None:
    # Text of fixed length lies in the object header, which has a checksum; text of variable length does not.
    file.attrs["format"] = np.bytes_(FORMAT)
    file.attrs["version"] = VERSION
    file.attrs["model"] = np.bytes_(measurements.model)
    file.attrs["conductivity_unit"] = np.bytes_(measurements.unit.encode())
    file.attrs["provenance"] = np.bytes_(json.dumps(measurements.provenance))
    for group, names in (("patterns", _PATTERNS), ("data", _DATA)):
        for name in sorted(names):
            write_array(file, f"{group}/{name}", getattr(measurements, name))
    write_array(file, "geometry/contact_impedance", measurements.contact_impedance)
    write_geometry(file.require_group("geometry"), measurements.geometry)


def _read(file: h5py.File) -> Measurements:
    if read_text(file, "format", "") != FORMAT:
        raise FileFormatError(
            f"got format {read_text(file, 'format', 'none')!r}, expected {FORMAT!r}; "
            "the layout is described in eitdip.data.hdf5"
        )
    version = read_number(file, "version")
    if version != VERSION:
        raise FileFormatError(f"got version {version:g}, expected {VERSION}; update eitdip to read it")
    known = {"patterns": _PATTERNS, "data": _DATA, "geometry": ARRAYS | {"contact_impedance"}}
    for name in file:
        choose("group", name, known)
    arrays = {}
    for group, names in known.items():
        if not isinstance(file.get(group), h5py.Group):
            raise FileFormatError(f"has no group {group!r}, expected {', '.join(known)}")
        for name in file[group]:
            choose(f"entry of group {group!r}", name, dict.fromkeys(sorted(names)))
            arrays[name] = read_array(file[group][name])
    for name in ("sources", "moments", "values", "deviation"):
        need(name, arrays)
    geometry = read_geometry(file["geometry"], {name: arrays.pop(name) for name in sorted(ARRAYS) if name in arrays})
    return Measurements(
        model=read_text(file, "model"),
        geometry=geometry,
        provenance=_provenance(file),
        unit=read_text(file, "conductivity_unit", "S/m"),
        **arrays,
    )


def _provenance(file: h5py.File) -> dict:
    text = read_text(file, "provenance", "{}")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(f"attribute 'provenance' is no JSON text ({error})") from error
    if not isinstance(value, dict):
        raise FileFormatError(f"attribute 'provenance': got {text[:40]!r}, expected a JSON object {{...}}")
    return value
