"""Meshes survive their files, and bad files are refused."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from eitdip.errors import FileFormatError, InvalidDataError, OptionError, OutputError
from eitdip.mesh import read_domain, write_domain
from tests.cases.meshes import ring_disk
from tests.cases.solids import box_with_electrodes

MESHES = Path(__file__).parents[2] / "meshes"

every_ending = pytest.mark.parametrize("ending", [".msh", ".xdmf", ".vtu"])


@every_ending
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("electrodes", [0, 6])
def test_round_trip(tmp_path, capfd, ending, degree, electrodes):
    domain = ring_disk(4, electrodes, radius=0.14, degree=degree)
    path = tmp_path / f"disk{ending}"
    write_domain(path, domain)
    back = read_domain(path)
    np.testing.assert_array_equal(back.points, domain.points)
    np.testing.assert_array_equal(back.cells, domain.cells)
    np.testing.assert_array_equal(back.facets, domain.facets)
    np.testing.assert_array_equal(back.facet_tags, domain.facet_tags)
    assert back.hash == domain.hash
    assert [item.name for item in tmp_path.iterdir()] == [path.name]  # nothing left beside it
    assert capfd.readouterr() == ("", "")


@every_ending
def test_round_trip_of_a_solid(tmp_path, ending):
    domain = box_with_electrodes(4)
    path = tmp_path / f"box{ending}"
    write_domain(path, domain)
    back = read_domain(path)
    for name in ("points", "cells", "facets", "facet_tags"):
        np.testing.assert_array_equal(getattr(back, name), getattr(domain, name))
    assert (back.dimension, back.electrode_count, back.hash) == (3, 4, domain.hash)
    np.testing.assert_allclose(read_domain(path, unit="cm").cell_sizes.sum(), 1e-6, rtol=1e-12)


@every_ending
@pytest.mark.parametrize(("unit", "scale"), [("m", 1.0), ("cm", 1e-2), ("mm", 1e-3)])
def test_unit_of_the_file(tmp_path, ending, unit, scale):
    domain = ring_disk(2, 6, radius=14.0)
    write_domain(tmp_path / f"disk{ending}", domain)
    back = read_domain(tmp_path / f"disk{ending}", unit=unit)
    np.testing.assert_allclose(back.points, domain.points * scale, rtol=1e-14)
    np.testing.assert_array_equal(back.facet_tags, domain.facet_tags)


@every_ending
def test_mm_taken_for_m(tmp_path, ending):
    domain = ring_disk(2, 6, radius=140.0)
    write_domain(tmp_path / f"disk{ending}", domain)
    with pytest.raises(InvalidDataError, match=r"the body is 280 m wide, .* Read it with unit='mm' or 'cm'"):
        read_domain(tmp_path / f"disk{ending}")
    assert np.ptp(read_domain(tmp_path / f"disk{ending}", unit="mm").points) == pytest.approx(0.28)
    write_domain(tmp_path / f"plain{ending}", ring_disk(2, radius=140.0))
    assert read_domain(tmp_path / f"plain{ending}").electrode_count == 0  # nothing depends on its unit


@pytest.mark.parametrize("ending", [".xdmf", ".vtu"])
def test_cell_data_travel_along(tmp_path, ending):
    import meshio

    domain = ring_disk(2, 6)
    path = tmp_path / f"disk{ending}"
    write_domain(path, domain, {"sigma": np.arange(24)})
    assert read_domain(path).hash == domain.hash
    np.testing.assert_array_equal(meshio.read(path).get_cell_data("sigma", "triangle"), np.arange(24))


@pytest.mark.parametrize("ending", [".xdmf", ".vtu"])
def test_cell_data_of_a_solid(tmp_path, ending):
    import meshio

    domain = box_with_electrodes(4)
    path, values = tmp_path / f"box{ending}", np.linspace(1, 2, len(domain.cells))
    write_domain(path, domain, {"sigma": values})
    assert read_domain(path).hash == domain.hash
    np.testing.assert_array_equal(meshio.read(path).get_cell_data("sigma", "tetra"), values)


def test_cell_data_of_another_shape_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"cell_data 'sigma': got shape \(23,\), expected \(24,\)"):
        write_domain(tmp_path / "disk.vtu", ring_disk(2), {"sigma": np.arange(23)})
    assert not list(tmp_path.iterdir())


@every_ending
def test_no_folder_to_write_to(tmp_path, ending):
    with pytest.raises(OutputError, match=r"cannot be written .* choose an existing folder"):
        write_domain(tmp_path / "missing" / f"disk{ending}", ring_disk(2))


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "disk.msh"
    write_domain(path, ring_disk(2))
    write_domain(path, ring_disk(3, 6))
    assert read_domain(path).hash == ring_disk(3, 6).hash


def test_unknown_endings_and_units(tmp_path):
    with pytest.raises(
        OptionError, match=r"unknown mesh file ending: got '\.stl', expected one of: \.msh, \.xdmf, \.vtu"
    ):
        write_domain(tmp_path / "disk.stl", ring_disk(2))
    with pytest.raises(OptionError, match=r"unknown mesh file ending: got '\.stl'"):
        read_domain(tmp_path / "disk.stl")
    write_domain(tmp_path / "disk.msh", ring_disk(2))
    with pytest.raises(OptionError, match="unknown unit: got 'inch', expected one of: m, cm, mm"):
        read_domain(tmp_path / "disk.msh", unit="inch")


@every_ending
def test_missing_files(tmp_path, ending):
    with pytest.raises(FileFormatError, match="no such mesh file"):
        read_domain(tmp_path / f"none{ending}")


@every_ending
@pytest.mark.parametrize("content", ["", "this is not a mesh\n" * 20, "half"], ids=["empty", "prose", "half"])
def test_damaged_files(tmp_path, ending, content, capsys):
    path = tmp_path / f"disk{ending}"
    if content == "half":
        write_domain(path, ring_disk(3, 6))
        text = path.read_bytes()
        path.write_bytes(text[: len(text) // 2])
    else:
        path.write_text(content)
    with pytest.raises(FileFormatError, match="cannot be read as a mesh"):
        read_domain(path)


def test_a_file_without_boundary_lines(tmp_path):
    import meshio

    domain = ring_disk(2)
    path = tmp_path / "disk.vtu"
    meshio.write(path, meshio.Mesh(np.pad(domain.points, ((0, 0), (0, 1))), [("triangle", domain.cells)]))
    with pytest.raises(FileFormatError, match="has no tagged boundary lines; make physical groups"):
        read_domain(path)


def test_a_file_without_tags(tmp_path):
    import meshio

    domain = ring_disk(2)
    path = tmp_path / "disk.vtu"
    blocks = [("triangle", domain.cells), ("line", domain.facets)]
    meshio.write(path, meshio.Mesh(np.pad(domain.points, ((0, 0), (0, 1))), blocks))
    with pytest.raises(FileFormatError, match="has no tagged boundary lines"):
        read_domain(path)


def test_tetrahedra_without_boundary_triangles(tmp_path):
    import meshio

    domain = box_with_electrodes(4)
    meshio.write(tmp_path / "box.vtu", meshio.Mesh(domain.points, [("tetra", domain.cells)]))
    with pytest.raises(FileFormatError, match="has no tagged boundary triangles; make physical groups"):
        read_domain(tmp_path / "box.vtu")


def test_solid_cells_of_other_kinds(tmp_path):
    """Its triangles must not be taken for a plane domain, nor its tetrahedra for the whole body."""
    import meshio

    domain = box_with_electrodes(4)
    brick = ("hexahedron", np.arange(8)[None])
    for blocks in ([brick, ("triangle", domain.facets)], [("tetra", domain.cells), brick]):
        meshio.write(tmp_path / "box.vtu", meshio.Mesh(domain.points, blocks))
        with pytest.raises(FileFormatError, match=r"got cells hexahedron, t.*; expected triangles .* or straight tetr"):
            read_domain(tmp_path / "box.vtu")


def test_a_file_without_triangles(tmp_path):
    import meshio

    domain = ring_disk(2)
    path = tmp_path / "disk.vtu"
    meshio.write(path, meshio.Mesh(np.pad(domain.points, ((0, 0), (0, 1))), [("line", domain.facets)]))
    with pytest.raises(FileFormatError, match="got cells line; expected triangles of one order"):
        read_domain(path)


@every_ending
def test_an_electrode_that_is_missing_in_the_file(tmp_path, ending):
    """The checks of Domain hold for files too."""
    domain = ring_disk(3, 6)
    path = tmp_path / f"disk{ending}"
    tags = np.where(domain.facet_tags == 4, 0, domain.facet_tags)
    broken = object.__new__(type(domain))
    for name in ("points", "cells", "facets"):
        object.__setattr__(broken, name, getattr(domain, name))
    object.__setattr__(broken, "facet_tags", tags)
    write_domain(path, broken)
    with pytest.raises(InvalidDataError, match=r"electrode 4 has no boundary edge"):
        read_domain(path)


def test_construction_points_are_dropped(tmp_path):
    """gmsh files keep circle centers and other points of the geometry."""
    import meshio

    domain = ring_disk(2, 6)
    points = np.pad(np.concatenate([[[7.0, 7.0]], domain.points]), ((0, 0), (0, 1)))
    groups = [np.ones(len(domain.cells), dtype=int), domain.facet_tags + 1]
    mesh = meshio.Mesh(
        points,
        [("triangle", domain.cells + 1), ("line", domain.facets + 1)],
        cell_data={"gmsh:physical": groups, "gmsh:geometrical": groups},
    )
    meshio.write(tmp_path / "disk.msh", mesh, file_format="gmsh22", binary=False)
    assert read_domain(tmp_path / "disk.msh").hash == domain.hash


def test_a_file_of_gmsh_itself(tmp_path, gmsh):
    """Physical groups of a square made by gmsh: gaps 1, electrodes 2 and 3."""
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.add("square")
        gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
        gmsh.model.occ.synchronize()
        for group, lines in ((1, [1, 3]), (2, [4]), (3, [2])):
            gmsh.model.addPhysicalGroup(1, lines, group)
        gmsh.model.addPhysicalGroup(2, [1], 1)
        gmsh.model.mesh.setSize(gmsh.model.getEntities(0), 0.3)
        gmsh.model.mesh.generate(2)
        gmsh.write(str(tmp_path / "square.msh"))
    finally:
        gmsh.finalize()
    domain = read_domain(tmp_path / "square.msh", unit="cm")
    assert domain.electrode_count == 2
    assert domain.cell_sizes.sum() == pytest.approx(1e-4)
    for tag, x in ((1, 0.0), (2, 1e-2)):
        nodes = domain.facets[domain.facet_tags == tag]
        np.testing.assert_allclose(domain.points[nodes, 0], x, atol=1e-15)
    assert dataclasses.replace(domain).hash == domain.hash


ROWS = re.findall(
    r"^\| `(\w+\.msh)` \|.*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| `(\w+)` \|$", (MESHES / "README.md").read_text(), re.M
)


def test_every_mesh_of_the_package_is_listed():
    assert sorted(row[0] for row in ROWS) == sorted(path.name for path in MESHES.glob("*.msh"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_mesh_of_the_package_is_what_its_list_says(row):
    name, *numbers, digest = row
    domain = read_domain(MESHES / name)
    counts = [len(domain.points), len(domain.cells), len(domain.facets), domain.electrode_count]
    assert counts == list(map(int, numbers)) and domain.hash == digest
