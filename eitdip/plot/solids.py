"""Sections through the conductivities of solids, on the mesh itself."""

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection

from eitdip.errors import ShapeError
from eitdip.plot.level_sets import level_segments, level_triangles
from eitdip.plot.style import DARK, checked, colour_scale, length_unit, map_axes, picture

_HEIGHTS = (0.25, 0.5, 0.75)


def slices(path, domain, sigma, *, truth=None, background=None, title="", unit="S/m") -> None:
    """Three horizontal sections and a vertical one through the mesh itself; below them the truth, if known.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        domain: A solid `eitdip.mesh.Domain`.
        sigma: Per cell (C,), file order, in `unit`.
        truth: Image (D, H, W) over the bounding box, NaN outside the body; slice 0 is the lowest, row 0 has
            the largest y.
        background: Centre of the colour scale; None for a scale without a centre.
        title: Above the picture.
        unit: Of all conductivities.
    """
    sigma = checked_solid(domain, sigma)
    rows = {"": sigma} if truth is None else {"reconstruction, ": sigma, "truth, ": checked("truth", truth, 3)}
    sizes = [domain.cell_sizes, None][: len(rows)]
    style, draw_bar = colour_scale(list(rows.values()), background, unit, sizes)
    low, extent = domain.points.min(axis=0), np.ptp(domain.points, axis=0)
    sections = [(2, low[2] + share * extent[2]) for share in _HEIGHTS] + [(1, domain.center[1])]
    # All panels are as wide as the body, so rows as high as they need give them one scale; towers are shrunk.
    height = 2.5 * min(max(extent[1:]) / extent[0], 3) + 0.75
    with picture(path, (13.2, height * len(rows) + 0.3), title) as figure:
        grid = figure.subplots(len(rows), len(sections), squeeze=False)
        for panels, (kind, values) in zip(grid, rows.items(), strict=True):
            for axes, (axis, at) in zip(panels, sections, strict=True):
                drawn = draw_section(axes, domain, values, style, kind, axis, at)
        draw_bar(figure, drawn, grid)


def draw_section(axes, domain, values: np.ndarray, style: dict, title: str = "", axis: int = 2, at=None):
    """One section in axes of matplotlib, its place added to the title; returns what the colour bar is of.

    Args:
        axes: Where to draw.
        domain: A solid `eitdip.mesh.Domain`.
        values: Per cell (C,), or an image (D, H, W) as for `slices`.
        style: Keywords of `colour_scale`.
        title: What stands before the place.
        axis: 0, 1 or 2, to which the section is perpendicular.
        at: Where on that axis, m; by default in the middle.
    """
    at = domain.center[axis] if at is None else at
    scale, length = length_unit(np.ptp(domain.points, axis=0).max())
    low, extent = domain.points.min(axis=0), np.ptp(domain.points, axis=0)
    kept = [i for i in range(3) if i != axis]
    drawn = (_draw_voxels if values.ndim == 3 else _draw_cells)(axes, values, domain, axis, at, scale, style)
    _draw_outline(axes, domain, axis, at, kept, scale)
    name = f"{'xyz'[axis]} = {np.round(scale * at, 6) + 0.0:.3g} {length}"
    margin = 0.04 * extent.max()
    xlim, ylim = (scale * (low[i] + np.array([-margin, extent[i] + margin])) for i in kept)
    map_axes(axes, length, title=title + name, xlim=xlim, ylim=ylim)
    if axis == 1:  # its neighbours have no z
        axes.tick_params(left=True, labelleft=True)
        axes.set_ylabel(f"z ({length})")
    return drawn


def checked_solid(domain, sigma) -> np.ndarray:
    """Conductivities of the cells of a solid."""
    sigma = checked("sigma", sigma)
    if domain.dimension != 3 or sigma.shape != (len(domain.cells),):
        raise ShapeError(
            f"sigma: got {sigma.size} values on a domain of {domain.dimension} dimensions with {len(domain.cells)} "
            "cells, expected one for each cell of a solid"
        )
    return sigma


def _draw_cells(axes, sigma: np.ndarray, domain, axis: int, at: float, scale: float, style: dict):
    triangles, owner = level_triangles(domain.points, domain.cells, domain.points[:, axis] - at)
    kept = [i for i in range(3) if i != axis]
    look = {"edgecolors": "face", "linewidths": 0.2}  # or the background shines through between the triangles
    return axes.add_collection(PolyCollection(scale * triangles[:, :, kept], array=sigma[owner], **look, **style))


def _draw_voxels(axes, image: np.ndarray, domain, axis: int, at: float, scale: float, style: dict):
    low, high = domain.points.min(axis=0), domain.points.max(axis=0)
    share = (at - low[axis]) / (high[axis] - low[axis])
    kept = [i for i in range(3) if i != axis]
    if axis == 2:
        plane = image[min(int(share * image.shape[0]), image.shape[0] - 1)]
    else:
        plane = image[::-1, min(int((1 - share) * image.shape[1]), image.shape[1] - 1)]
    extent = [scale * side for i in kept for side in (low[i], high[i])]
    return axes.imshow(plane, extent=extent, zorder=1, interpolation="nearest", **style)


def _draw_outline(axes, domain, axis: int, at: float, kept, scale: float) -> None:
    """The boundary, thick where an electrode is cut."""
    segments, facet = level_segments(domain.points, domain.facets, domain.points[:, axis] - at)
    segments, covered = scale * segments[:, :, kept], domain.facet_tags[facet] > 0
    axes.add_collection(LineCollection(segments, colors=DARK, linewidths=0.8, zorder=3))
    axes.add_collection(LineCollection(segments[covered], colors=DARK, linewidths=4, zorder=4))
