"""How well data are explained: what objects changed in them, and what is left in units of the noise."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from eitdip.errors import InvalidDataError, NotPositiveError, ShapeError
from eitdip.plot.style import BLUE, DARK, GREY, RED, picture, plain

_PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k"}
_BAND = 2.0  # deviations, beyond which 4.6 % of normal residuals are


def data_fit(path, data, prediction, deviation, mask, reference_prediction=None, unit="V") -> None:
    """Measured against predicted data of up to four excitations, and all residuals in units of the noise.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        data: Shape (K, M), in `unit`.
        prediction: Likewise.
        deviation: Standard deviation of each entry, likewise.
        mask: True where there is a measurement, shape (K, M); elsewhere the others may be NaN.
        reference_prediction: Prediction of the homogeneous body, likewise. If it is given, the differences to it are
            shown, as objects change most data by far less than their size.
        unit: Of the data.
    """
    given = {"data": data, "prediction": prediction, "deviation": deviation}
    if reference_prediction is not None:
        given["reference_prediction"] = reference_prediction
    arrays = _checked(given, mask)
    residual = (arrays["data"] - arrays["prediction"]) / arrays["deviation"]
    seen = residual[np.isfinite(residual)]
    share = 100 * np.mean(np.abs(seen) > _BAND)
    title = f"χ²/N = {np.square(seen).mean():.3g}   (N = {len(seen)} measurements, {share:.2g} % beyond ±2 deviations)"
    with picture(path, (11, 5.8), title) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(1.4, 1))
        _draw_excitations(left, arrays, unit)
        above, below = right.subplots(2, 1, height_ratios=(1.2, 1))
        limit = float(np.clip(np.ceil(np.abs(seen).max()), 4, 8))
        _draw_histogram(above, seen, limit)
        _draw_residuals(below, residual, limit)


def _checked(given: dict, mask) -> dict[str, np.ndarray]:
    """The arrays, NaN where there is no measurement."""
    mask, arrays = np.asarray(mask, dtype=bool), {}
    for name, array in given.items():
        array = np.asarray(array, dtype=float)
        if mask.ndim != 2 or array.shape != mask.shape:
            raise ShapeError(f"{name}: got shape {array.shape}, mask {mask.shape}; expected (K, M) for both")
        if not mask.any() or not np.isfinite(array[mask]).all():
            raise InvalidDataError(f"{name}: got NaN, infinity or nothing at all where the mask is true")
        if name == "deviation" and not (array[mask] > 0).all():
            raise NotPositiveError("deviation: got an entry <= 0, expected the noise level of each datum")
        arrays[name] = np.where(mask, array, np.nan)
    return arrays


def _draw_excitations(figure, arrays: dict[str, np.ndarray], unit: str) -> None:
    """Measured and predicted, of excitations spread over all that have data."""
    zero = arrays.get("reference_prediction", 0.0)
    measured, predicted, deviation = arrays["data"] - zero, arrays["prediction"] - zero, arrays["deviation"]
    used = np.flatnonzero(np.isfinite(measured).any(axis=1))
    used = used[np.unique(np.linspace(0, len(used) - 1, min(4, len(used))).round().astype(int))]
    factor, unit = scaled(np.nanmax(np.abs(measured[used])), unit)
    number = np.arange(1, measured.shape[1] + 1)
    panels = figure.subplots(len(used), 1, squeeze=False, sharex=True)[:, 0]
    for axes, k in zip(panels, used, strict=True):
        look = {"fmt": "o", "markersize": 2.8, "elinewidth": 1, "color": DARK}
        axes.axhline(0, color="#c3c8ce", linewidth=0.8, zorder=0)
        axes.errorbar(number, factor * measured[k], factor * deviation[k], label="measured ± deviation", **look)
        line = {"color": RED, "linewidth": 1, "markersize": 2, "label": "predicted", "zorder": 3}
        axes.plot(number, factor * predicted[k], ".-", **line)
        axes.set_title(f"excitation {k + 1}", loc="left", fontsize=9, pad=3)
    panels[-1].set_xlabel("measurement")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=9, borderpad=0)
    what = "difference to the homogeneous body" if "reference_prediction" in arrays else "data"
    figure.supylabel(plain(f"{what} ({unit})" if unit else what), fontsize=10)


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """A factor for numbers up to this one, and what their unit is then called."""
    power = 3 * int(np.floor(np.log10(largest or 1) / 3))
    if not unit:
        return 10.0**-power, f"1e{power}" if power else ""
    power = int(np.clip(power, min(_PREFIXES), max(_PREFIXES)))
    return 10.0**-power, _PREFIXES[power] + unit


def _draw_histogram(axes, residual: np.ndarray, limit: float) -> None:
    bins = np.linspace(-limit, limit, int(np.clip(np.sqrt(len(residual)), 16, 48)) // 2 * 2 + 1)
    x = np.linspace(-limit, limit, 201)
    axes.hist(np.clip(residual, -limit, limit), bins, density=True, color=BLUE, alpha=0.5, label="residuals")
    axes.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=DARK, label="noise alone")
    beyond = int((np.abs(residual) > limit).sum())
    note = f"\n({beyond} beyond ±{limit:g} are at the ends)" if beyond else ""
    axes.set(xlabel=f"(measured − predicted) / deviation{note}", ylabel="density", xlim=(-limit, limit))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylim(0, 1.25 * max(axes.get_ylim()[1], 0.42))
    axes.legend(loc="upper left", fontsize=9)


def _draw_residuals(axes, residual: np.ndarray, limit: float) -> None:
    """All residuals over their excitations, and the band in which 95 % of the noise alone would be."""
    excitation = np.broadcast_to(np.arange(1, len(residual) + 1)[:, None], residual.shape)
    axes.axhspan(-_BAND, _BAND, color=GREY, alpha=0.2, linewidth=0, label="±2 deviations")
    inside = np.abs(residual) <= _BAND
    for chosen, colour in ((inside, BLUE), (np.isfinite(residual) & ~inside, RED)):
        values = np.clip(residual[chosen], -limit, limit)
        # As pixels, or a file of vectors has one circle for each of a hundred thousand data.
        axes.plot(excitation[chosen], values, ".", color=colour, markersize=3, rasterized=True)
    axes.set(xlabel="excitation", ylabel="residual / deviation", ylim=(-1.05 * limit, 1.05 * limit))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.97), fontsize=9, borderpad=0)
