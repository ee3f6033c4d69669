"""KIT4: what is read and which files are refused."""

import numpy as np
import pytest

from eitdip.data import kit4 as reader
from eitdip.data import load
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError


def test_order_units_and_noise_model(kit4):
    m = load(kit4.path)
    assert m.model == "electrodes" and m.geometry == reader.TANK
    np.testing.assert_array_equal(m.values, kit4.fields["Uel"].T)
    np.testing.assert_array_equal(m.reference, kit4.reference_fields["Uel"].T)
    np.testing.assert_array_equal(m.sources, kit4.fields["CurrentPattern"].T)
    np.testing.assert_array_equal(m.moments[-1], np.eye(16)[15] - np.eye(16)[0])
    assert m.mask.all() and m.count == 256
    largest = np.abs(m.reference).max()
    np.testing.assert_allclose(m.deviation**2, (0.001 * m.reference) ** 2 + (0.0003 * largest) ** 2, rtol=1e-12)


def test_the_empty_tank_is_its_own_reference(kit4):
    m = load(kit4.reference)
    np.testing.assert_array_equal(m.values, m.reference)


def test_reference_elsewhere(kit4, tmp_path):
    moved = kit4.reference.rename(tmp_path / "water.mat")
    with pytest.raises(FileFormatError, match=r"datamat_1_0\.mat: no such file; expected the empty tank beside"):
        load(kit4.path)
    assert load(kit4.path, reference=moved).provenance["reference"] == "water.mat"


def test_has_no_levels(kit4):
    with pytest.raises(OptionError, match="got level = 2, but the file is of KIT4, which has none"):
        load(kit4.path, level=2)


def test_nan_names_the_entry(kit4):
    voltages = kit4.fields["Uel"].copy()
    voltages[2, 10] = np.nan
    with pytest.raises(InvalidDataError, match=r"injection 11, voltage 3 \(counted from 1\) is NaN"):
        load(kit4.write(Uel=voltages))


def test_infinite_voltage(kit4):
    voltages = kit4.fields["Uel"].copy()
    voltages[2, 10] = np.inf
    with pytest.raises(InvalidDataError, match=r"Uel is infinite in row 3, column 11"):
        load(kit4.write(Uel=voltages))


def test_wrong_shapes(kit4):
    with pytest.raises(ShapeError, match=r"Uel: got shape \(16, 15\), expected \(16, 16\): one row per voltage"):
        load(kit4.write(Uel=kit4.fields["Uel"][:, 1:]))
    with pytest.raises(ShapeError, match=r"CurrentPattern: got shape \(15, 16\), expected 16 rows"):
        load(kit4.write(CurrentPattern=kit4.fields["CurrentPattern"][1:]))


def test_currents_that_do_not_sum_to_zero(kit4):
    currents = kit4.fields["CurrentPattern"].copy()
    currents[:, 3] = np.abs(currents[:, 3])
    with pytest.raises(
        InvalidDataError, match=r"currents of injection 4 \(counted from 1\) sum to 2\.8\d*, expected 0"
    ):
        load(kit4.write(CurrentPattern=currents))


def test_data_and_reference_of_different_measurements(kit4):
    with pytest.raises(InvalidDataError, match=r"CurrentPattern differs from that of .*datamat_1_0\.mat; use"):
        load(kit4.write(CurrentPattern=-kit4.fields["CurrentPattern"]))
    with pytest.raises(InvalidDataError, match="MeasPattern differs"):
        load(kit4.write(MeasPattern=-kit4.fields["MeasPattern"]))


def test_wrong_reference(kit4, ktc):
    with pytest.raises(FileFormatError, match=r"got fields Injref, Mpat, Uelref; expected Uel, CurrentPattern"):
        load(kit4.path, reference=ktc.reference)


@pytest.mark.parametrize("name", ["2_3", "3_2", "4_1"])
def test_real_files(real, name):
    m = load(real / f"kit4/datamat_{name}.mat")
    assert m.values.shape == (79, 16)
    assert np.linalg.matrix_rank(m.sources) == 15
    # The deviation is what no linear model of the 15 independent injections explains.
    change = m.values - m.reference
    unexplained = change - m.sources @ np.linalg.lstsq(m.sources, change, rcond=1e-10)[0]
    chi2 = np.square(unexplained / m.deviation).sum() / (16 * (79 - 15))
    assert 0.5 < chi2 < 3


def test_real_voltages_fit_the_photo_only_in_the_right_position(real, gmsh):
    """Case 4_1: a conductive ring at the top and a plastic triangle below on the right."""
    from dataclasses import replace

    from eitdip.fem import CompleteElectrodeModel

    m = load(real / "kit4/datamat_4_1.mat")
    change = m.values - m.reference
    errors = []
    for clockwise in (m.geometry.clockwise, not m.geometry.clockwise):
        domain = replace(m.geometry, clockwise=clockwise).mesh(m.geometry.radius / 20)
        model = CompleteElectrodeModel(domain, m.sources, m.contact_impedance, m.moments)
        x, y = domain.centroids.T
        conductivity = np.full(len(x), 1.32)
        conductivity[np.hypot(x + 0.01, y - 0.085) < 0.022] = 20
        conductivity[np.hypot(x - 0.04, y + 0.045) < 0.03] = 0.05
        predicted = model(conductivity) - model(np.full(len(x), 1.32))
        errors.append(np.linalg.norm(predicted - change) / np.linalg.norm(change))
    assert errors[0] < 0.55
    assert errors[1] > 0.7
