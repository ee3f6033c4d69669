"""Instrument and background from a measurement of the homogeneous body.

Real voltages differ from the model's by more than most objects change them. What was seen on the
KTC2023 tank: each injection has its own current gain (a few percent) and each voltage channel a
constant offset, the same in every measurement. Both follow from the empty tank:
    U_ref[k, m] ~ gain[k] F(sigma0)[k, m] + offset[m],
and difference data free of both are (U - U_ref) / gain + F(sigma0).
"""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import InvalidDataError
from eitdip.operator import ForwardModel


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the homogeneous measurement tells.

    Args:
        background: Conductivity sigma0 of the homogeneous body, S/m.
        gain: Current gain of each excitation, shape (K,); mean one.
        offset: Constant offset of each measurement channel, shape (M,), V.
        prediction: F(sigma0), shape (K, M), V.
        error: |U_ref - gain F - offset| / |U_ref| over the measurements used.
    """

    background: float
    gain: np.ndarray
    offset: np.ndarray
    prediction: np.ndarray
    error: float

    def difference_data(self, values: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Data to be fitted by F(sigma), shape (K, M), V."""
        return (values - reference) / self.gain[:, None] + self.prediction


def calibrate(
    model: ForwardModel, reference: np.ndarray, mask: np.ndarray, *, instrument: bool = True, voltages: bool = True
) -> Calibration:
    """Fit background, gains and offsets to the homogeneous measurement.

    Args:
        model: Conductivity to data (K, M).
        reference: Homogeneous measurement, shape (K, M).
        mask: Entries to use, shape (K, M).
        instrument: Fit gains and offsets too; else they are 1 and 0.
        voltages: True if data fall with the conductivity (voltages), False if they grow (fluxes).

    Raises:
        InvalidDataError: If the reference does not resemble a homogeneous body.
    """
    gain, offset = np.ones(len(reference)), np.zeros(reference.shape[1])
    background, power = 1.0, -1 if voltages else 1
    # The model is nearly homogeneous of degree -1 (voltages, up to the contacts), so a few rounds do.
    for _ in range(10):
        prediction = model(np.full(model.domain.shape, background))
        if instrument:
            gain, offset = _fit_instrument(prediction, reference, mask)
        else:
            gain = np.full(len(reference), _ratio(prediction, reference, mask))
        if not gain.mean() > 0:
            raise InvalidDataError("reference: it does not resemble a homogeneous body; check the order of electrodes")
        background *= gain.mean() ** power
        if abs(gain.mean() - 1) < 1e-9:
            break
    prediction = model(np.full(model.domain.shape, background))
    gain = gain / gain.mean()
    residual = (reference - gain[:, None] * prediction - offset)[mask]
    error = float(np.linalg.norm(residual) / np.linalg.norm(reference[mask]))
    if error > 0.5:
        raise InvalidDataError(
            f"reference: the homogeneous model misses it by {error:.0%}; check units, geometry and electrode numbering"
        )
    return Calibration(float(background), gain, offset, prediction, error)


def _ratio(prediction, reference, mask) -> float:
    return float((prediction * reference)[mask].sum() / np.square(prediction)[mask].sum())


def _fit_instrument(prediction, reference, mask, rounds: int = 100):
    """Gains (K,) and offsets (M,) by alternating least squares; rows or columns without data keep 1 and 0."""
    used = mask.astype(float)
    prediction, reference = prediction * used, np.where(mask, reference, 0.0)
    per_row, per_column = np.square(prediction).sum(axis=1), used.sum(axis=0)
    gain, offset = np.ones(len(reference)), np.zeros(reference.shape[1])
    for _ in range(rounds):
        rest = (reference - gain[:, None] * prediction) * used
        offset = np.divide(rest.sum(axis=0), per_column, out=np.zeros_like(offset), where=per_column > 0)
        rest = (reference - offset) * prediction
        gain = np.divide(rest.sum(axis=1), per_row, out=np.ones_like(gain), where=per_row > 0)
    seen = per_row > 0
    gain[~seen] = gain[seen].mean()
    return gain, offset
