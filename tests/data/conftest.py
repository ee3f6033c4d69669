"""Small copies of the public data files, with made-up voltages, and the real ones where they are."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from eitdip.data import data_root


class Tanks:
    """A folder with a data file and a reference, rewritten with changed fields at will."""

    def __init__(self, folder: Path, data: dict, reference: dict, names: tuple[str, str]):
        self.fields, self.reference_fields = data, reference
        self.path, self.reference = folder / names[0], folder / names[1]
        self.write()
        self.write_reference()

    def write(self, **changes) -> Path:
        """The data file with some fields changed, or left out where the change is None."""
        return self._save(self.path, self.fields | changes)

    def write_reference(self, **changes) -> Path:
        """The reference, likewise."""
        return self._save(self.reference, self.reference_fields | changes)

    @staticmethod
    def _save(path: Path, fields: dict) -> Path:
        scipy.io.savemat(path, {name: value for name, value in fields.items() if value is not None})
        return path


def pair(count: int, plus: int, minus: int) -> np.ndarray:
    """A pattern with +1 and -1 at two electrodes, counted from 1."""
    pattern = np.zeros(count)
    pattern[[plus - 1, minus - 1]] = 1, -1
    return pattern


@pytest.fixture
def ktc(tmp_path, rng) -> Tanks:
    """data1.mat and ref.mat of KTC2023 with its patterns: 76 injections, 31 voltages."""
    odd = list(range(1, 33, 2))
    pairs = list(zip(odd, [*odd[1:], 1], strict=True))
    pairs += [(plus, minus) for minus in (1, 9, 17, 25) for plus in odd if plus != minus]
    currents = np.column_stack([1.45 * pair(32, *ends) for ends in pairs])
    patterns = np.column_stack([pair(32, m, m + 1) for m in range(1, 32)]).astype(np.int16)
    voltages, empty = rng.standard_normal((2, 76 * 31, 1))
    data = {"Uel": voltages, "Inj": currents, "Mpat": patterns}
    reference = {"Uelref": empty, "Injref": currents, "Mpat": patterns}
    return Tanks(tmp_path, data, reference, ("data1.mat", "ref.mat"))


@pytest.fixture
def kit4(tmp_path, rng) -> Tanks:
    """datamat_2_3.mat and datamat_1_0.mat of KIT4 with neighbouring injections only."""
    patterns = np.column_stack([pair(16, m, m % 16 + 1) for m in range(1, 17)])
    shared = {"CurrentPattern": np.sqrt(2) * patterns, "MeasPattern": patterns.astype(np.int16)}
    data = {"Uel": rng.standard_normal((16, 16)), **shared}
    reference = {"Uel": rng.standard_normal((16, 16)), **shared}
    return Tanks(tmp_path, data, reference, ("datamat_2_3.mat", "datamat_1_0.mat"))


@pytest.fixture
def real() -> Path:
    """The folder with the public data sets; skips where there is none."""
    root = data_root()
    if root is None:
        pytest.skip("needs the public data sets: set EITDIP_DATA to their folder (default ../shared/data)")
    return root
