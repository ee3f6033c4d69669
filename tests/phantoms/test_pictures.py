"""Random pictures and volumes to learn from."""

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.phantoms import random_picture
from eitdip.phantoms.pictures import FAMILIES

every_family = pytest.mark.parametrize("family", FAMILIES)


def many(family: str, shape, count: int = 40) -> np.ndarray:
    return np.stack([random_picture(np.random.default_rng(seed), shape, family) for seed in range(count)])


@every_family
@pytest.mark.parametrize("shape", [(24, 24), (16, 32), (8, 16, 12)])
def test_values_objects_and_determinism(family, shape):
    pictures = many(family, shape)
    assert pictures.shape == (40, *shape) and pictures.min() == 0 and 0.9 < pictures.max() <= 1
    assert (pictures.reshape(40, -1).max(axis=1) > 0.05).all()  # none is empty
    covered = (pictures > 0).mean()
    assert 0.02 < covered < 0.8 and (pictures == 0).reshape(40, -1).any(axis=1).all()
    assert len({picture.tobytes() for picture in pictures}) == 40
    again = random_picture(np.random.default_rng(7), shape, family)
    assert np.array_equal(again, pictures[7])


@every_family
def test_nothing_prefers_a_side(family):
    mean = many(family, (16, 16), 300).mean(axis=0)
    for turned in (mean[::-1], mean[:, ::-1], mean.T):
        assert np.abs(turned - mean).mean() < 0.3 * mean.mean()
    # Objects are in the middle rather than in the corners.
    assert mean[6:10, 6:10].mean() > 2 * mean[[0, 0, -1, -1], [0, -1, 0, -1]].mean()


def test_shapes_go_through_all_slices_and_ellipsoids_do_not():
    volume = random_picture(np.random.default_rng(1), (6, 16, 16), "shapes")
    assert (volume == volume[:1]).all() and np.ptp(volume[0]) > 0
    ball = random_picture(np.random.default_rng(1), (16, 16, 16), "ellipses")
    assert np.ptp(ball, axis=0).max() > 0.1


def test_ellipsoids_lie_in_the_ball_that_touches_the_longest_side():
    volumes = many("ellipses", (12, 24, 24), 60)
    z, y, x = np.indices((12, 24, 24))
    far = ((2 * z - 11) ** 2 + (2 * y - 23) ** 2 + (2 * x - 23) ** 2) ** 0.5 / 24
    assert (volumes[:, far > 1] == 0).all()
    assert volumes[:, (far > 0.9) & (far < 1)].max() > 0
    middle = [volumes.sum(axis=(0, *axes)) for axes in ((2, 3), (1, 3), (1, 2))]
    for profile in middle:
        assert profile.argmax() not in (0, len(profile) - 1)


def test_edges_are_means_over_parts_of_pixels():
    for family in FAMILIES:
        picture = random_picture(np.random.default_rng(3), (32, 32), family)
        levels = np.unique(picture.round(6))
        assert len(levels) > 8, family  # a few objects of one value each have few without


def test_points_have_rows_that_fall_and_the_longest_side_from_minus_1_to_1():
    from eitdip.phantoms.pictures import _points

    points = _points((2, 4))
    assert points.shape == (2, 4, 2)
    np.testing.assert_allclose(points[0, :, 0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(points[:, 0, 1], [0.25, -0.25])
    solid = _points((4, 2, 2))
    np.testing.assert_allclose(solid[:, 0, 0], [[-0.25, 0.25, z] for z in (-0.75, -0.25, 0.25, 0.75)])


def test_another_family_is_refused():
    with pytest.raises(OptionError, match="unknown family: got 'cats', expected one of: ellipses, shapes"):
        random_picture(np.random.default_rng(0), (8, 8), "cats")


@every_family
def test_a_flat_picture_is_the_middle_of_a_square_one(family):
    """The longest side goes from -1 to 1."""
    square = random_picture(np.random.default_rng(5), (32, 32), family)
    assert np.allclose(random_picture(np.random.default_rng(5), (16, 32), family), square[8:24], atol=1e-12)
    assert square[8:24].any()


def test_ellipsoids_are_everywhere_in_the_ball():
    """Their centres are spread evenly, not over a shell."""
    z, y, x = np.indices((14, 14, 14)) * 2 / 13 - 1
    far = (x**2 + y**2 + z**2) ** 0.5
    mean = many("ellipses", (14, 14, 14), 250).mean(axis=0)
    assert mean[far < 0.25].mean() > 0.9 * mean[(far > 0.45) & (far < 0.55)].mean()
