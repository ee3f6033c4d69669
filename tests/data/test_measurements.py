"""The dataclass that every reader returns, and the detection of formats."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import scipy.io

from eitdip.data import Measurements, data_root, load, noise_deviation, save
from eitdip.errors import FileFormatError, InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Ball, Cylinder, Tank
from tests.cases.solids import box_with_electrodes


def make(**changes) -> Measurements:
    """Four electrodes, three injections, with changes."""
    valid = {
        "model": "electrodes",
        "geometry": Tank(radius=0.1, electrodes=4, width=0.03),
        "sources": adjacent(4)[:3],
        "moments": adjacent(4),
        "values": np.ones((3, 4)),
        "deviation": np.ones((3, 4)),
        "mask": np.ones((3, 4), dtype=bool),
        "contact_impedance": np.ones(4),
    }
    return Measurements(**valid | changes)


def one_at(value: float) -> np.ndarray:
    """Ones, but `value` at excitation 2, measurement 1."""
    array = np.ones((3, 4))
    array[2, 1] = value
    return array


def test_nan_is_allowed_where_nothing_was_measured():
    mask = one_at(0).astype(bool)
    m = make(values=one_at(np.nan), deviation=one_at(np.nan), reference=one_at(np.nan), mask=mask)
    assert m.count == m.data.count == 11


def test_what_is_fitted_is_clean_where_nothing_was_measured():
    """The fields keep what the file says; the data that leave it have no NaN."""
    mask = one_at(0).astype(bool)
    m = make(values=one_at(np.nan), deviation=2 * one_at(np.nan), mask=mask, provenance={"by": "me"})
    assert np.isnan(m.values[2, 1]) and np.isnan(m.deviation[2, 1])
    np.testing.assert_array_equal(m.data.values, one_at(0))
    np.testing.assert_array_equal(m.data.deviation, np.where(mask, 2, 1))
    np.testing.assert_array_equal(m.data.mask, mask)
    assert m.data.provenance == {"by": "me"} and m.data.noise.known
    assert replace(m, values=3 * m.values).data.values[0, 0] == 3


def test_the_reference_counts_where_the_mask_is_true_unless_it_says_more():
    mask = one_at(0).astype(bool)
    plain = make(reference=one_at(1e6), mask=mask)
    assert plain.reference_mask is None and make().empty is None
    np.testing.assert_array_equal(plain.empty.mask, mask)
    np.testing.assert_array_equal(plain.empty.values, mask.astype(float))
    wider = make(reference=one_at(7), mask=mask, reference_mask=np.ones((3, 4)))
    assert wider.empty.mask.all() and wider.empty.values[2, 1] == 7 and wider.count == 11
    # Another mask for the same data takes the reference along, unless it has its own.
    smaller = mask & (np.arange(4) > 0)
    np.testing.assert_array_equal(replace(plain, mask=smaller).empty.mask, smaller)
    assert replace(wider, mask=smaller).empty.mask.all()


def test_arrays_are_copies_and_provenance_is_plain():
    values = np.ones((3, 4))
    m = make(values=values, provenance={"size": (1, 2)})
    values[:] = 5
    assert (m.values == 1).all()
    assert m.provenance == {"size": [1, 2]}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "magic"}, OptionError, "unknown model: got 'magic', expected one of: electrodes"),
        (
            {"values": one_at(np.nan)},
            InvalidDataError,
            "values: excitation 2, measurement 1 is nan, expected a finite",
        ),
        ({"values": one_at(np.inf)}, InvalidDataError, "values: excitation 2, measurement 1 is inf"),
        (
            {"values": np.ones((3, 4)) * 1j},
            InvalidDataError,
            "values: got values of type complex128, expected real",
        ),
        (
            {"values": np.ones((4, 3))},
            ShapeError,
            r"values: got shape \(4, 3\), expected \(K, M\) = \(3, 4\)",
        ),
        ({"reference": one_at(np.nan)}, InvalidDataError, "reference: excitation 2, measurement 1"),
        (
            {"deviation": one_at(0)},
            NotPositiveError,
            "deviation: excitation 2, measurement 1 is 0, expected > 0",
        ),
        ({"deviation": one_at(np.inf)}, NotPositiveError, "deviation: excitation 2, measurement 1 is inf"),
        ({"mask": np.zeros((3, 4))}, InvalidDataError, "mask: no measurement is left"),
        ({"mask": np.full((3, 4), 2)}, InvalidDataError, "mask: got other numbers than 0 and 1"),
        (
            {"reference": np.ones((3, 4)), "reference_mask": one_at(0)},
            InvalidDataError,
            "reference_mask: excitation 2, measurement 1 is false, expected true wherever `mask` is",
        ),
        (
            {"reference": one_at(np.nan), "mask": one_at(0), "reference_mask": np.ones((3, 4))},
            InvalidDataError,
            "reference: excitation 2, measurement 1 is nan",
        ),
        ({"reference_mask": np.ones((3, 4))}, OptionError, "reference_mask: got one without a reference"),
        (
            {"reference": np.ones((3, 4)), "reference_mask": np.full((3, 4), 3)},
            InvalidDataError,
            "reference_mask: got other numbers than 0 and 1",
        ),
        ({"mask": np.ones((4, 3))}, ShapeError, r"mask: got shape \(4, 3\), expected"),
        ({"sources": np.ones(4)}, ShapeError, r"sources: got shape \(4,\), expected two axes"),
        ({"sources": adjacent(5)[:3]}, ShapeError, "moments: got 4 columns, expected 5 as sources"),
        ({"sources": np.eye(3, 4)}, InvalidDataError, "currents: pattern 0 sums to 1, expected 0"),
        # 0.1 of 1e6 is rounding, 0.01 of 2 is not.
        ({"sources": np.array([[1e6, 0.1 - 1e6, 0, 0], [1, -1, 0, 0], [1, -0.99, 0, 0]])}, InvalidDataError,
         "currents: pattern 2 sums to 0.01, expected 0"),
        ({"sources": np.full((3, 4), np.nan)}, InvalidDataError, "sources: pattern 0 is not finite"),
        (
            {"sources": np.where(np.arange(12).reshape(3, 4) == 9, np.nan, adjacent(4)[:3])},
            InvalidDataError,
            "sources: pattern 2 is not finite",
        ),
        (
            {"geometry": Tank(1.0, 6, 0.1)},
            ShapeError,
            "sources: got 4 columns, expected one per electrode, 6",
        ),
        ({"contact_impedance": None}, ShapeError, r"contact_impedance: got shape None, expected \(4,\)"),
        (
            {"contact_impedance": [1, 1, 0, 1]},
            NotPositiveError,
            "contact_impedance: electrode 3 has 0, expected > 0",
        ),
        (
            {"contact_impedance": [1, 1, 1, np.inf]},
            NotPositiveError,
            "contact_impedance: electrode 4 has inf",
        ),
        (
            {"model": "dirichlet"},
            OptionError,
            "contact_impedance: got one for model 'dirichlet', expected none",
        ),
        ({"truth": np.ones(4)}, ShapeError, r"truth: got shape \(4,\), expected an image \(H, W\)"),
        ({"truth": np.zeros((2, 2))}, NotPositiveError, "truth: an entry is <= 0 or infinite"),
        ({"provenance": {"noise": np.nan}}, InvalidDataError, "provenance: .* give finite numbers, text"),
        (
            {"provenance": {"who": object()}},
            InvalidDataError,
            "provenance: .*object is not JSON serializable",
        ),
    ],
)
def test_contradictions_name_the_entry(changes, error, message):
    with pytest.raises(error, match=message):
        make(**changes)


def test_an_odd_number_of_waves_has_no_meaning():
    patterns = {"sources": np.eye(3), "moments": np.eye(4, 3), "contact_impedance": None}
    with pytest.raises(ShapeError, match="sources: got 3 columns, expected a cosine and a sine per frequency"):
        make(model="dirichlet", geometry=Tank(1.0), **patterns)
    for geometry in (Tank(1.0), Ball(1.0)):
        nothing = {"sources": np.ones((3, 0)), "moments": np.ones((4, 0)), "contact_impedance": None}
        with pytest.raises(ShapeError, match="sources: got 0 columns, expected"):
            make(model="dirichlet", geometry=geometry, **nothing)


class TestSolids:
    """Cylinders, balls and meshes of tetrahedra."""

    @pytest.mark.parametrize(
        "geometry",
        [Cylinder(0.1, 0.1, 2, 2, 0.03, 0.03), Ball(0.1, 1, 4, 0.02), box_with_electrodes(4)],
        ids=["cylinder", "ball", "mesh"],
    )
    def test_electrodes_and_truth(self, geometry):
        assert make(geometry=geometry, truth=np.ones((2, 3, 4))).truth.shape == (2, 3, 4)
        with pytest.raises(ShapeError, match=r"got shape \(3, 4\), expected an image \(D, H, W\) of a solid"):
            make(geometry=geometry, truth=np.ones((3, 4)))
        with pytest.raises(ShapeError, match="sources: got 5 columns, expected one per electrode, 4"):
            make(geometry=geometry, sources=adjacent(5)[:3], moments=adjacent(5)[:4])

    def test_electrodes_of_all_rings_count(self):
        with pytest.raises(ShapeError, match="sources: got 4 columns, expected one per electrode, 12"):
            make(geometry=Cylinder(0.1, 0.2, 3, 4, 0.03, 0.03))

    @pytest.mark.parametrize(
        ("count", "valid"), [(3, True), (8, True), (15, True), (1, False), (4, False), (16, False)]
    )
    def test_the_number_of_harmonics(self, count, valid):
        patterns = {"sources": np.eye(3, count), "moments": np.eye(4, count), "contact_impedance": None}
        if valid:
            assert make(model="dirichlet", geometry=Ball(1.0), **patterns).sources.shape == (3, count)
        else:
            with pytest.raises(ShapeError, match=rf"got {count} columns, expected n \(n \+ 2\) for harmonics"):
                make(model="dirichlet", geometry=Ball(1.0), **patterns)


def test_a_plane_body_has_a_plane_truth():
    with pytest.raises(ShapeError, match=r"got shape \(2, 3, 4\), expected an image \(H, W\) of a plane body"):
        make(truth=np.ones((2, 3, 4)))


def test_noise_deviation():
    voltages = np.array([[3.0, -4.0, np.nan]])
    np.testing.assert_allclose(noise_deviation(voltages, 0.1, 0.01), [[np.hypot(0.3, 0.04), np.hypot(0.4, 0.04), 0.04]])
    with pytest.raises(OptionError, match=r"relative, floor: got -1, 0\.1; expected >= 0"):
        noise_deviation(voltages, -1, 0.1)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileFormatError, match=r"nothing\.mat: no such file; check the path"):
        load(tmp_path / "nothing.mat")
    with pytest.raises(FileFormatError, match="is a folder, expected a data file"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"half", b"no data\n" * 100, bytes(2000)], ids=["empty", "short", "text", "zeros"]
)
def test_what_is_no_data_file(tmp_path, content):
    path = tmp_path / "data.mat"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"data\.mat: (cannot be read as a MATLAB file|got a MATLAB file with)"):
        load(path)


def test_damaged_matlab_file(ktc):
    content = ktc.path.read_bytes()
    for part in (0.1, 0.5, 0.9):
        ktc.path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(FileFormatError, match=r"data1\.mat: cannot be read as a MATLAB file"):
            load(ktc.path)


def test_matlab_file_of_version_7_3(tmp_path):
    path = tmp_path / "data.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["Uel"] = [1.0]
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(FileFormatError, match=r"version 7\.3, expected 7 or older; .*save\(\.\.\., '-v7'\)"):
        load(path)


def test_matlab_file_of_something_else(tmp_path):
    path = tmp_path / "data.mat"
    scipy.io.savemat(path, {"sinogram": np.ones((3, 3))})
    with pytest.raises(FileFormatError, match=r"fields sinogram; expected Uel, Inj, Mpat \(KTC2023\) or Uel, Curr"):
        load(path)


def test_the_content_decides_not_the_name(tmp_path, kit4):
    save(tmp_path / "own.mat", make())
    assert load(tmp_path / "own.mat").values.shape == (3, 4)
    assert load(kit4.path.rename(tmp_path / "kit4.h5")).provenance["format"] == "KIT4"


@pytest.mark.parametrize("option", [{"level": 2}, {"reference": "ref.mat"}])
def test_own_files_have_no_options(tmp_path, option):
    save(tmp_path / "own.h5", make())
    with pytest.raises(OptionError, match="eitdip's own format, which has none; leave it out"):
        load(tmp_path / "own.h5", **option)


def test_data_root(tmp_path, monkeypatch):
    monkeypatch.setenv("EITDIP_DATA", str(tmp_path))
    assert data_root() == tmp_path.resolve()
    monkeypatch.setenv("EITDIP_DATA", str(tmp_path / "nothing"))
    assert data_root() is None
    monkeypatch.delenv("EITDIP_DATA")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert data_root() == (tmp_path / "shared" / "data").resolve()
