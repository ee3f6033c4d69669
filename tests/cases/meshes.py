"""Small domains made by numpy alone, so that most tests need no mesh generator."""

import numpy as np

from eitdip.mesh import Domain


def rectangle(columns: int, rows: int, width: float = 1.0, height: float = 1.0, tag=None) -> Domain:
    """A structured mesh of [0, width] x [0, height], two triangles per rectangle.

    Args:
        columns: Rectangles along x.
        rows: Rectangles along y.
        width: m.
        height: m.
        tag: Function of the facet midpoints (F, 2) that gives the electrode numbers (F,).
    """
    x, y = np.meshgrid(np.linspace(0, width, columns + 1), np.linspace(0, height, rows + 1))
    node = np.arange(x.size).reshape(x.shape)
    a, b, c, d = node[:-1, :-1].ravel(), node[:-1, 1:].ravel(), node[1:, 1:].ravel(), node[1:, :-1].ravel()
    cells = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    sides = [node[0], node[:, -1], node[-1, ::-1], node[::-1, 0]]
    facets = np.concatenate([np.column_stack([side[:-1], side[1:]]) for side in sides])
    points = np.column_stack([x.ravel(), y.ravel()])
    middles = points[facets].mean(axis=1)
    tags = np.zeros(len(facets), dtype=int) if tag is None else tag(middles)
    return Domain(points, cells, facets, tags)


def bar(columns: int, rows: int, length: float, width: float) -> Domain:
    """A rectangle whose left and right ends are electrodes 1 and 2."""
    return rectangle(
        columns, rows, length, width, lambda m: np.where(m[:, 0] == 0, 1, np.where(m[:, 0] == length, 2, 0))
    )


def ring_disk(rings: int, electrodes: int = 0, *, radius: float = 1.0, degree: int = 1, covered: float = 0.5) -> Domain:
    """A disk of concentric rings of 6, 12, 18, ... nodes: it fits every circle of radius k radius / rings.

    Args:
        rings: Number of rings; the edge length is about radius / rings.
        electrodes: Number L, a divisor of 6 * rings; electrode 1 begins at angle 0.
        radius: m.
        degree: 1, or 2 for triangles with curved edges along the rings.
        covered: Share of the boundary under electrodes.
    """
    start = np.concatenate([[0], 1 + 3 * np.arange(rings) * np.arange(1, rings + 1)])
    points, cells = [np.zeros((1, 2))], []
    for k in range(1, rings + 1):
        angle = 2 * np.pi * np.arange(6 * k) / (6 * k)
        points.append(radius * k / rings * np.column_stack([np.cos(angle), np.sin(angle)]))
        for sector in range(6):
            outer = [int(start[k]) + (sector * k + j) % (6 * k) for j in range(k + 1)]
            inner = [int(start[k - 1]) + (sector * (k - 1) + j) % max(1, 6 * (k - 1)) for j in range(k)]
            cells += [(outer[j], outer[j + 1], inner[j]) for j in range(k)]
            cells += [(inner[j], outer[j + 1], inner[j + 1]) for j in range(k - 1)]
    last = start[rings] + np.arange(6 * rings)
    facets = np.column_stack([last, np.roll(last, -1)])
    tags = np.zeros(len(facets), dtype=int)
    if electrodes:
        each = 6 * rings // electrodes
        wide = round(covered * each)
        number = np.arange(len(facets)) // each + 1
        tags = np.where(np.arange(len(facets)) % each < wide, number, 0)
    domain = Domain(np.concatenate(points), np.array(cells), facets, tags)
    return domain if degree == 1 else curved(domain)


def curved(domain: Domain) -> Domain:
    """Second-order triangles; midpoints of edges between nodes of equal radius move onto that circle."""
    corners = domain.cells
    ends = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    edges, where = np.unique(ends, axis=0, return_inverse=True)
    radii = np.linalg.norm(domain.points[edges], axis=2)
    middles = domain.points[edges].mean(axis=1)
    same = (np.abs(radii[:, 0] - radii[:, 1]) < 1e-9 * radii.max()) & (radii[:, 0] > 0)
    middles[same] *= (radii[same].mean(axis=1) / np.linalg.norm(middles[same], axis=1))[:, None]
    count = len(domain.points)
    added = count + where.reshape(3, -1).T
    position = {tuple(edge): count + i for i, edge in enumerate(edges.tolist())}
    facet_middles = [position[tuple(sorted(facet))] for facet in domain.facets.tolist()]
    return Domain(
        np.concatenate([domain.points, middles]),
        np.column_stack([corners, added]),
        np.column_stack([domain.facets, facet_middles]),
        domain.facet_tags,
    )
