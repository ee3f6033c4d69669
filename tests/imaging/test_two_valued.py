"""Images of two values from few measurements."""

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.errors import OptionError, ShapeError
from eitdip.imaging import SparseOperator, total_variation
from eitdip.imaging.two_valued import two_valued
from eitdip.operator import Space

SIDE = 16


def block() -> torch.Tensor:
    image = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    image[3:9, 4:12] = 1
    image[11:14, 6:10] = 1
    return image


def few(count: int = 40) -> SparseOperator:
    matrix = np.random.default_rng(2).standard_normal((count, SIDE**2))
    return SparseOperator(sparse.csr_array(matrix), Space((SIDE, SIDE)), Space((count,)))


def test_knowing_the_values_replaces_measurements():
    """40 numbers for 256 pixels: total variation with bounds fails where the path to two values succeeds."""
    operator = few()
    data = operator(block())
    found = two_valued(operator, data, 1.0, (0, 0.3, 1, 2, 4, 8, 16), deviation=0.3, steps=300)
    convex = total_variation(operator, data, 1.0, deviation=0.3, lower=0, upper=1, steps=2000)
    wrong = [int(((image > 0.5) != (block() > 0.5)).sum()) for image in (found, convex)]
    assert wrong[0] <= 4 and wrong[0] < wrong[1]
    assert found.min() >= 0 and found.max() <= 1
    assert float((found * (1 - found)).mean()) < 0.01


def test_nothing_is_found_where_nothing_is_allowed():
    operator, allowed = few(), torch.ones(SIDE, SIDE, dtype=torch.bool)
    allowed[:8] = False
    found = two_valued(operator, operator(block()), 1.0, (0, 1), steps=20, allowed=allowed)
    assert not found[:8].any() and found[8:].any()


def test_bad_arguments_are_refused():
    operator = few()
    data = operator(block())
    with pytest.raises(OptionError, match="expected >= 0, at least one"):
        two_valued(operator, data, 1.0, ())
    with pytest.raises(ShapeError, match="allowed: got shape"):
        two_valued(operator, data, 1.0, (0,), allowed=torch.ones(3, 3))
