"""What all pictures share: look, colour scale, axes, and writing a file as a whole."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from eitdip.errors import NotPositiveError, OptionError, ShapeError
from eitdip.plot.scales import beyond, robust_limits, weighted_quantile
from eitdip.writing import write_atomically

_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.3, "legend.frameon": False,
    "text.usetex": False, "savefig.facecolor": "white", "image.interpolation": "nearest",
    "svg.hashsalt": "eitdip",
}  # fmt: skip
DPI = 150
DARK, GREY, BLUE, RED = "#22262b", "#8a9099", "#3778bf", "#c8372d"


# Endings of files, and what must not be written into them: the same picture has the same bytes on another day.
FORMATS = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


@contextmanager
def picture(path, size, title="", layout="constrained") -> Iterator[Figure]:
    """A figure of a size in inches that becomes the file at the end, all at once or not at all.

    Raises:
        OptionError: If the ending of the path is not one of `FORMATS`.
    """
    content, suffix = io.BytesIO(), Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OptionError(f"{path}: got the ending {suffix!r}, expected one of: {', '.join(FORMATS)}")
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout=layout)
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(plain(title), fontsize=12)
        yield figure
        look = {"dpi": DPI, "bbox_inches": "tight", "pad_inches": 0.1, "metadata": FORMATS[suffix]}
        figure.savefig(content, format=suffix[1:], **look)
    write_atomically(path, content.getvalue())


def plain(text: str) -> str:
    """Text of a user, such as a unit or a label, in which matplotlib must see no formula."""
    return str(text).replace("$", r"\$")


def axes_or_new(ax):
    """The given axes of matplotlib, or those of a new figure."""
    return Figure(figsize=(5.4, 4.6), layout="compressed").subplots() if ax is None else ax


def checked(name: str, values, axes: int = 1) -> np.ndarray:
    """Conductivities as an array with that many axes; images may be NaN outside the body."""
    values = np.asarray(values, dtype=float)
    if values.ndim != axes or np.isnan(values).all():
        kind = ("a vector", "an image (H, W)", "an image (D, H, W)")[axes - 1]
        expected = kind if axes == 1 else f"{kind} that is not NaN everywhere"
        raise ShapeError(f"{name}: got shape {values.shape}, expected {expected}")
    bad = ~((values > 0) & (values < np.inf) | ((axes > 1) & np.isnan(values)))
    if bad.any():
        entry = tuple(int(i) for i in np.argwhere(bad)[0])
        raise NotPositiveError(f"{name}: entry {entry} is {values[entry]:g}, expected > 0 and finite")
    return values


def checked_background(background) -> float:
    """A background conductivity, which must be a positive number."""
    if background is None or not 0 < background < np.inf:
        raise NotPositiveError(f"background: got {background}, expected > 0 and finite")
    return float(background)


def colour_scale(shown: list[np.ndarray], background, unit: str, weights=None):
    """Keywords that give all arrays the same colours, and a function that draws the colour bar.

    Args:
        shown: Conductivities; NaN is not shown. What is extreme in 0.2 % of one of them does not stretch the scale.
        background: Centre of the scale, or None.
        unit: Of all of them.
        weights: Per array what its entries stand for, such as sizes of cells, or None where all are equal.
    """
    weights = [None] * len(shown) if weights is None else weights
    shown = [array[np.isfinite(array)] for array in shown]  # images, which have no weights, are NaN outside the body
    values, pairs = np.concatenate(shown), list(zip(shown, weights, strict=True))
    least, largest = min(robust_limits(*pair)[0] for pair in pairs), max(robust_limits(*pair)[1] for pair in pairs)
    medians = [weighted_quantile(array, 0.5, sizes) for array, sizes in pairs]
    center = np.median(medians) if background is None else checked_background(background)
    # At least 10 % about the centre, or noise looks like structure; at most two decades, or the rest has one colour.
    low, high = np.clip(least, center / 100, center / 1.1), np.clip(largest, center * 1.1, center * 100)
    reach = max(high / center, center / low)
    norm = LogNorm(low, high) if background is None else LogNorm(center / reach, center * reach)
    extend = beyond(values, norm.vmin, norm.vmax)
    # Only the part of the symmetric scale that occurs; all of it where an arrow stands for what is beyond.
    low, high = max(norm.vmin, min(low, values.min())), min(norm.vmax, max(high, values.max()))

    def draw_bar(figure, drawn, panels):
        bar = figure.colorbar(drawn, ax=panels, extend=extend, pad=0.02, aspect=24)
        bar.set_label(plain(f"conductivity ({unit})"))
        bar.ax.set_ylim(low, high)
        log_axis(bar.ax.yaxis, low, high)

    return {"norm": norm, "cmap": "viridis" if background is None else "RdBu_r"}, draw_bar


def log_axis(axis, low: float, high: float) -> None:
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


def length_unit(width: float) -> tuple[int, str]:
    """Factor and name of the unit for lengths of this size in m."""
    return (100, "cm") if width < 1 else (1, "m")


def map_axes(axes, length: str, **settings) -> None:
    """Equal axes without a frame, in a unit of length or without numbers."""
    axes.spines[:].set_visible(False)
    settings |= {"title": plain(settings["title"])} if "title" in settings else {}
    axes.set(aspect="equal", **settings)
    axes.tick_params(color=GREY, labelsize=9)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        axis.set_label_text(f"{name} ({length})" if length else "")
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]) if length else NullLocator())
    axes.label_outer(remove_inner_ticks=True)
