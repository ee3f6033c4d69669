"""Plane conductivities, images and segmentations."""

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.plot.style import BLUE, DARK, GREY, RED, checked, colour_scale, length_unit, map_axes, picture

_CLASSES = {"water": "#eef1f4", "resistive": BLUE, "conductive": RED}


def conductivity(path, domain, sigma, *, truth=None, background=None, title="", unit="S/m") -> None:
    """A conductivity on its mesh, with the electrodes; beside it the truth, if known.

    Args:
        path: Where the PNG goes.
        domain: An `eitdip.mesh.Domain`.
        sigma: Per cell (C,) or per vertex (V,), file order, in `unit`.
        truth: Image (H, W) over the bounding square, row 0 at the top, NaN outside the body.
        background: Centre of the colour scale; None for a scale without a centre.
        title: Above the picture.
        unit: Of all conductivities.
    """
    sigma, count, vertices = checked("sigma", sigma), len(domain.cells), domain.vertices
    if sigma.size not in (count, len(vertices)):
        raise ShapeError(f"sigma: got {sigma.size}, expected {count} (cells) or {len(vertices)} (vertices)")
    shown = [sigma] if truth is None else [sigma, checked("truth", truth, 2)]
    style, draw_bar = colour_scale(shown, background, unit)
    scale, length = length_unit(np.ptp(domain.points, axis=0).max())
    points, center = domain.points * scale, domain.center * scale
    half = 0.5 * np.ptp(points, axis=0).max()
    margin = half * (0.2 if domain.electrode_count else 0.03)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    mesh = (*points[vertices].T, np.searchsorted(vertices, domain.cells[:, :3]))
    with picture(path, (5.4, 4.6) if truth is None else (9.6, 4.6), title, "compressed") as figure:
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        if sigma.size == count:
            drawn = panels[0].tripcolor(*mesh, facecolors=sigma, **style)
        else:
            drawn = panels[0].tripcolor(*mesh, sigma, shading="gouraud", **style)
        if truth is not None:
            box = np.stack([center - half, center + half], axis=1).ravel()
            panels[1].imshow(shown[1], extent=box, zorder=1, **style)
        for axes, name in zip(panels, ("reconstruction", "truth") if len(shown) > 1 else ("",), strict=True):
            _draw_boundary(axes, domain, points, half)
            map_axes(axes, length, title=name, xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        draw_bar(figure, drawn, panels)


def images(path, panels, *, extent=None, background=None, title="", unit="S/m") -> None:
    """Conductivity images side by side on one colour scale.

    Args:
        path: Where the PNG goes.
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
        path: Where the PNG goes.
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
