"""Truths as fields of a generator: the same places as those from which the model takes them."""

import numpy as np
import pytest

from eitdip.errors import ShapeError
from eitdip.fem import Discretization, pixel_map
from eitdip.operator import Space
from eitdip.problems.bodies import Body
from eitdip.problems.images import Image
from tests.cases.meshes import rectangle, ring_disk
from tests.cases.solids import box


def slopes(shape) -> np.ndarray:
    """An image over the body whose values are linear in the place, with another slope along each axis."""
    axes = [(np.arange(side) + 0.5) / side - 0.5 for side in shape]
    return sum(slope * axis for slope, axis in zip((1, 2, 4), np.meshgrid(*axes, indexing="ij"), strict=False))


def test_the_map_takes_the_truth_back_to_the_cells():
    """A linear truth through the pixels is the truth of the cells, but for the steps of its own pixels."""
    domain = ring_disk(10, 48)
    body, truth = Body(Discretization(domain), 1.0), slopes((400, 400))
    field = body.on_grid(truth, (64, 64))
    inner = np.linalg.norm(domain.centroids, axis=1) < 0.9 * np.abs(domain.points).max()
    cells = pixel_map(body.discretization, (64, 64)).matrix @ np.nan_to_num(field).ravel()
    expected = body.on_grid(truth, body.space.shape)
    assert np.isfinite(expected).all() and np.ptp(expected) > 1.5
    np.testing.assert_allclose(cells[inner], expected[inner], atol=0.01)


def test_the_rim_belongs_to_nobody():
    domain = ring_disk(10, 48)
    rows, columns = (np.arange(200) + 0.5 - 100)[:, None], (np.arange(200) + 0.5 - 100)[None]
    truth = np.where(rows**2 + columns**2 < 100**2, 3.0, np.nan)
    field = Body(Discretization(domain), 1.0).on_grid(truth, (64, 64))
    assert np.nanmin(field) == np.nanmax(field) == 3  # of a pixel on the rim: the part in the body
    share = np.pi / 4 / 1.05**2  # the window reaches beyond the disk
    assert np.isfinite(field).mean() == pytest.approx(share, rel=0.01)
    np.testing.assert_array_equal(np.isfinite(field), np.isfinite(field)[::-1, ::-1])


def test_pixels_take_the_mean_of_what_they_cover():
    domain = rectangle(2, 2, 2.0, 2.0)
    truth = np.kron([[1.0, 0.0], [0.0, 0.0]], np.ones((50, 50)))  # the upper left quarter
    field = Body(Discretization(domain), 1.0).on_grid(truth, (5, 5))
    assert field[0, 0] == 1 and field[2, 2] == pytest.approx(0.25) and field[0, 2] == pytest.approx(0.5)
    assert field[4, 0] == field[0, 4] == 0


def test_voxels_and_vertices():
    domain = box(4, 4, 4, (1.0, 2.0, 1.0))
    body, truth = Body(Discretization(domain), 1.0), slopes((60, 120, 60))
    field = body.on_grid(truth, (8, 16, 8))
    cells = pixel_map(body.discretization, field.shape).matrix @ field.ravel()
    np.testing.assert_allclose(cells, body.on_grid(truth, body.space.shape), atol=0.1)
    at = body.on_grid(truth, (len(domain.vertices),))
    places = (domain.points[domain.vertices] - domain.center) / [1.0, 2.0, 1.0]
    np.testing.assert_allclose(at, places @ [4, -2, 1], atol=0.06)


def test_images_are_their_own_truth():
    image = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(Image(Space((3, 4)), 0.5, 1.0).on_grid(image, (3, 4)), image)
    both = Image(Space((3, 4), "complex128"), 0.5, 1.0).on_grid(image + 2j, (2, 3, 4))
    np.testing.assert_array_equal(both, np.stack([image, np.full((3, 4), 2.0)]))


def test_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"truth: got shape \(3, 4\), expected the field's, \(4, 3\)"):
        Image(Space((3, 4)), 0.5, 1.0).on_grid(np.ones((3, 4)), (4, 3))
    with pytest.raises(ShapeError, match=r"truth: asked for \(7,\), expected pixels"):
        Body(Discretization(rectangle(2, 2, 1.0, 1.0)), 1.0).on_grid(np.ones((3, 3)), (7,))
