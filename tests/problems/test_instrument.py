"""Gains, offsets and background from a homogeneous measurement."""

import re
from functools import cache

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, LinearSolverError
from eitdip.fem import CompleteElectrodeModel, DirichletModel, trigonometric
from eitdip.fem.patterns import adjacent
from eitdip.operator import ForwardModel, Space
from eitdip.problems.injections import judge_gains, judge_rows, refuse_magnitudes, refuse_opposite
from eitdip.problems.instrument import Calibration, _mean_gain, calibrate
from eitdip.problems.instrument_fit import GainsAndOffsets, OneGain
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

    @pytest.mark.parametrize("kind", [GainsAndOffsets, OneGain])
    def test_the_mean_gain_has_the_spread_of_least_squares(self, kind, parts, rng):
        """Its variance is w^T (A^T A)^-1 w |residual|^2 / (entries - unknowns), w the mean over injections that are."""
        prediction, _, used = parts
        prediction = prediction + 3
        measured = 2 * prediction + 0.1 * rng.standard_normal(prediction.shape)
        offset = kind is GainsAndOffsets
        seen, heard = used.any(axis=1), used.any(axis=0)
        design = prediction[used][:, None]
        mean = np.ones(1)
        if offset:
            design = np.zeros((6, 5, 11))
            design[np.arange(6), :, np.arange(6)] = prediction
            design[:, :, 6:] = np.eye(5)
            design = design[used][:, np.append(seen, heard)]
            mean = np.append(np.full(seen.sum(), 1 / seen.sum()), np.zeros(heard.sum()))
        found, left, *_ = np.linalg.lstsq(design, measured[used])
        variance = mean @ np.linalg.solve(design.T @ design, mean) * left[0] / (used.sum() - len(mean))
        change, fit = rng.standard_normal(prediction.shape), kind(prediction, used)
        value, slope, deviation = _mean_gain(fit, *fit.of(measured), measured, change)
        assert value == pytest.approx(np.log(mean @ found)) and value == pytest.approx(np.log(2), abs=0.05)
        assert deviation == pytest.approx(np.sqrt(variance) / (mean @ found), rel=1e-9)
        values = []
        for step in (1e-5, -1e-5):
            moved = kind(prediction + step * change, used)
            values.append(_mean_gain(moved, *moved.of(measured), measured, change)[0])
        assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


class Curve(ForwardModel):
    """Voltages that fall with s = log sigma as pattern * exp(-g(s)), and a list of the conductivities asked for."""

    def __init__(self, g, slope, pattern=None, highest=np.inf):
        self.g, self.slope, self.highest, self.asked = g, slope, highest, []
        self.pattern = np.array([[1.0, -2.0], [3.0, 1.0]]) if pattern is None else pattern
        self.domain, self.range = Space((3,)), Space(self.pattern.shape)

    def linearize(self, x):
        self.asked.append(float(x[0]))
        if x[0] > self.highest:
            raise LinearSolverError("beyond the model's reach")
        s = np.log(x[0])
        value = self.pattern * np.exp(-self.g(s))
        return value, lambda change: -value * self.slope(s) * change[0] / x[0]

    def measured(self, s: float) -> np.ndarray:
        return self.pattern * np.exp(-self.g(s))


class TestSearch:
    """The background by Newton's method within a bracket, from 1 S/m in steps of at most 10^4."""

    mask = np.ones((2, 2), bool)

    def found(self, curve: Curve, s: float) -> Calibration:
        return calibrate(curve, curve.measured(s), self.mask, instrument=False)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_step_out_of_the_bracket_goes_to_its_middle(self, sign):
        """The arc tangent sends Newton far beyond: from 1 to 10^4, back beyond 1, so to 10^2, where it is too flat."""
        curve = Curve(lambda s: np.arctan(s - 3 * sign), lambda s: 1 / (1 + (s - 3 * sign) ** 2))
        assert self.found(curve, 3.0 * sign).background == pytest.approx(np.exp(3 * sign), rel=1e-8)
        assert np.array(curve.asked[:3]) == pytest.approx([1, 10 ** (4 * sign), 10 ** (2 * sign)])
        assert len(curve.asked) <= 10

    @pytest.mark.parametrize("sign", [1, -1])
    def test_where_nothing_changes_it_goes_far_in_the_right_direction(self, sign):
        """The flat part ends at e^2 (or e^-2)."""
        curve = Curve(lambda s: sign * max(sign * s, 2.0), lambda s: float(sign * s > 2))
        assert self.found(curve, 5.0 * sign).background == pytest.approx(np.exp(5 * sign), rel=1e-9)
        assert np.array(curve.asked[:3]) == pytest.approx([1, 10 ** (4 * sign), np.exp(5 * sign)])

    def test_it_ends_where_no_conductivity_is_plausible(self):
        curve = Curve(lambda s: 0.0, lambda s: 0.0)
        with pytest.raises(InvalidDataError, match="cannot tell the background"):
            calibrate(curve, 0.9 * curve.pattern, self.mask, instrument=False)
        assert np.array(curve.asked) == pytest.approx([1, 1e4, 1e8, 1e8])  # and once more for the prediction

    def test_it_ends_beyond_the_models_reach(self):
        curve = Curve(lambda s: 0.01 * s, lambda s: 0.01, highest=1e3)
        with pytest.raises(InvalidDataError, match="cannot tell the background"):
            calibrate(curve, curve.pattern / 1.2, self.mask, instrument=False)
        assert np.array(curve.asked) == pytest.approx([1, 1e4, 1])
        with pytest.raises(LinearSolverError, match="reach"):
            self.found(Curve(lambda s: s, lambda s: 1.0, highest=0.5), 0.0)

    @pytest.mark.parametrize("background", [0.96e-6, 1.04e-6, 0.96e8, 1.04e8])
    def test_a_millionth_to_a_hundred_million_are_plausible(self, background):
        curve = Curve(lambda s: s, lambda s: 1.0)
        if 1e-6 < background < 1e8:
            assert self.found(curve, np.log(background)).background == pytest.approx(background, rel=1e-9)
            return
        with pytest.raises(InvalidDataError, match=r"fits a background of .*, expected 1e-06 to 1e\+08"):
            self.found(curve, np.log(background))

    @pytest.mark.parametrize("shape", [(1, 2), (4, 4)])
    @pytest.mark.parametrize(("relative", "told"), [(0.048, True), (0.052, False)])
    def test_five_percent_of_uncertainty_are_too_much(self, relative, told, shape):
        """Of n voltages 1 with a residual of length r: the standard deviation is r / sqrt(n - 1) / sqrt(n)."""
        curve, mask = Curve(lambda s: s, lambda s: 1.0, np.ones(shape)), np.ones(shape)
        residual = np.resize([1.0, -1.0], shape) * relative * np.sqrt(mask.size - 1)
        if told:
            assert calibrate(curve, 1 + residual, mask, instrument=False).background == pytest.approx(1)
            return
        with pytest.raises(InvalidDataError, match="cannot tell the background"):
            calibrate(curve, 1 + residual, mask, instrument=False)

    @pytest.mark.parametrize(("error", "good"), [(0.48, True), (0.52, False)])
    def test_half_of_the_signal_is_too_much_to_miss(self, error, good):
        curve = Curve(lambda s: s, lambda s: 1.0, np.ones((20, 20)))
        measured = 1 + np.tile([1.0, -1.0], (20, 10)) * error / np.sqrt(1 - error**2)
        if good:
            assert calibrate(curve, measured, np.ones((20, 20)), instrument=False).error == pytest.approx(error)
            return
        with pytest.raises(InvalidDataError, match="the best fit misses it by 52%"):
            calibrate(curve, measured, np.ones((20, 20)), instrument=False)


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

    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize("factor", [0.0, 0.0096, 0.0104, 96.0, 104.0])
    def test_all_of_another_size(self, factor, scaled):
        """A hundredth to a hundred, unless they may be scaled; nothing at all is never right."""
        expected = np.array([[1.0, -2.0, 1.0], [2.0, 3.0, 1.0]])
        arguments = "values", factor * expected, expected, "the model's", np.ones((2, 3), bool), scaled
        if factor and (scaled or 0.01 < factor < 100):
            judge_rows(*arguments)
            return
        with pytest.raises(
            InvalidDataError,
            match=re.escape(f"values: the voltages are {factor:.2g} times the model's, expected about 1"),
        ):
            judge_rows(*arguments)

    @pytest.mark.parametrize(
        ("factor", "words"), [(0.0096, "dead lead"), (0.0104, ""), (96.0, ""), (104.0, "check their currents")]
    )
    def test_one_of_another_size(self, factor, words):
        """A hundredth to a hundred of the others, of whatever unit."""
        measured = np.ones((5, 3))
        measured[2] = factor
        arguments = "values", 7 * measured, np.ones((5, 3)), "the model's", np.ones((5, 3), bool)
        if not words:
            judge_rows(*arguments)
            return
        with pytest.raises(
            InvalidDataError,
            match=rf"injection 2 \(counted from 0\) are {factor:.2g} times .*{words}".replace("+", r"\+"),
        ):
            judge_rows(*arguments)

    @pytest.mark.parametrize(("cosine", "size", "opposite"), [(-0.68, 1, False), (-0.72, 1, True), (-1, 1.04e-6, True),
                                                              (-1, 0.96e-6, False)])  # fmt: skip
    def test_an_opposite_one(self, cosine, size, opposite):
        """Of a cosine below -0.7, if more than a millionth is expected of it."""
        expected = np.array([[1.0, 0.0], [size, 0.0], [0.5, 0.5]])
        measured = np.array([[3.0, 0.0], [cosine, np.sqrt(1 - cosine**2)], [1.0, 1.0]])
        arguments = "values", measured, expected, "the model's", np.ones((3, 2), bool)
        if not opposite:
            refuse_opposite(*arguments)
            return
        with pytest.raises(InvalidDataError, match=r"injection 1 \(counted from 0\) have the opposite sign"):
            refuse_opposite(*arguments)

    @pytest.mark.parametrize(("count", "named"), [(10, r"6, 7, 8, 9 \("), (12, r"6, 7, 8, 9 and 2 more \(")])
    def test_ten_are_named(self, count, named):
        measured = np.ones((count + 1, 2))
        measured[:count] = -1
        with pytest.raises(InvalidDataError, match=rf"the voltages of injections 0, 1, .*{named}counted from 0\)"):
            refuse_opposite("values", measured, np.ones((count + 1, 2)), "the model's", np.ones(measured.shape, bool))

    @pytest.mark.parametrize(
        ("gain", "words"),
        [
            (-0.104, "opposite sign"), (-0.096, "dead lead"), (0.096, "dead lead"), (0.104, ""),
            (9.6, ""), (10.4, "check their currents"),
        ],
    )  # fmt: skip
    def test_gains_of_an_instrument(self, gain, words):
        """A tenth to ten times the others'."""
        gains, prediction = np.array([2.0, 2.0, 2.0 * gain, 2.0, 2.0]), np.ones((5, 4))
        arguments = gains, gains[:, None] * prediction, prediction, np.ones((5, 4), bool)
        if not words:
            judge_gains(*arguments)
            return
        with pytest.raises(InvalidDataError, match=rf"injection 2 \(counted from 0\) .*{words}"):
            judge_gains(*arguments)

    @pytest.mark.parametrize(
        ("missed", "others", "size", "odd"),
        [
            (0.48, 0.01, 1.0, False), (0.52, 0.01, 1.0, True),  # half of its own signal
            (0.6, 0.6 / 4.8, 1.0, False), (0.6, 0.6 / 5.2, 1.0, True),  # five times what the others miss
            (0.6, 0.01, 0.096, False), (0.6, 0.01, 0.104, True),  # of signals of a tenth of the others'
        ],
    )  # fmt: skip
    def test_one_that_does_not_resemble_the_model(self, missed, others, size, odd):
        """Row 2 has a signal of length `size` and misses a share of it; the others have 1 and miss `others`."""
        share, length = np.full(5, others), np.ones(5)
        share[2], length[2] = missed, size
        prediction = (length * np.sqrt(1 - share**2))[:, None] * np.full((5, 4), 0.5)
        signal = prediction + (length * share)[:, None] * np.array([0.5, -0.5, 0.5, -0.5])
        arguments = np.ones(5), signal, prediction, np.ones((5, 4), bool)
        if not odd:
            judge_gains(*arguments)
            return
        with pytest.raises(InvalidDataError, match=r"injection 2 \(counted from 0\) do not resemble the model's"):
            judge_gains(*arguments)

    @pytest.mark.parametrize(
        ("prediction", "reference", "magnitudes"),
        [
            ([1.0, -1.0], [1.0, 0.36], True),  # misses 0.64 of the magnitudes, 1.36 of the voltages
            ([1.0, -1.0], [1.0, 0.32], False),
            ([1.0, -0.00104], [1.0, 0.00104], True),
            ([1.0, -0.00096], [1.0, 0.00096], False),  # of one sign but for a thousandth
            ([-1.0, 0.00104], [1.0, 0.00104], True),
            ([-1.0, 0.00096], [1.0, 0.00096], False),
            ([1.0, -1.0], [1.0, -1e-9], False),  # one is negative
        ],
    )
    def test_magnitudes_by_hand(self, prediction, reference, magnitudes):
        arguments = np.array([prediction]), np.array([reference]), np.ones((1, 2), bool), OneGain
        if not magnitudes:
            refuse_magnitudes(*arguments)
            return
        with pytest.raises(InvalidDataError, match="no voltage is negative"):
            refuse_magnitudes(*arguments)


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
