"""Plane conductivities, images and segmentations."""

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.plot.solids import checked_solid, draw_section
from eitdip.plot.style import BLUE, DARK, GREY, RED, axes_or_new, checked, colour_scale, length_unit, map_axes, picture

_CLASSES = {"water": "#eef1f4", "resistive": BLUE, "conductive": RED}


def conductivity(path, domain, sigma, *, truth=None, background=None, title="", unit="S/m") -> None:
    """A conductivity on its mesh, with the electrodes; beside it the truth, if known.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        domain: An `eitdip.mesh.Domain`.
        sigma: Per cell (C,) or per vertex (V,), file order, in `unit`.
        truth: Image (H, W) over the bounding square, row 0 at the top, NaN outside the body.
        background: Centre of the colour scale; None for a scale without a centre.
        title: Above the picture.
        unit: Of all conductivities.
    """
    sigma = _checked_sigma(domain, sigma)
    panels = {"": sigma} if truth is None else {"reconstruction": sigma, "truth": checked("truth", truth, 2)}
    sizes = [_sizes(domain, values) for values in panels.values()]
    style, draw_bar = colour_scale(list(panels.values()), background, unit, sizes)
    with picture(path, (5.4, 4.6) if truth is None else (9.6, 4.6), title, "compressed") as figure:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (name, values) in zip(grid, panels.items(), strict=True):
            drawn = _draw_panel(axes, domain, values, style, name)
        draw_bar(figure, drawn, grid)


def draw_field(ax, domain, sigma, *, background=None, title="", unit="S/m"):
    """A conductivity and its colour bar in given axes; of a solid the section at half its height.

    Args:
        ax: Axes of matplotlib, or None for a new figure.
        domain: An `eitdip.mesh.Domain`.
        sigma: Per cell (C,), of a plane domain also per vertex (V,), file order, in `unit`.
        background, title, unit: As for `conductivity`.

    Returns:
        The axes.
    """
    ax, solid = axes_or_new(ax), domain.dimension == 3
    sigma = checked_solid(domain, sigma) if solid else _checked_sigma(domain, sigma)
    style, draw_bar = colour_scale([sigma], background, unit, [_sizes(domain, sigma)])
    drawn = (draw_section if solid else _draw_panel)(ax, domain, sigma, style, title)
    draw_bar(ax.figure, drawn, [ax])
    return ax


def images(path, panels, *, extent=None, background=None, title="", unit="S/m") -> None:
    """Conductivity images side by side on one colour scale.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        panels: Name to image (H, W), row 0 at the top, in `unit`, NaN outside the body; sizes may differ.
        extent: (left, right, bottom, top) of all images, m; None for no axes.
        background, title, unit: As for `conductivity`.
    """
    if not panels or np.shape(extent) not in ((), (4,)):
        raise ShapeError(f"got {len(panels)} panels, extent {extent}; expected at least one, four numbers")
    panels = {name: checked(f"panel {name!r}", image, 2) for name, image in panels.items()}
    style, draw_bar = colour_scale(list(panels.values()), background, unit)
    scale, length = (1, "") if extent is None else length_unit(np.ptp(extent))
    rows = -(-len(panels) // 4)
    columns = -(-len(panels) // rows)
    with picture(path, (2.6 * columns + 1.2, 2.8 * rows + 0.3), title, "compressed") as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (name, image) in zip(grid.flat, panels.items(), strict=False):
            drawn = axes.imshow(image, extent=None if extent is None else np.multiply(extent, scale), **style)
            map_axes(axes, length, title=name)
        draw_bar(figure, drawn, grid)


def labels(path, segmented, truth=None) -> None:
    """A segmentation into water, resistive and conductive; beside it the truth, if known.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        segmented: Shape (H, W), row 0 at the top: 0 water, 1 resistive, 2 conductive.
        truth: Likewise, same shape.
    """
    shown = {"segmentation": np.asarray(segmented)} | ({} if truth is None else {"truth": np.asarray(truth)})
    for name, image in shown.items():
        if image.ndim != 2 or not image.size or image.shape != np.shape(segmented):
            raise ShapeError(f"{name}: got shape {image.shape}, expected an image (H, W), the same for both")
        if not np.isin(image, (0, 1, 2)).all():
            raise InvalidDataError(f"{name}: got other values than 0, 1, 2; see eitdip.metrics.label_image")
    share = 0 if truth is None else 100 * np.mean(shown["segmentation"] != shown["truth"])
    title = "" if truth is None else f"{share:.2g} % of the pixels differ"
    with picture(path, (4 * len(shown), 4.6), title, "compressed") as figure:
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (name, image) in zip(panels, shown.items(), strict=True):
            axes.imshow(image, cmap=ListedColormap(list(_CLASSES.values())), vmin=-0.5, vmax=2.5)
            map_axes(axes, "", title=name)
        handles = [Patch(facecolor=colour, edgecolor=GREY, label=name) for name, colour in _CLASSES.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _checked_sigma(domain, sigma) -> np.ndarray:
    sigma, count, vertices = checked("sigma", sigma), len(domain.cells), len(domain.vertices)
    if sigma.size not in (count, vertices):
        raise ShapeError(f"sigma: got {sigma.size}, expected {count} (cells) or {vertices} (vertices)")
    return sigma


def _sizes(domain, values: np.ndarray) -> np.ndarray | None:
    """What each value stands for: the size of its cell, a third of those around its vertex; pixels are equal."""
    if values.ndim > 1:
        return None
    if values.size == len(domain.cells):
        return domain.cell_sizes
    around = np.bincount(domain.corners.ravel(), np.repeat(domain.cell_sizes, 3), minlength=len(domain.points))
    return around[domain.vertices] / 3


def _draw_panel(axes, domain, values: np.ndarray, style: dict, title: str):
    """Values per cell (C,), per vertex (V,) or of an image (H, W) over the bounding square, and the body's outline."""
    scale, length = length_unit(np.ptp(domain.points, axis=0).max())
    points, center, vertices = domain.points * scale, domain.center * scale, domain.vertices
    half = 0.5 * np.ptp(points, axis=0).max()
    mesh = (*points[vertices].T, np.searchsorted(vertices, domain.cells[:, :3]))
    if values.ndim == 2:
        box = np.stack([center - half, center + half], axis=1).ravel()
        drawn = axes.imshow(values, extent=box, zorder=1, interpolation="nearest", **style)
    elif values.size == len(domain.cells):
        drawn = axes.tripcolor(*mesh, facecolors=values, **style)
    else:
        drawn = axes.tripcolor(*mesh, values, shading="gouraud", **style)
    _draw_boundary(axes, domain, points, half)
    margin = half * (0.2 if domain.electrode_count else 0.03)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    map_axes(axes, length, title=title, xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return drawn


def _draw_boundary(axes, domain, points: np.ndarray, half: float) -> None:
    """The boundary, and the numbered electrodes as bands just outside it."""
    curved = domain.facets.shape[1] == 3
    lines = points[domain.facets[:, [0, 2, 1]] if curved else domain.facets]
    axes.add_collection(LineCollection(lines, colors=DARK, linewidths=0.8, zorder=3))
    start, end = lines[:, 0], lines[:, -1]
    corners = domain.cells[:, :3].tolist()
    inside = {frozenset((a, b)): c for t in corners for a, b, c in (t, t[1:] + t[:1], t[2:] + t[:2])}
    away = (end - start)[:, ::-1] * (1, -1)
    inward = points[[inside[frozenset(facet)] for facet in domain.facets[:, :2].tolist()]] - start
    away *= -np.sign((inward * away).sum(axis=1, keepdims=True))
    away *= half / np.linalg.norm(away, axis=1, keepdims=True)
    band = [start + 0.015 * away, end + 0.015 * away, end + 0.045 * away, start + 0.045 * away]
    band = np.stack(band, axis=1)[domain.facet_tags > 0]
    axes.add_collection(PolyCollection(band, facecolors=DARK, edgecolors=DARK, linewidths=0.6, zorder=4))
    every = 1 if domain.electrode_count <= 16 else 4 * -(-domain.electrode_count // 64)
    for number in {1, *range(every, domain.electrode_count + 1, every)} if len(band) else ():
        middle = (0.5 * (start + end) + 0.11 * away)[domain.facet_tags == number].mean(axis=0)
        axes.text(*middle, str(number), ha="center", va="center", fontsize=8, color=DARK)
