"""Voltages against a ground that is not the mean of the electrodes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from eitdip.data import Measurements
from eitdip.data.data import Data
from eitdip.errors import InvalidDataError
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.problems import grounding
from eitdip.problems.bodies import Meshing, prepare
from eitdip.ranks.collectives import alone
from tests.cases.meshes import ring_disk

PAIRS, PASSIVE = adjacent(8), adjacent(8) == 0


@cache
def voltages() -> tuple[np.ndarray, np.ndarray]:
    """Of each electrode, mean zero: with an object, and empty."""
    domain = ring_disk(4, 8)
    model = CompleteElectrodeModel(domain, PAIRS, 1e-3)
    sigma = np.full(len(domain.cells), 0.3)
    empty = model(sigma)
    sigma[np.linalg.norm(domain.centroids - [0.4, 0.3], axis=1) < 0.4] = 0.03
    return model(sigma), empty


def measured(values, reference, moments=None, mask=None) -> Measurements:
    moments = np.eye(8) if moments is None else moments
    deviation = np.full(values.shape, 0.01)
    return Measurements(
        "electrodes", ring_disk(4, 8), PAIRS, moments, values, deviation, mask, reference, np.full(8, 1e-3)
    )


def grounded(rng, moments=None):
    """Single-ended voltages against grounds that drift from injection to injection, of both tanks."""
    sums = np.ones(8) if moments is None else moments.sum(axis=1)
    return [
        (each if moments is None else each @ moments.T) + np.outer(rng.uniform(-3, 3, 8), sums) for each in voltages()
    ]


def test_single_ended_voltages_of_all_electrodes_need_no_ground(rng):
    expected = prepare(measured(*voltages()), Meshing(), alone())
    found = prepare(measured(*grounded(rng)), Meshing(), alone())
    assert found.unknown.start == pytest.approx(0.3, rel=1e-9)
    np.testing.assert_allclose(found.data.values, expected.data.values, atol=1e-9)
    np.testing.assert_allclose(found.data.values, voltages()[0], atol=1e-9)


def test_any_measurements_that_tell_the_mean_do(rng):
    moments = rng.standard_normal((10, 8))
    values, reference = grounded(rng, moments)
    found = prepare(measured(values, reference, moments), Meshing(), alone())
    np.testing.assert_allclose(found.data.values, voltages()[0] @ moments.T, atol=1e-8)


def test_they_do_without_a_reference(rng):
    values, _ = grounded(rng)
    found = prepare(measured(values, None), Meshing(background=0.3), alone())
    np.testing.assert_allclose(found.data.values, voltages()[0], atol=1e-12)


def test_without_the_driven_electrodes_another_ground_is_refused(rng):
    data = measured(*grounded(rng), mask=PASSIVE)
    with pytest.raises(InvalidDataError, match=r"moments: row 0 sums to 1, .* injection 0 .* reference has another"):
        prepare(data, Meshing(), alone())
    with pytest.raises(InvalidDataError, match=r"there is no reference; give differences between electrodes"):
        prepare(replace(data, reference=None), Meshing(background=0.3), alone())


def test_a_reference_that_tells_its_own_zero_does_not_tell_that_of_the_data(rng):
    """All electrodes were measured in the empty tank, not with objects: the zero of that is not known."""
    known = replace(measured(*grounded(rng), mask=PASSIVE), reference_mask=np.ones((8, 8), bool))
    with pytest.raises(InvalidDataError, match=r"moments: row 0 sums to 1, .* injection 0 .* reference has another"):
        prepare(known, Meshing(), alone())
    middle = replace(measured(*voltages(), mask=PASSIVE), reference_mask=np.ones((8, 8), bool))
    found = prepare(middle, Meshing(), alone())
    np.testing.assert_allclose(found.data.values[PASSIVE], voltages()[0][PASSIVE], atol=1e-9)


def test_the_remedy_is_right(rng):
    """Differences of neighbours, where both were measured."""
    values, reference = (each @ PAIRS.T for each in grounded(rng))
    both = PASSIVE & np.roll(PASSIVE, -1, axis=1)
    found = prepare(measured(values, reference, PAIRS, both), Meshing(), alone())
    assert found.unknown.start == pytest.approx(0.3, rel=1e-9)
    np.testing.assert_allclose(found.data.values[both], (voltages()[0] @ PAIRS.T)[both], atol=1e-9)


def test_without_the_driven_electrodes_a_ground_in_the_middle_is_taken():
    """The empty tank says that the zero of the voltages is the model's."""
    found = prepare(measured(*voltages(), mask=PASSIVE), Meshing(), alone())
    assert found.unknown.start == pytest.approx(0.3, rel=1e-9)
    np.testing.assert_allclose(found.data.values[PASSIVE], voltages()[0][PASSIVE], atol=1e-9)


def test_differences_are_left_alone():
    values, reference = (each @ PAIRS.T for each in voltages())
    found = prepare(measured(values, reference, PAIRS), Meshing(calibrate=False, background=0.3), alone())
    np.testing.assert_array_equal(found.data.values, (values - reference) + found.calibration.prediction)


@pytest.mark.parametrize("columns", [1, 2])
def test_what_a_fit_leaves_unexplained_is_that_of_dense_least_squares(rng, columns):
    """Of 6 x 5 entries but some: a column or two for each injection, an offset per channel."""
    mask = np.ones((6, 5), bool)
    mask[0, 3] = mask[2, 0] = mask[5, 4] = False
    values, spans = rng.standard_normal((6, 5)), rng.standard_normal((6, 5, columns))
    design = np.zeros((6, 5, 6 * columns + 5))
    for k in range(6):
        design[k, :, k * columns : (k + 1) * columns] = spans[k]
    design[:, :, 6 * columns :] = np.eye(5)
    left = np.linalg.lstsq(design[mask], values[mask])[1][0]
    found, free = grounding._unexplained(Data(values, mask=mask), list(spans))
    assert found == pytest.approx(left, rel=1e-9) and free == 27 - 6 * columns - 5


@pytest.mark.parametrize(
    ("plain", "common", "size", "has"),
    [
        ((12.0, 4), (2.0, 2), 1.0, False),  # 3 per free entry against 1
        ((10.0, 5), (0.4, 1), 1.0, True),  # 2 against 0.4
        ((4.08, 4), (0.25, 1), 1.0, True),  # a little more than four times
        ((3.92, 4), (0.25, 1), 1.0, False),
        ((4.0, 4), (1.0, 0), 1.0, True),  # nothing is left free: what is explained by chance
        ((4.16, 4), (1e-9, 1), 1e3, True),  # over 10^-6 of the mean square 10^6 of the voltages
        ((3.84, 4), (1e-9, 1), 1e3, False),  # rounding
    ],
)
def test_a_common_voltage_explains_far_more(monkeypatch, plain, common, size, has):
    """More than four times as little per entry that is left free, and not by rounding."""
    domain = ring_disk(4, 8)
    model = CompleteElectrodeModel(domain, PAIRS, 1e-3)
    asked = []

    def unexplained(empty, spans):
        asked.append(spans[0])
        return (plain, common)[spans[0].shape[1] - 1]

    monkeypatch.setattr(grounding, "_unexplained", unexplained)
    empty = Data(np.where(PASSIVE, size, 0.0), mask=PASSIVE)
    sums = np.arange(8.0)
    assert bool(grounding._has_common_voltages(model, empty, sums)) == has
    row = model(np.ones(len(domain.cells)))[0]
    np.testing.assert_array_equal(asked[0], row[:, None])
    np.testing.assert_array_equal(asked[1], np.column_stack([row, sums]))
