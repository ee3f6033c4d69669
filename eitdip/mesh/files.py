"""Reading and writing domains through meshio: gmsh (.msh), XDMF (.xdmf), VTK (.vtu)."""

import xml.etree.ElementTree as ElementTree
from math import prod
from pathlib import Path

import h5py
import meshio
import numpy as np

from eitdip.errors import FileFormatError, InvalidDataError, OptionError, choose
from eitdip.mesh.domain import Domain
from eitdip.mesh.gmsh import DamagedError, read_gmsh
from eitdip.mesh.groups import CONVENTION, TAG, read_boundary
from eitdip.writing import atomic_path

_FORMATS = {".msh": "gmsh22", ".xdmf": "xdmf", ".vtu": "vtu"}
_UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_WIDEST = 40.0  # m
_LARGEST = 2**30  # bytes of an array
# Cells of a domain by the width of its array, and the kind of their facets.
_CELLS = {(2, 3): ("triangle", "line"), (2, 6): ("triangle6", "line3"), (3, 4): ("tetra", "triangle")}


def write_domain(path, domain: Domain, cell_data: dict | None = None) -> None:
    """Write a domain, in m, with the electrode number of each boundary edge or triangle.

    Args:
        path: File ending in .msh, .xdmf or .vtu.
        domain: What to write.
        cell_data: Named arrays of shape (C,), for looking at (in ParaView, for example); not for .msh.

    Raises:
        OptionError: If the file ending is unknown, or an array has another shape.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    kind = choose("mesh file ending", path.suffix, _FORMATS)
    cell, facet = _CELLS[domain.dimension, domain.cells.shape[1]]
    blocks = [(cell, domain.cells), (facet, domain.facets)]
    tags = [np.zeros(len(domain.cells), dtype=np.int32), domain.facet_tags.astype(np.int32)]
    data = {TAG: tags}
    for name, values in (cell_data or {}).items():
        values = np.asarray(values, dtype=float)
        if values.shape != (len(domain.cells),):
            raise OptionError(f"cell_data {name!r}: got shape {values.shape}, expected ({len(domain.cells)},)")
        data[name] = [values, np.full(len(domain.facets), np.nan)]
    if kind == "gmsh22":
        # gmsh's own tags; 0 is not a physical group, so groups are the electrode number + 1.
        groups = [np.full(len(domain.cells), 1, dtype=np.int32), tags[1] + 1]
        data = {"gmsh:physical": groups, "gmsh:geometrical": groups}
    points = np.pad(domain.points, ((0, 0), (0, 3 - domain.dimension)))
    mesh = meshio.Mesh(points, blocks, cell_data=data, field_data=_names(domain) if kind == "gmsh22" else None)
    with atomic_path(path) as scratch:
        if kind == "gmsh22":
            meshio.write(scratch, mesh, file_format=kind, binary=False)
        elif kind == "xdmf":
            meshio.write(scratch, mesh, file_format=kind, data_format="XML")
        else:
            meshio.write(scratch, mesh, file_format=kind)


def _names(domain: Domain) -> dict[str, np.ndarray]:
    """Names of gmsh's groups: name to number and dimension."""
    outer = domain.dimension - 1
    electrodes = {f"electrode_{n}": np.array([n + 1, outer]) for n in range(1, domain.electrode_count + 1)}
    return {"body": np.array([1, domain.dimension]), "gap": np.array([1, outer])} | electrodes


def read_domain(path, unit: str = "m") -> Domain:
    """Read a domain that `write_domain` or gmsh wrote.

    In a gmsh file the names of the physical groups of boundary lines (triangles, if the cells are
    tetrahedra) decide: electrode_1 (also e1, el-01, contact 1) is electrode 1, whatever the group's
    number, and gap, wall, boundary or insulation is what lies between. Lines without a group lie between
    electrodes, inner interfaces are passed over, and any other name is an error. In a file without
    names the numbers of the groups count: 1 between electrodes, l + 1 for electrode l.

    Args:
        path: File ending in .msh, .xdmf or .vtu.
        unit: Unit of the coordinates in the file: "m", "cm" or "mm".

    Raises:
        FileFormatError: If the file is missing, damaged, has no triangles or tetrahedra, or no tagged boundary.
        OptionError: If the ending or the unit is unknown.
        InvalidDataError: If the mesh is not a valid domain.
    """
    try:
        path = Path(path)
        there = path.is_file()
    except (TypeError, ValueError, OSError) as error:  # no text, or none that can be a name
        raise FileFormatError(f"{path!r}: is no path ({error}); give the name of a file") from error
    choose("mesh file ending", path.suffix, _FORMATS)
    scale = choose("unit", unit, _UNITS)
    if not there:
        raise FileFormatError(f"{path}: no such mesh file")
    try:
        mesh = _read(path)
    except SystemExit as error:  # meshio exits the interpreter on files that it cannot parse
        raise FileFormatError(f"{path}: cannot be read as a mesh") from error
    except Exception as error:
        told = str(error) if isinstance(error, DamagedError) else f"{type(error).__name__}: {error}"
        raise FileFormatError(f"{path}: cannot be read as a mesh ({told})") from error
    dimension, cell, facet = _kinds(path, mesh)
    cells = mesh.cells_dict[cell]
    for kind in {cell, facet} & mesh.cells_dict.keys():
        nodes = mesh.cells_dict[kind]
        if nodes.dtype.kind not in "iu" or nodes.min(initial=0) < 0 or nodes.max(initial=0) >= len(mesh.points):
            raise InvalidDataError(f"{path}: one of the cells ({kind}) has a node that is not there; fetch it again")
    try:
        boundary = read_boundary(mesh, facet, cells)
    except InvalidDataError as error:
        raise InvalidDataError(f"{path}: {error}") from error
    what = "lines" if dimension == 2 else "triangles"
    if boundary is None:
        raise FileFormatError(
            f"{path}: has no tagged boundary {what}; make physical groups of the boundary: {CONVENTION}"
        )
    used = np.unique(cells)  # construction points, such as circle centers, belong to no cell
    if not np.isin(boundary.facets, used).all():
        raise InvalidDataError(f"{path}: one of the boundary {what} has nodes that belong to no cell")
    points = mesh.points[used] * scale
    widest = np.ptp(points, axis=0).max()
    if unit == "m" and boundary.tags.any() and widest > _WIDEST:
        raise InvalidDataError(
            f"{path}: the body is {widest:g} m wide, expected at most {_WIDEST:g} m of a tank with electrodes; is the "
            "file in mm? Read it with unit='mm' or 'cm'"
        )
    if dimension == 2 and np.ptp(points[:, 2]) > 1e-6 * widest:
        raise InvalidDataError(f"{path}: the triangles do not lie in a plane z = constant; turn the mesh into it")
    facets = np.searchsorted(used, boundary.facets)
    try:
        return Domain(points[:, :dimension], np.searchsorted(used, cells), facets, boundary.tags)
    except InvalidDataError as error:
        raise InvalidDataError(f"{path}: {error}{boundary.groups}") from error


def _kinds(path: Path, mesh: meshio.Mesh) -> tuple[int, str, str]:
    """Dimension, kind of the cells and kind of the facets. Triangles beside tetrahedra are facets."""
    found = {kind for kind, block in mesh.cells_dict.items() if len(block)}
    solid = any(block.dim == 3 for block in mesh.cells)
    fitting = [
        (dimension, cell, facet)
        for (dimension, _), (cell, facet) in _CELLS.items()
        if cell in found and (dimension == 3) == solid
    ]
    others = found - {"vertex", "line", "triangle", "tetra"} if solid else set()
    if len(fitting) != 1 or others:
        raise FileFormatError(
            f"{path}: got cells {', '.join(sorted(found)) or 'nothing'}; expected triangles of one order (triangle or "
            "triangle6) or straight tetrahedra (tetra)"
        )
    return fitting[0]


def _read(path: Path) -> meshio.Mesh:
    if path.suffix == ".msh":
        return read_gmsh(path.read_bytes())
    if path.suffix == ".xdmf":
        _check_items(path)
    try:
        return meshio.read(path)
    except KeyError:
        if path.suffix != ".xdmf":
            raise
        return _read_curved_xdmf(path)


def _check_items(path: Path) -> None:
    """Numbers of an XDMF file stand in it, or in an HDF5 file beside it that does not claim more than it may hold."""
    for item in ElementTree.parse(path).iter("DataItem"):
        kind, text = item.get("Format"), (item.text or "").strip()
        if kind == "XML" or "Reference" in item.attrib:
            continue
        name, _, inner = text.partition(":")
        if kind != "HDF" or Path(name).name != name or not path.with_name(name).is_file():
            raise DamagedError(f"got numbers in {text[:80]!r} ({kind}), expected them in the file, or in one beside it")
        with h5py.File(path.with_name(name), "r") as file:
            dataset = file[inner]
            for shape in (dataset.shape, dataset.chunks or ()):
                if 8 * prod(shape) > _LARGEST:
                    raise DamagedError(f"{text} claims the shape {shape}, expected at most {_LARGEST >> 20} MiB")


def _read_curved_xdmf(path: Path) -> meshio.Mesh:
    """Second-order cells as meshio writes them; its own reader does not know their numbers (meshio 5.3)."""
    kinds = {0x24: ("triangle6", 6), 0x22: ("line3", 3)}
    grid = ElementTree.parse(path).getroot().find("Domain/Grid")
    numbers = np.array(grid.find("Topology/DataItem").text.split(), dtype=int)
    cells: dict[str, list] = {name: [] for name, _ in kinds.values()}
    at = 0
    while at < len(numbers):
        name, width = kinds[numbers[at]]
        cells[name].append(numbers[at + 1 : at + 1 + width])
        at += 1 + width
    points = np.array(grid.find("Geometry/DataItem").text.split(), dtype=float).reshape(-1, 3)
    data = {}
    for attribute in grid.findall("Attribute[@Center='Cell']"):
        values = np.array(attribute.find("DataItem").text.split(), dtype=float)
        data[attribute.get("Name")] = np.split(values, [len(cells["triangle6"])])
    return meshio.Mesh(points, [(name, np.array(block)) for name, block in cells.items()], cell_data=data)
