"""Phantoms: inclusions in the plane and in space, sampled on meshes and images."""

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.mesh import Ball, Cylinder, Tank
from eitdip.phantoms import Bump, Ellipsoid, Inclusion, Phantom, phantom
from tests.cases.meshes import ring_disk
from tests.cases.solids import box

DISK, BALL = Tank(1.0), Ball(1.0)


def test_an_inclusion_is_where_it_says():
    ellipse = Inclusion((0.2, 0.1), (0.4, 0.1), np.pi / 2, 3.0)
    inside = ellipse.contains(np.array([[0.2, 0.45], [0.5, 0.1], [0.2, 0.1]]))
    assert inside.tolist() == [True, False, True]


def test_an_ellipsoid_is_where_it_says():
    """A quarter turn about the y axis puts its long axis from x onto z."""
    center, steps = np.array([0.2, 0.1, -0.3]), np.diag([0.35, 0.15, 0.25])
    plain = Ellipsoid(tuple(center), (0.4, 0.1, 0.2), 3.0)
    turned = Ellipsoid(tuple(center), (0.4, 0.1, 0.2), 3.0, (0.0, np.pi / 2, 0.0))
    assert plain.contains(center + steps).tolist() == [True, False, False]
    assert turned.contains(center + steps).tolist() == [False, False, True]
    # A small turn about z, counter-clockwise: the tip moves to larger y.
    tilted = Ellipsoid((0.0, 0.0, 0.0), (0.4, 0.05, 0.05), 3.0, (0.0, 0.0, 0.3))
    tip = 0.38 * np.array([np.cos(0.3), np.sin(0.3), 0.0])
    assert tilted.contains(np.array([tip, tip * [1, -1, 1]])).tolist() == [True, False]


def test_the_last_inclusion_counts():
    both = Phantom("two", tuple(Inclusion((0, 0), (r, r), 0.0, c) for r, c in ((0.5, 2.0), (0.2, 3.0))))
    assert both.contrast(np.array([[0, 0], [0.3, 0], [0.8, 0]])).tolist() == [3, 2, 1]


def test_bumps_are_smooth_and_multiply():
    """At the center the contrast itself, one width away its power exp(-1/2), and products where two overlap."""
    bump, other = Bump((0.2, 0.1), 0.3, 4.0), Bump((0.5, 0.1), 0.3, 0.5)
    points = np.array([[0.2, 0.1], [0.5, 0.1], [0.2, -0.2], [-0.9, -0.9]])
    alone = Phantom("one", (bump,)).contrast(points)
    np.testing.assert_allclose(alone[:3], [4, 4 ** np.exp(-0.5), 4 ** np.exp(-0.5)])
    assert 1 < alone[3] < 1.01
    both = Phantom("two", (bump, other)).contrast(points)
    np.testing.assert_allclose(both, alone * Phantom("other", (other,)).contrast(points))


def test_named_phantoms_lie_inside_the_disk():
    angle = np.linspace(0, 2 * np.pi, 400)
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for name in ("three", "heart-lungs", "tank", "concentric", "touching", "smooth"):
        np.testing.assert_allclose(phantom(name).contrast(rim), 1, atol=0.06)
        assert np.ptp(phantom(name).contrast(0.9 * np.concatenate([rim * r for r in (0.2, 0.4, 0.6)]))) > 0.5


def test_ellipses_reach_from_bottom_to_top_of_a_solid():
    three, points = phantom("three"), np.random.default_rng(0).uniform(-1, 1, (1000, 3))
    np.testing.assert_array_equal(three.contrast(points), three.contrast(points[:, :2]))
    assert len(np.unique(three.contrast(points))) == 4


def test_ellipsoids_are_for_solids_only():
    with pytest.raises(OptionError, match="got an ellipsoid for a plane domain, expected ellipses"):
        phantom("two-balls").on_domain(ring_disk(2), 1.0)


class TestImage:
    def test_row_0_is_at_the_top(self):
        up = Phantom("up", (Inclusion((0.0, 0.5), (0.3, 0.3), 0.0, 2.0),))
        image = up.image(DISK, (32, 32), 0.5)
        assert image[8, 16] == 1.0 and image[24, 16] == 0.5 and np.isnan(image[0, 0])
        np.testing.assert_array_equal(up.image(Tank(0.14), (32, 32), 0.5), image)

    def test_slice_0_is_at_the_bottom(self):
        spot = Phantom("spot", (Ellipsoid((0.5, 0.25, -0.6), (0.1, 0.1, 0.1), 2.0),))
        image = spot.image(Ball(0.14), (40, 32, 24), 0.5)
        z, y, x = np.argwhere(image == 1.0).mean(axis=0)
        assert ((z + 0.5) / 40, (y + 0.5) / 32, (x + 0.5) / 24) == pytest.approx((0.2, 0.375, 0.75), abs=1e-9)
        assert np.isfinite(image).mean() == pytest.approx(np.pi / 6, abs=0.01)

    def test_units_are_the_radius_about_the_middle_of_the_height(self):
        spot = Phantom("spot", (Ellipsoid((0.0, 0.0, 0.5), (0.3, 0.3, 0.1), 2.0),))
        image = spot.image(Cylinder(0.1, 0.4), (80, 20, 20), 1.0)
        inside = np.argwhere(image == 2.0)
        np.testing.assert_allclose((inside.mean(axis=0) + 0.5) / [80, 20, 20], [0.5 + 0.5 * 0.1 / 0.4, 0.5, 0.5])
        assert np.ptp(inside[:, 0]) + 1 == pytest.approx(2 * 0.1 * 0.1 / 0.4 * 80, abs=1)
        assert np.isnan(image[:, 0, 0]).all() and np.isfinite(image[:, 10, 10]).all()


class TestOnDomain:
    def test_triangles_get_the_mean(self):
        half = Phantom("disk", (Inclusion((0, 0), (0.5, 0.5), 0.0, 3.0),))
        domain = ring_disk(12, radius=0.14)
        sigma = half.on_domain(domain, 2.0)
        assert sigma.min() == 2 and sigma.max() == 6
        total = (sigma * domain.cell_sizes).sum() / domain.cell_sizes.sum()
        assert total == pytest.approx(2 * (1 + 2 * 0.25), rel=0.02)

    def test_tetrahedra_get_the_mean(self):
        """In a box of half width 1.5 about (1.5, 1.5, 1), radius units 1.5."""
        domain = box(6, 6, 4, (3.0, 3.0, 2.0))
        one = Phantom("one", (Ellipsoid((0.1, -0.1, 0.2), (0.6, 0.3, 0.4), 5.0, (0.3, 0.2, 0.1)),))
        sigma = one.on_domain(domain, 2.0)
        share = 4 / 3 * np.pi * 0.6 * 0.3 * 0.4 * 1.5**3 / 18
        assert (sigma * domain.cell_sizes).sum() / 18 == pytest.approx(2 * (1 + 4 * share), rel=0.01)
        moment = (domain.centroids - domain.center).T @ ((sigma - 2) * domain.cell_sizes)
        np.testing.assert_allclose(
            moment / ((sigma - 2) @ domain.cell_sizes), 1.5 * np.array([0.1, -0.1, 0.2]), atol=0.02
        )
        assert sigma.min() == 2 and 2 < np.median(sigma[sigma > 2]) < 10

    @pytest.mark.parametrize("domain", [ring_disk(3), box(2, 2, 2)], ids=["triangles", "tetrahedra"])
    def test_the_samples_of_a_cell_are_about_its_centroid(self, domain):
        """So a linear conductivity has its exact mean."""

        class Ramp(Phantom):
            def contrast(self, points):
                return 3 + points @ np.arange(1, points.shape[-1] + 1)

        slope = np.arange(1, domain.dimension + 1)
        radius = 0.5 * np.ptp(domain.points[:, :2], axis=0).max()
        exact = 3 + (domain.centroids - domain.center) / radius @ slope
        np.testing.assert_allclose(Ramp("ramp", ()).on_domain(domain, 2.0), 2 * exact, rtol=1e-12)

    def test_a_cell_is_sampled_evenly(self):
        """Half spaces cut the six tetrahedra of a cube at known volumes."""
        domain = box(1, 1, 1)
        for height in (0.3, 0.6):
            below = Phantom("half", (Ellipsoid((0, 0, 2 * height - 1 - 1e3), (1e6, 1e6, 1e3), 2.0),))
            sigma = below.on_domain(domain, 1.0, samples=20)
            assert (sigma - 1) @ domain.cell_sizes == pytest.approx(height, abs=1e-6)

    def test_many_cells_are_taken_in_blocks(self, monkeypatch):
        domain, one = ring_disk(6), phantom("three")
        whole = one.on_domain(domain, 1.0)
        monkeypatch.setattr("eitdip.phantoms.inclusions._BLOCK", 7)
        np.testing.assert_array_equal(one.on_domain(domain, 1.0), whole)


def test_two_balls():
    one = phantom("two-balls")
    assert sorted(ball.contrast > 1 for ball in one.inclusions) == [False, True]
    assert all(np.linalg.norm(ball.center) + max(ball.radii) < 1 for ball in one.inclusions)
    share = 4 / 3 * np.pi * sum(ball.radii[0] ** 3 for ball in one.inclusions) / 8
    assert (one.image(BALL, (64, 64, 64), 1.0) != 1).sum() - np.isnan(one.image(BALL, (64, 64, 64), 1.0)).sum() == (
        pytest.approx(share * 64**3, rel=0.02)
    )


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_random_phantoms_are_inside_and_apart(seed, dimension):
    one = phantom(seed, dimension)
    assert one == phantom(str(seed), dimension) and one != phantom(seed + 1, dimension)
    assert 1 <= len(one.inclusions) <= 4
    for i, a in enumerate(one.inclusions):
        assert len(a.center) == len(a.radii) == dimension
        assert np.linalg.norm(a.center) + max(a.radii) < 1
        assert a.contrast >= 2 or a.contrast <= 0.5
        for b in one.inclusions[:i]:
            assert np.linalg.norm(np.subtract(a.center, b.center)) > max(a.radii) + max(b.radii)


def test_unknown_phantoms_get_the_list():
    with pytest.raises(OptionError, match="unknown phantom: got 'ghost', expected one of: three, heart-lungs"):
        phantom("ghost")
    with pytest.raises(OptionError, match="unknown dimension: got 4, expected one of: 2, 3"):
        phantom(1, 4)
