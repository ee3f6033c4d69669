"""What can be wrong with single injections: reversed, dead, of another size, or magnitudes for all."""

import numpy as np

from eitdip.errors import InvalidDataError

_DEAD, _LARGE = 0.1, 10.0  # sizes over the median; measured gains spread by a few percent
_OPPOSITE = -0.7  # cosine between measurements and what they should look like


def judge_gains(gain: np.ndarray, signal: np.ndarray, prediction: np.ndarray, mask: np.ndarray) -> None:
    """Refuse gains that no instrument has.

    Args:
        gain: Shape (K,).
        signal: Measurements without their offsets, shape (K, M).
        prediction: What times the gain should be these, shape (K, M).
        mask: Entries that count, shape (K, M).

    Raises:
        InvalidDataError: If one is negative, nearly zero or far larger than the others, or the voltages of an injection
            are others than the model's; all such are named.
    """
    rows = mask.any(axis=1)
    ratio = gain / np.median(np.abs(gain[rows]))
    missed = np.linalg.norm(np.where(mask, signal - gain[:, None] * prediction, 0.0), axis=1)
    size = np.linalg.norm(np.where(mask, signal, 0.0), axis=1)
    # Weak voltages may be noise and yet have the right gain.
    odd = (missed > 5 * np.median(missed[rows])) & (size > _DEAD * np.median(size[rows])) | (ratio <= -_DEAD)
    wrong = rows & (missed > 0.5 * size) & odd
    if wrong.any():
        raise InvalidDataError(
            f"reference: the voltages of {_named(wrong)} do not resemble the model's, those of the others do; check "
            "the order of injections and their leads"
        )
    _refuse_reversed("reference", rows & (ratio <= -_DEAD), rows, "the model's")
    _refuse_sizes("reference", np.abs(ratio), rows)


def judge_rows(
    name: str, measured: np.ndarray, expected: np.ndarray, whose: str, mask: np.ndarray, scaled: bool = False
) -> None:
    """Refuse measurements of which an injection is opposite to what is expected, or far smaller or larger.

    Args:
        name: Of the measurements.
        measured: Shape (K, M).
        expected: Shape (K, M).
        whose: "the model's", for the message.
        mask: Entries that count, shape (K, M).
        scaled: Whether all of them may be so many times larger.

    Raises:
        InvalidDataError: If it is so; all such injections are named.
    """
    refuse_opposite(name, measured, expected, whose, mask)
    lengths, rows = _lengths(measured, expected, mask)
    if not rows.any():
        return
    size = np.divide(*lengths, out=np.ones(len(rows)), where=rows)
    usual = float(np.median(size[rows]))
    if usual == 0 or not (scaled or 1e-2 <= usual <= 1e2):
        raise InvalidDataError(
            f"{name}: the voltages are {usual:.2g} times {whose}, expected about 1; check the units, such as mV for V"
        )
    # A few entries may be small by chance, so only what is far from the others is told.
    _refuse_sizes(name, size / usual, rows & (mask.sum(axis=1) > 2), factor=10)


def refuse_opposite(name: str, measured: np.ndarray, expected: np.ndarray, whose: str, mask: np.ndarray) -> None:
    """Refuse measurements of which an injection is opposite to what is expected; arguments of `judge_rows`.

    Raises:
        InvalidDataError: All such injections are named.
    """
    lengths, rows = _lengths(measured, expected, mask)
    product = np.where(mask, measured, 0.0) * np.where(mask, expected, 0.0)
    _refuse_reversed(name, rows & (product.sum(axis=1) < _OPPOSITE * lengths[0] * lengths[1]), rows, whose)


def _lengths(measured, expected, mask) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Euclidean lengths of the rows (K,) of both, and those of which something is expected at all."""
    lengths = tuple(np.linalg.norm(np.where(mask, array, 0.0), axis=1) for array in (measured, expected))
    return lengths, lengths[1] > 1e-6 * lengths[1].max()


def refuse_magnitudes(prediction, reference, mask, fit) -> None:
    """Refuse a reference without signs: never negative, and like the size of a prediction that has both signs.

    Args:
        prediction: F at any homogeneous conductivity, shape (K, M).
        reference: Shape (K, M).
        mask: Entries that count, shape (K, M).
        fit: Class of the linear fit, see `eitdip.problems.instrument_fit`.

    Raises:
        InvalidDataError: If it is so.
    """
    used = prediction[mask]
    if (reference[mask] < 0).any() or min(used.max(), -used.min()) <= 1e-3 * np.abs(used).max():
        return

    def missed(expected):
        gain, offset = fit(expected, mask).of(reference)
        return np.linalg.norm((reference - gain[:, None] * expected - offset)[mask])

    if missed(np.abs(prediction)) < 0.5 * missed(prediction):
        raise InvalidDataError(
            "reference: no voltage is negative, where the model's have both signs, and they fit its magnitudes; "
            "expected signed voltages: give them with their signs (of alternating current, by their phase)"
        )


def _refuse_reversed(name: str, wrong: np.ndarray, rows: np.ndarray, whose: str) -> None:
    if wrong.any():
        which = "all injections" if (wrong == rows).all() else _named(wrong)
        raise InvalidDataError(
            f"{name}: the voltages of {which} have the opposite sign of {whose}; check the polarity of the current and "
            "voltage leads (if it is reversed, multiply these rows by -1), and that voltages are no magnitudes"
        )


def _refuse_sizes(name: str, size: np.ndarray, rows: np.ndarray, factor: float = 1.0) -> None:
    for wrong, words in (
        (size < _DEAD / factor, "no current was carried: check for a dead lead"),
        (size > _LARGE * factor, "check their currents and units"),
    ):
        if (rows & wrong).any():
            found = ", ".join(f"{value:.2g}" for value in size[rows & wrong][:5])
            raise InvalidDataError(
                f"{name}: the voltages of {_named(rows & wrong)} are {found} times as large as the other injections "
                f"let expect; {words}, or mask these rows out"
            )


def _named(rows: np.ndarray) -> str:
    """Injections by number, the first ten."""
    numbers = np.flatnonzero(rows)
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return f"injection{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:10]))}{more} (counted from 0)"
