"""Pictures as PNG files: conductivities, classes, data fits, histories.

Nothing here needs a display, touches pyplot or leaves half a file. Conductivities have a logarithmic colour
scale; with a background, red is more conductive, blue is less, and the background itself is nearly white.
All functions raise ShapeError for arrays that do not fit, NotPositiveError for conductivities or deviations
that are not > 0, InvalidDataError for other bad values, OutputError if the file cannot be written.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, OutputError, ShapeError

_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.3, "legend.frameon": False,
    "text.usetex": False, "savefig.facecolor": "white", "image.interpolation": "nearest",
}  # fmt: skip
_DARK, _GREY, _BLUE, _RED = "#22262b", "#8a9099", "#3778bf", "#c8372d"
_CLASSES = {"water": "#eef1f4", "resistive": _BLUE, "conductive": _RED}


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
    sigma, count, vertices = _checked("sigma", sigma), len(domain.cells), domain.vertices
    if sigma.size not in (count, len(vertices)):
        raise ShapeError(f"sigma: got {sigma.size}, expected {count} (cells) or {len(vertices)} (vertices)")
    shown = [sigma] if truth is None else [sigma, _checked("truth", truth, 2)]
    style, draw_bar = _colour_scale(shown, background, unit)
    scale, length = _length_unit(np.ptp(domain.points, axis=0).max())
    points, center = domain.points * scale, domain.center * scale
    half = 0.5 * np.ptp(points, axis=0).max()
    margin = half * (0.2 if domain.electrode_count else 0.03)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    mesh = (*points[vertices].T, np.searchsorted(vertices, domain.cells[:, :3]))
    with _picture(path, (5.4, 4.6) if truth is None else (9.6, 4.6), title, "compressed") as figure:
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
            _map_axes(axes, length, title=name, xlim=(low[0], high[0]), ylim=(low[1], high[1]))
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
    panels = {name: _checked(f"panel {name!r}", image, 2) for name, image in panels.items()}
    style, draw_bar = _colour_scale(list(panels.values()), background, unit)
    scale, length = (1, "") if extent is None else _length_unit(np.ptp(extent))
    rows = -(-len(panels) // 4)
    columns = -(-len(panels) // rows)
    with _picture(path, (2.6 * columns + 1.2, 2.8 * rows + 0.3), title, "compressed") as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (name, image) in zip(grid.flat, panels.items(), strict=False):
            drawn = axes.imshow(image, extent=None if extent is None else np.multiply(extent, scale), **style)
            _map_axes(axes, length, title=name)
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
    with _picture(path, (4 * len(shown), 4.6), title, "compressed") as figure:
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (name, image) in zip(panels, shown.items(), strict=True):
            axes.imshow(image, cmap=ListedColormap(list(_CLASSES.values())), vmin=-0.5, vmax=2.5)
            _map_axes(axes, "", title=name)
        handles = [Patch(facecolor=colour, edgecolor=_GREY, label=name) for name, colour in _CLASSES.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def data_fit(path, data, prediction, deviation, mask, *, unit="") -> None:
    """Measured against predicted data of up to four excitations, and all residuals in units of the noise.

    Args:
        path: Where the PNG goes.
        data: Shape (K, M), in `unit`.
        prediction: Likewise.
        deviation: Standard deviation of each entry, likewise.
        mask: True where there is a measurement, shape (K, M); elsewhere the others may be NaN.
        unit: Of the data.
    """
    mask, arrays = np.asarray(mask, dtype=bool), []
    for name, array in (("data", data), ("prediction", prediction), ("deviation", deviation)):
        array = np.asarray(array, dtype=float)
        if mask.ndim != 2 or array.shape != mask.shape:
            raise ShapeError(f"{name}: got shape {array.shape}, mask {mask.shape}; expected (K, M) for both")
        if not mask.any() or not np.isfinite(array[mask]).all():
            raise InvalidDataError(f"{name}: got NaN, infinity or nothing at all where the mask is true")
        if name == "deviation" and not (array[mask] > 0).all():
            raise NotPositiveError("deviation: got an entry <= 0, expected the noise level of each datum")
        arrays.append(np.where(mask, array, np.nan))
    residual = ((arrays[1] - arrays[0]) / arrays[2])[mask]
    title = f"χ²/N = {np.square(residual).mean():.3g}   (N = {len(residual)} measurements)"
    with _picture(path, (9.6, 5.4), title) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(1.5, 1))
        _draw_excitations(left, *arrays, unit)
        _draw_residuals(right.subplots(), residual)


def curves(path, history, kept=None) -> None:
    """Loss, its terms, chi^2 / N and held-out chi^2 / N against the step; values <= 0 are left out.

    Args:
        path: Where the PNG goes.
        history: Name to values per step, as in `eitdip.reconstruction.Result`.
        kept: The step whose iterate was kept.
    """
    history = {name: np.asarray(values, dtype=float) for name, values in history.items()}
    shapes = sorted({values.shape for values in history.values()})
    if len(shapes) != 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ShapeError(f"history: got shapes {shapes}, expected vectors of one length >= 1")
    if kept is not None and not 0 <= kept < shapes[0][0]:
        raise OptionError(f"kept: got {kept}, expected a step from 0 to {shapes[0][0] - 1}")
    shown = {name: np.where(v > 0, v, np.nan) for name, v in history.items() if (v > 0).any()}
    misfits = {"chi2": "χ²/N", "held_out": "χ²/N held out"}
    groups = {"loss": [n for n in shown if n not in misfits], "χ²/N": [n for n in misfits if n in shown]}
    with _picture(path, (8.2, 5.8)) as figure:
        for axes, (label, names) in zip(figure.subplots(2, 1, sharex=True), groups.items(), strict=True):
            for i, name in enumerate(names):
                # The loss is wide and behind, as the misfit often is all of it.
                look = {"color": "#c3c8ce", "linewidth": 4} if name == "loss" else {"color": f"C{i}"}
                look["marker"] = "." if len(shown[name]) < 30 else None
                axes.plot(shown[name], label=misfits.get(name, name), **look)
            if label == "χ²/N":
                axes.axhline(1, color=_DARK, linestyle=(0, (5, 3)), linewidth=1, label="χ²/N = 1")
            if kept is not None:
                axes.axvline(kept, color=_RED, linewidth=1, label=f"kept: step {kept}")
            axes.set(yscale="log", ylabel=label)
            axes.margins(x=0.01)
            _log_axis(axes.yaxis, *axes.get_ylim())
            axes.grid(axis="y", color="#e4e7ea", linewidth=0.7)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


@contextmanager
def _picture(path, size, title="", layout="constrained") -> Iterator[Figure]:
    """A figure of a size in inches that becomes the file at the end, all at once or not at all."""
    path, content = Path(path), io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout=layout)
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(title, fontsize=12)
        yield figure
        figure.savefig(content, format="png", dpi=150, bbox_inches="tight", pad_inches=0.1)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        scratch.write_bytes(content.getvalue())
        os.replace(scratch, path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise OutputError(f"{path}: cannot write there ({error.strerror}); choose another place") from error


def _checked(name: str, values, axes: int = 1) -> np.ndarray:
    """Conductivities as an array with that many axes; images may be NaN outside the body."""
    values = np.asarray(values, dtype=float)
    if values.ndim != axes or np.isnan(values).all():
        expected = "a vector" if axes == 1 else "an image (H, W) that is not NaN everywhere"
        raise ShapeError(f"{name}: got shape {values.shape}, expected {expected}")
    bad = ~((values > 0) & (values < np.inf) | ((axes == 2) & np.isnan(values)))
    if bad.any():
        entry = tuple(int(i) for i in np.argwhere(bad)[0])
        raise NotPositiveError(f"{name}: entry {entry} is {values[entry]:g}, expected > 0 and finite")
    return values


def _colour_scale(shown: list[np.ndarray], background, unit: str):
    """Keywords that give all arrays the same colours, and a function that draws the colour bar."""
    values = np.concatenate([array[np.isfinite(array)] for array in shown])
    center = np.median(values) if background is None else background
    if not 0 < center < np.inf:
        raise NotPositiveError(f"background: got {background}, expected > 0 and finite")
    # At least 10 % about the centre, or noise looks like structure; at most two decades, or outliers hide it.
    low = np.clip(values.min(), center / 100, center / 1.1)
    high = np.clip(values.max(), center * 1.1, center * 100)
    reach = max(high / center, center / low)
    norm = LogNorm(low, high) if background is None else LogNorm(center / reach, center * reach)
    extend = ("neither", "min", "max", "both")[(values.min() < low) + 2 * (values.max() > high)]

    def draw_bar(figure, drawn, panels):
        bar = figure.colorbar(drawn, ax=panels, extend=extend, pad=0.02, aspect=24)
        bar.set_label(f"conductivity ({unit})")
        bar.ax.set_ylim(low, high)  # only the part of the symmetric scale that occurs
        _log_axis(bar.ax.yaxis, low, high)

    return {"norm": norm, "cmap": "viridis" if background is None else "RdBu_r"}, draw_bar


def _log_axis(axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis at round numbers, written out."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for mantissas in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = np.outer(powers, mantissas).ravel()
        ticks = ticks[(ticks >= low * 0.999) & (ticks <= high * 1.001)]
        if len(ticks) >= 4:
            break
    else:
        ticks = [tick for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high]
    axis.set_major_locator(FixedLocator(ticks[:: 1 + len(ticks) // 9]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def _length_unit(width: float) -> tuple[int, str]:
    return (100, "cm") if width < 1 else (1, "m")


def _map_axes(axes, length: str, **settings) -> None:
    """Equal axes without a frame, in a unit of length or without numbers."""
    axes.spines[:].set_visible(False)
    axes.set(aspect="equal", **settings)
    axes.tick_params(color=_GREY, labelsize=9)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        axis.set_label_text(f"{name} ({length})" if length else "")
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]) if length else NullLocator())
    axes.label_outer(remove_inner_ticks=True)


def _draw_boundary(axes, domain, points: np.ndarray, half: float) -> None:
    """The boundary, and the numbered electrodes as bands just outside it."""
    curved = domain.facets.shape[1] == 3
    lines = points[domain.facets[:, [0, 2, 1]] if curved else domain.facets]
    axes.add_collection(LineCollection(lines, colors=_DARK, linewidths=0.8, zorder=3))
    start, end = lines[:, 0], lines[:, -1]
    corners = domain.cells[:, :3].tolist()
    inside = {frozenset((a, b)): c for t in corners for a, b, c in (t, t[1:] + t[:1], t[2:] + t[:2])}
    away = (end - start)[:, ::-1] * (1, -1)
    inward = points[[inside[frozenset(facet)] for facet in domain.facets[:, :2].tolist()]] - start
    away *= -np.sign((inward * away).sum(axis=1, keepdims=True))
    away *= half / np.linalg.norm(away, axis=1, keepdims=True)
    band = [start + 0.015 * away, end + 0.015 * away, end + 0.045 * away, start + 0.045 * away]
    band = np.stack(band, axis=1)[domain.facet_tags > 0]
    axes.add_collection(PolyCollection(band, facecolors=_DARK, edgecolors=_DARK, linewidths=0.6, zorder=4))
    every = 1 if domain.electrode_count <= 16 else 4 * -(-domain.electrode_count // 64)
    for number in {1, *range(every, domain.electrode_count + 1, every)} if len(band) else ():
        middle = (0.5 * (start + end) + 0.11 * away)[domain.facet_tags == number].mean(axis=0)
        axes.text(*middle, str(number), ha="center", va="center", fontsize=8, color=_DARK)


def _draw_excitations(figure, data, prediction, deviation, unit: str) -> None:
    used = np.flatnonzero(np.isfinite(data).any(axis=1))
    used = used[np.unique(np.linspace(0, len(used) - 1, min(4, len(used))).round().astype(int))]
    power = 3 * int(np.floor(np.log10(np.nanmax(np.abs(data[used])) or 1) / 3))
    number = np.arange(1, data.shape[1] + 1)
    panels = figure.subplots(len(used), 1, squeeze=False, sharex=True)[:, 0]
    for axes, k in zip(panels, used, strict=True):
        measured, predicted, error = (array[k] / 10.0**power for array in (data, prediction, deviation))
        look = {"fmt": "o", "markersize": 2.8, "elinewidth": 1, "color": _DARK}
        axes.errorbar(number, measured, error, label="measured ± deviation", **look)
        axes.plot(number, predicted, ".-", color=_RED, linewidth=1, markersize=2, label="predicted", zorder=3)
        axes.set_title(f"excitation {k + 1}", loc="left", fontsize=9, pad=3)
    panels[-1].set_xlabel("measurement")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=9, borderpad=0)
    factor = (f"$10^{{{power}}}$ {unit}" if power else unit).strip()
    figure.supylabel(f"data ({factor})" if factor else "data", fontsize=10)


def _draw_residuals(axes, residual: np.ndarray) -> None:
    limit = np.clip(np.ceil(np.abs(residual).max()), 4, 8)
    bins = np.linspace(-limit, limit, int(np.clip(np.sqrt(len(residual)), 16, 48)) // 2 * 2 + 1)
    x = np.linspace(-limit, limit, 201)
    axes.hist(np.clip(residual, -limit, limit), bins, density=True, color=_BLUE, alpha=0.5, label="residuals")
    axes.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=_DARK, label="standard normal")
    beyond = int((np.abs(residual) > limit).sum())
    note = f"\n({beyond} beyond ±{limit:g} are in the end bins)" if beyond else ""
    axes.set(xlabel=f"(predicted − measured) / deviation{note}", ylabel="density", xlim=(-limit, limit))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.legend(loc="upper left", fontsize=9)
