"""KTC2023: what is read, which voltages a level keeps, and which files are refused."""

import numpy as np
import pytest
import scipy.io

from eitdip.data import ktc2023, load
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from tests.data.conftest import pair

# Level, injections, voltages each, voltages, independent injections: the organisers' rules, counted by hand.
LEVELS = [
    (1, 76, 31, 2356, 15),
    (2, 56, 29, 1624, 14),
    (3, 52, 27, 1404, 13),
    (4, 48, 25, 1200, 12),
    (5, 44, 23, 1012, 11),
    (6, 30, 21, 630, 10),
    (7, 27, 19, 513, 9),
]


def kept(ktc, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Injections and voltage patterns that a level keeps, by the organisers' wording."""
    removed = 2 * (level - 1)
    return ~ktc.fields["Inj"][:removed].any(axis=0), np.arange(31) >= removed


def with_nan(ktc, level: int) -> np.ndarray:
    """Voltages with NaN for what a level removes."""
    rows, columns = kept(ktc, level)
    return np.where(np.outer(rows, columns).reshape(-1, 1), ktc.fields["Uel"], np.nan)


def test_order_units_and_noise_model(ktc):
    m = load(ktc.path)
    assert m.model == "electrodes" and m.geometry == ktc2023.TANK
    assert m.values[5, 7] == ktc.fields["Uel"][31 * 5 + 7, 0]
    assert m.reference[5, 7] == ktc.reference_fields["Uelref"][31 * 5 + 7, 0]
    np.testing.assert_array_equal(m.sources, ktc.fields["Inj"].T)
    np.testing.assert_array_equal(m.moments, ktc.fields["Mpat"].T)
    np.testing.assert_array_equal(m.contact_impedance, np.full(32, 1e-6))
    largest = np.abs(m.reference).max()
    np.testing.assert_allclose(m.deviation**2, (0.012 * m.reference) ** 2 + (0.00125 * largest) ** 2, rtol=1e-12)


@pytest.mark.parametrize(("level", "injections", "voltages", "count", "rank"), LEVELS)
def test_a_level_keeps_what_the_organisers_say(ktc, level, injections, voltages, count, rank):
    m = load(ktc.path, level=level)
    rows, columns = kept(ktc, level)
    np.testing.assert_array_equal(m.mask, np.outer(rows, columns))
    assert rows.sum() == injections and columns.sum() == voltages and m.count == count
    assert np.linalg.matrix_rank(m.sources[rows]) == rank


@pytest.mark.parametrize("level", [1, 4, 7])
def test_the_water_is_known_with_all_electrodes_at_every_level(ktc, level):
    m = load(ktc.path, level=level)
    assert m.empty.mask.all() and m.reference_mask.all()
    np.testing.assert_array_equal(m.empty.values, ktc.reference_fields["Uelref"].reshape(76, 31))
    gone = with_nan(ktc, level).reshape(76, 31)
    file = ktc.write_reference(Uelref=np.where(np.isnan(gone), np.nan, m.reference).reshape(-1, 1))
    assert file == ktc.reference
    np.testing.assert_array_equal(load(ktc.path, level=level).empty.mask, ~np.isnan(gone))


@pytest.mark.parametrize("level", [2, 4, 7])
def test_removed_voltages_may_be_nan_or_left_out(ktc, level):
    expected = load(ktc.path, level=level)
    rows, columns = kept(ktc, level)
    table = ktc.fields["Uel"].reshape(76, 31)
    short = {"Inj": ktc.fields["Inj"][:, rows], "Mpat": ktc.fields["Mpat"][:, columns]}
    files = [
        {"Uel": with_nan(ktc, level)},
        {"Uel": table[np.ix_(rows, columns)].reshape(-1, 1), **short},
        {"Uel": table[rows].reshape(-1, 1), "Inj": short["Inj"]},
        {"Uel": table[np.ix_(rows, columns)].reshape(1, -1)},
    ]
    for fields in files:
        m = load(ktc.write(**fields), level=level)
        np.testing.assert_array_equal(m.mask, expected.mask)
        np.testing.assert_array_equal(m.values[m.mask], expected.values[m.mask])


def test_injections_are_matched_by_their_currents(ktc):
    order = np.roll(np.arange(76), 5)
    table = ktc.fields["Uel"].reshape(76, 31)
    m = load(ktc.write(Inj=ktc.fields["Inj"][:, order], Uel=table[order].reshape(-1, 1)))
    # Some, such as 31-1, are there twice: equal ones are matched in their order.
    unique = [k for k in range(76) if (ktc.fields["Inj"][:, k] == ktc.fields["Inj"].T).all(axis=1).sum() == 1]
    assert len(unique) > 60
    np.testing.assert_array_equal(m.values[unique], table[unique])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_currents_are_the_same_to_a_millionth_of_the_largest(ktc, unit):
    currents, push = unit * ktc.fields["Inj"], 1.45 * unit * pair(32, 4, 6)[:, None]
    ktc.write_reference(Injref=currents)
    np.testing.assert_array_equal(load(ktc.write(Inj=currents + 0.9e-6 * push)).sources, currents.T)
    with pytest.raises(InvalidDataError, match=r"Inj does not match .*pattern 1 \(counted from 1\) is not there"):
        load(ktc.write(Inj=currents + 1.05e-6 * push))


def test_reference_elsewhere(ktc, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    moved = ktc.reference.rename(tmp_path / "elsewhere" / "water.mat")
    with pytest.raises(FileFormatError, match=r"ref\.mat: no such file; expected the empty tank beside the data"):
        load(ktc.path)
    assert load(ktc.path, reference=moved).provenance["reference"] == "water.mat"


@pytest.mark.parametrize("level", [0, 8, 2.5, "2"])
def test_unknown_level(ktc, level):
    with pytest.raises(OptionError, match=rf"level: got {level!r}, expected one of: 1, 2, 3, 4, 5, 6, 7"):
        load(ktc.path, level=level)


def test_nan_outside_the_removed_electrodes_names_the_entry(ktc):
    voltages = ktc.fields["Uel"].copy()
    voltages[31 * 40 + 20] = np.nan
    with pytest.raises(InvalidDataError, match=r"injection 41, voltage 21 \(counted from 1\) is NaN.*fetch it again"):
        load(ktc.write(Uel=voltages))


def test_wrong_level_names_the_right_one(ktc):
    path = ktc.write(Uel=with_nan(ktc, 4))
    with pytest.raises(InvalidDataError, match=r"injection 1, voltage 1 .* at level 1; the file is of level 4"):
        load(path)
    with pytest.raises(InvalidDataError, match="at level 3; the file is of level 4"):
        load(path, level=3)


@pytest.mark.parametrize("level", [1, 7])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_voltage_is_refused_even_if_removed(ktc, level, value):
    voltages = ktc.fields["Uel"].copy()
    voltages[2] = value
    with pytest.raises(InvalidDataError, match="Uel is infinite in row 3, column 1"):
        load(ktc.write(Uel=voltages), level=level)


def test_nan_in_the_reference_names_its_file(ktc):
    voltages = ktc.reference_fields["Uelref"].copy()
    voltages[31] = np.nan
    path = ktc.write_reference(Uelref=voltages)
    with pytest.raises(InvalidDataError, match=rf"{path.name}: injection 2, voltage 1 .* at level 1"):
        load(ktc.path)


def test_currents_that_do_not_sum_to_zero(ktc):
    currents = ktc.fields["Inj"].copy()
    currents[3, 8] = 0.01
    with pytest.raises(
        InvalidDataError, match=r"data1\.mat: Inj: the currents of injection 9 .* sum to 0\.01, expected 0"
    ):
        load(ktc.write(Inj=currents))
    with pytest.raises(InvalidDataError, match=r"ref\.mat: Injref: the currents of injection 9"):
        ktc.write()
        ktc.write_reference(Injref=currents)
        load(ktc.path)


def test_currents_that_are_nan(ktc):
    currents = ktc.fields["Inj"].copy()
    currents[3, 8] = np.nan
    with pytest.raises(InvalidDataError, match=r"the currents of injection 9 .* sum to nan"):
        load(ktc.write(Inj=currents))


def test_data_and_reference_of_different_measurements(ktc):
    currents = ktc.fields["Inj"].copy()
    currents[:, 4] *= 1.01
    with pytest.raises(InvalidDataError, match=r"Inj does not match .*ref\.mat: pattern 5 .* is not there"):
        load(ktc.write(Inj=currents))
    with pytest.raises(InvalidDataError, match=r"Mpat does not match .*: pattern 1 "):
        load(ktc.write(Mpat=2 * ktc.fields["Mpat"]))


def test_an_ambiguous_injection_is_not_guessed(ktc):
    """The injection 31-1 occurs twice; with one of them left out nobody can say which."""
    keep = np.arange(76) != 15
    path = ktc.write(Inj=ktc.fields["Inj"][:, keep], Uel=ktc.fields["Uel"].reshape(76, 31)[keep].reshape(-1, 1))
    with pytest.raises(InvalidDataError, match="occurs 1 times, there 2 times"):
        load(path)


def test_wrong_shapes(ktc):
    with pytest.raises(ShapeError, match=r"Uel: got shape \(2355, 1\), expected \(2356, 1\): 76 injections of 31"):
        load(ktc.write(Uel=ktc.fields["Uel"][1:]))
    with pytest.raises(ShapeError, match=r"Uel: got shape \(31, 76\)"):
        load(ktc.write(Uel=ktc.fields["Uel"].reshape(76, 31).T))
    with pytest.raises(ShapeError, match=r"Inj: got shape \(31, 76\), expected 32 rows"):
        load(ktc.write(Inj=ktc.fields["Inj"][1:]))


def test_wrong_fields(ktc):
    with pytest.raises(
        FileFormatError, match=r"got a MATLAB file with fields Mpat, Uel; expected Uel, Inj, Mpat .*KIT4"
    ):
        load(ktc.write(Inj=None))
    ktc.write()
    ktc.write_reference(Uelref=None)
    with pytest.raises(FileFormatError, match=r"ref\.mat: got fields Injref, Mpat; expected Uelref, Injref, Mpat of"):
        load(ktc.path)


def test_fields_that_are_no_numbers(ktc):
    with pytest.raises(FileFormatError, match="Uel is not a matrix of real numbers"):
        load(ktc.write(Uel="voltages"))
    with pytest.raises(FileFormatError, match="Uel is not a matrix of real numbers"):
        load(ktc.write(Uel=1j * ktc.fields["Uel"]))


def test_truth(tmp_path, rng):
    image = rng.integers(3, size=(256, 256))
    path = tmp_path / "true1.mat"
    scipy.io.savemat(path, {"truth": image.astype(float)})
    labels = ktc2023.truth(path)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, image)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (
            {"image": np.zeros((256, 256))},
            FileFormatError,
            "got fields image; expected truth of a KTC2023 truth file",
        ),
        (
            {"truth": np.zeros((256, 255))},
            ShapeError,
            r"truth: got shape \(256, 255\), expected \(256, 256\)",
        ),
        ({"truth": np.full((256, 256), 3)}, InvalidDataError, "truth: got 3, expected only 0, 1 and 2"),
        (
            {"truth": np.full((256, 256), np.nan)},
            InvalidDataError,
            "truth: got nan, expected only 0, 1 and 2",
        ),
    ],
)
def test_bad_truth(tmp_path, fields, error, message):
    path = tmp_path / "true1.mat"
    scipy.io.savemat(path, fields)
    with pytest.raises(error, match=message):
        ktc2023.truth(path)


@pytest.mark.parametrize("tank", [1, 2, 3, 4])
def test_real_levels(real, tank):
    for level, injections, _, count, rank in LEVELS:
        m = load(real / f"ktc2023/training/data{tank}.mat", level=level)
        rows = m.mask.any(axis=1)
        assert (rows.sum(), m.count, np.linalg.matrix_rank(m.sources[rows])) == (injections, count, rank)
        assert np.isfinite(m.values).all()


@pytest.mark.parametrize("tank", [1, 2])
def test_real_voltages_fit_the_true_image_only_in_the_right_position(real, gmsh, tank):
    """Numbering, orientation and order at once: any of them wrong spoils the fit."""
    from dataclasses import replace

    from eitdip.fem import CompleteElectrodeModel

    m = load(real / f"ktc2023/training/data{tank}.mat")
    labels = ktc2023.truth(real / f"ktc2023/truth_2024/true{tank}.mat")
    change = m.values - m.reference
    errors = []
    for clockwise in (m.geometry.clockwise, not m.geometry.clockwise):
        domain = replace(m.geometry, clockwise=clockwise).mesh(m.geometry.radius / 20)
        model = CompleteElectrodeModel(domain, m.sources, m.contact_impedance, m.moments)
        column, row = (128 + domain.centroids * [1, -1] * 256 / 0.23).astype(int).clip(0, 255).T
        conductivity = np.array([0.75, 0.01, 20.0])[labels[row, column]]
        predicted = model(conductivity) - model(np.full(len(domain.cells), 0.75))
        errors.append(np.linalg.norm(predicted - change) / np.linalg.norm(change))
    assert errors[0] < 0.2
    assert errors[1] > 0.4
