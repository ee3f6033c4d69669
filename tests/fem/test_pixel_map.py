"""From images to conductivities."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.fem import Discretization, matrices, pixel_map
from eitdip.fem.matrices import pixel_centers
from tests.cases.meshes import ring_disk
from tests.cases.solids import box

CENTERED = ring_disk(6, radius=0.2)
DOMAIN = dataclasses.replace(CENTERED, points=CENTERED.points + np.array([3.0, -2.0]))

every_space = pytest.mark.parametrize(
    "space",
    [
        Discretization(DOMAIN),
        Discretization(DOMAIN, "vertices"),
        Discretization(ring_disk(3, degree=2), "vertices"),
    ],
    ids=["cells", "vertices", "curved-vertices"],
)


def positions(space: Discretization) -> np.ndarray:
    """Where the unknowns are."""
    domain = space.domain
    return domain.centroids if space.sigma_element == "cells" else domain.points[domain.vertices]


@every_space
@pytest.mark.parametrize("shape", [(8, 8), (16, 9), (2, 2)])
@pytest.mark.parametrize("margin", [1.0, 1.05, 2.0])
def test_rows_are_averages(space, shape, margin):
    matrix = pixel_map(space, shape, margin).matrix
    assert matrix.shape == (space.sigma_space.size, shape[0] * shape[1])
    assert matrix.data.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)


@every_space
@pytest.mark.parametrize("shape", [(24, 24), (24, 32)])
def test_linear_images_become_linear_conductivities(space, shape):
    """With pixels smaller than the margin no sample is clipped, and bilinear sampling is exact."""
    x, y = np.moveaxis(pixel_centers(space.domain, shape, 1.1), -1, 0)
    sampled = pixel_map(space, shape, 1.1)(3 * x - 2 * y + 5)
    where = positions(space)
    np.testing.assert_allclose(sampled, 3 * where[:, 0] - 2 * where[:, 1] + 5, rtol=1e-12)


def test_row_zero_is_the_top_and_column_zero_the_left():
    centers = pixel_centers(DOMAIN, (4, 6), margin=1.0)
    assert centers.shape == (4, 6, 2)
    np.testing.assert_allclose(centers[0, 0], [3 - 0.2 + 0.4 / 12, -2 + 0.2 - 0.4 / 8])
    np.testing.assert_allclose(centers[-1, -1], [3 + 0.2 - 0.4 / 12, -2 - 0.2 + 0.4 / 8])
    sample = pixel_map(Discretization(DOMAIN, "vertices"), (8, 8))
    x, y = DOMAIN.points.T
    top, left = np.zeros((2, 8, 8))
    top[0] = left[:, 0] = 1
    np.testing.assert_array_equal(sample(top) > 0.5, y > -2 + 0.2 * 1.05 * 0.75)
    np.testing.assert_array_equal(sample(left) > 0.5, x < 3 - 0.2 * 1.05 * 0.75)


def test_samples_beyond_the_outer_pixel_centers_take_the_border_value():
    space = Discretization(DOMAIN, "vertices")
    image = np.arange(4.0).reshape(2, 2)
    values = pixel_map(space, (2, 2), margin=1.0)(image)
    right = DOMAIN.points[:, 0].argmax()  # on the axis: half of each row, all of column 1
    assert values[right] == pytest.approx((1 + 3) / 2)


def test_cells_average_the_image(rng):
    """The sum over cells weighted by area is the integral of the bilinear image, for a smooth image."""
    space = Discretization(DOMAIN)
    x, y = np.moveaxis(pixel_centers(DOMAIN, (64, 64)), -1, 0)
    bump = np.exp(-((x - 3) ** 2 + (y + 2) ** 2) / (2 * 0.05**2))
    total = DOMAIN.cell_sizes @ pixel_map(space, (64, 64))(bump)
    assert total == pytest.approx(2 * np.pi * 0.05**2, rel=5e-3)


@pytest.mark.parametrize("margin", [0.99, 0.0, -1.0, np.nan])
def test_a_window_smaller_than_the_domain_is_refused(margin):
    with pytest.raises(OptionError, match=r"margin: got .*, expected at least 1"):
        pixel_map(Discretization(DOMAIN), (8, 8), margin)


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (0, 0)])
def test_an_image_of_one_row_is_refused(shape):
    with pytest.raises(OptionError, match=r"image shape: got .*expected at least 2 x 2 pixels"):
        pixel_map(Discretization(DOMAIN), shape)


BOX = box(3, 4, 5, (1.0, 2.0, 0.5))
SOLID = dataclasses.replace(BOX, points=BOX.points + np.array([3.0, -2.0, 1.0]))


@pytest.mark.parametrize("element", ["cells", "vertices"])
def test_linear_voxel_images_become_linear_conductivities(element):
    """Along x, y and z, with the window that has the body's own extents."""
    space = Discretization(SOLID, element)
    shape = (24, 20, 28)
    centers = pixel_centers(SOLID, shape, 1.15)
    assert centers.shape == (*shape, 3)
    matrix = pixel_map(space, shape, 1.15)
    np.testing.assert_allclose(matrix.matrix.sum(axis=1), 1, atol=1e-14)
    assert matrix.matrix.data.min() >= 0
    x, y, z = np.moveaxis(centers, -1, 0)
    expected = positions(space) @ [3.0, -2.0, 7.0] + 5
    np.testing.assert_allclose(matrix(3 * x - 2 * y + 7 * z + 5), expected, rtol=1e-12)


def test_slice_zero_is_the_bottom_and_row_zero_the_back():
    centers = pixel_centers(SOLID, (5, 4, 2), margin=1.0)
    np.testing.assert_allclose(centers[0, 0, 0], [3 + 0.25, 0 - 0.25, 1 + 0.05])
    np.testing.assert_allclose(centers[-1, -1, -1], [4 - 0.25, -2 + 0.25, 1.5 - 0.05])


@pytest.mark.parametrize("element", ["cells", "vertices"])
@pytest.mark.parametrize(("domain", "shape"), [(DOMAIN, (9, 8)), (SOLID, (6, 5, 7))], ids=["plane", "solid"])
def test_building_in_pieces_changes_nothing(domain, shape, element, monkeypatch):
    """Not a bit, and the pieces are in order, whatever their number."""
    space = Discretization(domain, element)
    whole = pixel_map(space, shape).matrix
    for size in (30, 100):
        monkeypatch.setattr(matrices, "_CHUNK", size)
        pieces = pixel_map(space, shape).matrix
        assert (whole.shape, whole.nnz) == (pieces.shape, pieces.nnz)
        np.testing.assert_array_equal(whole.toarray(), pieces.toarray())


def test_memory_while_building_is_of_the_size_of_the_map(monkeypatch):
    """The samples of all cells, four in each with eight voxels each, never exist at once."""
    space = Discretization(box(12, 12, 12))
    monkeypatch.setattr(matrices, "_CHUNK", 2**11)
    pixel_map(space, (4, 4, 4))  # whatever is made once
    tracemalloc.start()
    matrix = pixel_map(space, (16, 16, 16)).matrix
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * (matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


@pytest.mark.parametrize(("domain", "shape"), [(SOLID, (8, 8)), (DOMAIN, (8, 8, 8)), (SOLID, (8, 8, 1))])
def test_an_image_of_another_dimension_is_refused(domain, shape):
    with pytest.raises(OptionError, match=r"image shape: got .*expected at least 2 x 2"):
        pixel_map(Discretization(domain), shape)
