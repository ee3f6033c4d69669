"""The body that was measured, as a group of an HDF5 file; the layout is described in `eitdip.data.hdf5`."""

from dataclasses import asdict, fields

import h5py
import numpy as np

from eitdip.data.entries import need, read_number, read_numbers, read_text, write_array
from eitdip.errors import InvalidDataError, choose
from eitdip.mesh import Ball, Cylinder, Domain, Tank

ARRAYS = frozenset({"points", "cells", "facets", "facet_tags"})

_UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_KINDS = {"tank": Tank, "cylinder": Cylinder, "ball": Ball, "mesh": Domain}
# Attributes in the file's unit of length; the rings of a ball are angles.
_LENGTHS = {
    Tank: {"radius", "width"},
    Cylinder: {"radius", "height", "rings", "width", "electrode_height"},
    Ball: {"radius", "electrode_radius"},
}


def write_geometry(group: h5py.Group, body: Tank | Cylinder | Ball | Domain) -> None:
    """Write a body, lengths in m."""
    (kind,) = (name for name, known in _KINDS.items() if isinstance(body, known))
    group.attrs["unit"] = np.bytes_("m")
    group.attrs["kind"] = np.bytes_(kind)
    if not isinstance(body, Domain):
        group.attrs.update(asdict(body))
        return
    group.attrs["hash"] = np.bytes_(body.hash)
    for name in sorted(ARRAYS):
        write_array(group, name, getattr(body, name))


def read_geometry(group: h5py.Group, arrays: dict[str, np.ndarray]) -> Tank | Cylinder | Ball | Domain:
    """Read a body.

    Args:
        group: Its group, for the attributes.
        arrays: Those of its arrays whose names are in `ARRAYS`.

    Raises:
        FileFormatError: If an entry is missing or of another type.
        OptionError: If the kind or the unit is unknown, or a size is out of range.
        InvalidDataError: If a mesh is not a valid domain or has another hash than the file says.
    """
    scale = choose("unit of geometry", read_text(group, "unit"), _UNITS)
    body = choose("kind of geometry", read_text(group, "kind"), _KINDS)
    if body is Domain:
        return _read_mesh(group, arrays, scale)
    sizes = {field.name: _read_size(group, field.name) for field in fields(body)}
    for name in _LENGTHS[body]:
        if isinstance(sizes[name], tuple):
            sizes[name] = tuple(place * scale for place in sizes[name])
        elif name != "rings":  # which are then only how many
            sizes[name] *= scale
    return body(**sizes)


def _read_size(group: h5py.Group, name: str):
    if name == "rings":
        return read_numbers(group, name)
    kind = {"electrodes": int, "clockwise": bool}.get(name, float)
    return kind(read_number(group, name))


def _read_mesh(group: h5py.Group, arrays: dict[str, np.ndarray], scale: float) -> Domain:
    for name in sorted(ARRAYS):
        need(name, arrays)
    domain = Domain(**arrays | {"points": arrays["points"] * scale})
    expected = read_text(group, "hash", domain.hash)
    if domain.hash != expected:
        raise InvalidDataError(
            f"geometry: the mesh has hash {domain.hash}, expected {expected}; the data are of another mesh"
        )
    return domain
