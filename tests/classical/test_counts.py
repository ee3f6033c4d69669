"""Steps of maximum likelihood by hand, on two pixels; their course on scans is tested with the scans."""

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.classical.counts import em, em_weights, transmission
from eitdip.errors import OptionError
from eitdip.imaging import SparseOperator, Transmission
from eitdip.operator import Space


def rays(*rows) -> SparseOperator:
    return SparseOperator(sparse.csr_array(np.array(rows)), Space((1, 2)), Space((len(rows),)))


def test_a_step_of_emission_shares_counts_by_what_a_ray_sees():
    """Sensitivities 1/2 and 1/4; 3 counts for a mean of 3/4, so both pixels become 4. A background takes its share."""
    operator = rays([0.5, 0.25])
    torch.testing.assert_close(em(operator, [3], 1), torch.tensor([[4.0, 4.0]], dtype=torch.float64))
    torch.testing.assert_close(em(operator, [3], 1, background=0.25), torch.tensor([[3.0, 3.0]], dtype=torch.float64))
    start = torch.tensor([[2.0, 0.0]], dtype=torch.float64)  # all that was not active stays so
    torch.testing.assert_close(em(operator, [3], 1, start=start), torch.tensor([[6.0, 0.0]], dtype=torch.float64))


def test_rays_are_averaged_by_their_sensitivity():
    """Pixel 1 is seen by both rays: x = 1 becomes (1/2 * 3/(1/2) + 1/4 * 6/(3/4)) / (3/4); pixel 2: 8."""
    operator = rays([0.5, 0.0], [0.25, 0.5])
    expected = torch.tensor([[(3 + 2) / 0.75, 8.0]], dtype=torch.float64)
    torch.testing.assert_close(em(operator, [3, 6], 1), expected)


def test_pixels_that_no_ray_sees_are_none():
    seen, share = em_weights(rays([0.01, 0.0]))
    assert seen.tolist() == [[1, 0]] and share.tolist() == [[100, 0]]


def test_a_step_of_transmission_by_hand():
    """Ray of 1/2 mu, 100 counts without a body, 50 with: slope and curvature at 0 are 50, 100; 50 / 2 / (100 / 4)."""
    scan = Transmission(rays([0.5, 0.0]), np.array([100.0]))
    torch.testing.assert_close(transmission(scan, [50], 1), torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    many = transmission(scan, [50], 300)
    assert float(many[0, 0]) == pytest.approx(2 * np.log(2), rel=1e-6)


@pytest.mark.parametrize("steps", [0, -1])
def test_at_least_one_step(steps):
    with pytest.raises(OptionError, match=f"steps: got {steps}, expected at least 1"):
        em(rays([1.0, 1.0]), [1], steps)
