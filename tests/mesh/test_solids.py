"""Cylinders and balls made by gmsh, and their descriptions."""

import dataclasses

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.mesh import Ball, Cylinder, Tank, ball, cylinder
from eitdip.mesh.rings import CapRings, WallRings

WALL = {"rings": 2, "electrodes": 5, "width": 0.5, "electrode_height": 0.3}
CAPS = {"rings": 2, "electrodes": 5, "electrode_radius": 0.25}


def areas(domain) -> np.ndarray:
    """Area of each electrode, m^2."""
    return np.bincount(domain.facet_tags, domain.facet_sizes)[1:]


@pytest.mark.parametrize(
    ("make", "volume", "surface"),
    [
        (lambda h: cylinder(0.5, 0.8, h), 0.2 * np.pi, 1.3 * np.pi),
        (lambda h: ball(0.5, h), np.pi / 6, np.pi),
    ],
    ids=["cylinder", "ball"],
)
def test_volume_and_surface_converge_at_second_order(gmsh, make, volume, surface):
    coarse, fine = (
        (1 - make(h).cell_sizes.sum() / volume, 1 - make(h).facet_sizes.sum() / surface) for h in (0.2, 0.1)
    )
    for rough, good in zip(coarse, fine, strict=True):
        assert 0 < good < 0.02
        assert 2.8 < rough / good < 5.5


@pytest.mark.usefixtures("gmsh")
class TestCylinder:
    def test_it_stands_on_the_plane(self):
        domain = cylinder(0.5, 0.8, 0.15)
        np.testing.assert_allclose(domain.points.min(axis=0), [-0.5, -0.5, 0], atol=1e-12)
        np.testing.assert_allclose(domain.points.max(axis=0), [0.5, 0.5, 0.8], atol=1e-12)
        x, y, z = domain.points[domain.boundary_nodes].T
        on_wall = np.isclose(np.hypot(x, y), 0.5, rtol=1e-9)
        assert (on_wall | np.isclose(z, 0, atol=1e-12) | np.isclose(z, 0.8)).all()
        assert domain.electrode_count == 0

    @pytest.mark.parametrize("clockwise", [False, True])
    @pytest.mark.parametrize("first", [90.0, -33.0])
    def test_electrodes_are_where_they_were_ordered(self, first, clockwise):
        domain = cylinder(1.0, 1.2, 0.4, first=first, clockwise=clockwise, **WALL)
        assert domain.electrode_count == 10
        turn = -1 if clockwise else 1
        angles = np.tile(np.radians(first) + turn * 2 * np.pi * np.arange(5) / 5, 2)
        np.testing.assert_allclose(np.angle(np.exp(1j * (domain.electrode_angles() - angles))), 0, atol=1e-4)
        np.testing.assert_allclose(domain.electrode_centers[:, 2], np.repeat([0.3, 0.9], 5), atol=1e-4)

    def test_the_mesh_follows_the_rims(self):
        """Not one electrode is larger or smaller than ordered, and its corners are nodes."""
        domain = cylinder(1.0, 1.2, 0.4, **WALL)
        np.testing.assert_allclose(areas(domain), 0.5 * 0.3, rtol=2e-3)
        for tag in range(1, 11):
            points = domain.points[domain.facets[domain.facet_tags == tag]].reshape(-1, 3)
            np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1]), 1, rtol=1e-9)
            assert np.ptp(points[:, 2]) == pytest.approx(0.3, rel=1e-9)
            angle = np.angle((points[:, 0] + 1j * points[:, 1]) / complex(*domain.electrode_centers[tag - 1, :2]))
            assert np.ptp(angle) == pytest.approx(0.5, rel=1e-9)

    def test_given_heights(self):
        domain = cylinder(1.0, 1.2, 0.4, **WALL | {"rings": [0.25, 0.7]})
        np.testing.assert_allclose(domain.electrode_centers[:, 2], np.repeat([0.25, 0.7], 5), atol=1e-4)

    def test_edge_lengths(self):
        """Half an electrode at the electrodes, h elsewhere."""
        domain = cylinder(1.0, 1.2, 0.3, electrodes=4, width=0.2, electrode_height=0.2)
        triangles = domain.points[domain.facets[domain.facet_tags > 0]]
        edges = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2)
        assert edges.max() < 1.5 * 0.1 and (np.bincount(domain.facet_tags)[1:] >= 8).all()
        assert domain.cell_sizes.max() > 8 * domain.cell_sizes[np.isin(domain.cells, domain.facets[
            domain.facet_tags > 0]).any(axis=1)].mean()  # fmt: skip
        plain, graded = cylinder(1.0, 1.0, 0.4), cylinder(1.0, 1.0, 0.4, h_boundary=0.15)
        assert len(graded.facets) > 4 * len(plain.facets)
        assert graded.cell_sizes.max() > 8 * graded.cell_sizes.min()


@pytest.mark.usefixtures("gmsh")
class TestBall:
    def test_it_is_about_the_origin(self):
        domain = ball(0.5, 0.2)
        np.testing.assert_allclose(domain.center, 0, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(domain.points[domain.boundary_nodes], axis=1), 0.5, rtol=1e-9)
        assert domain.electrode_count == 0

    @pytest.mark.parametrize("clockwise", [False, True])
    def test_electrodes_are_where_they_were_ordered(self, clockwise):
        domain = ball(2.0, 0.8, first=20.0, clockwise=clockwise, **CAPS | {"electrode_radius": 0.5})
        assert domain.electrode_count == 10
        turn = -1 if clockwise else 1
        longitude = np.tile(np.radians(20) + turn * 2 * np.pi * np.arange(5) / 5, 2)
        latitude = np.repeat(np.radians([-30, 30]), 5)
        expected = np.stack(
            [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
        )
        found = domain.electrode_centers / np.linalg.norm(domain.electrode_centers, axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=2e-3)
        for tag in range(1, 11):
            points = domain.points[domain.facets[domain.facet_tags == tag]].reshape(-1, 3)
            opening = np.arccos(points @ expected[tag - 1] / 2.0)
            assert opening.max() == pytest.approx(0.5 / 2.0, rel=1e-6)
        # A polygon of at least 12 corners instead of the rim.
        exact = 2 * np.pi * 4 * (1 - np.cos(0.25))
        assert (areas(domain) > 0.95 * exact).all() and (areas(domain) < exact).all()

    def test_given_latitudes(self):
        domain = ball(1.0, 0.5, **CAPS | {"rings": (-40, 5, 50)})
        z = domain.electrode_centers[:, 2] / np.linalg.norm(domain.electrode_centers, axis=1)
        np.testing.assert_allclose(np.degrees(np.arcsin(z)), np.repeat([-40, 5, 50], 5), atol=0.2)


def test_they_are_reproducible(gmsh):
    for body in (Cylinder(1.0, 1.2, 1, 4, 0.5, 0.5), Ball(1.0, 1, 4, 0.5)):
        assert body.mesh(0.4).hash == body.mesh(0.4).hash != body.mesh(0.3).hash


@pytest.mark.parametrize("make", [lambda **o: cylinder(1.0, 1.0, **o), lambda **o: ball(1.0, **o)])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"h": 0.0}, r"h: got 0\.0, expected more than 0 and at most the radius"),
        ({"h": 1.1}, "h: got 1.1"),
        ({"h": np.nan}, "h: got nan"),
        ({"h": 0.5, "h_boundary": -1.0}, "h_boundary: got -1"),
        ({"h": 0.5, "h_boundary": np.nan}, "h_boundary: got nan"),
    ],
)
def test_edge_lengths_out_of_range(make, options, message):
    with pytest.raises(OptionError, match=message):
        make(**options)


class TestDescriptions:
    """They need no mesh generator."""

    @pytest.mark.parametrize(
        ("body", "count", "dimension", "widths"),
        [
            (Tank(0.5, 6, 0.1), 6, 2, (1.0, 1.0)),
            (Tank(0.5), 0, 2, (1.0, 1.0)),
            (Cylinder(0.5, 1.4, **WALL), 10, 3, (1.0, 1.0, 1.4)),
            (Cylinder(0.5, 1.4), 0, 3, (1.0, 1.0, 1.4)),
            (Ball(0.5, 3, 4, 0.1), 12, 3, (1.0, 1.0, 1.0)),
            (Ball(0.5), 0, 3, (1.0, 1.0, 1.0)),
        ],
    )
    def test_what_all_three_know(self, body, count, dimension, widths):
        assert (body.radius, body.electrode_count, body.dimension, body.widths) == (0.5, count, dimension, widths)
        assert len(body.rings) * body.electrodes == count
        inside = body.contains(np.random.default_rng(0).uniform(-0.5, 0.5, (40_000, dimension)) * widths)
        expected = np.pi / 6 if isinstance(body, Ball) else np.pi / 4  # of the bounding box
        assert inside.mean() == pytest.approx(expected, abs=0.01)

    @pytest.mark.parametrize(
        "body", [Tank(0.5, 5, 0.2), Cylinder(0.5, 0.6, 2, 5, 0.2, 0.1), Ball(0.5, (-20.0, 50.0), 5, 0.1)]
    )
    def test_where_electrodes_and_the_wall_are(self, gmsh, body):
        """Against the nodes of a mesh."""
        domain = body.mesh(0.02 if body.dimension == 2 else 0.06)
        points = domain.points - domain.center
        heights = points[:, 2] if body.dimension == 3 else np.zeros(len(points))
        for ring, (height, half) in enumerate(zip(body.heights, body.half_angles, strict=True)):
            number = ring * body.electrodes + 1  # its middle has the angle `first`
            mine = np.unique(domain.facets[domain.facet_tags == number])
            angles = np.angle(np.exp(1j * (np.arctan2(points[mine, 1], points[mine, 0]) - np.radians(body.first))))
            assert np.abs(angles).max() == pytest.approx(half, rel=2e-2)
            z = heights[mine]
            assert 0.5 * (z.min() + z.max()) == pytest.approx(height, abs=0.02 * body.radius)
        wall = np.unique(domain.facets[domain.facet_tags > 0])
        np.testing.assert_allclose(np.hypot(*points[wall, :2].T), body.wall(heights[wall]), rtol=1e-3)

    def test_rings_are_kept_as_places(self):
        assert Cylinder(1.0, 1.2, **WALL).rings == (0.3, pytest.approx(0.9))
        assert Cylinder(1.0, 1.2, **WALL) == Cylinder(1.0, 1.2, **WALL | {"rings": [0.3, 3 * 1.2 / 4]})
        assert Ball(1.0, 3, 4, 0.1).rings == (-45, 0, 45) and Ball(1.0, 1, 4, 0.1).rings == (0,)
        assert Cylinder(1.0, 1.0, rings=3).rings == ()
        hash(Cylinder(1.0, 1.2, **WALL | {"rings": np.array([0.3, 0.9])}))

    def test_they_are_values(self):
        assert Ball(1.0) == Ball(1.0) and Cylinder(1.0, 2.0) != Cylinder(1.0, 1.0)
        for body in (Ball(1.0), Cylinder(1.0, 2.0)):
            with pytest.raises(dataclasses.FrozenInstanceError):
                body.radius = 2.0

    @pytest.mark.parametrize("body", [Cylinder(1.0, 1.2, **WALL), Ball(1.0, **CAPS)])
    def test_they_mesh_themselves(self, gmsh, body):
        direct = {Cylinder: cylinder, Ball: ball}[type(body)]
        assert body.mesh(0.5, h_boundary=0.4).hash == direct(h=0.5, h_boundary=0.4, **dataclasses.asdict(body)).hash
        with pytest.raises(OptionError, match="degree: got 2, expected 1: meshes of solids have straight"):
            body.mesh(0.5, degree=2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"radius": 0.0}, r"radius: got 0\.0"),
            ({"height": 0.0}, r"height: got 0\.0"),
            ({"height": np.inf}, "height: got inf"),
            ({"electrodes": 1}, "electrodes: got 1, expected 0 or at least 2 per ring"),
            ({"first": np.nan}, "first: got nan"),
            ({"width": 0.0}, r"width: got 0\.0 m"),
            ({"width": 1.3}, r"width: got 1\.3 m, expected > 0 and 5 electrodes per ring not to touch"),
            ({"electrode_height": 0.0}, r"rings, electrode_height: got rings at .* and 0\.0 m"),
            ({"electrode_height": 0.6}, "electrodes higher than 0 that do not touch"),
            ({"rings": 0}, "rings: got 0, expected how many"),
            ({"rings": 1.5}, "rings: got 1.5, expected how many"),
            ({"rings": []}, r"rings: got \[\], expected how many or a list of at least one"),
            ({"rings": [0.5, np.nan]}, r"rings: got \[0\.5, nan\]"),
            ({"rings": [0.15]}, r"lie within 0\.\.1\.2 m"),
            ({"rings": [0.6, 1.1]}, r"lie within 0\.\.1\.2 m"),
            ({"rings": [0.8, 0.3]}, "increasing heights"),
            ({"rings": [0.3, 0.5]}, "do not touch"),
        ],
    )
    def test_cylinders_out_of_range(self, options, message):
        with pytest.raises(OptionError, match=message):
            Cylinder(**{"radius": 1.0, "height": 1.2} | WALL | options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"radius": -1.0}, r"radius: got -1\.0"),
            ({"electrodes": 1}, "electrodes: got 1"),
            ({"electrode_radius": 0.0}, r"electrode_radius: got rings at .* and 0\.0 m"),
            ({"rings": 1, "electrodes": 6, "electrode_radius": 0.524}, "electrodes larger than 0 that touch neither"),
            ({"rings": (0, 28), "electrodes": 2}, "touch neither each other nor a pole"),
            ({"rings": (76,), "electrodes": 2}, "touch neither each other nor a pole"),
            ({"rings": (-95,)}, "latitudes between -90 and 90 degrees"),
            ({"rings": (30, -30)}, "increasing latitudes"),
        ],
    )
    def test_balls_out_of_range(self, options, message):
        with pytest.raises(OptionError, match=message):
            Ball(**{"radius": 1.0} | CAPS | options)

    def test_lengths_in_other_units(self):
        with pytest.raises(OptionError, match=r"width: got 5\.5e-05 m on a body of radius 0\.14 m"):
            Cylinder(0.14, 0.14, 2, 8, 0.055e-3, 0.04)
        with pytest.raises(OptionError, match=r"electrode_height: got 4e-05 m on a body of radius 0\.14 m, .* in mm"):
            Cylinder(0.14, 0.14, 2, 8, 0.055, 0.04e-3)
        with pytest.raises(OptionError, match=r"electrode_radius: got 1e-05 m on a body of radius 0\.1 m"):
            Ball(0.1, 2, 8, 1e-5)
        with pytest.raises(OptionError, match="radius: got 140 m, expected at most 20 m"):
            Ball(140.0, 2, 8, 10.0)

    def test_sizes_just_within_range(self):
        assert Ball(1.0, (0, 29), 2, 0.25).electrode_count == 4
        assert Ball(1.0, (75,), 2, 0.25).electrode_count == 2
        assert Ball(1.0, 1, 6, 0.523).electrode_count == 6
        assert Cylinder(1.0, 1.2, (0.16, 0.47), 5, 1.25, 0.3).electrode_count == 10


class TestNearest:
    """What tags facets and sets edge lengths."""

    def test_on_a_wall(self):
        layout = WallRings(2.0, 1.2, first=0.0, **WALL | {"electrodes": 4})
        assert layout.nearest(2.0, 0.0, 0.3) == (1, 0.0, 0.0)
        number, along, below = layout.nearest(0.0, 1.5, 0.9 + 0.15 + 0.05)
        assert number == 6 and along == pytest.approx(0.05) and below == pytest.approx(0.5)
        number, along, _ = layout.nearest(2 * np.cos(-0.325), 2 * np.sin(-0.325), 0.2)
        assert number == 1 and along == pytest.approx(0.65 - 0.25)
        assert WallRings(1.0, 1.0).nearest(1.0, 0.0, 0.0) == (0, np.inf, np.inf)

    def test_on_a_ball(self):
        layout = CapRings(2.0, (-20, 40), 4, 0.3, first=0.0, clockwise=True)
        number, along, below = layout.nearest(0.0, -1.0 * np.cos(np.radians(50)), 1.0 * np.sin(np.radians(50)))
        assert number == 6 and below == pytest.approx(1.0)
        assert along == pytest.approx(2 * np.radians(10) - 0.3)
        assert layout.nearest(*2 * np.array([np.cos(np.radians(20)), 0, -np.sin(np.radians(20))]))[:2] == (1, 0.0)
        assert CapRings(1.0).nearest(1.0, 0.0, 0.0) == (0, np.inf, np.inf)
