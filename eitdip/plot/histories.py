"""The course of the iteration."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from eitdip.errors import OptionError, ShapeError
from eitdip.plot.style import DARK, RED, log_axis, picture


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
    groups = {label: names for label, names in groups.items() if names or label == "loss"}
    if "relative L2" in shown:
        groups["relative L2 error"] = ["relative L2"]
    if "PSNR" in shown:
        groups["PSNR (dB)"] = ["PSNR"]
    with picture(path, (8.2, 2.9 * len(groups))) as figure:
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (label, names) in zip(panels, groups.items(), strict=True):
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
