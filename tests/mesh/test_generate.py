"""Disks and tanks made by gmsh."""

import dataclasses

import numpy as np
import pytest

from eitdip.errors import OptionError
from eitdip.mesh import Tank, disk


def exact_area(domain) -> float:
    """Area with curved edges: corner triangles plus the parabolic segments of the boundary."""
    corners = domain.cell_sizes.sum()
    if domain.degree == 1:
        return corners
    start, end, middle = (domain.points[domain.facets[:, i]] for i in range(3))
    chord, bulge = end - start, middle - (start + end) / 2
    return corners + 2 / 3 * np.abs(chord[:, 0] * bulge[:, 1] - chord[:, 1] * bulge[:, 0]).sum()


@pytest.mark.parametrize(("degree", "bound"), [(1, 5e-3), (2, 1e-6)])
def test_area(gmsh, degree, bound):
    domain = disk(0.14, 0.014, degree=degree)
    assert domain.degree == degree
    assert exact_area(domain) == pytest.approx(np.pi * 0.14**2, rel=bound)
    np.testing.assert_allclose(np.linalg.norm(domain.points[domain.boundary_nodes], axis=1), 0.14, rtol=1e-9)


@pytest.mark.parametrize("clockwise", [False, True])
@pytest.mark.parametrize("first", [90.0, 0.0, -33.0])
def test_electrodes_are_where_they_were_ordered(gmsh, first, clockwise):
    count, width = 8, 0.03
    domain = disk(0.14, 0.03, electrodes=count, width=width, first=first, clockwise=clockwise)
    assert domain.electrode_count == count
    turn = -1 if clockwise else 1
    expected = np.radians(first) + turn * 2 * np.pi * np.arange(count) / count
    np.testing.assert_allclose(np.angle(np.exp(1j * (domain.electrode_angles() - expected))), 0, atol=1e-9)
    for tag in range(1, count + 1):
        nodes = domain.facets[domain.facet_tags == tag]
        assert len(nodes) >= 2
        half_angles = np.arcsin(domain.facet_sizes[domain.facet_tags == tag] / (2 * 0.14))
        assert 2 * 0.14 * half_angles.sum() == pytest.approx(width, rel=1e-9)


def test_electrode_width_on_curved_cells(gmsh):
    from eitdip.fem import Discretization

    domain = disk(0.14, 0.03, electrodes=8, width=0.03, degree=2)
    loads = Discretization(domain).facet_loads.sum(axis=1)
    for tag in range(1, 9):
        assert loads[domain.facet_tags == tag].sum() == pytest.approx(0.03, rel=1e-4)


def test_edge_lengths(gmsh):
    coarse = disk(1.0, 0.2)
    fine = disk(1.0, 0.1)
    graded = disk(1.0, 0.2, h_boundary=0.05)
    assert 3 < len(fine.cells) / len(coarse.cells) < 5
    assert coarse.facet_sizes.max() <= 0.2
    assert graded.facet_sizes.max() <= 0.05
    assert graded.cell_sizes.max() > 4 * graded.cell_sizes.min()


class TestGrading:
    """Edges at the ends of electrodes, where the current density is singular."""

    tank = Tank(1.0, electrodes=16, width=np.pi / 16)

    def test_edges_grow_from_the_ends_of_electrodes(self, gmsh):
        """tip + slope sqrt(d) up to the reach, from h / 16 to h; smaller right at the ends."""
        h, tip, reach = 0.052, 0.052 / 16, 1.25 * self.tank.width
        domain = self.tank.mesh(h)
        half = 0.5 * self.tank.width
        middles = np.radians(90) + 2 * np.pi * np.arange(16) / 16
        angles = np.concatenate([middles - half, middles + half])
        ends = np.column_stack([np.cos(angles), np.sin(angles)])
        distance = np.linalg.norm(domain.centroids[:, None] - ends, axis=2).min(axis=1)
        edge = np.sqrt(domain.cell_sizes * 4 / np.sqrt(3))
        assert edge[distance < 0.005].max() < 2 * tip
        for d in (0.025, 0.05, 0.1):
            found = edge[np.abs(distance - d) < 0.1 * d].mean()
            assert found == pytest.approx(tip + (h - tip) * np.sqrt(d / reach), rel=0.2)
        assert edge[distance > 0.3].mean() == pytest.approx(h, rel=0.05)
        sizes = domain.facet_sizes[domain.facet_tags == 1]
        np.testing.assert_allclose(sizes, sizes[::-1], rtol=1e-9)

    def test_halving_h_halves_all_lengths(self, gmsh):
        coarse, fine = (self.tank.mesh(h) for h in (0.052, 0.026))
        assert coarse.facet_sizes.min() / fine.facet_sizes.min() == pytest.approx(2, rel=0.1)
        assert len(fine.cells) / len(coarse.cells) > 3

    def test_the_homogeneous_body_is_seen_as_it_is(self, gmsh):
        """Voltages scale with 1 / sigma and the contacts are the same, so their ratio tells the fitted background."""
        from eitdip.fem import CompleteElectrodeModel
        from eitdip.fem.patterns import adjacent
        from eitdip.ranks.collectives import alone

        exact, found = (
            CompleteElectrodeModel(domain, adjacent(16, 1), 0.01, adjacent(16), comm=alone())
            for domain in (self.tank.mesh(0.04, degree=2), self.tank.mesh(0.052))
        )
        exact, found = (model(np.ones(model.domain.shape)) for model in (exact, found))
        assert (exact * found).sum() / (exact * exact).sum() == pytest.approx(1, abs=0.01)

    def test_the_cost_is_bounded(self, gmsh):
        """At the default edge length; with edges of one length everywhere there were 1552 nodes."""
        assert 2000 < len(self.tank.mesh(0.052).points) < 2800

    def test_without_electrodes_nothing_is_graded(self, gmsh):
        domain = disk(1.0, 0.1)
        assert len(domain.facets) == 64 and np.ptp(domain.facet_sizes) < 1e-9

    @pytest.mark.parametrize("width", [1.8e-4, 2 * np.pi / 16 - 3e-3])
    def test_thin_electrodes_and_gaps(self, gmsh, width):
        """A wire of 25 um on a tank of 14 cm costs twice the nodes, not a wall of edges of half its width."""
        domain = disk(1.0, 0.064, electrodes=16, width=width)
        assert len(domain.points) < 5000
        covered = np.bincount(domain.facet_tags, domain.facet_sizes)[1:]
        np.testing.assert_allclose(covered, width, rtol=0.01)

    @pytest.mark.parametrize("make", [Tank, lambda r, L, w: disk(r, r / 10, electrodes=L, width=w)])
    def test_lengths_in_other_units(self, make):
        with pytest.raises(OptionError, match=r"width: got 1e-06 m on a body of radius 0\.14 m, .* meant in mm"):
            make(0.14, 16, 1e-6)
        with pytest.raises(OptionError, match=r"gap: got .* m on a body of radius 1 m"):
            make(1.0, 16, 2 * np.pi / 16 * (1 - 1e-5))
        with pytest.raises(OptionError, match=r"radius: got 140 m, expected at most 20 m .* meant in mm"):
            make(140.0, 16, 25.0)


def test_inclusions_are_fitted(gmsh):
    domain = disk(1.0, 0.1, inclusions=[(0.4, 0.1, 0.3), (-0.4, 0.0, 0.2)])
    assert exact_area(domain) == pytest.approx(np.pi, rel=2e-3)
    for x, y, r in ((0.4, 0.1, 0.3), (-0.4, 0.0, 0.2)):
        distance = np.linalg.norm(domain.points[domain.cells] - [x, y], axis=2)
        crossing = (distance.min(axis=1) < r * (1 - 1e-9)) & (distance.max(axis=1) > r * (1 + 1e-9))
        assert not crossing.any()
        inside = np.linalg.norm(domain.centroids - [x, y], axis=1) < r
        assert domain.cell_sizes[inside].sum() == pytest.approx(np.pi * r**2, rel=0.03)


def test_it_is_reproducible(gmsh):
    assert disk(1.0, 0.2, electrodes=8, width=0.2).hash == disk(1.0, 0.2, electrodes=8, width=0.2).hash


def test_the_center_of_a_plain_disk_is_a_node(gmsh):
    assert np.linalg.norm(disk(1.0, 0.3).points, axis=1).min() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0.0}, r"radius, h: got 0\.0, 0\.1; expected 0 < h <= radius"),
        ({"h": -0.1}, "expected 0 < h <= radius"),
        ({"h": 2.0}, "expected 0 < h <= radius"),
        ({"h": np.nan}, "expected 0 < h <= radius"),
        ({"degree": 3}, "degree: got 3, expected 1 or 2"),
        ({"radius": np.inf}, "expected 0 < h <= radius"),
        ({"electrodes": -1}, "electrodes: got -1, expected 0 or at least 2"),
        ({"electrodes": 1, "width": 0.5}, "electrodes: got 1, expected 0 or at least 2"),
        ({"electrodes": 8, "width": np.nan}, "width: got nan m"),
        ({"electrodes": 8, "width": 0.1, "first": np.nan}, "first: got nan"),
        ({"electrodes": 8}, r"width: got 0\.0 m for 8 electrodes, expected more than 0"),
        ({"electrodes": 8, "width": 0.8}, r"less than 0\.7854 m, so that they do not touch"),
        ({"h_boundary": 0.0}, "h_boundary: got 0"),
        ({"h_boundary": np.nan}, "h_boundary: got nan"),
        (
            {"inclusions": [(0.9, 0, 0.3)]},
            r"inclusion 0: got \(0\.9, 0, 0\.3\), expected a circle inside the disk",
        ),
        ({"inclusions": [(0, 0, 0.0)]}, "inclusion 0: "),
        ({"inclusions": [(0, 0, 0.3), (0.2, 0, 0.3)]}, "inclusions 0 and 1"),
    ],
)
def test_sizes_out_of_range(options, message):
    with pytest.raises(OptionError, match=message):
        disk(**options)


class TestTank:
    """The description of a tank, which needs no mesh generator."""

    def test_it_meshes_itself(self, gmsh):
        tank = Tank(0.115, electrodes=16, width=0.02, first=11.25, clockwise=True)
        domain = tank.mesh(0.02)
        direct = disk(0.115, 0.02, electrodes=16, width=0.02, first=11.25, clockwise=True)
        assert domain.hash == direct.hash
        assert tank.mesh(0.03, degree=2, h_boundary=0.01).degree == 2

    def test_it_is_a_value(self):
        assert Tank(0.1) == Tank(0.1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            Tank(0.1).radius = 0.2

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"radius": 0.0}, r"radius: got 0\.0, expected > 0"),
            ({"radius": np.nan}, "radius: got nan"),
            ({"radius": 0.1, "electrodes": 1, "width": 0.01}, "electrodes: got 1, expected 0 or at least 2"),
            ({"radius": 0.1, "electrodes": -2}, "electrodes: got -2"),
            ({"radius": 0.1, "electrodes": 16}, r"width: got 0\.0 m"),
            ({"radius": 0.1, "electrodes": 16, "width": 0.04}, "16 electrodes not to touch"),
        ],
    )
    def test_sizes_out_of_range(self, options, message):
        with pytest.raises(OptionError, match=message):
            Tank(**options)
