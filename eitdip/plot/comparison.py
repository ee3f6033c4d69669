"""Several methods beside each other."""

import numpy as np

from eitdip.errors import ShapeError
from eitdip.plot.style import DARK, log_axis, picture, plain

_MARKERS = "os^vDP*X<>h"
_WORDS = {"relative L2": "relative L2 error", "PSNR": "PSNR (dB)", "chi2": "χ²/N of the method's own data term"}


def against_time(path, histories, quantity: str) -> None:
    """A quantity against the seconds of the steps, for several methods.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        histories: Label to a history with "seconds" and the quantity, as in `eitdip.reconstruction.Result`.
        quantity: "relative L2", "PSNR" or "chi2".
    """
    for label, history in histories.items():
        shapes = {np.shape(history[name]) for name in ("seconds", quantity)}
        if len(shapes) != 1 or len(*shapes) != 1:
            raise ShapeError(f"history of {label!r}: got shapes {shapes}, expected two vectors of one length")
    with picture(path, (8.6, 4.8)) as figure:
        axes = figure.subplots()
        for number, (label, history) in enumerate(histories.items()):
            few = len(history["seconds"]) <= 30
            marker = _MARKERS[number % len(_MARKERS)]
            axes.plot(
                history["seconds"], history[quantity], color=f"C{number % 10}", label=plain(label), marker=marker,
                markersize=4.5, markevery=1 if few else [-1], linestyle="-" if number < 10 else "--",
            )  # fmt: skip
        if quantity == "chi2":
            axes.axhline(1, color=DARK, linestyle=(0, (5, 3)), linewidth=1)
        axes.set(xscale="log", xlabel="seconds of steps", ylabel=_WORDS[quantity])
        if quantity != "PSNR":  # decibels are logarithms already
            axes.set_yscale("log")
            log_axis(axes.yaxis, *axes.get_ylim())
        axes.grid(color="#e4e7ea", linewidth=0.7)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
