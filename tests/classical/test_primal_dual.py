"""Total variation by primal and dual steps: minima that are known by hand."""

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.classical.primal_dual import into_ball, total_variation
from eitdip.classical.two_valued import two_valued
from eitdip.errors import OptionError
from eitdip.imaging import SparseOperator
from eitdip.operator import Space
from tests.cases.images import identity

STEP = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2, dtype=torch.float64)
EXACT = {"steps": 1000, "tolerance": 0.0}


@pytest.mark.parametrize(
    ("weight", "deviation", "moved"), [(0.2, 1.0, 0.1), (0.8, 0.5, 0.1), (3.0, 1.0, 0.5), (0.0, 2.0, 0)]
)
def test_a_step_shrinks_by_its_edge(weight, deviation, moved):
    """4 pixels on each side move by m, 4 m / d^2 = 2 w, until they meet."""
    found = total_variation(identity((2, 4)), STEP, weight, deviation=deviation, **EXACT)
    torch.testing.assert_close(found, (STEP - moved).abs(), rtol=0, atol=1e-6)


def test_a_corner_costs_the_length_of_its_gradient():
    """One pixel over the other three: its differences along both axes are one vector, so it sinks by sqrt(2) w d^2."""
    corner = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    found = total_variation(identity((2, 2)), corner, 0.1, **EXACT)
    rise = 0.1 * 2**0.5 / 3
    expected = torch.tensor([[1 - 3 * rise, rise], [rise, rise]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_of_volumes_along_all_axes():
    """The same step between two layers of 2 x 2 voxels: 4 m = 4 w."""
    step = torch.zeros(2, 2, 2, dtype=torch.float64)
    step[1] = 1.0
    found = total_variation(identity((2, 2, 2)), step, 0.15, **EXACT)
    torch.testing.assert_close(found, (step - 0.15).abs(), rtol=0, atol=1e-6)


def test_through_an_operator_the_data_decide():
    """Sums of rows 2 and 6 over 2 pixels each, without weight: the least squares that are nearest to A* y."""
    rows = SparseOperator(sparse.csr_array(np.kron(np.eye(2), np.ones(2))), Space((2, 2)), Space((2,)))
    y = torch.tensor([2.0, 6.0], dtype=torch.float64)
    torch.testing.assert_close(
        total_variation(rows, y, 0.0, **EXACT), torch.tensor([[1.0, 1.0], [3.0, 3.0]]).double(), rtol=0, atol=1e-6
    )
    # Rows move by m each: (2 m) * 2 = w * 2 of the two edges between them.
    found = total_variation(rows, y, 0.4, **EXACT)
    torch.testing.assert_close(found, torch.tensor([[1.2, 1.2], [2.8, 2.8]]).double(), rtol=0, atol=1e-6)


def test_bounds_are_kept_and_used():
    """Clipped at 0.8 from above, the right side pulls the left as before: 4 m = 2 w."""
    found = total_variation(identity((2, 4)), STEP, 0.2, lower=0.05, upper=0.8, **EXACT)
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.1, 0.8, 0.8]] * 2).double(), rtol=0, atol=1e-6)
    found = total_variation(identity((2, 4)), STEP, 0.2, lower=0.3, **EXACT)
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.3, 0.9, 0.9]] * 2).double(), rtol=0, atol=1e-6)


def test_complex_images_shrink_along_their_phase():
    y = STEP * np.exp(0.7j)
    found = total_variation(identity((2, 4), "complex128"), y, 0.2, **EXACT)
    torch.testing.assert_close(found, (STEP - 0.1).abs() * np.exp(0.7j), rtol=0, atol=1e-6)
    with pytest.raises(OptionError, match="got bounds for complex images"):
        total_variation(identity((2, 4), "complex128"), y, 0.2, lower=0.0)


def test_neither_start_nor_balance_nor_batch_decide_the_answer():
    operator, expected = identity((2, 4)), (STEP - 0.1).abs()
    for more in ({"start": 5 * torch.ones_like(STEP)}, {"balance": 0.3}, {"balance": 3.0}):
        found = total_variation(operator, STEP, 0.2, **EXACT, **more)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    both = total_variation(operator, torch.stack([STEP, 2 * STEP]), 0.2, **EXACT)
    torch.testing.assert_close(both[1], (2 * STEP - 0.1).abs(), rtol=0, atol=1e-5)


def test_it_ends_when_a_step_changes_little():
    """Counted by the operator: at the first step if any change is small, after 400 if none is."""
    calls = []

    class Counted(SparseOperator):
        def forward(self, x):
            calls.append(1)
            return super().forward(x)

    space = Space((2, 4))
    operator = Counted(sparse.eye_array(8, format="csr"), space, space)

    def run(tolerance: float) -> tuple[int, float]:
        calls.clear()
        x = total_variation(operator, STEP, 0.2, steps=400, tolerance=tolerance)
        return len(calls), float((x - (STEP - 0.1).abs()).abs().max())

    total_variation(operator, STEP, 0.2, steps=1)  # as few as that are no error
    (one, _), (every, best), (some, error) = (run(tolerance) for tolerance in (10.0, 0.0, 1e-6))
    assert every - one == 399 and 0 < some - one < 399
    assert best < 1e-6 and error < 1e-4


def test_vectors_are_shortened_to_the_radius():
    d = torch.tensor([[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[1.2, 0.3, 0.0], [1.6, 0.4, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(into_ball(d, 2.0), expected)
    assert not into_ball(d, 0.0).any()


@pytest.mark.parametrize("push", [0.05, 0.5, 1.5])
def test_a_push_that_is_weaker_than_the_data_moves_away_from_the_middle(push):
    """Of a uniform image y: (x - y) / d^2 + push (1 - 2 x) = 0, so x = (y - push d^2) / (1 - 2 push d^2)."""
    y = torch.full((3, 3), 0.4, dtype=torch.float64)
    found = two_valued(identity((3, 3)), y, 0.7, [push], deviation=0.5, steps=1000)
    expected = (0.4 - push / 4) / (1 - push / 2)
    torch.testing.assert_close(found, torch.full_like(y, expected), rtol=0, atol=1e-6)


def test_edges_of_two_values_cost_what_those_of_total_variation_do():
    found = two_valued(identity((2, 4)), STEP, 0.8, [0.0], deviation=0.5, steps=1000)
    torch.testing.assert_close(found, (STEP - 0.1).abs(), rtol=0, atol=1e-5)


def test_a_push_that_is_stronger_than_the_data_leaves_two_values():
    y = torch.tensor([[0.45, 0.45], [0.6, 0.6]], dtype=torch.float64)
    found = two_valued(identity((2, 2)), y, 0.0, [1.0, 8.0], deviation=0.5, steps=500)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "wrong", [{"weight": -1e-9}, {"deviation": 0.0}, {"steps": 0}, {"balance": 0.0}, {"weight": float("nan")}]
)
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(OptionError, match="weight, deviation, steps, balance: got"):
        total_variation(**{"operator": identity((2, 4)), "y": STEP, "weight": 0.1} | wrong)


def test_a_start_counts_only_where_the_image_may_be():
    allowed = STEP == 1
    starts = (torch.full_like(STEP, 0.7), 0.7 * STEP)
    found = (two_valued(identity((2, 4)), STEP, 0.1, [0.5], steps=3, allowed=allowed, start=each) for each in starts)
    assert torch.equal(*found)


def test_as_many_steps_as_are_said():
    """100 for each push, and 500 of total variation; one is enough, which leads from the middle towards the data."""
    operator, y = identity((2, 4)), 0.3 * STEP
    one = two_valued(operator, y, 0.0, [0.0], steps=1)
    assert ((one - y).abs() < (0.5 - y).abs()).all()
    for steps, equal in ((100, True), (101, False)):
        found = two_valued(operator, y, 0.05, [0.0, 0.1]), two_valued(operator, y, 0.05, [0.0, 0.1], steps=steps)
        assert torch.equal(*found) is equal
    for steps, equal in ((500, True), (501, False)):
        found = (total_variation(operator, y, 0.05, tolerance=0.0, **more) for more in ({}, {"steps": steps}))
        assert torch.equal(*found) is equal
