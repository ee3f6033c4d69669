"""Random discs with holes."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from eitdip.errors import OptionError
from eitdip.phantoms import discs
from eitdip.phantoms.discs import Arc, random_holes

ACROSS = (np.arange(256) - 127.5) * 0.296644
MANY = [random_holes(np.random.default_rng(seed), center=(1.0, -2.0)) for seed in range(60)]


def test_holes_come_from_the_generator_alone():
    assert_array_equal(MANY[3], random_holes(np.random.default_rng(3), center=(1.0, -2.0)))
    assert all(np.abs(a - b).max() == 1 for a, b in pairwise(MANY))
    assert all(holes.dtype == np.float32 and holes.min() >= 0 and holes.max() == 1 for holes in MANY)


def test_no_hole_is_near_the_rim():
    depth = 34.88 - np.hypot(ACROSS - 1.0, -ACROSS[:, None] + 2.0)
    nearest = [depth[holes > 0.5].min() for holes in MANY]
    assert 4.0 < min(nearest) < 7


def test_the_material_hangs_together():
    inside = np.hypot(ACROSS - 1.0, -ACROSS[:, None] + 2.0) < 34.88
    for holes in MANY:
        parts, _ = ndimage.label(inside & (holes < 0.5))
        sizes = np.bincount(parts.ravel())[1:]
        assert sizes.max() >= 0.99 * sizes.sum()


def test_a_position_is_a_position():
    """y points up and the disc's centre moves its holes."""
    here, there = (
        random_holes(np.random.default_rng(5), center=center) for center in ((0.0, 0.0), (1.186576, 2.373152))
    )
    assert_allclose(np.roll(here, (-8, 4), axis=(0, 1)), there, atol=1e-3)


def test_edges_are_a_pixel_wide():
    shares = np.array([((holes > 0.02) & (holes < 0.98)).sum() / (ndimage.sobel(holes) != 0).sum() for holes in MANY])
    assert 0.2 < np.median(shares) < 0.8


@pytest.mark.parametrize("make", [discs._mixed, discs._alike, discs._cells, discs._irregular])
def test_each_family_makes_holes(make):
    shares = [make(np.random.default_rng(seed), ACROSS, -ACROSS[:, None], 29.0).mean() for seed in range(12)]
    assert 0.02 < np.median(shares) < 0.5


def test_an_arc_is_a_bent_strip():
    arc, fine = Arc(2.0, 0.5, 0.6), (np.arange(1200) + 0.5) / 300 - 2
    inside = arc.contains(fine, fine[:, None])
    assert_allclose(inside.sum() / 300**2, 2 * 0.6 * 2.0 * 0.5, rtol=5e-3)
    assert arc.contains(np.array([0.2, -0.3, 2 * np.cos(0.5) - 2]), np.array([0, 0, 2 * np.sin(0.5)])).tolist() == [
        True, False, True,
    ]  # fmt: skip


def test_a_disc_that_does_not_fit_is_refused():
    with pytest.raises(OptionError, match=r"radius: got 34.88 at \(4.0, 0.0\), which an image of 75.9"):
        random_holes(np.random.default_rng(0), center=(4.0, 0.0))
