"""Gains, offsets and background from a homogeneous measurement."""

from functools import cache

import numpy as np
import pytest

from eitdip.errors import InvalidDataError
from eitdip.fem import CompleteElectrodeModel, DirichletModel, trigonometric
from eitdip.fem.patterns import adjacent
from eitdip.problems.injections import judge_rows
from eitdip.problems.instrument import Calibration, calibrate
from eitdip.problems.instrument_fit import GainsAndOffsets
from tests.cases.meshes import ring_disk

PAIRS = adjacent(8)
EVERY = np.ones((8, 8), bool)
PASSIVE = np.abs(PAIRS) @ np.abs(PAIRS).T == 0  # without the driven electrodes
MASKS = {"with driven electrodes": EVERY, "without": PASSIVE}


@cache
def model(impedance: float = 1e-3) -> CompleteElectrodeModel:
    return CompleteElectrodeModel(ring_disk(4, 8), PAIRS, impedance, PAIRS)


@cache
def homogeneous(background: float, impedance: float = 1e-3) -> np.ndarray:
    return model(impedance)(np.full(model().domain.shape, background))


@pytest.fixture
def instrument(rng):
    """Gains with mean one and offsets."""
    gain = 1 + 0.05 * rng.standard_normal(8)
    return gain / gain.mean(), 0.02 * rng.standard_normal(8)


@pytest.mark.parametrize("background", [0.3, 4.0])
def test_gains_and_offsets_are_recovered(background, instrument):
    gain, offset = instrument
    reference = gain[:, None] * homogeneous(background) + offset
    found = calibrate(model(), reference, EVERY)
    assert found.background == pytest.approx(background, rel=1e-9)
    assert np.allclose(found.gain, gain, rtol=1e-9)
    assert np.allclose(found.offset, offset, atol=1e-9)
    assert found.error < 1e-9


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("impedance", [1e-6, 1e-4, 1e-2, 1.0, 10.0])
@pytest.mark.parametrize("background", [0.03, 0.3, 3.0, 30.0, 1000.0])
def test_the_background_is_found_whatever_the_contacts(background, impedance, mask, instrument):
    """From 1e-6 to 10 of radius over conductivity; there ten rounds of scaling gave .72 for .3 and 146 for 1000."""
    gain, offset = instrument
    electrodes, calls = model(impedance / background), []
    clean = homogeneous(background, impedance / background)
    reference = gain[:, None] * clean + np.abs(clean).mean() * offset
    for fitted, measured in ((True, reference), (False, clean)):
        found = calibrate(Counted(electrodes, calls), measured, MASKS[mask], instrument=fitted)
        assert found.background == pytest.approx(background, rel=1e-8)
        assert len(calls) <= 13
        calls.clear()


class Counted:
    """A model that tells its evaluations."""

    def __init__(self, inner, calls: list):
        self.inner, self.calls, self.domain = inner, calls, inner.domain

    def linearize(self, x):
        self.calls.append(float(x[0]))
        return self.inner.linearize(x)

    def __call__(self, x):
        return self.linearize(x)[0]


def test_difference_data_are_free_of_the_instrument(instrument, rng):
    gain, offset = instrument
    sigma = rng.uniform(0.5, 2, model().domain.shape)
    measure = lambda clean: gain[:, None] * clean + offset  # noqa: E731
    reference = measure(homogeneous(1.0))
    found = calibrate(model(), reference, EVERY)
    data = found.difference_data(measure(model()(sigma)), reference)
    assert np.allclose(data, model()(sigma), rtol=1e-9, atol=1e-9)


def test_deviations_are_those_of_the_difference_data(rng):
    """Noise of deviation s on the values is noise of deviation s / gain on what is fitted."""
    gain = np.array([0.5, 2.0])
    found = Calibration(1.0, gain, np.zeros(3), np.ones((2, 3)), 0.0)
    noise, deviation = rng.standard_normal((4000, 2, 3)), np.array([[1.0, 2, 3], [4, 5, 6]])
    data = np.array([found.difference_data(deviation * one, np.zeros((2, 3))) for one in noise])
    np.testing.assert_allclose(data.std(axis=0), found.deviation(deviation), rtol=0.05)
    np.testing.assert_array_equal(found.deviation(deviation), [[2, 4, 6], [2, 2.5, 3]])


class TestMask:
    """What the mask hides is as if it had never been there."""

    @pytest.mark.parametrize("beyond", [np.nan, np.inf, 0.0, 1e6, -1e300])
    @pytest.mark.parametrize("fitted", [True, False])
    def test_nothing_beyond_it_counts(self, beyond, fitted, instrument):
        gain, offset = instrument if fitted else (np.ones(8), np.zeros(8))
        mask = PASSIVE.copy()
        mask[2, 5] = False
        reference = gain[:, None] * homogeneous(2.0) + offset
        plain = calibrate(model(), reference, mask, instrument=fitted)
        found = calibrate(model(), np.where(mask, reference, beyond), mask, instrument=fitted)
        assert found.background == pytest.approx(2, rel=1e-9) and found.background == plain.background
        np.testing.assert_array_equal(found.gain, plain.gain)
        np.testing.assert_array_equal(found.offset, plain.offset)
        assert found.error == plain.error

    def test_rows_and_columns_without_data(self, instrument):
        gain, offset = instrument
        mask = EVERY.copy()
        mask[:, 3] = mask[6] = False
        gain = gain / np.delete(gain, 6).mean()
        reference = gain[:, None] * homogeneous(2.0) + offset
        found = calibrate(model(), np.where(mask, reference, np.nan), mask)
        assert found.background == pytest.approx(2, rel=1e-9)
        assert np.allclose(np.delete(found.gain - gain, 6), 0, atol=1e-9)
        assert found.offset[3] == 0 and found.gain[6] == pytest.approx(1)


def test_without_instrument_only_the_background_is_fitted():
    found = calibrate(model(), homogeneous(2.0), EVERY, instrument=False)
    assert found.background == pytest.approx(2, rel=1e-9)
    assert (found.gain == 1).all() and (found.offset == 0).all()


def test_a_known_background_is_taken_as_it_is(instrument):
    """Nothing is fitted; channels with offsets of any size do no harm to differences."""
    offset = 100 * instrument[1]
    reference = homogeneous(2.0)[:1] + offset
    single = CompleteElectrodeModel(ring_disk(4, 8), PAIRS[:1], 1e-3, PAIRS)
    found = calibrate(single, reference, EVERY[:1], instrument=False, background=2.0)
    assert found.background == 2 and (found.gain == 1).all() and (found.offset == 0).all()
    assert found.error == pytest.approx(np.linalg.norm(offset) / np.linalg.norm(reference))
    with pytest.raises(InvalidDataError, match="all injections have the opposite sign"):
        calibrate(single, -homogeneous(2.0)[:1], EVERY[:1], instrument=False, background=2.0)


def test_fluxes_grow_with_the_conductivity():
    domain = ring_disk(4)
    waves = trigonometric(domain, 2)
    dirichlet = DirichletModel(domain, waves)
    reference = dirichlet(np.full(dirichlet.domain.shape, 3.0))
    mask = np.ones(reference.shape, bool)
    found = calibrate(dirichlet, reference, mask, instrument=False, voltages=False)
    assert found.background == pytest.approx(3, rel=1e-9)


class TestLeastSquares:
    """The fit at one conductivity."""

    @pytest.fixture
    def parts(self, rng):
        used = rng.random((6, 5)) < 0.8
        used[3] = used[:, 1] = False
        prediction, measured = rng.standard_normal((2, 6, 5))
        return prediction, measured, used

    def test_is_the_dense_one(self, parts):
        prediction, measured, used = parts
        design = np.zeros((6, 5, 11))
        for k in range(6):
            design[k, :, k] = prediction[k]
        design[:, :, 6:] = np.eye(5)
        expected = np.linalg.lstsq(design[used], measured[used])[0]
        gain, offset = GainsAndOffsets(prediction, used).of(measured)
        seen = used.any(axis=1)
        np.testing.assert_allclose(gain[seen], expected[:6][seen], atol=1e-12)
        np.testing.assert_allclose(offset, expected[6:], atol=1e-12)
        assert gain[3] == 1 and offset[1] == 0

    def test_counts_its_unknowns(self, parts):
        prediction, _, used = parts
        assert GainsAndOffsets(prediction, used).unknowns == 5 + 4


class TestUntold:
    """Where the measurements cannot tell what is sought, the error says so and what to do."""

    @pytest.mark.parametrize(
        "mask",
        [np.roll(np.eye(8, dtype=bool), 3, axis=1), np.roll(np.eye(8, dtype=bool), 4, axis=1) | (np.arange(8) == 0)],
        ids=["one injection per channel", "injections with one channel in common"],
    )
    def test_offsets_that_absorb_everything(self, mask):
        with pytest.raises(InvalidDataError, match=r"cannot tell 8 gains and . offsets apart.* set calibrate=false"):
            calibrate(model(), homogeneous(0.3), mask)
        found = calibrate(model(), homogeneous(0.3), mask, instrument=False)
        assert found.background == pytest.approx(0.3, rel=1e-9)

    def test_a_single_injection(self):
        single = CompleteElectrodeModel(ring_disk(4, 8), PAIRS[:1], 1e-3, PAIRS)
        with pytest.raises(InvalidDataError, match="cannot tell 1 gains and 8 offsets apart"):
            calibrate(single, homogeneous(0.3)[:1], EVERY[:1])

    @pytest.mark.parametrize("fitted", [True, False])
    def test_a_background_that_hardly_matters(self, fitted, rng):
        """Contacts of 1000 r / sigma: 0.1 % of noise on the driven pairs hides what the body does."""
        clean = homogeneous(1.0, 1000.0)
        noisy = clean + 1e-3 * np.abs(clean).max() * rng.standard_normal(clean.shape)
        with pytest.raises(InvalidDataError, match=r"cannot tell the background.*contact impedance.*background=\.\.\."):
            calibrate(model(1000.0), noisy, EVERY, instrument=fitted)
        assert calibrate(model(1000.0), noisy, EVERY, instrument=False, background=1.0).background == 1

    @pytest.mark.parametrize("factor", [1e-9, 1e9])
    def test_a_background_in_other_units(self, factor):
        with pytest.raises(InvalidDataError, match=r"fits a background of .*, expected 1e-06 to 1e\+08; .* units"):
            calibrate(model(), homogeneous(1.0) / factor, PASSIVE)

    def test_nothing_but_zeros(self):
        with pytest.raises(InvalidDataError, match="reference: every measurement is 0"):
            calibrate(model(), np.where(PASSIVE, 0, homogeneous(1.0)), PASSIVE)


class TestInjections:
    """Gains are judged one by one."""

    @pytest.mark.parametrize("fitted", [True, False])
    @pytest.mark.parametrize("mask", MASKS)
    @pytest.mark.parametrize("rows", [[3], [0, 3, 5], [0, 2, 4, 6], [0, 1, 2, 3, 4, 5, 6]])
    def test_reversed_ones_are_named(self, rows, mask, fitted):
        reference = homogeneous(0.3).copy()
        reference[rows] *= -1
        named = f"injections? {', '.join(map(str, rows))} \\(counted from 0\\) have the opposite sign of the model's"
        with pytest.raises(InvalidDataError, match=f"{named}; check the polarity"):
            calibrate(model(), reference, MASKS[mask], instrument=fitted)

    @pytest.mark.parametrize("fitted", [True, False])
    @pytest.mark.parametrize("mask", MASKS)
    def test_all_reversed(self, mask, fitted):
        with pytest.raises(InvalidDataError, match=r"all injections have the opposite sign .* polarity .* magnitudes"):
            calibrate(model(), -homogeneous(0.3), MASKS[mask], instrument=fitted)

    @pytest.mark.parametrize("fitted", [True, False])
    @pytest.mark.parametrize("mask", MASKS)
    def test_magnitudes(self, mask, fitted):
        """Without the driven electrodes adjacent voltages have one sign only, the negative one."""
        said = "no voltage is negative.*signed" if mask.startswith("with ") else "all injections .* magnitudes"
        with pytest.raises(InvalidDataError, match=said):
            calibrate(model(), np.abs(homogeneous(0.3)), MASKS[mask], instrument=fitted)

    def test_voltages_that_are_all_positive_by_their_offsets_are_no_magnitudes(self):
        found = calibrate(model(), homogeneous(0.3) + 10, EVERY)
        assert found.background == pytest.approx(0.3, rel=1e-9)

    @pytest.mark.parametrize("fitted", [True, False])
    @pytest.mark.parametrize("factor", [0.0, 1e-6])
    def test_a_dead_one(self, factor, fitted):
        reference = homogeneous(0.3).copy()
        reference[5] *= factor
        with pytest.raises(InvalidDataError, match=r"injection 5 \(counted from 0\) are .* dead lead, or mask"):
            calibrate(model(), reference, EVERY, instrument=fitted)

    @pytest.mark.parametrize("fitted", [True, False])
    def test_one_in_other_units(self, fitted):
        reference = homogeneous(0.3).copy()
        reference[5] *= 1000
        with pytest.raises(InvalidDataError, match=r"injection 5 \(counted from 0\) are 1e\+03 times .* units"):
            calibrate(model(), reference, EVERY, instrument=fitted)

    def test_two_that_are_swapped(self):
        reference = homogeneous(0.3).copy()
        reference[[2, 3]] = reference[[3, 2]]
        with pytest.raises(InvalidDataError, match=r"injections 2, 3 .* do not resemble the model's.* order"):
            calibrate(model(), reference, EVERY)

    def test_a_gain_of_its_own_is_none_of_these(self):
        reference = homogeneous(0.3).copy()
        reference[5] *= 0.4
        found = calibrate(model(), reference, EVERY)
        assert found.gain[5] / found.gain[0] == pytest.approx(0.4, rel=1e-5)  # the background is that of the mean gain


class TestRows:
    """Injections of any measurements against what is expected of them."""

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
    def test_a_small_one_is_told_if_it_has_entries_enough(self, unit, rng):
        """Two may be small by chance, three are not; what is expected to be nothing is not judged."""
        expected, mask = unit * rng.uniform(1, 2, (5, 4)), np.ones((5, 4), bool)
        expected[4] = 0
        measured = expected.copy()
        measured[1] *= 0.003
        mask[1, 2:] = False
        judge_rows("values", measured, expected, "the model's", mask)
        mask[1, 2] = True
        with pytest.raises(InvalidDataError, match=r"values: .*injection 1 \(counted from 0\) are 0.003 times"):
            judge_rows("values", measured, expected, "the model's", mask)


@pytest.mark.parametrize("wrong", ["shifted", "shuffled"])
def test_another_order_of_electrodes_is_refused(wrong, rng):
    reference = homogeneous(1.0)
    reference = {"shifted": np.roll(reference, 3, axis=1), "shuffled": reference[:, rng.permutation(8)]}[wrong]
    with pytest.raises(InvalidDataError, match=r"reference: .* check the order of (electrodes|injections)"):
        calibrate(model(), reference, EVERY)


def test_the_error_is_that_of_the_signal(rng):
    """Offsets a thousand times as large as the signal do not make a fit good."""
    clean = homogeneous(1.0)
    noisy = clean + 0.1 * np.abs(clean).max() * rng.standard_normal(clean.shape)
    plain, shifted = (calibrate(model(), noisy + offset, EVERY) for offset in (0.0, 1e3 * np.abs(clean).max()))
    assert shifted.error == pytest.approx(plain.error, rel=1e-6) and 0.05 < plain.error < 0.5
    residual = noisy - plain.gain[:, None] * plain.prediction - plain.offset
    assert plain.error == pytest.approx(np.linalg.norm(residual) / np.linalg.norm(noisy - plain.offset))
