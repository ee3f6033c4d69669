"""Conductivities of solids: sections through the mesh, and a view of the objects in it."""

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from eitdip.errors import ShapeError
from eitdip.plot.level_sets import level_segments, level_triangles, vertex_means
from eitdip.plot.style import (
    BLUE,
    DARK,
    GREY,
    RED,
    checked,
    checked_background,
    colour_scale,
    length_unit,
    map_axes,
    picture,
)

_HEIGHTS = (0.25, 0.5, 0.75)
_LIGHT = np.array([0.4, -0.6, 0.7])


def slices(path, domain, sigma, *, truth=None, background=None, title="", unit="S/m") -> None:
    """Three horizontal sections and a vertical one through the mesh itself; below them the truth, if known.

    Args:
        path: Where the PNG goes.
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
    style, draw_bar = colour_scale(list(rows.values()), background, unit)
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


def render(path, domain, sigma, *, background, truth=None, title="") -> None:
    """The objects seen from the side and above: where sigma is half of the way to its extremes, on a log scale.

    Args:
        path: Where the PNG goes.
        domain: A solid `eitdip.mesh.Domain`.
        sigma: Per cell (C,), file order.
        background: Conductivity outside the objects, in the same unit.
        truth: Image (D, H, W), as for `slices`; shown beside it with surfaces of its own.
        title: Above the picture.
    """
    fields, background = {"reconstruction": checked_solid(domain, sigma)}, checked_background(background)
    if truth is not None:
        fields["truth"] = _at_cells(checked("truth", truth, 3), domain, background)
    scale, length = length_unit(np.ptp(domain.points, axis=0).max())
    with picture(path, (5.6 * len(fields), 5.4), title, None) as figure:
        for i, (name, field) in enumerate(fields.items()):
            box = (i / len(fields), 0, 0.95 / len(fields), 0.95)
            axes = Axes3D(figure, box, computed_zorder=False, auto_add_to_figure=False)
            figure.add_axes(axes)
            _set_view(axes, domain, scale)
            # One collection, for only within one are the triangles drawn from far to near.
            parts = [*_body(domain), *_objects(domain, np.log(field / background))]
            triangles, colours = (np.concatenate(part) for part in zip(*parts, strict=True))
            axes.add_collection3d(Poly3DCollection(scale * triangles, facecolors=colours, linewidths=0))
            axes.set(xlabel=f"x ({length})", ylabel=f"y ({length})", zlabel=f"z ({length})")
            axes.set_title(name if len(fields) > 1 else "")


def checked_solid(domain, sigma) -> np.ndarray:
    """Conductivities of the cells of a solid."""
    sigma = checked("sigma", sigma)
    if domain.dimension != 3 or sigma.shape != (len(domain.cells),):
        raise ShapeError(
            f"sigma: got {sigma.size} values on a domain of {domain.dimension} dimensions with {len(domain.cells)} "
            "cells, expected one for each cell of a solid"
        )
    return sigma


def _at_cells(image: np.ndarray, domain, background: float) -> np.ndarray:
    """The voxel at each cell's centroid; the background where the image has none."""
    counts = np.array(image.shape)
    place = (domain.centroids - domain.points.min(axis=0)) / np.ptp(domain.points, axis=0)
    place[:, 1] = 1 - place[:, 1]
    z, y, x = np.clip((place[:, ::-1] * counts).astype(int), 0, counts - 1).T
    values = image[z, y, x]
    return np.where(np.isnan(values), background, values)


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


def _set_view(axes, domain, scale: float) -> None:
    low, high = scale * domain.points.min(axis=0), scale * domain.points.max(axis=0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low, zoom=0.92)
    axes.view_init(elev=28, azim=-60)
    axes.grid(False)
    for each, share in zip((axes.xaxis, axes.yaxis, axes.zaxis), (high - low) / (high - low).max(), strict=True):
        each.pane.set_alpha(0)
        each.set_tick_params(labelsize=8)
        each.set_major_locator(MaxNLocator(max(2, round(5 * share)), steps=[1, 2, 5, 10]))
    axes.zaxis.labelpad = 4 + 10 * share  # along a long axis the numbers stand further out


def _body(domain) -> list[tuple[np.ndarray, np.ndarray]]:
    """Triangles (T, 3, 3) and colours (T, 4) of the translucent boundary."""
    covered = domain.facet_tags[:, None] > 0
    return [(domain.points[domain.facets], np.where(covered, (*to_rgb(DARK), 0.35), (*to_rgb(GREY), 0.04)))]


def _objects(domain, contrast: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Likewise of the surfaces of what resists and of what conducts."""
    nodes, parts = vertex_means(domain, contrast), []
    for sign, colour in ((-1, BLUE), (1, RED)):
        peak = (sign * contrast).max()
        if peak > np.log(1.1):  # less is no object
            inside = sign * nodes - 0.5 * peak
            surface, _ = level_triangles(domain.points, domain.cells, inside)
            lid = domain.points[domain.facets[(inside[domain.facets] > 0).all(axis=1)]]
            triangles = np.concatenate([surface, lid])
            parts.append((triangles, _shades(triangles, colour)))
    return parts


def _shades(triangles: np.ndarray, colour: str) -> np.ndarray:
    """Opaque colours (T, 4): darker the more a triangle turns from the light."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facing = np.abs((normals / np.where(lengths > 0, lengths, 1)) @ (_LIGHT / np.linalg.norm(_LIGHT)))
    return np.column_stack([np.outer(0.45 + 0.55 * facing, to_rgb(colour)), np.ones(len(triangles))])
