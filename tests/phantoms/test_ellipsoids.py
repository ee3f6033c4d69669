"""Random ellipsoids in solids."""

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.mesh import Ball, Cylinder
from eitdip.phantoms import random_ellipsoids

FLAT, BALL = Cylinder(0.2, 0.2), Ball(0.3)


def outermost(each) -> np.ndarray:
    """Many points of an ellipsoid's surface, by its own test alone."""
    rng = np.random.default_rng(0)
    rays = rng.standard_normal((4000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    near, far = np.zeros(len(rays)), np.full(len(rays), 2.0)
    for _ in range(30):
        middle = 0.5 * (near + far)
        inside = each.contains(np.asarray(each.center) + middle[:, None] * rays)
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return np.asarray(each.center) + near[:, None] * rays


@pytest.mark.parametrize("body", [FLAT, BALL])
@pytest.mark.parametrize("reach", [0.85, 1.0])
def test_they_lie_within_the_body(body, reach):
    half = 0.5 * np.array(body.widths) / body.radius
    found = [each for seed in range(10) for each in bodies(seed, body, reach=reach).inclusions]
    ends = np.concatenate([outermost(each) for each in found])
    assert (np.abs(ends) <= reach * half + 1e-6).all()
    assert (np.abs(ends).max(axis=0) > 0.8 * reach * half).all()  # and use it
    centers = np.array([each.center for each in found])
    assert (np.abs(centers.mean(axis=0)) < 0.25 * half).all()


def bodies(seed: int, body=FLAT, **more):
    return random_ellipsoids(np.random.default_rng(seed), body, **more)


def test_they_come_from_the_generator_alone_and_keep_their_ranges():
    assert bodies(3) == bodies(3) != bodies(4)
    ranges = {"low": (0.1, 0.2), "high": (3.0, 5.0), "sizes": (0.2, 0.3)}
    found = [bodies(seed, most=3, **ranges).inclusions for seed in range(60)]
    assert {len(each) for each in found} == {1, 2, 3}
    contrasts = np.array([each.contrast for objects in found for each in objects])
    radii = np.array([each.radii for objects in found for each in objects])
    resistive = contrasts < 1
    assert 0.3 < resistive.mean() < 0.7
    for part, (low, high) in ((contrasts[resistive], (0.1, 0.2)), (contrasts[~resistive], (3.0, 5.0))):
        assert low <= part.min() < part.max() <= high
    assert radii[:, 0].min() >= 0.2 and radii[:, 0].max() <= 0.3 and radii[:, 0].mean() == pytest.approx(0.25, abs=0.01)
    shares = radii[:, 1:] / radii[:, :1]
    assert shares.min() >= 0.6 and shares.max() <= 1


def test_they_keep_a_gap():
    for seed in range(10):
        apart = bodies(seed, gap=0.1, most=4).inclusions
        ends = [outermost(each) for each in apart]
        for i, one in enumerate(ends):
            for other in ends[i + 1 :]:
                least = np.linalg.norm(one[::8, None] - other[::8], axis=-1).min()
                assert least > 0.03  # about the gap less the distance of the points at which it is looked at, 1/16


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"most": 0}, "most: got 0"),
        ({"low": (0.5, 0.1)}, r"low: got 0\.5 to 0\.1"),
        ({"sizes": (0.0, 0.1)}, r"sizes: got 0\.0 to 0\.1"),
        ({"sizes": (0.9, 0.95)}, "sizes: got half-axes of 0.9 to 0.95 .* hardly any place; choose smaller ones"),
    ],
)
def test_bad_input(wrong, message):
    with pytest.raises(OptionError, match=message):
        bodies(0, **wrong)
