"""Instrument and background from a measurement of the homogeneous body.

Real voltages differ from the model's by more than most objects change them. What was seen on the
KTC2023 tank: each injection has its own current gain (a few percent) and each voltage channel a
constant offset, the same in every measurement. Both follow from the empty tank:
    U_ref[k, m] ~ gain[k] F(sigma0)[k, m] + offset[m],
and difference data free of both are (U - U_ref) / gain + F(sigma0), with deviations that are divided by the gain too.

At a given sigma0 gains and offsets are a linear least-squares problem, solved exactly (`instrument_fit`). What is left
is one equation in one unknown: gains have the mean one. In log sigma0 the logarithm of their mean has the slope 1 where
voltages fall as 1 / sigma, and nearly 0 where contact impedances are most of them. Newton's method with the model's
own derivative solves it, within a bracket.
"""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import InvalidDataError, LinearSolverError
from eitdip.operator import ForwardModel
from eitdip.problems.injections import judge_gains, judge_rows, refuse_magnitudes, refuse_opposite
from eitdip.problems.instrument_fit import GainsAndOffsets, LinearFit, OneGain

_START = 1.0  # S/m, of the search
_PLAUSIBLE = 1e-6, 1e8  # S/m: from insulators to metals, with room for other units (mS, mS per square)
_STEPS = 60
_LARGEST_STEP = np.log(1e4)
# Newton's error after a step of relative size d is about d^2, so this leaves 1e-10.
_TOLERANCE = 1e-5
_FARTHEST = np.log(1e10)  # all that is plausible lies within
# Relative standard deviation of the background from which on the data are said not to tell it.
_UNCERTAIN = 0.05
_ROUNDING = 1e-11  # of the model's values, relative to their root mean square


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the homogeneous measurement tells.

    Args:
        background: Conductivity sigma0 of the homogeneous body, S/m.
        gain: Current gain of each excitation, shape (K,), > 0; mean one.
        offset: Constant offset of each measurement channel, shape (M,), V.
        prediction: F(sigma0), shape (K, M), V.
        error: |U_ref - gain F - offset| / |U_ref - offset| over the measurements used.
    """

    background: float
    gain: np.ndarray
    offset: np.ndarray
    prediction: np.ndarray
    error: float

    def difference_data(self, values: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Data to be fitted by F(sigma), shape (K, M), V."""
        return (values - reference) / self.gain[:, None] + self.prediction

    def deviation(self, deviation: np.ndarray) -> np.ndarray:
        """Standard deviation of these data, shape (K, M), V, from that of the values as measured."""
        return deviation / self.gain[:, None]


def calibrate(
    model: ForwardModel,
    reference: np.ndarray,
    mask: np.ndarray,
    *,
    instrument: bool = True,
    voltages: bool = True,
    background: float | None = None,
) -> Calibration:
    """Fit background, gains and offsets to the homogeneous measurement.

    Args:
        model: Conductivity to data (K, M).
        reference: Homogeneous measurement, shape (K, M); what the mask hides is not looked at.
        mask: Entries to use, shape (K, M).
        instrument: Fit gains and offsets too; else they are 1 and 0.
        voltages: True if data fall with the conductivity (voltages), False if they grow (fluxes).
        background: Conductivity of the homogeneous body, S/m, if it is known and nothing is to be fitted: without
            `instrument` only.

    Raises:
        InvalidDataError: If the reference does not resemble a homogeneous body, an injection is reversed or dead, or
            the measurements cannot tell gains, offsets and background apart.
    """
    mask = np.asarray(mask, bool)
    reference = np.where(mask, reference, 0.0)
    if not reference.any():
        raise InvalidDataError("reference: every measurement is 0, expected the homogeneous body's; leave it out")
    if background is not None:
        return _taken(model, float(background), reference, mask)
    background, told = _background(model, reference, mask, instrument, 1 if voltages else -1)
    prediction = model(np.full(model.domain.shape, background))
    gain, offset = np.ones(len(reference)), np.zeros(reference.shape[1])
    if instrument:
        gain, offset = GainsAndOffsets(prediction, mask).of(reference)
        gain = gain / np.abs(gain[mask.any(axis=1)]).mean()
    found = Calibration(background, gain, offset, prediction, _error(reference, prediction, gain, offset, mask))
    _judge(found, reference, mask, instrument, told)
    return found


def _taken(model: ForwardModel, background: float, reference, mask) -> Calibration:
    """A known background as it is. The error is told, not judged: offsets, which differences cancel, are in it."""
    prediction = model(np.full(model.domain.shape, background))
    refuse_opposite("reference", reference, prediction, "the model's", mask)
    gain, offset = np.ones(len(reference)), np.zeros(reference.shape[1])
    return Calibration(background, gain, offset, prediction, _error(reference, prediction, gain, offset, mask))


def _background(model: ForwardModel, reference, mask, instrument: bool, sign: int) -> tuple[float, bool]:
    """The sigma0 whose gains have the mean one, and whether the measurements tell it.

    Newton's method in its logarithm, kept within a bracket.
    """
    fitted = GainsAndOffsets if instrument else OneGain
    s = before = np.log(_START)
    low, high = -np.inf, np.inf  # the mean is below one at `low`, above one at `high`
    for step in range(_STEPS):
        sigma = np.full(model.domain.shape, np.exp(s))
        try:
            prediction, derivative = model.linearize(sigma)
        except LinearSolverError:
            if step == 0:
                raise
            break  # no conductivity within the model's reach
        fit, before = fitted(prediction, mask), s
        gain, offset = fit.of(reference)
        if step == 0:  # what the shape of the voltages tells, which hardly depends on sigma0
            refuse_magnitudes(prediction, reference, mask, fitted)
            if not instrument:
                judge_rows("reference", reference, prediction, "the model's", mask, scaled=True)
        value, slope, deviation = _mean_gain(fit, gain, offset, reference, derivative(sigma))
        value, slope = sign * value, sign * slope
        low, high = (s, high) if value < 0 else (low, s)
        # Where the mean hardly changes, the largest step; the bracket keeps it from going too far.
        change = -value / slope if slope > 0 else -np.copysign(np.inf, value)
        change = float(np.clip(change, -_LARGEST_STEP, _LARGEST_STEP))
        if abs(change) >= _TOLERANCE and not low < s + change < high:  # nor back to where it was, without end
            change = 0.5 * (low + high) - s
        s += change
        if abs(change) < _TOLERANCE:
            return float(np.exp(s)), deviation < _UNCERTAIN * slope
        if abs(s) > _FARTHEST:
            break
    return float(np.exp(before)), False


def _mean_gain(fit: LinearFit, gain, offset, reference, change) -> tuple[float, float, float]:
    """Logarithm of the mean gain, its derivative for a change of the prediction, and its standard deviation.

    Gains count by their size: a reversed injection must not spoil the background before it is found.
    """
    rows = fit.used.any(axis=1)
    weights = np.where(rows, np.sign(gain), 0.0) / rows.sum()
    mean = float(weights @ gain)
    change = np.where(fit.used, change, 0.0)
    residual = fit.used * (reference - gain[:, None] * fit.prediction - offset)
    moved = -gain[:, None] * change
    # The normal equations A^T A x = A^T U, differentiated: A^T A dx = dA^T residual - A^T dA x.
    slope, _ = fit.solve((change * residual + fit.prediction * moved).sum(axis=1), moved.sum(axis=0))
    spread, _ = fit.solve(weights, np.zeros(fit.used.shape[1]))
    free = max(1, int(fit.used.sum()) - fit.unknowns)
    noise = np.square(residual).sum() / free + np.square(_ROUNDING * reference).sum() / fit.used.sum()
    return float(np.log(mean)), float(weights @ slope) / mean, float(np.sqrt(max(0.0, weights @ spread) * noise)) / mean


def _error(reference, prediction, gain, offset, mask) -> float:
    """What the fit misses, over what it has to explain: offsets may be most of the voltages and say nothing."""
    signal = np.linalg.norm((reference - offset)[mask])
    missed = np.linalg.norm((reference - gain[:, None] * prediction - offset)[mask])
    return float(missed / signal) if signal > 0 else 1.0


def _judge(found: Calibration, reference, mask, instrument: bool, told: bool) -> None:
    """Refuse what does not resemble a homogeneous body, as a whole and injection by injection."""
    if not found.error <= 0.5:
        raise InvalidDataError(
            f"reference: it does not resemble a homogeneous body: the best fit misses it by {found.error:.0%}; check "
            "the order of electrodes and injections, the geometry and the units"
        )
    if instrument:
        judge_gains(found.gain, reference - found.offset, found.prediction, mask)
    if not told:
        raise InvalidDataError(
            "reference: it cannot tell the background: no conductivity, or nearly any, fits it as well (contact "
            "impedance may be most of the voltages); check contact_impedance and units, or set calibrate=false and "
            "background=..."
        )
    least, most = _PLAUSIBLE
    if not least <= found.background <= most:
        raise InvalidDataError(
            f"reference: fits a background of {found.background:.3g}, expected {least:g} to {most:g}; check the "
            "units of voltages, currents and lengths"
        )
