"""Small solid domains made by numpy alone, so that most tests need no mesh generator."""

from itertools import permutations

import numpy as np

from eitdip.mesh import Domain

_FACES = ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))


def box(nx: int, ny: int, nz: int, size=(1.0, 1.0, 1.0), tag=None) -> Domain:
    """A structured mesh of [0, size], six tetrahedra per brick.

    Args:
        nx, ny, nz: Bricks along the axes.
        size: Edge lengths, m.
        tag: Function of the facet midpoints (F, 3) that gives the electrode numbers (F,).
    """
    axes = [np.linspace(0, width, n + 1) for width, n in zip(size, (nx, ny, nz), strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    node = np.arange(points[..., 0].size).reshape(points.shape[:3])
    corner = {
        (i, j, k): node[i : nx + i, j : ny + j, k : nz + k].ravel() for i in (0, 1) for j in (0, 1) for k in (0, 1)
    }
    cells = []
    for path in permutations(range(3)):  # from corner to corner along the axes in this order
        at, chain = [0, 0, 0], [corner[0, 0, 0]]
        for axis in path:
            at[axis] = 1
            chain.append(corner[tuple(at)])
        cells.append(np.stack(chain, axis=1))
    cells, points = np.concatenate(cells), points.reshape(-1, 3)
    faces = np.sort(np.concatenate([cells[:, face] for face in _FACES]), axis=1)
    faces, counts = np.unique(faces, axis=0, return_counts=True)
    facets = faces[counts == 1]
    tags = np.zeros(len(facets), dtype=int) if tag is None else tag(points[facets].mean(axis=1))
    return Domain(points, cells, facets, tags)


def column(n: int, length: float, width: float) -> Domain:
    """A bar of square section along x whose ends are electrodes 1 and 2."""
    return box(3 * n, n, n, (length, width, width), lambda m: np.where(m[:, 0] == 0, 1, 2 * (m[:, 0] == length)))


def box_with_electrodes(n: int) -> Domain:
    """The unit cube with n bricks a side (a multiple of 4) and electrodes 1 to 4 on the middles of its walls."""

    def tag(middles: np.ndarray) -> np.ndarray:
        inner = np.abs(middles - 0.5) < 0.25
        tags = np.zeros(len(middles), dtype=int)
        for number, (axis, place) in enumerate(((0, 0.0), (1, 0.0), (0, 1.0), (1, 1.0)), start=1):
            tags[(middles[:, axis] == place) & inner[:, 1 - axis] & inner[:, 2]] = number
        return tags

    return box(n, n, n, tag=tag)
