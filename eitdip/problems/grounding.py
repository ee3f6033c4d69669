"""The zero of voltages: the model's potentials have mean zero over the electrodes, an instrument's need not.

Rows of `moments` that sum to zero do not see it. Others, such as single-ended voltages, have a common voltage c_k under
injection k, which depends on how the instrument is grounded and on the body:
    U[k, m] = sum_l moments[m, l] phi[k, l] + c_k s_m,    s_m the sum of row m.
It differs between the tank with objects and the empty one, so differences do not cancel it. Where the measurements of
an injection tell the mean potential, c_k follows from them alone and is taken off, of values and of reference each by
itself. Where electrodes are masked out they do not; then the empty tank tells whether there is a c_k.
"""

from dataclasses import replace

import numpy as np

from eitdip.data.data import Data
from eitdip.data.measurements import Measurements
from eitdip.errors import InvalidDataError
from eitdip.operator import ForwardModel

_REMEDY = (
    "give differences between electrodes (rows of moments that sum to zero), such as each measured electrode against "
    "the next"
)


def with_mean_zero(measurements: Measurements, model: ForwardModel) -> tuple[Data, Data | None]:
    """Values and reference of potentials whose mean over the electrodes is zero.

    Raises:
        InvalidDataError: If rows of `moments` do not sum to zero and the zero of the voltages cannot be told, or the
            empty tank says that it is not the mean of the electrodes.
    """
    data, empty = measurements.data, measurements.empty
    moments = measurements.moments
    sums = moments.sum(axis=1)
    sums[np.abs(sums) <= 1e-6 * np.abs(moments).sum(axis=1)] = 0.0
    if measurements.model != "electrodes" or not sums.any():
        return data, empty
    data, untold = _corrected(data, moments, sums)
    if empty is not None:
        empty, more = _corrected(empty, moments, sums)
        untold |= more
    if untold.any() and (empty is None or _has_common_voltages(model, measurements.empty, sums)):  # as measured
        k, m = int(np.flatnonzero(untold)[0]), int(np.flatnonzero(sums)[0])
        raise InvalidDataError(
            f"moments: row {m} sums to {sums[m]:g}, expected 0: the measurements that are left of injection {k} "
            "(counted from 0) do not tell the mean of all electrodes' potentials, which is the model's zero, and "
            f"{'there is no reference' if empty is None else 'the reference has another zero'}; {_REMEDY}"
        )
    return data, empty


def _corrected(data: Data, moments, sums) -> tuple[Data, np.ndarray]:
    """The data without common voltages, and the injections (K,) whose measurements do not tell theirs."""
    values, untold = data.values.copy(), np.zeros(len(data.values), bool)
    mean = np.full(moments.shape[1], 1 / moments.shape[1])
    for mask in np.unique(data.mask, axis=0):
        if not sums[mask].any():
            continue
        rows = np.flatnonzero((data.mask == mask).all(axis=1))
        combination = np.linalg.lstsq(moments[mask].T, mean, rcond=1e-10)[0]
        if np.abs(moments[mask].T @ combination - mean).max() > 1e-8 * mean.max():
            untold[rows] = True
            continue
        values[rows] -= np.outer(values[rows][:, mask] @ combination, sums) / (combination @ sums[mask])
    return replace(data, values=values), untold


def _has_common_voltages(model: ForwardModel, empty: Data, sums) -> bool:
    """Whether a common voltage per injection explains the empty tank far better than gains and offsets alone."""
    prediction = model(np.ones(model.domain.shape))
    missed = []
    for common in (False, True):
        spans = [np.column_stack([row, sums] if common else [row]) for row in prediction]
        square, free = _unexplained(empty, spans)
        missed.append(square / free if free > 0 else 0.0)
    size = np.square(empty.values[empty.mask]).mean()
    return missed[0] > 4 * missed[1] and missed[0] > 1e-6 * size


def _unexplained(empty: Data, spans: list[np.ndarray]) -> tuple[float, int]:
    """Squared residual of the best columns per injection and offsets per channel; how many entries are left free."""
    channels = empty.shape[1]
    normal, right, parts = np.zeros((channels, channels)), np.zeros(channels), []
    for mask, values, span in zip(empty.mask, empty.values, spans, strict=True):
        basis = np.linalg.qr(np.where(mask[:, None], span, 0.0))[0]
        projection = np.diag(mask.astype(float)) - basis @ basis.T
        normal, right = normal + projection, right + projection @ values
        parts.append((projection, values))
    offset = np.linalg.lstsq(normal, right, rcond=1e-10)[0]
    square = sum(float(np.square(projection @ (values - offset)).sum()) for projection, values in parts)
    return square, int(empty.mask.sum()) - len(parts) * spans[0].shape[1] - channels
