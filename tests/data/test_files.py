"""What readers of MATLAB files share: the check of currents."""

from types import SimpleNamespace

import numpy as np
import pytest

from eitdip.data.files import check_currents
from eitdip.errors import InvalidDataError


def file(*patterns):
    return SimpleNamespace(path="tank.mat", matrix=lambda name, electrodes: np.array(patterns, dtype=float).T)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
def test_currents_sum_to_zero_to_a_millionth_of_their_size_in_any_unit(unit):
    good, bad = unit * np.array([1.0, -1 + 1.9e-6, 0]), unit * np.array([1.0, 0, -1 + 2.2e-6])
    np.testing.assert_array_equal(check_currents(file(good), "Inj", 3), good[:, None])
    with pytest.raises(InvalidDataError, match=r"tank.mat: Inj: the currents of injection 2 .* what enters must leave"):
        check_currents(file(good, bad), "Inj", 3)


def test_no_current_at_all_sums_to_zero():
    """What a dead injection means is told later, by its voltages."""
    np.testing.assert_array_equal(check_currents(file(np.zeros(3)), "Inj", 3), np.zeros((3, 1)))
