"""A domain: mesh, boundary and electrodes as plain arrays in file order.

File order is the canonical order of the package: conductivities, hashes, data files and
checkpoints refer to it, so they do not depend on the number of ranks or on DOLFINx's renumbering.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from eitdip.errors import InvalidDataError, ShapeError

# Sides of a cell as local vertices; node 3 + e of a second-order triangle is the midpoint of side e.
SIDES = {2: ((0, 1), (1, 2), (2, 0)), 3: ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))}
# Nodes of a cell, by dimension: nodes of a facet.
_WIDTHS = {2: {3: 2, 6: 3}, 3: {4: 3}}


@dataclass(frozen=True, eq=False)
class Domain:
    """A plane domain of triangles or a solid one of tetrahedra, with tagged boundary facets. Lengths in m.

    Args:
        points: Node coordinates, shape (n, 2) or (n, 3).
        cells: Node numbers of the triangles, shape (C, 3), or (C, 6) for curved second-order
            triangles (vertices, then the midpoints of edges 01, 12, 20); of the tetrahedra, (C, 4).
        facets: Node numbers of the boundary edges, shape (F, 2) or (F, 3) (ends, then midpoint); of
            the boundary triangles of a solid, (F, 3).
        facet_tags: Shape (F,): l for electrode l = 1..L, 0 for the boundary between electrodes.

    Raises:
        ShapeError: If the arrays do not fit together.
        InvalidDataError: If a coordinate is not finite, a cell has no area or volume, a facet is not
            on the boundary, the cells are not one connected piece, or an electrode number is missing, has
            no width or is not one connected piece of the boundary.
    """

    points: np.ndarray
    cells: np.ndarray
    facets: np.ndarray
    facet_tags: np.ndarray

    def __post_init__(self):
        for name, dtype in (("points", float), ("cells", np.int64), ("facets", np.int64), ("facet_tags", np.int64)):
            array = _array(name, getattr(self, name), dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check_shapes()
        self._check_geometry()
        self._check_electrodes()

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.points.shape[1]

    @property
    def degree(self) -> int:
        """Polynomial degree of the geometry: 1 for straight cells, 2 for curved triangles."""
        return 2 if self.cells.shape[1] == 6 else 1

    @property
    def electrode_count(self) -> int:
        """L."""
        return int(self.facet_tags.max(initial=0))

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of all arrays; the same on any number of ranks."""
        digest = hashlib.sha256()
        for array in (self.points, self.cells, self.facets, self.facet_tags):
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]

    @property
    def corners(self) -> np.ndarray:
        """Node numbers of the cells' vertices, shape (C, d + 1): `cells` without midpoints."""
        return self.cells[:, : self.dimension + 1]

    @cached_property
    def vertices(self) -> np.ndarray:
        """Node numbers of the cells' vertices in increasing order; all nodes if degree is 1."""
        return np.unique(self.corners)

    @cached_property
    def boundary_nodes(self) -> np.ndarray:
        """Node numbers on the boundary in increasing order, shape (nB,)."""
        return np.unique(self.facets)

    @cached_property
    def centroids(self) -> np.ndarray:
        """Mean of the vertices of each cell, shape (C, d)."""
        return self.points[self.corners].mean(axis=1)

    @cached_property
    def cell_sizes(self) -> np.ndarray:
        """Area (m^2) or volume (m^3) of each cell between its vertices, shape (C,)."""
        corners = self.points[self.corners]
        return np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / (2 if self.dimension == 2 else 6)

    @cached_property
    def facet_sizes(self) -> np.ndarray:
        """Length (m) or area (m^2) of each facet between its vertices, shape (F,)."""
        return _simplex_sizes(self.points[self.facets[:, : self.dimension]])

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the bounding box, shape (d,)."""
        return 0.5 * (self.points.min(axis=0) + self.points.max(axis=0))

    @cached_property
    def jumps(self) -> tuple[sparse.csr_array, np.ndarray]:
        """Differences over interior sides: matrix (E, C) of -1 and +1, and weights (E,).

        A weight is size * w / (64 V): size of the side (length or area), w the domain's largest
        width and V = w^2 for plane domains, the volume of the bounding box for solids. A jump then
        costs the same in total variation as on an image over the domain with 64 pixels along w,
        whatever the unit of length.
        """
        nodes, side = self._sides()
        twin = np.flatnonzero((nodes[1:] == nodes[:-1]).all(axis=1))
        owner = side % len(self.cells)
        count = len(twin)
        rows = np.tile(np.arange(count), 2)
        columns = np.concatenate([owner[twin], owner[twin + 1]])
        values = np.repeat([-1.0, 1.0], count)
        matrix = sparse.csr_array((values, (rows, columns)), shape=(count, len(self.cells)))
        widths = np.ptp(self.points, axis=0)
        volume = widths.max() ** 2 if self.dimension == 2 else widths.prod()
        return matrix, _simplex_sizes(self.points[nodes[twin]]) * widths.max() / (64 * volume)

    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        """All sides of all cells in lexicographic order, shape (S, d), and each one's number.

        Side s of cell c has the number s * C + c.
        """
        nodes = np.sort(np.concatenate([self.cells[:, side] for side in SIDES[self.dimension]]), axis=1)
        order = np.lexsort(nodes.T[::-1])
        return nodes[order], order

    @cached_property
    def electrode_centers(self) -> np.ndarray:
        """Mean position of each electrode, shape (L, d), m."""
        middles = self.points[self.facets[:, : self.dimension]].mean(axis=1)
        sizes = np.bincount(self.facet_tags, self.facet_sizes)[1:, None]
        sums = [np.bincount(self.facet_tags, self.facet_sizes * x)[1:] for x in middles.T]
        return np.stack(sums, axis=1) / sizes

    def electrode_angles(self) -> np.ndarray:
        """Polar angle (about the z axis) of each electrode's center, shape (L,), rad."""
        x, y = (self.electrode_centers - self.center)[:, :2].T
        return np.arctan2(y, x)

    def _check_shapes(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] not in _WIDTHS:
            raise ShapeError(f"points: got shape {self.points.shape}, expected (n, 2) or (n, 3)")
        widths = _WIDTHS[self.dimension]
        if self.cells.ndim != 2 or self.cells.shape[1] not in widths:
            expected = " or ".join(f"(C, {width})" for width in widths)
            raise ShapeError(
                f"cells: got shape {self.cells.shape}, expected {expected} for points in {self.dimension} dimensions"
            )
        width = widths[self.cells.shape[1]]
        if self.facets.ndim != 2 or self.facets.shape[1] != width:
            raise ShapeError(f"facets: got shape {self.facets.shape}, expected (F, {width}) for these cells")
        if self.facet_tags.shape != self.facets.shape[:1]:
            raise ShapeError(f"facet_tags: got shape {self.facet_tags.shape}, expected {self.facets.shape[:1]}")
        for name in ("cells", "facets"):
            array = getattr(self, name)
            if array.size and not (array.min() >= 0 and array.max() < len(self.points)):
                raise InvalidDataError(f"{name}: got a node number outside 0..{len(self.points) - 1}")

    def _check_geometry(self) -> None:
        if not np.isfinite(self.points).all():
            node = int(np.argwhere(~np.isfinite(self.points))[0, 0])
            raise InvalidDataError(f"points: node {node} has a coordinate that is not finite")
        if not len(self.cells):
            raise InvalidDataError("cells: the mesh has no cells")
        if (self.cell_sizes <= 1e-14 * self.cell_sizes.max()).any():
            what = "area" if self.dimension == 2 else "volume"
            raise InvalidDataError(f"cells: cell {int(self.cell_sizes.argmin())} has no {what}; remesh the domain")
        if len(np.unique(self.cells)) != len(self.points):
            raise InvalidDataError("points: some nodes belong to no cell; remove them")
        self._check_boundary()

    def _check_boundary(self) -> None:
        nodes, number = self._sides()
        what = "edge" if self.dimension == 2 else "triangle"
        starts = np.flatnonzero(np.r_[True, (nodes[1:] != nodes[:-1]).any(axis=1)])
        counts = np.diff(np.r_[starts, len(nodes)])
        if counts.max() > 2:
            side = tuple(nodes[starts[counts.argmax()]].tolist())
            raise InvalidDataError(f"cells: {what} {side} belongs to {counts.max()} cells; remesh the domain")
        twin = starts[counts == 2]
        cells = len(self.cells)
        pieces = _pieces(cells, number[twin] % cells, number[twin + 1] % cells)
        if pieces.max():
            sizes = ", ".join(map(str, np.bincount(pieces)[:5]))
            raise InvalidDataError(
                f"cells: got {pieces.max() + 1} pieces (of {sizes} cells) that share no {what}, expected one body: no "
                "current can flow between them; merge nodes that are double, or keep one piece"
            )
        single = starts[counts == 1]
        boundary = nodes[single]
        given = np.sort(self.facets[:, : self.dimension], axis=1)
        order = np.lexsort(given.T[::-1])
        if given.shape != boundary.shape or (given[order] != boundary).any():
            known, distinct = set(map(tuple, boundary.tolist())), set(map(tuple, given.tolist()))
            if distinct - known:
                raise InvalidDataError(f"facets: {what} {min(distinct - known)} is not on the boundary")
            raise InvalidDataError(
                f"facets: got {len(given)}, {len(distinct)} of the boundary's {len(known)}; give all, each once"
            )
        if self.degree == 2:
            middles = np.empty(len(given), dtype=np.int64)
            middles[order] = self.cells[:, 3:].T.ravel()[number[single]]
            if (middles != self.facets[:, 2]).any():
                facet = int(np.flatnonzero(middles != self.facets[:, 2])[0])
                raise InvalidDataError(
                    f"facets: the third node of facet {facet} is not the midpoint of its cell's edge"
                )

    def _check_electrodes(self) -> None:
        tags = np.unique(self.facet_tags)
        if tags.size and tags[0] < 0:
            raise InvalidDataError(f"facet_tags: got {tags[0]}, expected 0 (no electrode) or 1..L")
        if self.electrode_count > len(self.facets):
            raise InvalidDataError(
                f"facet_tags: got {self.electrode_count} with {len(self.facets)} facets, expected 1..L"
            )
        missing = sorted(set(range(1, self.electrode_count + 1)) - set(tags.tolist()))
        if missing:
            raise InvalidDataError(
                f"electrode {missing[0]} has no boundary edge (zero width) although there is an electrode "
                f"{self.electrode_count}: number electrodes 1..L without gaps and refine the mesh there"
            )
        covered = np.flatnonzero(self.facet_tags > 0)
        ends = np.repeat(self.facet_tags[covered], self.dimension), self.facets[covered, : self.dimension].ravel()
        _, corner = np.unique(ends, axis=1, return_inverse=True)  # corners count once for each electrode
        facet = np.repeat(np.arange(len(covered)), self.dimension)
        pieces = _pieces(len(covered) + corner.max(initial=-1) + 1, facet, len(covered) + corner.ravel())
        each = np.unique([self.facet_tags[covered], pieces[: len(covered)]], axis=1)[0]
        torn = np.flatnonzero(np.bincount(each) > 1)
        if len(torn):
            count = np.bincount(each)[torn[0]]
            raise InvalidDataError(
                f"electrode {torn[0]} is {count} separate pieces of the boundary, expected one: is it what is between "
                "electrodes, whose number is 0?"
            )


def _array(name: str, given, dtype) -> np.ndarray:
    """A copy of what was given, as numbers of a type."""
    try:
        numbers = np.array(given, dtype=float, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(f"{name}: got {type(given).__name__}, expected an array of numbers") from error
    odd = ~((np.abs(numbers) < 2.0**53) & (numbers == np.rint(numbers)))
    if dtype is not float and odd.any():
        raise InvalidDataError(f"{name}: got {numbers[odd][0]:g}, expected whole numbers")
    return numbers.astype(dtype, copy=False)


def _pieces(count: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The connected piece, 0, 1, ..., of each of `count` things that are joined from start to end."""
    return connected_components(sparse.coo_array((np.ones(len(start)), (start, end)), shape=(count, count)))[1]


def _simplex_sizes(corners: np.ndarray) -> np.ndarray:
    """Lengths of segments (F, 2, 2) or areas of triangles (F, 3, 3) in space."""
    spans = corners[:, 1:] - corners[:, :1]
    if spans.shape[1] == 1:
        return np.linalg.norm(spans[:, 0], axis=1)
    return 0.5 * np.linalg.norm(np.cross(spans[:, 0], spans[:, 1]), axis=1)
