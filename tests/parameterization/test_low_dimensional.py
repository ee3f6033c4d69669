"""Generators with a few weights."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.parameterization.low_dimensional import Discs, LevelSetModes, Modes


def discs(weights=None, shape=(80, 80), **options) -> Discs:
    mean = [[0.5, 0.25, np.log(0.2), 2.0], [-0.5, -0.5, np.log(0.1), -1.0]]
    made = Discs(shape, mean, np.full((2, 4), 0.1), **options)
    if weights is not None:
        with torch.no_grad():
            made.weights.copy_(torch.as_tensor(weights, dtype=torch.float64).reshape(-1))
    return made


def place(x: float, y: float) -> tuple[int, int]:
    """Row and column of a point: x to the right, y upwards."""
    return int((1 - y) * 40), int((1 + x) * 40)


def test_discs_are_where_they_should_be():
    field = discs(width=0.005)().detach().numpy()
    assert field[place(0.5, 0.25)] == pytest.approx(2) and field[place(-0.5, -0.5)] == pytest.approx(-1)
    assert field[place(0.5, -0.25)] == pytest.approx(0, abs=1e-6)
    area = (field > 1).sum() * (2 / 80) ** 2
    assert area == pytest.approx(np.pi * 0.2**2, rel=0.05)


def test_weights_count_in_deviations():
    field = discs([[2, 0, 0, 5], [0, 0, 0, 0]], width=0.005)().detach().numpy()
    assert field[place(0.7, 0.25)] == pytest.approx(2.5)
    assert (field > 1.25).sum() * (2 / 80) ** 2 == pytest.approx(np.pi * 0.2**2, rel=0.05)
    larger = discs([[0, 0, 10, 0], [0, 0, 0, 0]], width=0.005)().detach().numpy()
    assert (larger > 1).sum() * (2 / 80) ** 2 == pytest.approx(np.pi * (0.2 * np.e) ** 2, rel=0.05)


def test_known_numbers_have_no_weight():
    made = Discs((8, 8), np.ones((1, 4)), [[0.5, 0.0, 0.0, 2.0]])
    with torch.no_grad():
        made.weights.copy_(torch.tensor([1.0, -1.0]))
    np.testing.assert_allclose(made.numbers().detach(), [[1.5, 1.0, 1.0, -1.0]])


def test_all_weights_have_slopes():
    made = discs([[0.1, 0.2, -0.3, 0.4], [0.5, -0.1, 0.2, 0.3]], shape=(12, 12), width=0.2)
    torch.autograd.gradcheck(lambda w: torch.func.functional_call(made, {"weights": w}, ()), made.weights)


def test_modes_and_level_sets():
    rng = np.random.default_rng(0)
    centre, modes = rng.standard_normal((5, 6)), rng.standard_normal((3, 5, 6))
    made = Modes(centre, modes)
    with torch.no_grad():
        made.weights.copy_(torch.tensor([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(made().detach(), centre + modes[0] - 2 * modes[1] + 0.5 * modes[2])
    level = LevelSetModes(modes, 3.0, offset=-0.2, sharpness=1e4)
    with torch.no_grad():
        level.weights.copy_(made.weights)
    inside = modes[0] - 2 * modes[1] + 0.5 * modes[2] > 0.2
    np.testing.assert_allclose(level().detach(), 3.0 * inside, atol=1e-6)


def test_bad_numbers_are_refused():
    with pytest.raises(ShapeError, match=r"discs: got \(4,\) and \(4,\)"):
        Discs((8, 8), np.zeros(4), np.ones(4))
    with pytest.raises(OptionError, match="or a width that is not > 0"):
        discs(width=0.0)
    with pytest.raises(ShapeError, match=r"modes: got \(2, 3\), expected \(k, \*\(4,\)\)"):
        Modes(np.zeros(4), np.zeros((2, 3)))
    with pytest.raises(OptionError, match="sharpness: got 0"):
        LevelSetModes(np.ones((1, 2, 2)), 1.0, sharpness=0)
