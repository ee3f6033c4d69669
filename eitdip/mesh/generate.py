"""Disks and round tanks with electrodes, meshed by gmsh."""

import numpy as np

from eitdip.errors import OptionError, require
from eitdip.mesh.domain import Domain
from eitdip.mesh.grading import Grading
from eitdip.mesh.rings import refuse_other_units


def disk(
    radius: float = 1.0,
    h: float = 0.1,
    *,
    electrodes: int = 0,
    width: float = 0.0,
    first: float = 90.0,
    clockwise: bool = False,
    h_boundary: float | None = None,
    inclusions=(),
    degree: int = 1,
) -> Domain:
    """A disk about the origin, with equally spaced electrodes on its boundary.

    Args:
        radius: m.
        h: Edge length, m. Towards the ends of electrodes, where the current density is singular, edges
            shrink to h / 16 or an eighth of an electrode.
        electrodes: Number L; 0 or at least 2.
        width: Length of each electrode along the boundary, m.
        first: Angle of the middle of electrode 1, degrees from the x axis.
        clockwise: Numbering direction of the electrodes.
        h_boundary: Edge length on the boundary, m; default h.
        inclusions: Circles (x, y, r), m, inside the disk and apart, which the mesh follows.
        degree: 1 for straight, 2 for curved triangles.

    Raises:
        OptionError: If a size is out of range.
        MissingPackageError: If gmsh is not installed.
    """
    _check(radius, h, h_boundary, degree)
    _check_electrodes(radius, electrodes, width, first)
    _check_inclusions(radius, inclusions)
    gmsh = require("gmsh", "mesh")
    edge = h if h_boundary is None else h_boundary
    grading = Grading(radius, h, min(h, edge), electrodes, width) if electrodes else None
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 1)
        gmsh.model.add("disk")
        arcs, ends = (
            _boundary(gmsh, grading, first, clockwise) if grading else (_plain_boundary(gmsh, radius, edge), [])
        )
        holes = [_circle(gmsh, *circle, h) for circle in inclusions]
        loop = gmsh.model.geo.addCurveLoop([arc for arc, _ in arcs])
        center = gmsh.model.geo.addPoint(0, 0, 0, h) if not inclusions else None
        surface = gmsh.model.geo.addPlaneSurface([loop, *holes])
        surfaces = [surface, *(gmsh.model.geo.addPlaneSurface([hole]) for hole in holes)]
        gmsh.model.geo.synchronize()
        if center is not None:
            gmsh.model.mesh.embed(0, [center], 2, surface)
        gmsh.option.setNumber("Mesh.MeshSizeMax", h)
        if grading is not None:
            grading.impose(gmsh, ends)
        gmsh.model.mesh.generate(2)
        gmsh.model.mesh.setOrder(degree)
        return _extract(gmsh, surfaces, arcs, degree)
    finally:
        gmsh.finalize()


def _check(radius, h, h_boundary, degree) -> None:
    if not (0 < radius < np.inf and 0 < h <= radius):
        raise OptionError(f"radius, h: got {radius}, {h}; expected 0 < h <= radius")
    if h_boundary is not None and not 0 < h_boundary <= radius:
        raise OptionError(f"h_boundary: got {h_boundary}, expected more than 0 and at most the radius, {radius}")
    if degree not in (1, 2):
        raise OptionError(f"degree: got {degree}, expected 1 or 2")


def _check_electrodes(radius, electrodes, width, first) -> None:
    if electrodes < 0 or electrodes == 1:
        raise OptionError(f"electrodes: got {electrodes}, expected 0 or at least 2")
    if electrodes and not 0 < electrodes * width < 2 * np.pi * radius:
        raise OptionError(
            f"width: got {width} m for {electrodes} electrodes, expected more than 0 and less than "
            f"{2 * np.pi * radius / electrodes:.4g} m, so that they do not touch"
        )
    if not np.isfinite(first):
        raise OptionError(f"first: got {first}, expected an angle in degrees")
    if electrodes:
        refuse_other_units(radius, width=width, gap=2 * np.pi * radius / electrodes - width)


def _check_inclusions(radius, inclusions) -> None:
    """gmsh does not come back from circles that cross."""
    for i, (x, y, r) in enumerate(inclusions):
        if not (r > 0 and np.hypot(x, y) + r < radius):
            raise OptionError(f"inclusion {i}: got {(x, y, r)}, expected a circle inside the disk of radius {radius}")
        for j, (u, v, s) in enumerate(inclusions[:i]):
            if not np.hypot(x - u, y - v) > r + s:
                raise OptionError(f"inclusions {j} and {i}: got circles that touch or overlap, expected them apart")


def _boundary(gmsh, grading: Grading, first: float, clockwise: bool):
    """Arcs of one edge each around the circle in order, each with its electrode number or 0; the electrodes' ends."""
    geo, radius, count = gmsh.model.geo, grading.radius, grading.electrodes
    pitch, half = 2 * np.pi / count, 0.5 * grading.width / radius
    covered, bare = grading.nodes(grading.width), grading.nodes(grading.gap)
    order = np.arange(count)[:: -1 if clockwise else 1]
    angles, tags = [], []
    for place, number in enumerate(order.tolist()):
        middle = np.radians(first) + pitch * (place - (count - 1 if clockwise else 0))
        angles += [middle - half + 2 * half * covered[:-1], middle + half + (pitch - 2 * half) * bare[:-1]]
        tags += [number + 1] * (len(covered) - 1) + [0] * (len(bare) - 1)
    middle = geo.addPoint(0, 0, 0)
    points = [geo.addPoint(radius * np.cos(angle), radius * np.sin(angle), 0) for angle in np.concatenate(angles)]
    arcs = []
    for i, tag in enumerate(tags):
        arc = geo.addCircleArc(points[i], middle, points[(i + 1) % len(points)])
        geo.mesh.setTransfiniteCurve(arc, 2)
        arcs.append((arc, tag))
    geo.synchronize()
    geo.remove([(0, middle)])
    return arcs, [point for i, point in enumerate(points) if tags[i] != tags[i - 1]]


def _plain_boundary(gmsh, radius: float, edge: float):
    """Four arcs around the circle, without electrodes."""
    geo = gmsh.model.geo
    middle = geo.addPoint(0, 0, 0)
    angles = [2 * np.pi * i / 4 for i in range(4)]
    points = [geo.addPoint(radius * np.cos(a), radius * np.sin(a), 0, edge) for a in angles]
    arcs = []
    for i, angle in enumerate(angles):
        arc = geo.addCircleArc(points[i], middle, points[(i + 1) % 4])
        span = (angles[(i + 1) % 4] - angle) % (2 * np.pi)
        geo.mesh.setTransfiniteCurve(arc, 1 + max(1, int(np.ceil(span * radius / edge - 1e-9))))
        arcs.append((arc, 0))
    geo.synchronize()
    geo.remove([(0, middle)])
    return arcs


def _circle(gmsh, x, y, r, h):
    geo = gmsh.model.geo
    middle = geo.addPoint(x, y, 0)
    around = [geo.addPoint(x + r * np.cos(a), y + r * np.sin(a), 0, h) for a in np.pi / 2 * np.arange(4)]
    loop = geo.addCurveLoop([geo.addCircleArc(around[i], middle, around[(i + 1) % 4]) for i in range(4)])
    geo.synchronize()
    geo.remove([(0, middle)])
    return loop


def _extract(gmsh, surfaces, arcs, degree) -> Domain:
    mesh = gmsh.model.mesh
    triangle, line = {1: (2, 1), 2: (9, 8)}[degree]
    cells = np.concatenate([mesh.getElementsByType(triangle, s)[1].reshape(-1, (3, 6)[degree - 1]) for s in surfaces])
    parts = [mesh.getElementsByType(line, arc)[1].reshape(-1, degree + 1) for arc, _ in arcs]
    tags = np.concatenate([np.full(len(part), tag) for part, (_, tag) in zip(parts, arcs, strict=True)])
    numbers, coordinates, _ = mesh.getNodes()
    used = np.unique(cells)
    position = np.full(int(numbers.max()) + 1, -1)
    position[numbers.astype(int)] = np.arange(len(numbers))
    points = coordinates.reshape(-1, 3)[position[used.astype(int)], :2]
    renumber = lambda array: np.searchsorted(used, array)  # noqa: E731
    return Domain(points, renumber(cells), renumber(np.concatenate(parts)), tags)
