"""Cylinders and balls with electrodes, meshed with tetrahedra by gmsh."""

from collections.abc import Callable
from math import cos, hypot, pi, radians, sin

import numpy as np

from eitdip.errors import OptionError, require
from eitdip.mesh.domain import Domain
from eitdip.mesh.rings import CapRings, WallRings

# Edge lengths grow by this much per length away from the electrodes and the boundary.
_GROWTH = 0.3


def cylinder(radius: float, height: float, h: float, *, h_boundary: float | None = None, **rings) -> Domain:
    """An upright cylinder from z = 0 to its height, with rings of electrodes on its wall.

    Args:
        radius: m.
        height: m.
        h: Edge length, m; at the electrodes at most half an electrode.
        h_boundary: Edge length on the whole boundary, m; default h.
        rings: rings, electrodes, width, electrode_height, first and clockwise, as for
            `eitdip.mesh.Cylinder`.

    Raises:
        OptionError: If a size is out of range.
        MissingPackageError: If gmsh is not installed.
    """
    return mesh_cylinder(WallRings(radius, height, **rings), h, h_boundary)


def ball(radius: float, h: float, *, h_boundary: float | None = None, **rings) -> Domain:
    """A ball about the origin, with rings of round electrodes.

    Args:
        radius: m.
        h: Edge length, m; at the electrodes at most half the radius of one.
        h_boundary: Edge length on the whole boundary, m; default h.
        rings: rings, electrodes, electrode_radius, first and clockwise, as for `eitdip.mesh.Ball`.

    Raises:
        OptionError: If a size is out of range.
        MissingPackageError: If gmsh is not installed.
    """
    return mesh_ball(CapRings(radius, **rings), h, h_boundary)


def mesh_cylinder(layout: WallRings, h: float, h_boundary: float | None = None) -> Domain:
    """A mesh of a cylinder that is described; see `cylinder`."""
    return _mesh(layout, h, h_boundary, _draw_cylinder)


def mesh_ball(layout: CapRings, h: float, h_boundary: float | None = None) -> Domain:
    """A mesh of a ball that is described; see `ball`."""
    return _mesh(layout, h, h_boundary, _draw_ball)


def _mesh(layout, h: float, h_boundary: float | None, draw: Callable) -> Domain:
    if not 0 < h <= layout.radius:
        raise OptionError(f"h: got {h}, expected more than 0 and at most the radius, {layout.radius}")
    if h_boundary is not None and not 0 < h_boundary <= layout.radius:
        raise OptionError(f"h_boundary: got {h_boundary}, expected more than 0 and at most the radius, {layout.radius}")
    gmsh = require("gmsh", "mesh")
    outer = min(h, h if h_boundary is None else h_boundary)
    finest = min(outer, layout.finest)

    def size(dimension, tag, x, y, z, previous):
        near = finest + _GROWTH * hypot(*layout.nearest(x, y, z)[1:])
        return min(h, outer + _GROWTH * layout.depth(x, y, z), near)

    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("General.NumThreads", 1)  # several threads would give another mesh each time
        for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
            gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)
        gmsh.option.setNumber("Mesh.Algorithm3D", 10)
        gmsh.model.add("solid")
        body, lines = draw(gmsh.model.occ, layout)
        gmsh.model.occ.fragment([(3, body)], lines)  # the surface is cut along the lines
        gmsh.model.occ.synchronize()
        gmsh.model.mesh.setSizeCallback(size)
        gmsh.model.mesh.generate(3)
        return _extract(gmsh.model.mesh, layout)
    finally:
        gmsh.finalize()


def _draw_cylinder(occ, layout: WallRings) -> tuple[int, list]:
    """The body, and the points and curves on its surface that the mesh follows."""
    radius, height = layout.radius, layout.height
    body = occ.addCylinder(0, 0, 0, 0, 0, height, radius)
    _turn_seam(occ, body, layout)
    lines = [(0, point) for z in (0, height) for point in _quarters(occ, radius, z)]
    half = 0.5 * layout.width / radius
    for z in layout.rings:
        ends = (z - 0.5 * layout.electrode_height, z + 0.5 * layout.electrode_height)
        for middle in _angles(layout):
            for end in ends:
                arc = occ.addCircle(0, 0, end, radius, angle1=middle - half, angle2=middle + half)
                lines.append((1, arc))
            for angle in (middle - half, middle + half):
                corners = [occ.addPoint(radius * cos(angle), radius * sin(angle), end) for end in ends]
                lines.append((1, occ.addLine(*corners)))
    return body, lines


def _draw_ball(occ, layout: CapRings) -> tuple[int, list]:
    """The body, and the points and curves on its surface that the mesh follows."""
    radius = layout.radius
    body = occ.addSphere(0, 0, 0, radius)
    if not layout.electrodes:
        return body, [(0, point) for point in _quarters(occ, radius, 0.0)]
    _turn_seam(occ, body, layout)
    away, rim, lines = radius * cos(layout.opening), radius * sin(layout.opening), []
    for latitude in map(radians, layout.rings):
        for angle in _angles(layout):
            axis = [cos(latitude) * cos(angle), cos(latitude) * sin(angle), sin(latitude)]
            lines.append((1, occ.addCircle(*(away * x for x in axis), rim, zAxis=axis)))
    return body, lines


def _quarters(occ, radius: float, z: float) -> list[int]:
    """Points that make the bounding box, and so its center, the same for all edge lengths."""
    return [occ.addPoint(x * radius, y * radius, z) for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1))]


def _angles(layout) -> np.ndarray:
    return np.radians(layout.first) + 2 * pi * np.arange(layout.electrodes) / layout.electrodes


def _turn_seam(occ, body: int, layout) -> None:
    """Turn the line along which a round surface is closed into the middle of a gap."""
    if layout.electrodes:
        occ.rotate([(3, body)], 0, 0, 0, 0, 0, 1, radians(layout.first) + pi / layout.electrodes)


def _extract(mesh, layout) -> Domain:
    cells, facets = (mesh.getElementsByType(kind)[1].reshape(-1, width) for kind, width in ((4, 4), (2, 3)))
    numbers, coordinates, _ = mesh.getNodes()
    used = np.unique(cells)
    position = np.full(int(numbers.max()) + 1, -1)
    position[numbers.astype(int)] = np.arange(len(numbers))
    points = coordinates.reshape(-1, 3)[position[used.astype(int)]]
    facets = np.searchsorted(used, facets)
    tags = [_tag(layout, *middle) for middle in points[facets].mean(axis=1).tolist()]
    return Domain(points, np.searchsorted(used, cells), facets, tags)


def _tag(layout, x: float, y: float, z: float) -> int:
    """The electrode at the middle of a facet, or 0. No facet crosses a rim, so the middle decides."""
    number, aside, _ = layout.nearest(x, y, z)
    return number if aside == 0 else 0
