"""Data fits and the course of the iteration."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError
from eitdip.plot.style import BLUE, DARK, RED, log_axis, picture


def data_fit(path, data, prediction, deviation, mask, *, unit="") -> None:
    """Measured against predicted data of up to four excitations, and all residuals in units of the noise.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
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
    with picture(path, (9.6, 5.4), title) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(1.5, 1))
        _draw_excitations(left, *arrays, unit)
        _draw_residuals(right.subplots(), residual)


def curves(path, history, kept=None) -> None:
    """Loss and its terms, chi^2 / N and the error, as far as known, against the step; values <= 0 are left out.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
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
    apart = {*misfits, "relative L2", "PSNR", "seconds"}
    groups = {"loss": [n for n in shown if n not in apart], "χ²/N": [n for n in misfits if n in shown]}
    if "relative L2" in shown:
        groups["relative L2 error"] = ["relative L2"]
    if "PSNR" in shown:
        groups["PSNR (dB)"] = ["PSNR"]
    with picture(path, (8.2, 2.9 * len(groups))) as figure:
        for axes, (label, names) in zip(figure.subplots(len(groups), 1, sharex=True), groups.items(), strict=True):
            for i, name in enumerate(names):
                # The loss is wide and behind, as the misfit often is all of it.
                look = {"color": "#c3c8ce", "linewidth": 4} if name == "loss" else {"color": f"C{i}"}
                look["marker"] = "." if len(shown[name]) < 30 else None
                axes.plot(shown[name], label=misfits.get(name, name), **look)
            if label == "χ²/N":
                axes.axhline(1, color=DARK, linestyle=(0, (5, 3)), linewidth=1, label="χ²/N = 1")
            if kept is not None:
                axes.axvline(kept, color=RED, linewidth=1, label=f"kept: step {kept}")
            axes.set_ylabel(label)
            axes.margins(x=0.01)
            if label != "PSNR (dB)":  # decibels are logarithms already
                axes.set_yscale("log")
                log_axis(axes.yaxis, *axes.get_ylim())
            axes.grid(axis="y", color="#e4e7ea", linewidth=0.7)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _draw_excitations(figure, data, prediction, deviation, unit: str) -> None:
    used = np.flatnonzero(np.isfinite(data).any(axis=1))
    used = used[np.unique(np.linspace(0, len(used) - 1, min(4, len(used))).round().astype(int))]
    power = 3 * int(np.floor(np.log10(np.nanmax(np.abs(data[used])) or 1) / 3))
    number = np.arange(1, data.shape[1] + 1)
    panels = figure.subplots(len(used), 1, squeeze=False, sharex=True)[:, 0]
    for axes, k in zip(panels, used, strict=True):
        measured, predicted, error = (array[k] / 10.0**power for array in (data, prediction, deviation))
        look = {"fmt": "o", "markersize": 2.8, "elinewidth": 1, "color": DARK}
        axes.errorbar(number, measured, error, label="measured ± deviation", **look)
        axes.plot(number, predicted, ".-", color=RED, linewidth=1, markersize=2, label="predicted", zorder=3)
        axes.set_title(f"excitation {k + 1}", loc="left", fontsize=9, pad=3)
    panels[-1].set_xlabel("measurement")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=9, borderpad=0)
    factor = (f"$10^{{{power}}}$ {unit}" if power else unit).strip()
    figure.supylabel(f"data ({factor})" if factor else "data", fontsize=10)


def _draw_residuals(axes, residual: np.ndarray) -> None:
    limit = np.clip(np.ceil(np.abs(residual).max()), 4, 8)
    bins = np.linspace(-limit, limit, int(np.clip(np.sqrt(len(residual)), 16, 48)) // 2 * 2 + 1)
    x = np.linspace(-limit, limit, 201)
    axes.hist(np.clip(residual, -limit, limit), bins, density=True, color=BLUE, alpha=0.5, label="residuals")
    axes.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=DARK, label="standard normal")
    beyond = int((np.abs(residual) > limit).sum())
    note = f"\n({beyond} beyond ±{limit:g} are in the end bins)" if beyond else ""
    axes.set(xlabel=f"(predicted − measured) / deviation{note}", ylabel="density", xlim=(-limit, limit))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.legend(loc="upper left", fontsize=9)
