"""A domain: mesh, boundary and electrodes as plain arrays in file order.

File order is the canonical order of the package: conductivities, hashes, data files and
checkpoints refer to it, so they do not depend on the number of ranks or on DOLFINx's renumbering.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from eitdip.errors import InvalidDataError, ShapeError

# Local edges of a triangle; node 3 + e of a second-order triangle is the midpoint of edge e.
_TRIANGLE_EDGES = ((0, 1), (1, 2), (2, 0))


@dataclass(frozen=True, eq=False)
class Domain:
    """A triangulated plane domain with tagged boundary facets. Lengths in m.

    Args:
        points: Node coordinates, shape (n, 2).
        cells: Node numbers of the triangles, shape (C, 3), or (C, 6) for curved second-order
            triangles (vertices, then the midpoints of edges 01, 12, 20).
        facets: Node numbers of the boundary edges, shape (F, 2) or (F, 3) (ends, then midpoint).
        facet_tags: Shape (F,): l for electrode l = 1..L, 0 for the boundary between electrodes.

    Raises:
        ShapeError: If the arrays do not fit together.
        InvalidDataError: If a coordinate is not finite, a cell has no area, a facet is not on the
            boundary, or an electrode number is missing or has no width.
    """

    points: np.ndarray
    cells: np.ndarray
    facets: np.ndarray
    facet_tags: np.ndarray

    def __post_init__(self):
        for name, dtype in (("points", float), ("cells", np.int64), ("facets", np.int64), ("facet_tags", np.int64)):
            array = np.array(getattr(self, name), dtype=dtype, order="C")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check_shapes()
        self._check_geometry()
        self._check_electrodes()

    @property
    def degree(self) -> int:
        """Polynomial degree of the geometry: 1 for straight, 2 for curved triangles."""
        return 1 if self.cells.shape[1] == 3 else 2

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

    @cached_property
    def vertices(self) -> np.ndarray:
        """Node numbers of the triangle corners in increasing order; all nodes if degree is 1."""
        return np.unique(self.cells[:, :3])

    @cached_property
    def boundary_nodes(self) -> np.ndarray:
        """Node numbers on the boundary in increasing order, shape (nB,)."""
        return np.unique(self.facets)

    @cached_property
    def centroids(self) -> np.ndarray:
        """Mean of the corners of each cell, shape (C, 2)."""
        return self.points[self.cells[:, :3]].mean(axis=1)

    @cached_property
    def areas(self) -> np.ndarray:
        """Area of each cell's corner triangle, shape (C,), m^2."""
        a, b, c = (self.points[self.cells[:, i]] for i in range(3))
        u, v = b - a, c - a
        return 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])

    @cached_property
    def facet_lengths(self) -> np.ndarray:
        """Length of each facet's chord, shape (F,), m."""
        return np.linalg.norm(self.points[self.facets[:, 1]] - self.points[self.facets[:, 0]], axis=1)

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the bounding box, shape (2,)."""
        return 0.5 * (self.points.min(axis=0) + self.points.max(axis=0))

    @cached_property
    def jumps(self) -> tuple[sparse.csr_array, np.ndarray]:
        """Differences over interior edges: matrix (E, C) of -1 and +1, and weights (E,).

        The weights are edge lengths over 64 times the domain's width: a jump then costs the same in
        total variation as on a 64 x 64 image over the domain, whatever the unit of length.
        """
        corners = self.cells[:, :3]
        ends = np.sort(np.concatenate([corners[:, e] for e in _TRIANGLE_EDGES]), axis=1)
        owner = np.tile(np.arange(len(corners)), 3)
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        ends, owner = ends[order], owner[order]
        twin = np.flatnonzero((ends[1:] == ends[:-1]).all(axis=1))
        count = len(twin)
        rows = np.tile(np.arange(count), 2)
        columns = np.concatenate([owner[twin], owner[twin + 1]])
        values = np.repeat([-1.0, 1.0], count)
        matrix = sparse.csr_array((values, (rows, columns)), shape=(count, len(corners)))
        lengths = np.linalg.norm(self.points[ends[twin, 1]] - self.points[ends[twin, 0]], axis=1)
        return matrix, lengths / (64 * np.ptp(self.points, axis=0).max())

    def electrode_angles(self) -> np.ndarray:
        """Polar angle of each electrode's midpoint about the center, shape (L,), rad."""
        middles = self.points[self.facets[:, :2]].mean(axis=1)
        angles = np.empty(self.electrode_count)
        for index in range(self.electrode_count):
            mine = self.facet_tags == index + 1
            x, y = np.average(middles[mine], axis=0, weights=self.facet_lengths[mine]) - self.center
            angles[index] = np.arctan2(y, x)
        return angles

    def _check_shapes(self) -> None:
        nodes = {3: 2, 6: 3}
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise ShapeError(f"points: got shape {self.points.shape}, expected (n, 2)")
        if self.cells.ndim != 2 or self.cells.shape[1] not in nodes:
            raise ShapeError(f"cells: got shape {self.cells.shape}, expected (C, 3) or (C, 6)")
        width = nodes[self.cells.shape[1]]
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
        if (self.areas <= 1e-14 * self.areas.max()).any():
            raise InvalidDataError(f"cells: cell {int(self.areas.argmin())} has no area; remesh the domain")
        if len(np.unique(self.cells)) != len(self.points):
            raise InvalidDataError("points: some nodes belong to no cell; remove them")
        ends = np.sort(np.concatenate([self.cells[:, e] for e in _TRIANGLE_EDGES]), axis=1)
        edges, first, counts = np.unique(ends, axis=0, return_index=True, return_counts=True)
        if counts.max() > 2:
            edge = tuple(edges[counts.argmax()].tolist())
            raise InvalidDataError(f"cells: edge {edge} belongs to {counts.max()} cells; remesh the domain")
        boundary = {
            tuple(edge): owner for edge, owner in zip(edges[counts == 1].tolist(), first[counts == 1], strict=True)
        }
        given = [tuple(edge) for edge in np.sort(self.facets[:, :2], axis=1).tolist()]
        stray = set(given) - set(boundary)
        if stray:
            raise InvalidDataError(f"facets: edge {min(stray)} is not on the boundary")
        if len(given) != len(boundary) or len(set(given)) != len(given):
            raise InvalidDataError(
                f"facets: got {len(given)}, {len(set(given))} of the boundary's {len(boundary)}; give all, each once"
            )
        if self.degree == 2:
            middles = self.cells[:, 3:].T.ravel()[[boundary[edge] for edge in given]]
            if (middles != self.facets[:, 2]).any():
                facet = int(np.flatnonzero(middles != self.facets[:, 2])[0])
                raise InvalidDataError(
                    f"facets: the third node of facet {facet} is not the midpoint of its cell's edge"
                )

    def _check_electrodes(self) -> None:
        tags = np.unique(self.facet_tags)
        if tags.size and tags[0] < 0:
            raise InvalidDataError(f"facet_tags: got {tags[0]}, expected 0 (no electrode) or 1..L")
        missing = sorted(set(range(1, self.electrode_count + 1)) - set(tags.tolist()))
        if missing:
            raise InvalidDataError(
                f"electrode {missing[0]} has no boundary edge (zero width) although there is an electrode "
                f"{self.electrode_count}: number electrodes 1..L without gaps and refine the mesh there"
            )
