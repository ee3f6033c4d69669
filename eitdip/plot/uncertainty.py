"""How far to trust a picture: deviation, error over deviation, chances of objects, and a section with its interval."""

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from eitdip.errors import ShapeError
from eitdip.plot.scales import beyond, robust_limits
from eitdip.plot.style import BLUE, DARK, GREY, log_axis, map_axes, picture, plain


def uncertainty(path, fields, chances=(), *, logarithmic: bool = False, unit: str = "", level: float = 0.9) -> None:
    """Panels of a posterior, and the row of pixels in which the estimate varies most.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        fields: Name to image (H, W), NaN where nothing is said: "estimate", "low" and "high" (ends of the interval),
            "deviation" (of the logarithm, if `logarithmic`); where the truth is known "truth", and "error", its
            distance to the estimate over the deviation; and those of `chances`.
        chances: Names of further images, probabilities, with their titles.
        logarithmic: Whether values are positive and compared by ratios.
        unit: Of the values.
        level: Of the interval.
    """
    fields = {name: np.asarray(field, dtype=float) for name, field in fields.items()}
    shape = fields["estimate"].shape
    for name, field in fields.items():
        if field.shape != shape or field.ndim != 2:
            raise ShapeError(f"{name}: got shape {field.shape}, expected (H, W), the same for all")
    names = ["estimate", "truth", "deviation", "error", *chances]
    names = [name for name in names if name in fields]
    columns = 3 if len(names) in (5, 6) else min(4, len(names))
    rows = -(-len(names) // columns)
    with picture(path, (3.1 * columns, 2.9 * rows + 2.6)) as figure:
        grid = figure.subplots(rows + 1, columns, squeeze=False, height_ratios=[1] * rows + [0.8])
        for axes in grid[:rows].flat[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(grid[:rows].flat, names, strict=False):
            _panel(figure, axes, name, fields, name in chances, logarithmic, unit)
        for axes in grid[-1]:
            axes.remove()
        _section(figure.add_subplot(grid[-1, 0].get_gridspec()[-1, :]), fields, logarithmic, unit, level)


def _panel(figure, axes, name: str, fields, chance: bool, logarithmic: bool, unit: str) -> None:
    field = fields[name]
    known, label = field[np.isfinite(field)], ""
    if chance:
        look = {"norm": Normalize(0, 1), "cmap": "Purples"}
    elif name in ("estimate", "truth"):
        both = [fields[each][np.isfinite(fields[each])] for each in ("estimate", "truth") if each in fields]
        low, high = min(robust_limits(each)[0] for each in both), max(robust_limits(each)[1] for each in both)
        high = max(high, low * 1.1 if logarithmic else low + 1e-12)
        look = {"norm": LogNorm(low, high) if logarithmic else Normalize(low, high), "cmap": "viridis"}
        label = unit
    elif name == "deviation":
        low, high = robust_limits(known)
        look = {"norm": Normalize(0, max(high, 1e-12)), "cmap": "magma"}
        label = "of the natural logarithm" if logarithmic else unit
    else:
        look = {"norm": Normalize(0, 4), "cmap": "RdYlBu_r"}
    drawn = axes.imshow(field, **look)
    titles = {"error": "|error| / deviation"}
    map_axes(axes, "", title=titles.get(name, name))
    low, high = drawn.get_clim()
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=24, extend=beyond(known, low, high))
    bar.set_label(plain(label))
    if isinstance(look["norm"], LogNorm):
        log_axis(bar.ax.yaxis, low, high)


def _section(axes, fields, logarithmic: bool, unit: str, level: float) -> None:
    estimate = fields["estimate"]
    scaled = np.log(estimate) if logarithmic else estimate
    enough = np.isfinite(scaled).sum(axis=1) > 0.5 * np.isfinite(scaled).sum(axis=1).max()
    spread = np.array([np.nanstd(row) if use else -1 for row, use in zip(scaled, enough, strict=True)])
    row = int(np.argmax(spread))
    columns = np.arange(estimate.shape[1])
    axes.fill_between(columns, fields["low"][row], fields["high"][row], color=BLUE, alpha=0.25, lw=0,
                      label=f"{100 * level:g} % interval")  # fmt: skip
    axes.plot(columns, estimate[row], color=BLUE, label="estimate")
    if "truth" in fields:
        axes.plot(columns, fields["truth"][row], color=DARK, lw=1, ls="--", label="truth")
    axes.set(xlabel=f"column, in row {row}", ylabel=plain(unit))
    if logarithmic:
        shown = np.concatenate([fields[name][row] for name in ("low", "high", "truth") if name in fields])
        shown = shown[np.isfinite(shown)]
        axes.set_yscale("log")
        axes.set_ylim(shown.min() / 1.1, shown.max() * 1.1)
        log_axis(axes.yaxis, shown.min(), shown.max())
    axes.tick_params(color=GREY)
    axes.legend(fontsize=9)
