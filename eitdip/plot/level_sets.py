"""Where a function on a mesh of triangles or tetrahedra is zero."""

import numpy as np


def level_triangles(points: np.ndarray, cells: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero surface of a function that is linear on each tetrahedron.

    Args:
        points: Shape (n, 3).
        cells: Shape (C, 4).
        values: Of the function at the points, shape (n,).

    Returns:
        Triangles, shape (T, 3, 3), and the cell of each, shape (T,).
    """
    positive = values[cells] >= 0
    count = positive.sum(axis=1)
    parts, owners = [], []
    for wanted, lone in ((1, True), (3, False)):  # one corner alone on its side: a triangle
        owner = np.flatnonzero(count == wanted)
        order = np.argsort(positive[owner] != lone, axis=1, kind="stable")  # the lone corner first
        a, b, c, d = np.take_along_axis(cells[owner], order, axis=1).T
        parts.append(np.stack([_crossing(points, values, a, other) for other in (b, c, d)], axis=1))
        owners.append(owner)
    owner = np.flatnonzero(count == 2)  # two and two: a quadrilateral
    order = np.argsort(~positive[owner], axis=1, kind="stable")
    a, b, c, d = np.take_along_axis(cells[owner], order, axis=1).T
    ac, ad, bd, bc = (_crossing(points, values, *pair) for pair in ((a, c), (a, d), (b, d), (b, c)))
    parts += [np.stack([ac, ad, bd], axis=1), np.stack([ac, bd, bc], axis=1)]
    return np.concatenate(parts), np.concatenate([*owners, owner, owner])


def level_segments(points: np.ndarray, facets: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero line of a function that is linear on each triangle: segments (S, 2, 3), and the triangle of each."""
    positive = values[facets] >= 0
    count = positive.sum(axis=1)
    parts, owners = [], []
    for wanted, lone in ((1, True), (2, False)):
        owner = np.flatnonzero(count == wanted)
        order = np.argsort(positive[owner] != lone, axis=1, kind="stable")
        a, b, c = np.take_along_axis(facets[owner], order, axis=1).T
        parts.append(np.stack([_crossing(points, values, a, b), _crossing(points, values, a, c)], axis=1))
        owners.append(owner)
    return np.concatenate(parts), np.concatenate(owners)


def vertex_means(domain, field: np.ndarray) -> np.ndarray:
    """A field on the cells (C,) as means over the cells around each node, weighted by their size: shape (n,)."""
    corners = domain.corners.shape[1]
    weights = np.repeat(domain.cell_sizes, corners)
    nodes, size = domain.corners.ravel(), len(domain.points)
    total = np.bincount(nodes, weights * np.repeat(field, corners), minlength=size)
    return total / np.bincount(nodes, weights, minlength=size)


def _crossing(points: np.ndarray, values: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    share = (values[i] / (values[i] - values[j]))[:, None]
    return (1 - share) * points[i] + share * points[j]
