"""Gains and offsets at a given conductivity: linear least squares, solved exactly."""

from abc import ABC, abstractmethod

import numpy as np

from eitdip.errors import InvalidDataError

# Square of the smallest singular value of the fit, columns scaled to length one, from which on the unknowns are told
# apart. Rounding leaves 1e-15; measured tanks have 0.4 to 0.6, a ring of 8 electrodes without the driven ones has 0.02.
_SMALLEST = 1e-9


class LinearFit(ABC):
    """Least squares of U ~ gain F + offset over the entries that are used.

    Args:
        prediction: F, shape (K, M).
        used: Entries to use, shape (K, M).

    Attributes:
        prediction: F where it is used, else 0.
        unknowns: How many.
    """

    unknowns: int

    def __init__(self, prediction: np.ndarray, used: np.ndarray):
        self.used, self.prediction = used, np.where(used, prediction, 0.0)

    @abstractmethod
    def solve(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gains (K,) and offsets (M,) that solve the normal equations for right-hand sides (K,) and (M,)."""

    def of(self, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gains (K,) and offsets (M,) of measurements (K, M); 1 and 0 where nothing was measured."""
        measured = np.where(self.used, measured, 0.0)
        gain, offset = self.solve((self.prediction * measured).sum(axis=1), measured.sum(axis=0))
        return np.where(self.used.any(axis=1), gain, 1.0), offset


class OneGain(LinearFit):
    """The same gain for all, no offsets."""

    unknowns = 1

    def __init__(self, prediction, used):
        super().__init__(prediction, used)
        self._square = np.square(self.prediction).sum()
        if not self._square > 0:
            raise InvalidDataError("reference: the model predicts 0 for every measurement; check sources and moments")

    def solve(self, rows, columns):
        return np.full(len(rows), rows.sum() / self._square), np.zeros(len(columns))


class GainsAndOffsets(LinearFit):
    """A gain for each excitation (row) and an offset for each channel (column).

    Raises:
        InvalidDataError: If the measurements do not determine them all.
    """

    def __init__(self, prediction, used):
        super().__init__(prediction, used)
        self._rows, self._columns = used.any(axis=1), used.any(axis=0)
        self.unknowns = int(self._rows.sum() + self._columns.sum())
        part = self.prediction[np.ix_(self._rows, self._columns)]
        sizes = np.linalg.norm(part, axis=1)
        # With columns of length one the normal matrix is [[1, B], [B^T, 1]]; its eigenvalues are 1 +- singular values.
        self._sizes = np.where(sizes > 1e-9 * sizes.max(), sizes, np.inf), np.sqrt(used.sum(axis=0)[self._columns])
        self._coupling = part / self._sizes[0][:, None] / self._sizes[1]
        largest = np.linalg.norm(self._coupling, 2)
        if np.isinf(self._sizes[0]).any() or 1 - largest < _SMALLEST:
            raise InvalidDataError(
                f"reference: {int(used.sum())} measurements cannot tell {int(self._rows.sum())} gains and "
                f"{int(self._columns.sum())} offsets apart: offsets may take up all that was measured; unmask more, "
                "or set calibrate=false (no gains and offsets)"
            )
        self._normal = np.eye(len(self._sizes[1])) - self._coupling.T @ self._coupling

    def solve(self, rows, columns):
        of_rows, of_columns = rows[self._rows] / self._sizes[0], columns[self._columns] / self._sizes[1]
        found = np.linalg.solve(self._normal, of_columns - self._coupling.T @ of_rows)
        gain, offset = np.zeros(len(rows)), np.zeros(len(columns))
        offset[self._columns] = found / self._sizes[1]
        gain[self._rows] = (of_rows - self._coupling @ found) / self._sizes[0]
        return gain, offset
