"""From measurements with a reference to what is fitted: water of 0.3 S/m, adjacent drive, driven electrodes masked."""

from functools import cache

import numpy as np
import pytest

from eitdip.data import Measurements, data_root, load
from eitdip.errors import InvalidDataError
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.problems.bodies import Meshing, prepare
from eitdip.ranks.collectives import alone
from tests.cases.meshes import ring_disk

PAIRS = adjacent(16)
MASK = np.abs(PAIRS) @ np.abs(PAIRS).T == 0


@cache
def voltages() -> tuple[np.ndarray, np.ndarray]:
    """With an object, and empty."""
    domain = ring_disk(8, 16)
    model = CompleteElectrodeModel(domain, PAIRS, 0.01, PAIRS)
    sigma = np.full(len(domain.cells), 0.3)
    empty = model(sigma)
    sigma[np.linalg.norm(domain.centroids - [0.4, 0.4], axis=1) < 0.3] = 0.03
    return model(sigma), empty


@pytest.fixture
def tank() -> tuple[np.ndarray, np.ndarray]:
    return voltages()


def measured(values, reference, **changes) -> Measurements:
    empty = np.where(MASK, voltages()[1], 0)
    deviation = np.hypot(0.003 * np.abs(empty), 1e-4 * np.abs(empty).max())
    given = {"mask": MASK, "reference": reference, "contact_impedance": np.full(16, 0.01)} | changes
    return Measurements("electrodes", ring_disk(8, 16), PAIRS, PAIRS, values, deviation, **given)


@pytest.mark.parametrize("beyond", [np.zeros_like, lambda x: np.nan, lambda x: 1e6, lambda x: x.clip(-2.5, 2.5)])
def test_nothing_beyond_the_mask_counts(tank, beyond):
    """Zeros ended in a negative pivot, a saturated converter in 0.459 for 0.30 S/m."""
    plain = prepare(measured(*tank), Meshing(), alone())
    found = prepare(measured(*(np.where(MASK, x, beyond(x)) for x in tank)), Meshing(), alone())
    assert found.unknown.start == pytest.approx(0.3, rel=1e-8)
    assert found.hash == plain.hash
    np.testing.assert_array_equal(found.calibration.gain, plain.calibration.gain)
    np.testing.assert_allclose(found.data.values[MASK], tank[0][MASK], rtol=1e-8)


def test_what_is_known_beyond_the_mask_counts_if_that_is_said(tank):
    values, reference = tank[0], tank[1] + 0.5 * np.eye(16)
    beyond = np.ones((16, 16), bool)
    said = prepare(measured(values, reference, reference_mask=beyond), Meshing(), alone())
    whole = prepare(measured(values, reference, mask=beyond), Meshing(), alone())
    masked = prepare(measured(values, reference), Meshing(), alone())
    assert said.unknown.start == whole.unknown.start != masked.unknown.start
    np.testing.assert_array_equal(said.data.values[MASK], whole.data.values[MASK])


def test_deviations_are_divided_by_the_gain_as_data_are(tank):
    gain = np.linspace(0.8, 1.2, 16)[:, None]
    measurements = measured(*(gain * x for x in tank))
    found = prepare(measurements, Meshing(), alone())
    np.testing.assert_allclose(found.data.values[MASK], tank[0][MASK], rtol=1e-8)
    expected = (measurements.deviation / gain)[MASK]
    np.testing.assert_allclose(found.data.deviation[MASK], expected, rtol=1e-8)


def test_a_background_alone_changes_no_calibration(tank):
    found = prepare(measured(*tank), Meshing(background=0.5), alone())
    assert found.unknown.start == 0.5 and found.calibration.background == pytest.approx(0.3, rel=1e-8)


def test_nothing_is_fitted_with_a_background_and_without_calibration(tank):
    values, reference = tank
    measurements = measured(2 * values, 2 * reference)
    found = prepare(measurements, Meshing(background=0.3, calibrate=False), alone())
    assert found.calibration.background == 0.3 and found.calibration.error == pytest.approx(0.5, rel=1e-6)
    np.testing.assert_allclose(found.data.values[MASK], (2 * values - reference)[MASK], rtol=1e-9)
    np.testing.assert_array_equal(found.data.deviation, np.where(MASK, measurements.deviation, 1))


@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (-1, r"values: the voltages of injections 3, 7 \(counted from 0\) have the opposite sign of"),
        (1e-6, r"values: the voltages of injections 3, 7 \(counted from 0\) are .* dead lead"),
    ],
)
def test_injections_of_the_values_alone(tank, factor, message, without):
    values, reference = tank[0].copy(), None if without else tank[1]
    values[[3, 7]] *= factor
    with pytest.raises(InvalidDataError, match=message):
        prepare(measured(values, reference), Meshing(background=0.3), alone())


def test_values_in_other_units_than_the_reference(tank):
    with pytest.raises(InvalidDataError, match=r"values: the voltages are 1e\+03 times the reference's.* mV for V"):
        prepare(measured(1000 * tank[0], tank[1]), Meshing(), alone())


@pytest.mark.parametrize("level", [4, 7])
def test_a_level_of_ktc2023_has_the_calibration_of_all_electrodes(level, gmsh):
    """The reader says that the water is known beyond what a level masks."""
    root = data_root()
    if root is None:
        pytest.skip("needs the public data sets: set EITDIP_DATA to their folder (default ../shared/data)")
    file = root / "ktc2023/training/data1.mat"
    whole, part = (prepare(load(file, level=each), Meshing(h=0.1), alone()) for each in (1, level))
    assert part.unknown.start == whole.unknown.start
    np.testing.assert_array_equal(part.calibration.gain, whole.calibration.gain)
    np.testing.assert_array_equal(part.calibration.offset, whole.calibration.offset)
    mask = part.data.mask
    np.testing.assert_array_equal(part.data.values[mask], whole.data.values[mask])
    np.testing.assert_array_equal(part.data.deviation[mask], whole.data.deviation[mask])
