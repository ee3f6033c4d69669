"""Domains check themselves, and know their geometry."""

import dataclasses

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.mesh import Domain
from tests.cases.meshes import bar, curved, rectangle, ring_disk
from tests.cases.solids import box


@pytest.fixture
def square() -> Domain:
    """Two triangles; the lower and the right side are electrodes 1 and 2."""
    return Domain(
        points=[[0, 0], [1, 0], [1, 1], [0, 1]],
        cells=[[0, 1, 2], [0, 2, 3]],
        facets=[[0, 1], [1, 2], [2, 3], [3, 0]],
        facet_tags=[1, 2, 0, 0],
    )


class TestChecks:
    """Each defect has its own message."""

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"points": np.zeros((4, 4))}, ShapeError, r"points: got shape \(4, 4\), expected \(n, 2\) or \(n, 3\)"),
            ({"points": np.zeros((4, 3))}, ShapeError, r"cells: got shape \(2, 3\), expected \(C, 4\) .* 3 dimensions"),
            ({"points": np.zeros(8)}, ShapeError, r"points: got shape \(8,\)"),
            (
                {"cells": [[0, 1, 2, 3]]},
                ShapeError,
                r"cells: got shape \(1, 4\), expected \(C, 3\) or \(C, 6\)",
            ),
            ({"cells": [0, 1, 2]}, ShapeError, r"cells: got shape \(3,\)"),
            (
                {"facets": [[0, 1, 2]]},
                ShapeError,
                r"facets: got shape \(1, 3\), expected \(F, 2\) for these cells",
            ),
            ({"facet_tags": [1, 2, 0]}, ShapeError, r"facet_tags: got shape \(3,\), expected \(4,\)"),
            ({"cells": [[0, 1, 2], [0, 2, 4]]}, InvalidDataError, r"cells: got a node number outside 0\.\.3"),
            (
                {"cells": [[0, 1, 2], [0, 2, -1]]},
                InvalidDataError,
                r"cells: got a node number outside 0\.\.3",
            ),
            (
                {"facets": [[0, 1], [1, 2], [2, 3], [3, 9]]},
                InvalidDataError,
                r"facets: got a node number outside 0\.\.3",
            ),
            (
                {"points": [[0, 0], [1, 0], [1, np.nan], [0, 1]]},
                InvalidDataError,
                "points: node 2 has a coordinate that is not finite",
            ),
            (
                {"points": [[0, 0], [1, 0], [np.inf, 1], [0, 1]]},
                InvalidDataError,
                "points: node 2 has a coordinate that is not finite",
            ),
            (
                {"points": [[0, 0], [1, 0], [1, 1], [0.5, 0.5]]},
                InvalidDataError,
                "cells: cell 1 has no area; remesh the domain",
            ),
            (
                {"points": [[0, 0], [1, 0], [1, 1], [0, 1], [5, 5]]},
                InvalidDataError,
                "points: some nodes belong to no cell; remove them",
            ),
            (
                {"facets": [[0, 1], [1, 2], [2, 3], [2, 0]]},
                InvalidDataError,
                r"facets: edge .*0.*2.* is not on the boundary",
            ),
            (
                {"facets": [[0, 1], [1, 2], [2, 3]], "facet_tags": [1, 2, 0]},
                InvalidDataError,
                "facets: got 3, 3 of the boundary's 4; give all, each once",
            ),
            (
                {"facets": [[0, 1], [1, 2], [2, 3], [1, 0]]},
                InvalidDataError,
                "facets: got 4, 3 of the boundary's 4; give all, each once",
            ),
            ({"points": "mesh"}, ShapeError, "points: got str, expected an array of numbers"),
            ({"cells": [[0, 1, 2], [0, 2]]}, ShapeError, "cells: got list, expected an array of numbers"),
            ({"facet_tags": [1, 1.5, 0, 0]}, InvalidDataError, "facet_tags: got 1.5, expected whole numbers"),
            ({"cells": [[0, 1, 2], [0, 2, np.nan]]}, InvalidDataError, "cells: got nan, expected whole numbers"),
            ({"cells": [[0, 1, 2], [0, 2, 1e300]]}, InvalidDataError, r"cells: got 1e\+300, expected whole numbers"),
            ({"facet_tags": [1, -2, 0, 0]}, InvalidDataError, r"facet_tags: got -2, expected 0 .* or 1\.\.L"),
            (
                {"facet_tags": [1, 3, 0, 0]},
                InvalidDataError,
                r"electrode 2 has no boundary edge \(zero width\) although there is an electrode 3",
            ),
        ],
    )
    def test_message(self, square, change, error, message):
        with pytest.raises(error, match=message):
            dataclasses.replace(square, **change)

    def test_a_triangle_given_twice(self, square):
        cells = np.concatenate([square.cells, square.cells[1:]])
        with pytest.raises(InvalidDataError, match="belongs to 3 cells"):
            dataclasses.replace(square, cells=cells)

    def test_an_edge_of_three_cells(self, square):
        with pytest.raises(InvalidDataError, match=r"cells: edge \(0, 1\) belongs to 3 cells"):
            dataclasses.replace(
                square,
                points=[[0, 0], [1, 0], [0.5, 1], [0.5, 2], [0.5, -1]],
                cells=[[0, 1, 2], [0, 1, 3], [0, 1, 4]],
            )

    @pytest.mark.parametrize("shift", [(3, 0), (1, 1)], ids=["apart", "at a corner"])
    def test_two_bodies(self, shift):
        """No current can flow between them, though a solver would find voltages; a shared corner is no bridge."""
        one = rectangle(2, 2)
        cells, facets = (np.concatenate([a, a + len(one.points)]) for a in (one.cells, one.facets))
        points, place = np.unique(np.concatenate([one.points, one.points + shift]), axis=0, return_inverse=True)
        with pytest.raises(InvalidDataError, match=r"cells: got 2 pieces \(of 8, 8 cells\) that share no edge"):
            Domain(points, place.ravel()[cells], place.ravel()[facets], np.zeros(len(facets)))

    def test_two_solids_that_share_an_edge(self):
        one = box(1, 1, 1)
        cells, facets = (np.concatenate([a, a + len(one.points)]) for a in (one.cells, one.facets))
        points, place = np.unique(
            np.concatenate([one.points, one.points + np.array([1, 1, 0])]), axis=0, return_inverse=True
        )
        with pytest.raises(InvalidDataError, match=r"cells: got 2 pieces \(of 6, 6 cells\) that share no triangle"):
            Domain(points, place.ravel()[cells], place.ravel()[facets], np.zeros(len(facets)))

    def test_an_electrode_in_two_pieces(self):
        domain = rectangle(4, 4)
        tags = np.zeros(16)
        tags[[0, 2]] = 1
        with pytest.raises(InvalidDataError, match="electrode 1 is 2 separate pieces of the boundary, expected one"):
            dataclasses.replace(domain, facet_tags=tags)
        tags[1] = 2  # a neighbour does not join them
        with pytest.raises(InvalidDataError, match="electrode 1 is 2 separate pieces"):
            dataclasses.replace(domain, facet_tags=tags)
        tags[1] = 1
        assert dataclasses.replace(domain, facet_tags=tags).electrode_count == 1

    def test_an_electrode_of_a_solid_in_two_pieces(self):
        domain = box(3, 3, 3)
        middles = domain.points[domain.facets].mean(axis=1)
        tags = np.isin(middles[:, 0], [0, 1])
        with pytest.raises(InvalidDataError, match="electrode 1 is 2 separate pieces"):
            dataclasses.replace(domain, facet_tags=tags)
        assert dataclasses.replace(domain, facet_tags=middles[:, 0] == 0).electrode_count == 1

    def test_an_electrode_number_beyond_all_facets(self, square):
        with pytest.raises(InvalidDataError, match="facet_tags: got 1000000000000 with 4 facets"):
            dataclasses.replace(square, facet_tags=[1, 10**12, 0, 0])

    def test_a_facet_with_another_midpoint(self):
        domain = curved(rectangle(2, 2))
        facets = domain.facets.copy()
        facets[[1, 2], 2] = facets[[2, 1], 2]
        with pytest.raises(InvalidDataError, match="the third node of facet 1 is not the midpoint"):
            dataclasses.replace(domain, facets=facets)

    def test_no_cells(self):
        with pytest.raises(InvalidDataError, match="cells: the mesh has no cells"):
            Domain(np.zeros((0, 2)), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0))


class TestHash:
    """The identity of a mesh in data files and checkpoints."""

    def test_it_is_stable(self, square):
        assert square.hash == "4bb16feb24c43bac"
        assert dataclasses.replace(square).hash == square.hash

    def test_it_does_not_depend_on_the_types_given(self, square):
        same = Domain(
            np.asfortranarray(square.points),
            square.cells.astype(np.int32),
            square.facets.tolist(),
            square.facet_tags,
        )
        assert same.hash == square.hash

    @pytest.mark.parametrize(
        "change",
        [
            {"points": [[0, 0], [1, 0], [1, 1], [0, 1 + 1e-15]]},
            {"cells": [[0, 2, 3], [0, 1, 2]]},
            {"facets": [[1, 2], [0, 1], [2, 3], [3, 0]]},
            {"facet_tags": [2, 1, 0, 0]},
        ],
    )
    def test_it_sees_every_array(self, square, change):
        assert dataclasses.replace(square, **change).hash != square.hash


class TestGeometry:
    """What follows from the arrays."""

    def test_arrays_are_copies_and_read_only(self):
        points = np.array([[0.0, 0], [1, 0], [0, 1]])
        domain = Domain(points, [[0, 1, 2]], [[0, 1], [1, 2], [2, 0]], [0, 0, 0])
        points[0] = 9
        assert domain.points[0, 0] == 0
        for array in (domain.points, domain.cells, domain.facets, domain.facet_tags):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1

    @pytest.mark.parametrize("degree", [1, 2])
    def test_rectangle(self, degree):
        domain = bar(6, 2, 0.3, 0.1)
        domain = domain if degree == 1 else curved(domain)
        assert domain.degree == degree
        assert domain.cell_sizes.sum() == pytest.approx(0.03)
        assert domain.facet_sizes.sum() == pytest.approx(0.8)
        assert domain.facet_sizes[domain.facet_tags == 1].sum() == pytest.approx(0.1)
        assert domain.electrode_count == 2
        np.testing.assert_allclose(domain.cell_sizes @ domain.centroids / 0.03, [0.15, 0.05])
        np.testing.assert_array_equal(domain.vertices, np.arange(21))
        on_edge = np.isin(domain.points[:, 0], [0, 0.3]) | np.isin(domain.points[:, 1], [0, 0.1])
        np.testing.assert_array_equal(domain.boundary_nodes, np.flatnonzero(on_edge))

    def test_center_is_that_of_the_bounding_box(self):
        np.testing.assert_allclose(bar(4, 4, 0.3, 0.1).center, [0.15, 0.05])

    def test_orientation_of_cells_does_not_matter(self, square):
        turned = dataclasses.replace(square, cells=[[0, 2, 1], [0, 2, 3]])
        np.testing.assert_allclose(turned.cell_sizes, square.cell_sizes)

    def test_electrode_angles(self):
        """Electrode l of ring_disk covers the first half of its share."""
        angles = ring_disk(6, 6, covered=0.5).electrode_angles()
        expected = np.angle(np.exp(1j * np.pi * (np.arange(6) / 3 + 1 / 12)))
        np.testing.assert_allclose(angles, expected, atol=1e-12)

    def test_no_electrodes(self):
        assert rectangle(2, 2).electrode_count == 0
        assert rectangle(2, 2).electrode_angles().shape == (0,)


class TestJumps:
    """Differences between neighbouring cells."""

    def test_two_triangles(self, square):
        matrix, weights = square.jumps
        np.testing.assert_array_equal(np.abs(matrix @ [2.0, 5.0]), [3.0])
        np.testing.assert_allclose(weights, [np.sqrt(2) / 64])

    @pytest.mark.parametrize("degree", [1, 2])
    def test_every_interior_edge_once(self, degree, rng):
        domain = ring_disk(5, degree=degree)
        matrix, weights = domain.jumps
        cells, facets = len(domain.cells), len(domain.facets)
        assert matrix.shape == ((3 * cells - facets) // 2, cells)
        dense = matrix.toarray()
        np.testing.assert_array_equal(dense.sum(axis=1), 0)
        np.testing.assert_array_equal(np.abs(dense).sum(axis=1), 2)
        assert len({tuple(np.flatnonzero(row)) for row in dense}) == len(dense)
        assert (weights > 0).all()

    def test_perimeter_of_a_fitted_circle(self):
        """A jump of one along a circle weighs its length over 64 times the domain's width, in any unit."""
        for radius in (1.0, 0.14):
            domain = ring_disk(20, radius=radius)
            inside = np.linalg.norm(domain.centroids, axis=1) < 0.5 * radius
            matrix, weights = domain.jumps
            assert weights @ np.abs(matrix @ inside) == pytest.approx(np.pi / (64 * 2), rel=2e-3)
