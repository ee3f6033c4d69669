"""What is written beside the arrays: images at the cells, and scores."""

import numpy as np
import pytest

from eitdip.truth import sample_image
from tests.shapes import rectangle
from tests.solids import box


def test_a_plane_image_covers_the_bounding_square_with_row_0_at_the_top():
    domain = rectangle(8, 4, 2.0, 1.0)
    image = np.arange(64.0).reshape(8, 8)
    x, y = domain.centroids.T
    column, row = np.floor(4 * x), np.floor(4 * (1.5 - y))  # the square reaches from y = -0.5 to 1.5
    assert np.array_equal(sample_image(image, domain), 8 * row + column)


def test_a_solid_image_covers_the_bounding_box_with_slice_0_at_the_bottom():
    domain = box(4, 3, 2, (4.0, 3.0, 2.0))
    image = np.arange(24.0).reshape(2, 3, 4)
    x, y, z = domain.centroids.T
    expected = 12 * np.floor(z) + 4 * np.floor(3 - y) + np.floor(x)
    assert np.array_equal(sample_image(image, domain), expected)


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (5, 9)])
def test_a_constant_stays_constant(shape):
    assert (sample_image(np.full(shape, 3.0), rectangle(4, 4)) == 3).all()
