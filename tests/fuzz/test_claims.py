"""Headers that claim more than their file holds, and files that are none: each is refused for what it is."""

import os
import struct
import zlib

import h5py
import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

import eitdip
from eitdip.data import fips
from eitdip.data.matlab import DamagedError, checked
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError
from eitdip.imaging.matrix_cache import cached
from eitdip.mesh.files import read_domain, write_domain
from eitdip.problems.load import detect, read
from tests.cases.meshes import ring_disk
from tests.fuzz.mutations import mutated, with_checksums
from tests.fuzz.samples import SAMPLES

HUGE = 10**12
SAID = "{'descr': '<c8', 'fortran_order': False, 'shape': (1000000000000,), }"


def npy(header: str, body: bytes = bytes(64)) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + body


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (SAID, r"got 64 bytes of numbers, expected those of an array of shape \(1000000000000,\)"),
        (SAID.replace("1000000000000", "-8"), "got 64 bytes of numbers"),
        (SAID.replace("<c8", "|O"), "got values of type object"),
        (SAID.replace("'descr'", "'descr"), "cannot be read as a NumPy file .*TokenError"),
        ("(" * 100, "cannot be read as a NumPy file"),
    ],
)
def test_headers_of_numpy(header, message, tmp_path):
    (tmp_path / "k.npy").write_bytes(npy(header))
    with pytest.raises(FileFormatError, match=message):
        read(tmp_path / "k.npy")


def test_archives_of_numpy(tmp_path, monkeypatch):
    """What unpacks to more than it may is not unpacked, and what cannot be unpacked is damaged."""
    path = tmp_path / "scan.npz"
    np.savez_compressed(path, trans=np.ones((160, 192)), blank=np.ones((160, 192)))
    content = bytearray(path.read_bytes())
    content[60:90] = b"\xff" * 30
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"trans cannot be unpacked \(error: "):
        read(path)
    monkeypatch.setattr(eitdip.data.arrays, "LARGEST", 2**20)
    np.savez_compressed(path, trans=np.zeros(2**17), blank=np.ones((160, 192)))
    with pytest.raises(FileFormatError, match="trans claims more than 1 MiB"):
        read(path)


def test_pictures(tmp_path):
    SAMPLES["picture"](tmp_path, np.random.default_rng(0))
    content = (tmp_path / "gray.png").read_bytes()
    path = tmp_path / "large.png"
    path.write_bytes(with_checksums(content[:16] + struct.pack(">II", 60000, 60000) + content[24:]))
    with pytest.raises(FileFormatError, match=r"cannot be read as a picture .*3600000000 pixels"):
        read(path, task="denoise")
    path.write_bytes(with_checksums(content[:16] + struct.pack(">II", 12000, 12000) + content[24:]))
    with pytest.raises(FileFormatError, match=r"cannot be read as a picture .*144000000 pixels"):
        read(path, task="denoise")


@pytest.mark.parametrize("place", ["dataset", "chunk", "attribute"])
def test_hdf5(place, tmp_path):
    """An empty dataset of any shape takes no room in the file."""
    SAMPLES["h5"](tmp_path, np.random.default_rng(0))
    with h5py.File(tmp_path / "tank_plain.h5", "r+") as file:
        if place == "attribute":
            file["geometry"].attrs.create("radius", np.zeros(20_000, np.int8), dtype="i1")
        else:
            del file["data/truth"]
            shape, chunks = ((HUGE, 2), (2**12, 2)) if place == "dataset" else ((2, 2), (2**20, 2**8))
            file.create_dataset("data/truth", shape, "f8", chunks=chunks, maxshape=(None, None))
    with pytest.raises(FileFormatError, match="claims the shape" if place != "attribute" else "got an array, expected"):
        read(tmp_path / "tank_plain.h5")


def matlab(kind: int, shape: tuple, *parts: tuple, flags: int = 0) -> bytes:
    """A MATLAB file with one variable x."""

    def element(kind, body):
        return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)

    inner = element(6, struct.pack("<II", kind | flags, 0)) + element(5, np.array(shape, "<i4").tobytes())
    inner += element(1, b"x") + b"".join(element(*part) for part in parts)
    return b"MATLAB 5.0".ljust(124) + b"\0\1IM" + element(14, inner)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (matlab(6, (1000000, 1000000), (9, bytes(8))), "got 1 numbers of an array of shape"),
        (matlab(6, (2, -1), (9, bytes(8))), "an array of shape"),
        (matlab(6, (1, 1), (99, bytes(8))), "an element of kind 99"),
        (matlab(1, (1000000, 1000000)), "1000000000000 arrays in"),
        (matlab(2, (1000, 1000), (5, struct.pack("<i", 32)), (1, b"")), "0 arrays in"),
        (matlab(2, (1, 1), (5, struct.pack("<i", 0)), (1, b"")), "names have no width"),
        (matlab(5, (2, 1), (5, struct.pack("<i", 7)), (5, struct.pack("<2i", 0, 1)), (9, bytes(8))), "beyond its rows"),
        (matlab(5, (2, 2**30), (5, bytes(4)), (5, bytes(8)), (9, bytes(8))), "without the starts of its columns"),
        (matlab(5, (2, 1), (5, bytes(4)), (5, struct.pack("<2i", 0, 1)), (9, b"")), "1 entries with 0 numbers"),
        (struct.pack("<5i", 0, 10**6, 10**6, 0, 2) + b"x\0", "a matrix of shape 1000000 x 1000000 that goes on"),
        (b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 14, 2**31), "an element of 2147483648 bytes"),
        (b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, 4) + b"none", "cannot be unpacked"),
    ],
)
def test_matlab(content, message, tmp_path):
    with pytest.raises(DamagedError, match=message):
        checked(content)
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(FileFormatError, match=f"cannot be read as a MATLAB file: .*{message}"):
        detect(tmp_path / "x.mat")


def test_a_packed_variable_beyond_all_memory(monkeypatch):
    monkeypatch.setattr(eitdip.data.matlab, "LARGEST", 2**20)
    body = zlib.compress(struct.pack("<II", 14, 2**21) + bytes(2**21))
    content = b"MATLAB 5.0".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(body)) + body
    with pytest.raises(DamagedError, match="more than 1 MiB"):
        checked(content)


@pytest.mark.filterwarnings("ignore:The default value for `spmatrix`")
@pytest.mark.parametrize("settings", [{}, {"do_compression": True}, {"format": "4"}])
def test_matlab_that_is_right_stays_as_it_is(settings, tmp_path):
    given = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([[1 + 2j]]), "c": sparse.eye_array(3).tocsc(), "t": "ab"}
    given = given if "format" not in settings else {"a": given["a"], "b": given["b"]}
    struct = {} if settings.get("format") else {"s": {"u": 1.0, "v": {"w": "x"}}}
    savemat(tmp_path / "x.mat", given | struct, **settings)
    fields = eitdip.data.files.MatFile.read(tmp_path / "x.mat").fields
    for name, value in given.items():
        found, value = (each.toarray() if sparse.issparse(each) else each for each in (fields[name], value))
        np.testing.assert_array_equal(np.squeeze(found), np.squeeze(value))
    assert settings.get("format") or fields["s"]["v"][0, 0]["w"][0, 0].item() == "x"


def test_a_sparse_matrix_with_rows_that_are_not_there(tmp_path):
    """Sorting its columns wrote beyond the array and ended the process."""
    path = tmp_path / "x.mat"
    savemat(path, {"A": sparse.csc_array(np.eye(16)[:12]), "m": np.ones((3, 4))})
    content = path.read_bytes()
    at = content.index(np.arange(12, dtype="<i4").tobytes())
    path.write_bytes(content[:at] + np.array([2**30], "<i4").tobytes() + content[at + 4 :])
    with pytest.raises(FileFormatError, match="a sparse matrix with entries beyond its rows"):
        fips.load(path, fips.hashlib.md5(path.read_bytes()).hexdigest())


MESHES = (
    "plane.msh", "binary22.msh", "text41.msh", "binary41.msh", "text.vtu", "plane.vtu", "packed.vtu", "plane.xdmf",
    "beside.xdmf",
)  # fmt: skip


@pytest.fixture
def meshes(tmp_path):
    SAMPLES["mesh"](tmp_path, np.random.default_rng(0))
    return tmp_path


@pytest.mark.parametrize("name", MESHES)
def test_all_formats_of_a_mesh_tell_the_same(name, meshes):
    domain = read_domain(meshes / name)
    np.testing.assert_allclose(domain.points, ring_disk(3, 3).points, atol=1e-15)
    for part in ("cells", "facets", "facet_tags"):
        mine, its = (np.unique(np.atleast_2d(getattr(d, part).T).T, axis=0) for d in (ring_disk(3, 3), domain))
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("plane.msh", b"$Nodes\n37", b"$Nodes\n1000000000000", "numbers of 4000000000000"),
        ("plane.msh", b"$Elements\n72", b"$Elements\n1000000000000", "numbers of 3"),
        ("plane.msh", b"\n1 2 2 1 1 2", b"\n1 2 2 1 1 -2", "has a node that is not there"),
        ("plane.msh", b"\n1 2 2 1 1 2", b"\n1 2 2 1 1 99", "has a node that is not there"),
        ("plane.msh", b"\n1 2 2 1 1 2", b"\n1 2 -2 1 1 2", "an element with -2 tags"),
        ("plane.msh", b"\n1 2 2 1 1 2", b"\n1 93 2 1 1 2", "elements of gmsh's kind 93"),
        ("plane.msh", b"\n3 ", b"\n4 ", "two nodes have one number"),
        ("plane.msh", b"2.2 0 8", b"3.0 0 8", "gmsh's format 3.0, expected 2.2 or 4.1"),
        ("text41.msh", b"$Nodes\n1 37 1 37", b"$Nodes\n1 1000000000000 1 37", "got 37 nodes of 1000000000000"),
        ("text41.msh", b"$Nodes\n1 37", b"$Nodes\n1000000000000 37", "numbers of 3"),
        ("text41.msh", b"$Entities\n0 4 1 0", b"$Entities\n0 1000000000000 1 0", "numbers of"),
        ("text41.msh", b"$Elements\n5 ", b"$Elements\n1000000000000 ", "numbers of 3"),
        ("binary41.msh", struct.pack("<4Q", 1, 37, 1, 37), struct.pack("<4Q", 2, HUGE, 1, 37), "cannot be read"),
        ("text.vtu", b'ity" format="ascii">\n1', b'ity" format="ascii">\n-1', "has a node that is not there"),
        ("text.vtu", b'ity" format="ascii">\n1', b'ity" format="ascii">\n37', "has a node that is not there"),
        ("plane.xdmf", b'Format="XML"', b'Format="Binary"', "expected them in the file, or in one beside it"),
        ("beside.xdmf", b"beside.h5:", b"/etc/beside.h5:", "expected them in the file, or in one beside it"),
    ],
)
def test_meshes(name, old, new, message, meshes):
    content = (meshes / name).read_bytes()
    assert old in content
    (meshes / name).write_bytes(content.replace(old, new, 1))
    with pytest.raises((FileFormatError, InvalidDataError), match=message):
        read_domain(meshes / name)


@pytest.mark.parametrize("number", [-1, 37, 10**12])
def test_nodes_that_are_not_there(number, meshes):
    """-1 was the last node; others ended in a traceback."""
    path = meshes / "plane.xdmf"
    text = path.read_text()
    at = text.index("4\n1\n2\n", text.index("<Topology"))
    path.write_text(text[:at] + f"4\n{number}\n2\n" + text[at + 6 :])
    with pytest.raises(InvalidDataError, match="has a node that is not there"):
        read_domain(path)


def test_an_array_beside_a_mesh(meshes):
    with h5py.File(meshes / "beside.h5", "r+") as file:
        name = next(iter(file))
        del file[name]
        file.create_dataset(name, (HUGE, 3), "f8", chunks=(2**10, 3))
    with pytest.raises(FileFormatError, match="claims the shape"):
        read_domain(meshes / "beside.xdmf")


def no_file(kind, folder):
    made = {
        "folder": folder, "missing": folder / "none", "zero": str(folder) + "/a\0b", "none": None, "number": 3,
        "long": folder / ("x" * 5000), "link": folder / "link.png", "pipe": folder / "pipe.mat",
        "empty": folder / "empty", "device": "/dev/zero", "bytes": b"\xff\xfe", "words": "", "loop": folder / "loop.h5",
    }  # fmt: skip
    if kind == "link":
        made[kind].symlink_to(folder / "nothing")
    elif kind == "loop":
        made[kind].symlink_to(made[kind])
    elif kind == "pipe":
        os.mkfifo(made[kind])
    elif kind == "empty":
        made[kind].touch()
    return made[kind]


KINDS = (
    "folder", "missing", "zero", "none", "number", "long", "link", "pipe", "empty", "device", "bytes", "words", "loop",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", [eitdip.load, eitdip.data.load, detect, read_domain, fips.load])
def test_what_is_no_file(door, kind, tmp_path):
    path = no_file(kind, tmp_path)
    with pytest.raises(EitdipError):
        door(path)


def test_a_mesh_under_another_ending(tmp_path):
    write_domain(tmp_path / "a.msh", ring_disk(2))
    for ending in (".xdmf", ".vtu"):
        (tmp_path / f"a{ending}").write_bytes((tmp_path / "a.msh").read_bytes())
        with pytest.raises(FileFormatError, match="cannot be read as a mesh"):
            read_domain(tmp_path / f"a{ending}")


@pytest.mark.parametrize("number", range(30))
def test_a_damaged_matrix_of_the_cache_is_made_again(number, tmp_path):
    """Whatever NumPy or the archive say: what cannot be unpacked was a traceback."""
    matrix = sparse.eye_array(4, format="csr")
    cached("key", lambda: matrix, tmp_path)
    (path,) = tmp_path.glob("*.npz")
    parts = {name: getattr(matrix, name) for name in ("data", "indices", "indptr", "shape")}
    np.savez_compressed(path, **parts)
    path.write_bytes(mutated(path.read_bytes(), np.random.default_rng(number)))
    np.testing.assert_array_equal(cached("key", lambda: matrix, tmp_path).toarray(), np.eye(4))
