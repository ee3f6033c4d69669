"""The objects in a solid, seen from the side and above: surfaces at stated levels."""

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from eitdip.plot.level_sets import level_triangles, vertex_means
from eitdip.plot.scales import weighted_quantile
from eitdip.plot.solids import checked_solid
from eitdip.plot.style import BLUE, DARK, GREY, RED, checked, checked_background, length_unit, picture, plain

_LIGHT = np.array([0.4, -0.6, 0.7])
_LEAST = np.log(1.1)  # a smaller contrast is no object
_OUTSIDE = np.log(1.5)  # what is within this contrast of the background may be the background, a bit off
_ABSURD = (
    0.05,
    0.3,
)  # of the objects' volume: at least so much may be further out than the contrast that counts; at most
_WAYS = {0.5: 1.0, 0.2: 0.15}  # share of the way to that contrast: opacity of the surface there


@dataclass(frozen=True)
class Surface:
    """One sign of contrast at one level.

    Args:
        colour: `BLUE` for less than the background, `RED` for more.
        opacity: From 0 to 1.
        level: Conductivity on the surface.
        triangles: Shape (T, 3, 3), m.
    """

    colour: str
    opacity: float
    level: float
    triangles: np.ndarray


def render(path, domain, sigma, *, background, truth=None, title="", unit="S/m") -> None:
    """The objects seen from the side and above: opaque half of the way to their contrast, faint at a fifth.

    Ways are on a log scale, from the background to the contrast that 5 % of the volume of all objects of that sign
    exceed (on coarse meshes, one cell). So no absurd cell hides an object, nor does a strong object hide one that has
    a fifth of its log contrast. The levels are in the legend.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        domain: A solid `eitdip.mesh.Domain`.
        sigma: Per cell (C,), file order, in `unit`.
        background: Conductivity outside the objects; if it is a bit off, the median of what is near it counts.
        truth: Image (D, H, W), as for `slices`; shown beside it with surfaces of its own.
        title: Above the picture.
        unit: Of all conductivities.
    """
    fields, background = {"reconstruction": checked_solid(domain, sigma)}, checked_background(background)
    if truth is not None:
        fields["truth"] = _at_cells(checked("truth", truth, 3), domain, background)
    scale, length = length_unit(np.ptp(domain.points, axis=0).max())
    with picture(path, (5.6 * len(fields), 6.0), title, None) as figure:
        for i, (name, field) in enumerate(fields.items()):
            box = (i / len(fields), 0.1, 0.95 / len(fields), 0.85)
            axes = Axes3D(figure, box, computed_zorder=False, auto_add_to_figure=False)
            figure.add_axes(axes)
            _set_view(axes, domain, scale)
            shown = surfaces(domain, field, background)
            # One collection, for only within one are the triangles drawn from far to near.
            parts = [_body(domain), *((each.triangles, _shades(each)) for each in shown)]
            triangles, colours = (np.concatenate(part) for part in zip(*parts, strict=True))
            axes.add_collection3d(Poly3DCollection(scale * triangles, facecolors=colours, linewidths=0))
            axes.set(xlabel=f"x ({length})", ylabel=f"y ({length})", zlabel=f"z ({length})")
            axes.set_title(name if len(fields) > 1 else "")
            axes.legend(
                handles=_legend(shown, unit), loc="upper center", bbox_to_anchor=(0.5, 0.06), fontsize=9, ncols=2
            )


def surfaces(domain, field: np.ndarray, background: float) -> list[Surface]:
    """What `render` draws of a conductivity per cell (C,)."""
    contrast = np.log(field / background)
    near = np.abs(contrast) < _OUTSIDE
    if near.any():
        contrast = contrast - weighted_quantile(contrast[near], 0.5, domain.cell_sizes[near])
    outside = field[0] / np.exp(contrast[0])
    found = []
    for sign, colour in ((-1, BLUE), (1, RED)):
        beyond = sign * contrast > _LEAST
        if beyond.any():
            sizes = domain.cell_sizes[beyond]
            share = np.clip(1.001 * sizes.max() / sizes.sum(), *_ABSURD)  # one cell, on coarse meshes
            reach = weighted_quantile((sign * contrast)[beyond], 1 - share, sizes)
            nodes = vertex_means(domain, np.minimum(sign * contrast, reach))
            for way, opacity in _WAYS.items():
                level = max(way * reach, 0.5 * _LEAST)
                triangles = _closed_surface(domain, nodes - level)
                found.append(Surface(colour, opacity, float(outside * np.exp(sign * level)), triangles))
    return found


def _closed_surface(domain, inside: np.ndarray) -> np.ndarray:
    """Where a function on the nodes becomes positive, and the boundary where it is."""
    surface, _ = level_triangles(domain.points, domain.cells, inside)
    return np.concatenate([surface, domain.points[domain.facets[(inside[domain.facets] > 0).all(axis=1)]]])


def _legend(shown: list[Surface], unit: str) -> list[Patch]:
    words = {BLUE: "below", RED: "above"}
    handles = [
        Patch(
            facecolor=each.colour,
            alpha=max(each.opacity, 0.3),
            label=plain(f"{words[each.colour]} {each.level:.3g} {unit}"),
        )
        for each in shown
    ]
    return handles or [Patch(facecolor="none", label="nothing differs by 10 % from the background")]


def _at_cells(image: np.ndarray, domain, background: float) -> np.ndarray:
    """The voxel at each cell's centroid; the background where the image has none."""
    counts = np.array(image.shape)
    place = (domain.centroids - domain.points.min(axis=0)) / np.ptp(domain.points, axis=0)
    place[:, 1] = 1 - place[:, 1]
    z, y, x = np.clip((place[:, ::-1] * counts).astype(int), 0, counts - 1).T
    values = image[z, y, x]
    return np.where(np.isnan(values), background, values)


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


def _body(domain) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3, 3) and colours (T, 4) of the translucent boundary."""
    covered = domain.facet_tags[:, None] > 0
    return domain.points[domain.facets], np.where(covered, (*to_rgb(DARK), 0.35), (*to_rgb(GREY), 0.04))


def _shades(surface: Surface) -> np.ndarray:
    """Colours (T, 4): darker the more a triangle turns from the light."""
    triangles = surface.triangles
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facing = np.abs((normals / np.where(lengths > 0, lengths, 1)) @ (_LIGHT / np.linalg.norm(_LIGHT)))
    colours = np.outer(0.45 + 0.55 * facing, to_rgb(surface.colour))
    return np.column_stack([colours, np.full(len(triangles), surface.opacity)])
