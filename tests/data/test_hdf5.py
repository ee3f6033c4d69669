"""The package's own data file: bits kept, layout for users, damage found."""

import os
from dataclasses import replace

import h5py
import numpy as np
import pytest

from eitdip.data import Measurements, hdf5, load, save
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError, OptionError, OutputError, ShapeError
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Ball, Cylinder, Domain, Tank
from tests.cases.meshes import ring_disk
from tests.cases.solids import box

ARRAYS = (
    "sources", "moments", "values", "deviation", "mask", "reference", "reference_mask", "contact_impedance", "truth",
)  # fmt: skip


@pytest.fixture
def measurements(rng) -> Measurements:
    values = rng.standard_normal((6, 6))
    values[1, 2] = np.nan
    return Measurements(
        model="electrodes",
        geometry=Tank(radius=0.1, electrodes=6, width=0.03, first=12.5, clockwise=True),
        sources=adjacent(6, skip=1),
        moments=adjacent(6),
        values=values,
        deviation=rng.uniform(0.1, 1, (6, 6)),
        mask=~np.isnan(values),
        reference=rng.standard_normal((6, 6)),
        contact_impedance=rng.uniform(1, 2, 6),
        truth=np.where(rng.random((5, 4)) < 0.3, np.nan, rng.uniform(1, 2, (5, 4))),
        provenance={"by": "a test, größer", "seed": 3, "noise": 0.1, "list": [1, None, True]},
    )


def assert_same(a: Measurements, b: Measurements) -> None:
    """Equal to the last bit."""
    for name in ARRAYS:
        first, second = getattr(a, name), getattr(b, name)
        assert (first is None) == (second is None), name
        if first is not None:
            assert (first.dtype, first.shape, first.tobytes()) == (
                second.dtype,
                second.shape,
                second.tobytes(),
            ), name
    assert (a.model, a.provenance) == (b.model, b.provenance)
    if isinstance(a.geometry, Domain):
        assert a.geometry.hash == b.geometry.hash
    else:
        assert a.geometry == b.geometry


def test_round_trip_of_a_tank(measurements, tmp_path):
    save(tmp_path / "tank.h5", measurements)
    assert_same(load(tmp_path / "tank.h5"), measurements)
    assert os.listdir(tmp_path) == ["tank.h5"]


def test_round_trip_of_a_reference_that_is_known_beyond_the_mask(measurements, tmp_path):
    save(tmp_path / "plain.h5", measurements)
    assert load(tmp_path / "plain.h5").reference_mask is None
    wider = replace(measurements, reference_mask=np.ones((6, 6), bool))
    save(tmp_path / "wider.h5", wider)
    assert_same(load(tmp_path / "wider.h5"), wider)
    assert load(tmp_path / "wider.h5").empty.mask.all()


@pytest.mark.parametrize("degree", [1, 2])
def test_round_trip_of_a_mesh(measurements, tmp_path, degree):
    domain = ring_disk(2, 6, degree=degree)
    bare = replace(measurements, geometry=domain, reference=None, truth=None)
    save(tmp_path / "mesh.h5", bare)
    assert_same(load(tmp_path / "mesh.h5"), bare)


def test_round_trip_without_electrodes(measurements, tmp_path):
    other = replace(measurements, model="dirichlet", geometry=Tank(1.0), contact_impedance=None)
    save(tmp_path / "disk.h5", other)
    assert_same(load(tmp_path / "disk.h5"), other)


SOLIDS = {
    "cylinder": Cylinder(0.1, 0.15, (0.04, 0.11), 3, 0.05, 0.03, first=12.5, clockwise=True),
    "ball": Ball(0.1, (-20.0, 40.0), 3, 0.02, first=12.5, clockwise=True),
    "mesh": box(3, 3, 2, tag=lambda m: np.where(m[:, 2] == 0, 3 * (m[:, 0] > 0.5) + np.ceil(3 * m[:, 1]), 0)),
}


@pytest.mark.parametrize("kind", SOLIDS)
def test_round_trip_of_a_solid(measurements, tmp_path, kind):
    truth = np.ones((2, 3, 4))
    truth[0, 1, 2] = np.nan
    solid = replace(measurements, geometry=SOLIDS[kind], truth=truth)
    save(tmp_path / "solid.h5", solid)
    assert_same(load(tmp_path / "solid.h5"), solid)
    with h5py.File(tmp_path / "solid.h5") as file:
        assert file["geometry"].attrs["kind"] == kind.encode()


@pytest.mark.parametrize("body", [Cylinder(1.0, 2.0), Ball(1.0)])
def test_round_trip_of_a_solid_without_electrodes(measurements, tmp_path, body):
    patterns = {"sources": np.eye(6, 8), "moments": np.eye(6, 8), "contact_impedance": None, "truth": None}
    bare = replace(measurements, model="dirichlet", geometry=body, **patterns)
    save(tmp_path / "solid.h5", bare)
    assert_same(load(tmp_path / "solid.h5"), bare)


@pytest.mark.parametrize(
    ("kind", "lengths", "rings", "expected"),
    [
        (
            "cylinder",
            {"radius": 10, "height": 15.0, "width": 5, "electrode_height": 3},
            2,
            Cylinder(0.1, 0.15, (0.0375, 0.1125), 3, 0.05, 0.03),
        ),
        (
            "cylinder",
            {"radius": 10, "height": 15.0, "width": 5, "electrode_height": 3},
            [4, 11],
            Cylinder(0.1, 0.15, (0.04, 0.11), 3, 0.05, 0.03),
        ),
        ("ball", {"radius": 10, "electrode_radius": 2}, 2, Ball(0.1, 2, 3, 0.02)),
        ("ball", {"radius": 10, "electrode_radius": 2}, [-20, 40], Ball(0.1, (-20, 40), 3, 0.02)),
    ],
)
def test_a_user_describes_a_solid_in_cm(measurements, tmp_path, kind, lengths, rings, expected):
    """Rings of a ball are degrees in any unit of length, and how many there are is no length."""
    path = tmp_path / "mine.h5"
    save(path, replace(measurements, truth=None))
    with h5py.File(path, "r+") as file:
        attributes = file["geometry"].attrs
        for name in list(attributes):
            del attributes[name]
        attributes.update({"kind": kind, "unit": "cm", "electrodes": 3, "rings": rings, "first": 90, **lengths})
        attributes["clockwise"] = False
    found = load(path).geometry
    assert type(found) is type(expected) and found.electrode_count == 6
    for name in ("radius", "rings", "electrodes", "first", "clockwise", *lengths):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12), name


@pytest.mark.parametrize("rings", [0.04, "two", [[0.04, 0.11]]])
def test_rings_of_another_type(measurements, tmp_path, rings):
    path = tmp_path / "bad.h5"
    save(path, replace(measurements, geometry=SOLIDS["cylinder"], truth=None))
    with h5py.File(path, "r+") as file:
        file["geometry"].attrs["rings"] = rings
    with pytest.raises(FileFormatError, match=r"bad\.h5: /geometry: attribute 'rings': got .*, expected an integer or"):
        load(path)


def test_long_provenance(measurements, tmp_path):
    long = replace(measurements, provenance={"log": "x" * 200_000})
    save(tmp_path / "long.h5", long)
    assert_same(load(tmp_path / "long.h5"), long)


def test_a_user_writes_the_documented_layout(tmp_path, rng):
    """With plain h5py, Python's own types, lengths in cm and only what is needed."""
    path = tmp_path / "mine.h5"
    values = rng.standard_normal((4, 4)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["version"], file.attrs["model"] = (
            "eitdip measurements",
            1,
            "electrodes",
        )
        file["patterns/sources"] = adjacent(4).astype(int)
        file["patterns/moments"] = adjacent(4)
        file["data/values"] = values
        file["data/deviation"] = np.full((4, 4), 0.01)
        file["geometry/contact_impedance"] = np.full(4, 0.1)
        file["geometry"].attrs.update(
            {
                "kind": "tank",
                "unit": "cm",
                "radius": 10,
                "electrodes": 4,
                "width": 2.5,
                "first": 90,
                "clockwise": True,
            }
        )
    m = load(path)
    assert m.geometry == Tank(radius=0.1, electrodes=4, width=0.025, first=90.0, clockwise=True)
    np.testing.assert_array_equal(m.values, values)
    assert m.mask.all() and m.reference is None and m.provenance == {}


def test_a_mesh_in_mm_gets_its_hash_in_m(measurements, tmp_path):
    domain = ring_disk(2, 6)
    path = tmp_path / "mesh.h5"
    save(path, replace(measurements, geometry=domain))
    with h5py.File(path, "r+") as file:
        file["geometry"].attrs["unit"] = "mm"
    with pytest.raises(
        InvalidDataError, match=rf"the mesh has hash \w+, expected {domain.hash}; the data are of another"
    ):
        load(path)
    with h5py.File(path, "r+") as file:
        file["geometry/points"][...] = domain.points * 1000
        del file["geometry"].attrs["hash"]
    np.testing.assert_allclose(load(path).geometry.points, domain.points, rtol=1e-14)


def test_no_bit_of_damage_goes_unnoticed(measurements, tmp_path, rng):
    """A flipped bit either hits unused bytes or is an error that names the file."""
    path = tmp_path / "damaged.h5"
    save(path, measurements)
    content = path.read_bytes()
    errors = 0
    for position in rng.choice(len(content), 300, replace=False):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert_same(load(path), measurements)
        except EitdipError as error:
            assert isinstance(error, FileFormatError) and str(path) in str(error)
            errors += 1
    assert errors > 200


@pytest.mark.parametrize("part", [0, 0.001, 0.2, 0.5, 0.99])
def test_truncated_file(measurements, tmp_path, part):
    path = tmp_path / "truncated.h5"
    save(path, measurements)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(FileFormatError, match=r"truncated\.h5: (is damaged|cannot be read)"):
        load(path)


def test_foreign_and_newer_files(measurements, tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["anything"] = [1.0]
    with pytest.raises(FileFormatError, match="got format 'none', expected 'eitdip measurements'"):
        load(path)
    save(path, measurements)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2
    with pytest.raises(FileFormatError, match="got version 2, expected 1; update eitdip"):
        load(path)


def test_not_hdf5(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("no HDF5 at all")
    with pytest.raises(FileFormatError, match=r"text\.h5: is no HDF5 file"):
        hdf5.load(path)


def edit(file, action, name, value=None):
    """Change one entry (or attribute, "group@name") of an open file."""
    where, _, attribute = name.partition("@")
    holder, key = (file[where].attrs, attribute) if attribute else (file, where)
    if action == "drop" or key in holder:
        del holder[key]
    if action == "set":
        holder[key] = value


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("drop", "data/values"), FileFormatError, "has no array 'values'"),
        (("drop", "data"), FileFormatError, "has no group 'data', expected patterns, data, geometry"),
        (
            ("set", "data/referense", [1.0]),
            OptionError,
            "unknown entry of group 'data': got 'referense', expected one of",
        ),
        (
            ("set", "extra", [1.0]),
            OptionError,
            "unknown group: got 'extra', expected one of: patterns, data, geometry",
        ),
        (
            ("set", "data/values", np.ones((6, 5))),
            ShapeError,
            r"mask: got shape|deviation: got shape|expected \(K, M\)",
        ),
        (
            ("set", "data/values", np.ones((6, 6)) * 1j),
            FileFormatError,
            "/data/values: is not an array of real numbers",
        ),
        (
            ("set", "data/mask", np.full((6, 6), 2)),
            InvalidDataError,
            "mask: got other numbers than 0 and 1",
        ),
        (("set", "/@model", "magic"), OptionError, "unknown model: got 'magic', expected one of: electrodes"),
        (("set", "/@model", 3), FileFormatError, "attribute 'model': got .*3.*, expected text"),
        (("set", "/@provenance", "{"), FileFormatError, "attribute 'provenance' is no JSON text"),
        (("set", "/@provenance", "[1]"), FileFormatError, "expected a JSON object"),
        (
            ("set", "geometry@unit", "inch"),
            OptionError,
            "unit of geometry: got 'inch', expected one of: m, cm, mm",
        ),
        (
            ("set", "geometry@kind", "cube"),
            OptionError,
            "kind of geometry: got 'cube', expected one of: tank, cylinder, ball, mesh",
        ),
        (("drop", "geometry@radius"), FileFormatError, "attribute 'radius': got None, expected a number"),
        (("set", "geometry@kind", "mesh"), FileFormatError, "has no array 'cells'"),
        (("drop", "geometry/contact_impedance"), ShapeError, "contact_impedance: got shape None, expected"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_inconsistent_file_names_itself_and_the_entry(measurements, tmp_path, change, error, message):
    path = tmp_path / "bad.h5"
    save(path, measurements)
    with h5py.File(path, "r+") as file:
        edit(file, *change)
    with pytest.raises(error, match=rf"bad\.h5: .*({message})"):
        load(path)


def test_a_failed_write_leaves_the_old_file(measurements, tmp_path, monkeypatch):
    path = tmp_path / "old.h5"
    save(path, measurements)
    content = path.read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(hdf5, "write_array", full_disk)
    with pytest.raises(OutputError, match=r"cannot be written \(no space left"):
        save(path, measurements)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["old.h5"]


def test_no_folder_to_write_to(measurements, tmp_path):
    with pytest.raises(OutputError, match=r"cannot be written .* choose an existing folder"):
        save(tmp_path / "missing" / "file.h5", measurements)
