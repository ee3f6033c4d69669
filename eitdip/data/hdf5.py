"""The package's own file for measurements: HDF5, so that data of any tank can be brought along.

Write it with `save`, or with h5py by this layout (sizes: K excitations, M measurements of each, L
electrodes; "?" marks what may be left out; numbers of any real type are read as float64):

    /                     attributes format = "eitdip measurements", version = 1,
                          model = "electrodes", "dirichlet" or "neumann", provenance? = JSON text
    patterns/sources      (K, L)  currents, A; each row sums to zero
    patterns/moments      (M, L)  measurement m is sum_l moments[m, l] U_l
    data/values           (K, M)  V; NaN only where the mask is false
    data/deviation        (K, M)  standard deviations, V, > 0
    data/mask?            (K, M)  true where there is a measurement; by default everywhere
    data/reference?       (K, M)  the same measurements of the homogeneous body, V
    data/truth?           (H, W)  true conductivity, S/m, row 0 at the top, over the bounding square
    geometry/             attributes kind = "tank" or "mesh", unit = "m", "cm" or "mm"
      for a tank          attributes radius, electrodes, width, first (degrees), clockwise
      for a mesh          attribute hash? (checked), and the arrays of `eitdip.mesh.Domain`:
                          points (n, 2), cells (C, 3 or 6), facets (F, 2 or 3), facet_tags (F,)
    geometry/contact_impedance   (L,) Ohm m^2 per m of depth; only for "electrodes"

For the other models the patterns have J columns, see `eitdip.data.Measurements`. Any other
consistent set of units will do (mA with mS and kOhm, for example). Arrays that `save` writes carry
checksums, so damage is found when they are read.
"""

import json
import os
import tempfile
from dataclasses import asdict, fields
from pathlib import Path

import h5py
import numpy as np

from eitdip.data.files import naming, read_bytes
from eitdip.data.measurements import Measurements
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError, OutputError, choose
from eitdip.mesh import Domain, Tank

FORMAT = "eitdip measurements"
VERSION = 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"

_LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_PATTERNS = {"sources", "moments"}
_DATA = {"values", "deviation", "mask", "reference", "truth"}
_MESH = {"points", "cells", "facets", "facet_tags"}
_TANK = tuple(field.name for field in fields(Tank))


def save(path, measurements: Measurements) -> None:
    """Write measurements so that `load` returns the same bits; an old file is replaced as a whole.

    Raises:
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            scratch = Path(folder) / "measurements.h5"
            # This version of the file format has checksums of its own structure too.
            with h5py.File(scratch, "w", libver="v110") as file:
                _write(file, measurements)
            os.replace(scratch, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); choose an existing folder that is writable") from error


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
    file.attrs["provenance"] = np.bytes_(json.dumps(measurements.provenance))
    for group, names in (("patterns", _PATTERNS), ("data", _DATA)):
        for name in sorted(names):
            _write_array(file, f"{group}/{name}", getattr(measurements, name))
    _write_array(file, "geometry/contact_impedance", measurements.contact_impedance)
    geometry, body = file.require_group("geometry"), measurements.geometry
    geometry.attrs["unit"] = np.bytes_("m")
    if isinstance(body, Tank):
        geometry.attrs["kind"] = np.bytes_("tank")
        geometry.attrs.update(asdict(body))
    else:
        geometry.attrs["kind"] = np.bytes_("mesh")
        geometry.attrs["hash"] = np.bytes_(body.hash)
        for name in sorted(_MESH):
            _write_array(geometry, name, getattr(body, name))


def _write_array(group: h5py.Group, name: str, array: np.ndarray | None) -> None:
    if array is not None:
        group.create_dataset(name, data=array, fletcher32=True, chunks=array.shape)


def _read(file: h5py.File) -> Measurements:
    if _text(file, "format", "") != FORMAT:
        raise FileFormatError(
            f"got format {_text(file, 'format', 'none')!r}, expected {FORMAT!r}; "
            "the layout is described in eitdip.data.hdf5"
        )
    version = _number(file, "version")
    if version != VERSION:
        raise FileFormatError(f"got version {version:g}, expected {VERSION}; update eitdip to read it")
    known = {"patterns": _PATTERNS, "data": _DATA, "geometry": _MESH | {"contact_impedance"}}
    for name in file:
        choose("group", name, known)
    arrays = {}
    for group, names in known.items():
        if not isinstance(file.get(group), h5py.Group):
            raise FileFormatError(f"has no group {group!r}, expected {', '.join(known)}")
        for name in file[group]:
            choose(f"entry of group {group!r}", name, dict.fromkeys(sorted(names)))
            arrays[name] = _array(file[group][name])
    for name in ("sources", "moments", "values", "deviation"):
        _need(name, arrays)
    if "mask" in arrays and not np.isin(arrays["mask"], (0, 1)).all():
        raise InvalidDataError("data/mask: an entry is neither true nor false (1 or 0)")
    geometry = _geometry(file["geometry"], {name: arrays.pop(name) for name in sorted(_MESH) if name in arrays})
    return Measurements(
        model=_text(file, "model"),
        geometry=geometry,
        mask=arrays.pop("mask", np.ones(arrays["values"].shape)),
        provenance=_provenance(file),
        **arrays,
    )


def _geometry(group: h5py.Group, arrays: dict[str, np.ndarray]) -> Tank | Domain:
    scale = choose("unit of geometry", _text(group, "unit"), _LENGTHS)
    kind = choose("kind of geometry", _text(group, "kind"), {"tank": "tank", "mesh": "mesh"})
    if kind == "tank":
        size = {name: _number(group, name) for name in _TANK}
        return Tank(
            radius=size["radius"] * scale,
            electrodes=int(size["electrodes"]),
            width=size["width"] * scale,
            first=size["first"],
            clockwise=bool(size["clockwise"]),
        )
    for name in sorted(_MESH):
        _need(name, arrays)
    domain = Domain(**arrays | {"points": arrays["points"] * scale})
    expected = _text(group, "hash", domain.hash)
    if domain.hash != expected:
        raise InvalidDataError(
            f"geometry: the mesh has hash {domain.hash}, expected {expected}; the data are of another mesh"
        )
    return domain


def _provenance(file: h5py.File) -> dict:
    text = _text(file, "provenance", "{}")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(f"attribute 'provenance' is no JSON text ({error})") from error
    if not isinstance(value, dict):
        raise FileFormatError(f"attribute 'provenance': got {text[:40]!r}, expected a JSON object {{...}}")
    return value


def _array(dataset) -> np.ndarray:
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub" or not dataset.shape:
        raise FileFormatError(f"{dataset.name}: is not an array of real numbers")
    return dataset[()]


def _need(name: str, arrays: dict[str, np.ndarray]) -> None:
    if name not in arrays:
        raise FileFormatError(f"has no array {name!r}; the layout is described in eitdip.data.hdf5")


def _text(group: h5py.Group, name: str, default: str | None = None) -> str:
    value = group.attrs.get(name, default)
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise FileFormatError(f"{group.name}: attribute {name!r}: got {value!r}, expected text")
    return value


def _number(group: h5py.Group, name: str) -> float:
    value = group.attrs.get(name)
    if not isinstance(value, (np.number, np.bool_)) or isinstance(value, np.complexfloating):
        raise FileFormatError(f"{group.name}: attribute {name!r}: got {value!r}, expected a number")
    return float(value)
