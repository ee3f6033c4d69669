"""Physical groups of gmsh files: names decide, numbers count where there are none."""

import meshio
import numpy as np
import pytest

from eitdip.errors import InvalidDataError
from eitdip.mesh import Domain, read_domain
from tests.cases.meshes import curved, rectangle, ring_disk
from tests.cases.solids import box_with_electrodes

DISK = ring_disk(6, 6)
GAP = {"gap": 0}
ELECTRODES = {f"electrode_{n}": n for n in range(1, 7)}


def write(path, domain: Domain, groups: dict, names: dict, extra=()) -> None:
    """A gmsh file: electrode numbers to group numbers, names to electrode numbers, more facets as (nodes, group)."""
    cell, facet = {3: ("triangle", "line"), 6: ("triangle6", "line3"), 4: ("tetra", "triangle")}[domain.cells.shape[1]]
    numbers = np.array([groups.get(tag, -1) for tag in domain.facet_tags.tolist()])
    facets = domain.facets[numbers >= 0]
    numbers = numbers[numbers >= 0]
    for nodes, group in extra:
        facets, numbers = np.concatenate([facets, nodes]), np.r_[numbers, np.full(len(nodes), group)]
    tags = [np.ones(len(domain.cells), dtype=int), numbers]
    outer = domain.dimension - 1
    known = {name: np.array([groups.get(tag, tag), outer]) for name, tag in names.items()}
    points = np.pad(domain.points, ((0, 0), (0, 3 - domain.dimension)))
    mesh = meshio.Mesh(
        points,
        [(cell, domain.cells), (facet, facets)],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data=known | {"body": np.array([1, domain.dimension])},
    )
    meshio.write(path, mesh, file_format="gmsh22", binary=False)


@pytest.mark.parametrize(
    ("first", "gap"),
    [(1, 17), (2, 18), (1, 0), (1001, 1000), (2, 1)],
    ids=["last", "last of all", "none", "far", "ours"],
)
@pytest.mark.parametrize("make", [lambda: DISK, lambda: curved(DISK)], ids=["straight", "curved"])
def test_names_decide(tmp_path, make, first, gap):
    domain = make()
    groups = {0: gap} | {n: first + n - 1 for n in range(1, 7)}
    write(tmp_path / "disk.msh", domain, groups, ELECTRODES | (GAP if gap else {}))
    assert read_domain(tmp_path / "disk.msh").hash == domain.hash


@pytest.mark.parametrize("name", ["Electrode {}", "E{}", "el-0{}", "elec.{}", "CONTACT_{}"])
@pytest.mark.parametrize("between", ["gaps", "outer_wall", "boundary", "no electrode", "Insulation 1"])
def test_names_by_which_electrodes_go(tmp_path, name, between):
    groups = {0: 40} | {n: 30 - n for n in range(1, 7)}
    write(tmp_path / "disk.msh", DISK, groups, {name.format(n): n for n in range(1, 7)} | {between: 0})
    assert read_domain(tmp_path / "disk.msh").hash == DISK.hash


def test_names_of_a_solid(tmp_path):
    domain = box_with_electrodes(4)
    groups = {0: 9, 1: 4, 2: 3, 3: 2, 4: 1}
    write(tmp_path / "box.msh", domain, groups, {f"electrode_{n}": n for n in range(1, 5)} | GAP)
    assert read_domain(tmp_path / "box.msh").hash == domain.hash


@pytest.mark.parametrize("make", [lambda: DISK, lambda: curved(DISK)], ids=["straight", "curved"])
def test_what_is_in_no_group_is_between_electrodes(tmp_path, make):
    """gmsh leaves lines without a group out of the file."""
    domain = make()
    write(tmp_path / "disk.msh", domain, {n: n for n in range(1, 7)}, ELECTRODES)
    back = read_domain(tmp_path / "disk.msh")
    for tag in range(7):
        sizes = [np.sort(d.facet_sizes[d.facet_tags == tag]) for d in (back, domain)]
        np.testing.assert_allclose(*sizes)


def test_a_group_of_all_lines_beside_the_electrodes(tmp_path):
    groups = {n: n for n in range(1, 7)}
    write(tmp_path / "disk.msh", DISK, groups, ELECTRODES | {"boundary": 9}, [(DISK.facets, 9)])
    back = read_domain(tmp_path / "disk.msh")
    assert (back.electrode_count, len(back.facets)) == (6, len(DISK.facets))
    np.testing.assert_allclose(back.electrode_centers, DISK.electrode_centers)


INNER = np.array([[0, 1], [0, 2], [0, 3]])  # from the middle of the disk


@pytest.mark.parametrize("names", [ELECTRODES | GAP | {"interface": 9}, {}], ids=["names", "numbers"])
def test_inner_interfaces_are_passed_over(tmp_path, names):
    write(tmp_path / "disk.msh", DISK, {n: n + 1 for n in range(7)}, names, [(INNER, 9)])
    assert read_domain(tmp_path / "disk.msh").hash == DISK.hash


def test_a_body_without_electrodes(tmp_path):
    write(tmp_path / "disk.msh", ring_disk(2), {0: 5}, {"wall": 0})
    assert read_domain(tmp_path / "disk.msh").hash == ring_disk(2).hash


SHIFTED = {0: 17} | {n: n for n in range(1, 7)}


@pytest.mark.parametrize(
    ("groups", "names", "extra", "message"),
    [
        (SHIFTED, ELECTRODES | {"left": 0}, [], "group 17 'left': is it an electrode"),
        (SHIFTED, GAP, [], "group 1 without a name: is it an electrode"),
        (SHIFTED, {"wall 1": 1, "gap": 0}, [], "group 1 'wall 1': is it an electrode"),
        (SHIFTED, {"e1": 1, "el_1": 2} | GAP, [], "group 1 'e1': got electrode 1, expected each of 1..L once"),
        (SHIFTED, {"e0": 1} | GAP, [], "group 1 'e0': got electrode 0, expected each of 1..L once"),
        (SHIFTED, ELECTRODES | GAP | {"e7": 20}, [], "electrode 7 has no boundary edge: group 20 'e7' is empty"),
        (SHIFTED, ELECTRODES | GAP | {"e7": 20}, [(INNER, 20)], "electrode 7: 3 of its facets lie within the body"),
        (SHIFTED, ELECTRODES | GAP, [(DISK.facets[:1], 2)], "electrodes 1 and 2: share a facet"),
        (SHIFTED, {}, [], "electrode 6 has no boundary edge .* there is an electrode 16"),
        (
            {0: 7} | {n: n for n in range(1, 7)},
            {},
            [],
            "electrode 6 is 6 separate pieces of the boundary, expected one",
        ),
        ({n: n for n in range(7)}, {}, [], "got boundary group 0 without a name, expected 1 and 2"),
        ({0: 1000} | {n: 1000 + n for n in range(1, 7)}, {}, [], "got boundary group 1000 without a name"),
        ({n: n + 1 for n in range(7)}, {}, [(INNER, 3)], "electrode 2: 3 of its facets lie within the body"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words_of_the_file(tmp_path, groups, names, extra, message):
    write(tmp_path / "disk.msh", DISK, groups, names, extra)
    with pytest.raises(InvalidDataError, match=message) as caught:
        read_domain(tmp_path / "disk.msh")
    assert str(caught.value).startswith(f"{tmp_path / 'disk.msh'}: ")
    if "share" not in message:
        assert "the file's groups of lines (how many): " in str(caught.value)
        assert "name groups electrode_1, electrode_2, ... and gap" in str(caught.value)


def test_a_number_that_is_not_whole(tmp_path):
    blocks = [("triangle", DISK.cells), ("line", DISK.facets)]
    tags = [np.zeros(len(DISK.cells)), DISK.facet_tags + np.nan]
    points = np.pad(DISK.points, ((0, 0), (0, 1)))
    meshio.write(tmp_path / "disk.vtu", meshio.Mesh(points, blocks, cell_data={"electrode": tags}))
    with pytest.raises(InvalidDataError, match="electrode: got a number that is not whole"):
        read_domain(tmp_path / "disk.vtu")


def test_a_number_beyond_all_memory(tmp_path):
    write(tmp_path / "disk.msh", DISK, {0: 1, 1: 2_000_000_000} | {n: n + 1 for n in range(2, 7)}, {})
    with pytest.raises(InvalidDataError, match="facet_tags: got 1999999999 with 36 facets"):
        read_domain(tmp_path / "disk.msh")


def test_triangles_that_are_not_in_the_plane(tmp_path):
    domain = rectangle(2, 2)
    points = np.column_stack([domain.points, domain.points[:, 0]])
    tags = [np.ones(len(domain.cells), dtype=int), np.ones(len(domain.facets), dtype=int)]
    mesh = meshio.Mesh(points, [("triangle", domain.cells), ("line", domain.facets)], cell_data={"gmsh:physical": tags})
    meshio.write(tmp_path / "r.vtu", mesh)
    with pytest.raises(InvalidDataError, match="do not lie in a plane z = constant"):
        read_domain(tmp_path / "r.vtu")


@pytest.fixture
def square(tmp_path, gmsh):
    """gmsh's own file of the unit square with a disk in it, sides 1 to 4 and the disk's rim 5 in groups."""

    def make(groups: dict, version: float = 4.1, everything: bool = False):
        gmsh.initialize(interruptible=False)
        try:
            gmsh.option.setNumber("General.Terminal", 0)
            gmsh.option.setNumber("Mesh.MshFileVersion", version)
            gmsh.option.setNumber("Mesh.SaveAll", everything)
            gmsh.model.add("square")
            gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
            gmsh.model.occ.addDisk(0.5, 0.5, 0, 0.2, 0.2)
            gmsh.model.occ.fragment([(2, 1)], [(2, 2)])
            gmsh.model.occ.synchronize()
            for number, (lines, name) in groups.items():
                gmsh.model.setPhysicalName(1, gmsh.model.addPhysicalGroup(1, lines, number), name)
            gmsh.model.addPhysicalGroup(2, [tag for _, tag in gmsh.model.getEntities(2)], 1)
            gmsh.model.mesh.setSize(gmsh.model.getEntities(0), 0.4)
            gmsh.model.mesh.generate(2)
            gmsh.write(str(tmp_path / "square.msh"))
        finally:
            gmsh.finalize()
        return tmp_path / "square.msh"

    return make


@pytest.mark.parametrize("version", [2.2, 4.1])
@pytest.mark.parametrize(
    "groups",
    [
        {7: ([1], "gap"), 3: ([4], "wall"), 9: ([2], "electrode_1"), 1: ([3], "electrode_2"), 5: ([5], "inclusion")},
        {7: ([1, 2, 3, 4], "boundary"), 9: ([2], "E1"), 1: ([3], "E2")},
        {9: ([-2], "E1"), 1: ([-3], "E2")},
    ],
    ids=["inner interface", "lines in two groups", "reversed, without gaps"],
)
def test_files_of_gmsh_itself(square, version, groups):
    domain = read_domain(square(groups, version))
    np.testing.assert_allclose(domain.electrode_centers, [[0, 0.5], [1, 0.5]], atol=1e-12)
    np.testing.assert_allclose(np.bincount(domain.facet_tags, domain.facet_sizes), [2, 1, 1])


def test_a_file_of_gmsh_that_was_saved_without_its_groups(square):
    groups = {9: ([2], "E1"), 1: ([3], "E2")}
    with pytest.raises(
        InvalidDataError, match=r"electrode \d has no boundary edge: .* is empty; save the mesh with its"
    ):
        read_domain(square(groups, 2.2, everything=True))
    domain = read_domain(square(groups, 4.1, everything=True))  # format 4 keeps the groups all the same
    np.testing.assert_allclose(domain.electrode_centers, [[0, 0.5], [1, 0.5]], atol=1e-12)
