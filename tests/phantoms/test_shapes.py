"""Outlines by their areas, and random bodies of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from eitdip.errors import OptionError
from eitdip.mesh import disk
from eitdip.phantoms import Blob, Crescent, Handle, Phantom, Polygon, Shape, random_shapes

N = 1200
SIDE = (np.arange(N) + 0.5) / N * 4 - 2
X, Y = np.meshgrid(SIDE, SIDE)


def area(outline) -> float:
    return float(outline.contains(X, Y).sum() * (4 / N) ** 2)


def lens(r: float, d: float) -> float:
    """Common area of the unit disc and one of radius r at the distance d."""
    a = np.arccos((d**2 + 1 - r**2) / (2 * d))
    b = np.arccos((d**2 + r**2 - 1) / (2 * d * r))
    return a - np.sin(2 * a) / 2 + r**2 * (b - np.sin(2 * b) / 2)


@pytest.mark.parametrize(
    "outline, expected",
    [
        (Polygon((0.0, np.pi / 2, np.pi, 1.5 * np.pi), (1.0, 1.0, 1.0, 1.0)), 2.0),
        (Polygon((-0.3, np.pi / 2, np.pi + 0.4), (1.0, 0.5, 0.8)),
         0.5 * (0.5 * np.sin(np.pi / 2 + 0.3) + 0.4 * np.sin(np.pi / 2 + 0.4) + 0.8 * np.sin(np.pi - 0.7))),
        (Polygon(tuple(np.pi * np.arange(10) / 5), (1.0, 0.5) * 5), 5 * 0.5 * np.sin(np.pi / 5)),
        (Blob((), ()), np.pi),
        (Blob((0.1, 0.2), (0.3, 1.0)), np.pi * (1 + 0.1**2 / 2 + 0.2**2 / 2)),
        (Crescent(0.7, 0.8), np.pi - lens(0.7, 0.8)),
        (Handle(0.5, 0.2), np.pi / 4 + 0.2 * 1 - (np.arcsin(0.2) / 4 + 0.05 * np.sqrt(1 - 0.04))),
    ],
    ids=["square", "triangle", "star", "disc", "blob", "crescent", "handle"],
)  # fmt: skip
def test_areas(outline, expected):
    assert_allclose(area(outline), expected, rtol=2e-3)


def test_a_shape_is_its_outline_moved_turned_and_scaled():
    shape = Shape(Handle(0.2, 0.2), (0.3, -0.2), (0.5, 0.25), np.pi / 2, 4.0)
    inside = [(0.3, -0.2), (0.3, 0.28), (0.32, 0.2), (0.3, -0.29), (0.345, -0.2)]
    outside = [(0.3, 0.31), (0.33, 0.2), (0.3, -0.31), (0.36, -0.2)]
    assert shape.contains(np.array(inside)).all() and not shape.contains(np.array(outside)).any()
    assert shape.contains(np.array([[0.3, -0.2, 7.0]])).all()  # extruded
    phantom = Phantom("one", (shape, Shape(Blob((), ()), (0.3, -0.2), (0.05, 0.05), 0.0, 0.5)))
    assert_allclose(phantom.contrast(np.array([[0.3, -0.2], [0.3, 0.2], [0.0, 0.0]])), [0.5, 4.0, 1.0])


def test_random_bodies_come_from_the_generator_alone_and_keep_their_ranges():
    again = [random_shapes(np.random.default_rng(7)) for _ in range(2)]
    assert again[0] == again[1]
    rng = np.random.default_rng(0)
    bodies = [random_shapes(rng, most=3, low=(0.01, 0.02), high=(5.0, 9.0), reach=0.9) for _ in range(300)]
    shapes = [shape for body in bodies for shape in body.inclusions]
    assert {len(body.inclusions) for body in bodies} == {1, 2, 3}
    contrasts = np.array([shape.contrast for shape in shapes])
    resistive = contrasts < 1
    assert 0.4 < resistive.mean() < 0.6
    assert contrasts[resistive].min() >= 0.01 and contrasts[resistive].max() <= 0.02
    assert contrasts[~resistive].min() >= 5 and contrasts[~resistive].max() <= 9
    assert max(np.hypot(*shape.center) + max(shape.radii) for shape in shapes) <= 0.9 + 1e-12
    kinds = {type(shape.outline) for shape in shapes}
    assert kinds == {Polygon, Blob, Crescent, Handle}
    # None is empty, and all but few points of each lie within the reach: outlines are of size about one.
    points = np.stack([X, Y], axis=-1)[::8, ::8] / 2
    for shape in shapes[:60]:
        inside = shape.contains(points)
        assert inside.any() and np.hypot(*points[inside].T).max() < 1.0


def test_random_bodies_on_a_mesh():
    domain = disk(radius=0.2, h=0.02)
    sigma = random_shapes(np.random.default_rng(3)).on_domain(domain, 2.0)
    assert sigma.shape == (len(domain.cells),) and (sigma != 2.0).any() and (sigma == 2.0).any()


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"most": 0}, "most: got 0"),
        ({"low": (0.0, 0.5)}, "low: got 0.0 to 0.5"),
        ({"high": (6.0, 2.0)}, "high: got 6.0 to 2.0"),
        ({"sizes": (0.2, 1.0)}, "sizes: got 0.2 to 1.0, .* size, below 1"),
    ],
)
def test_bad_ranges(wrong, message):
    with pytest.raises(OptionError, match=message):
        random_shapes(np.random.default_rng(0), **wrong)


def test_objects_keep_a_gap():
    points = np.stack([X, Y], axis=-1)[::6, ::6] / 2
    rng = np.random.default_rng(1)
    for _ in range(40):
        shapes = random_shapes(rng, gap=0.08).inclusions
        masks = [shape.contains(points) for shape in shapes]
        assert shapes and sum(mask.astype(int) for mask in masks).max() == 1
    # Half of all pairs would overlap or touch otherwise.
    touching = [random_shapes(np.random.default_rng(i)).inclusions for i in range(60)]
    assert max(sum(s.contains(points).astype(int) for s in shapes).max() for shapes in touching) > 1
