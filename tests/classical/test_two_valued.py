"""Two-valued images from limited views: the convex start, and what the path to two values gains."""

import numpy as np
import pytest
import torch

from eitdip.classical.primal_dual import total_variation
from eitdip.classical.two_valued import two_valued
from eitdip.errors import OptionError, ShapeError
from eitdip.imaging import ParallelCT, denoising
from eitdip.phantoms import Ellipses

pytest.importorskip("astra")

SIDE = 48
HOLES = Ellipses([[1, 7, 4, -8, 6, 0.4], [1, 5, 5, 9, 7, 0], [1, 4, 8, 2, -9, 0.8]])


def limited(degrees: int) -> tuple[ParallelCT, torch.Tensor]:
    operator = ParallelCT((SIDE, SIDE), np.deg2rad(np.arange(0, degrees, 2)), 70, dtype="float64", kernel="strip")
    return operator, torch.from_numpy(HOLES.integrals(operator.beam, samples=4))


def error(x: torch.Tensor) -> float:
    """Share of wrong pixels after a cut at 1/2."""
    return float(((x > 0.5).numpy() != (HOLES.image((SIDE, SIDE), 1.0) > 0.5)).mean())


def test_without_a_push_it_is_total_variation():
    operator, y = limited(90)
    expected = total_variation(operator, y, 2.0, deviation=0.5, steps=800, lower=0.0, upper=1.0, tolerance=0.0)
    found = two_valued(operator, y, 2.0, [0.0], deviation=0.5, steps=800)
    assert float((found - expected).norm() / expected.norm()) < 2e-3


def test_the_path_to_two_values_recovers_more():
    operator, y = limited(30)
    convex = two_valued(operator, y, 1.0, [0.0], deviation=0.3, steps=400)
    pushed = two_valued(operator, y, 1.0, [0.3, 1, 3, 10, 30], deviation=0.3, steps=150, start=convex)
    assert error(convex) > 0.02
    assert error(pushed) < 0.5 * error(convex)
    gray = (pushed * (1 - pushed)).mean()
    assert float(gray) < 0.1 * float((convex * (1 - convex)).mean())


def test_bounds_and_room_are_kept():
    operator, y = limited(90)
    allowed = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    allowed[:, : SIDE // 2] = True
    x = two_valued(operator, y, 1.0, [0.0, 2.0], steps=20, allowed=allowed)
    assert x.min() >= 0 and x.max() <= 1
    assert (x[:, SIDE // 2 :] == 0).all() and x[:, : SIDE // 2].max() > 0.5


def test_pixels_lean_to_what_is_expected():
    """Without data a pixel costs lean x + push x (1 - x): it becomes 1 where lean < 0."""
    operator, y = limited(20)
    lean = torch.where(torch.arange(SIDE) < 20, -0.5, 0.5).expand(SIDE, SIDE)
    free = two_valued(operator, y, 0.0, [0.0], deviation=1e4, steps=60, lean=lean)
    assert ((free > 0.5) == (lean < 0)).all() and (free - free.round()).abs().max() < 1e-6
    # Of |x - y|^2 / (2 deviation^2) + lean x the minimum is y - deviation^2 lean.
    y = torch.full((8, 8), 0.5, dtype=torch.float64)
    lean = torch.linspace(-1, 1, 64, dtype=torch.float64).reshape(8, 8)
    found = two_valued(denoising((8, 8), dtype="float64"), y, 0.0, [0.0], deviation=0.5, steps=300, lean=lean)
    assert float((found - (y - 0.25 * lean)).abs().max()) < 1e-6


def test_what_is_out_of_range_is_refused():
    operator, y = limited(20)
    for wrong in ({"weight": -1.0}, {"pushes": []}, {"pushes": [1, -1]}, {"deviation": 0.0}, {"steps": 0}):
        with pytest.raises(OptionError, match="weight, pushes, deviation, steps: got"):
            two_valued(**{"operator": operator, "y": y, "weight": 1.0, "pushes": [0.0]} | wrong)
    with pytest.raises(ShapeError, match=r"lean: got shape \(3,\), expected \(48, 48\)"):
        two_valued(operator, y, 1.0, [0.0], lean=torch.zeros(3))
    with pytest.raises(ShapeError, match=r"y: got shape \(9, 70\), expected \(10, 70\)"):
        two_valued(operator, y[1:], 1.0, [0.0])
    with pytest.raises(ShapeError, match="start: got shape"):
        two_valued(operator, y, 1.0, [0.0], start=y)
