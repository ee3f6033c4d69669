"""Which cell a point lies in, and fields as images."""

import numpy as np

from eitdip.mesh.raster import cells_at, plane_image
from tests.cases.meshes import rectangle, ring_disk
from tests.cases.solids import box


def test_random_points_of_every_cell_are_found(rng):
    for domain in (ring_disk(5), ring_disk(3, degree=2), box(3, 2, 2, (1.0, 2.0, 0.5))):
        weights = rng.dirichlet(np.ones(domain.dimension + 1), len(domain.cells))
        points = np.einsum("cv,cvx->cx", weights, domain.points[domain.corners])
        np.testing.assert_array_equal(cells_at(domain, points), np.arange(len(domain.cells)))


def test_points_outside_are_in_no_cell():
    domain = rectangle(3, 3, 1.0, 1.0)
    outside = domain.center + np.array([[0.51, 0.0], [0.0, -0.7], [3.0, 3.0]])
    assert (cells_at(domain, outside) == -1).all()


def test_images_show_x_to_the_right_and_y_upwards():
    domain = rectangle(8, 8, 2.0, 1.0)
    image = plane_image(domain, domain.centroids[:, 0] + 10 * domain.centroids[:, 1], size=40)
    assert np.isnan(image[:9]).all() and np.isnan(image[31:]).all()  # the bounding square is higher than the body
    inside = image[10:30]
    assert np.isfinite(inside).all()
    assert (inside[:, -1] > inside[:, 0]).all() and (inside[0] > inside[-1]).all()


def test_the_middle_section_of_a_solid():
    domain = box(2, 2, 4, (1.0, 1.0, 1.0))
    below = domain.centroids[:, 2] < domain.center[2]
    image = plane_image(domain, np.where(below, 1.0, 2.0), size=16)
    assert image.shape == (16, 16) and np.isfinite(image).all()
