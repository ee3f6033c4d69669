"""Pictures of a solution, by the kind of its unknown."""

from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.problems.unknown import Unknown
from eitdip.runs import uncertainty


def write_pictures(out: Path, solution) -> None:
    """PNG files of the unknown, the fit and the course of the steps; for bodies also a ParaView file."""
    _WRITERS[solution.problem.unknown.kind](out, solution)
    if solution.posterior is not None:
        uncertainty.draw(out / "uncertainty.png", solution)
    if solution.results:
        last = solution.results[-1]
        plot.curves(out / "curves.png", last.history, last.kept)


def draw(solution, ax=None):
    """Draw the unknown into matplotlib axes, by default new ones; returns the axes."""
    unknown = solution.problem.unknown
    if unknown.kind == "image":
        return plot.draw_picture(ax, unknown.picture(solution.x), unknown.low, unknown.high)
    unit = solution.problem.measurements.unit
    return plot.draw_field(ax, unknown.domain, solution.x, background=unknown.start, unit=unit)


def compare_pictures(
    path: Path, unknown: Unknown, panels: dict[str, np.ndarray], background: float | None, unit: str = ""
) -> None:
    """Pictures of several solutions of one problem side by side, on one scale.

    Args:
        path: Where the PNG goes.
        unknown: The problem's.
        panels: Name to picture, as of `Unknown.picture`.
        background: Of bodies: conductivity in the middle of the colours.
        unit: Of bodies: that of the conductivities.
    """
    if unknown.kind == "image":
        plot.pictures(path, panels, unknown.low, unknown.high)
    else:
        plot.images(path, panels, background=background, unit=unit)


def _plane(out: Path, solution) -> None:
    plot.conductivity(out / "conductivity.png", solution.problem.unknown.domain, solution.x, **_look(solution))
    _body(out, solution)


def _solid(out: Path, solution) -> None:
    domain, look = solution.problem.unknown.domain, _look(solution)
    plot.slices(out / "conductivity.png", domain, solution.x, **look)
    plot.render(out / "render.png", domain, solution.x, **look)
    _body(out, solution)


def _look(solution) -> dict:
    problem = solution.problem
    return {"truth": problem.truth, "background": problem.unknown.start, "unit": problem.measurements.unit}


def _body(out: Path, solution) -> None:
    from eitdip.mesh import write_domain

    problem, data = solution.problem, solution.problem.data
    spread = uncertainty.on_cells(solution)
    write_domain(out / "conductivity.vtu", problem.unknown.domain, {"conductivity": solution.x} | spread)
    known = problem.calibration
    homogeneous = None if known is None else known.prediction
    fit = data.values, solution.prediction, data.deviation, data.mask, homogeneous
    plot.data_fit(out / "data_fit.png", *fit, unit=_data_unit(problem.measurements))


def _data_unit(measurements) -> str:
    """Voltages are in V whatever the currents are in; what flows through the boundary is in A if all is SI."""
    if measurements.model != "dirichlet":
        return "V"
    return "A" if measurements.unit == "S/m" else ""


def _image(out: Path, solution) -> None:
    problem, unknown = solution.problem, solution.problem.unknown
    first = np.asarray(problem.model.pinv(problem.data.values))
    shown = {} if problem.truth is None else {"truth": problem.truth}
    shown |= {"from the data alone": first, solution.name: solution.x}
    panels = {name: unknown.picture(image) for name, image in shown.items()}
    plot.pictures(out / "image.png", panels, unknown.low, unknown.high)


_WRITERS = {"plane": _plane, "solid": _solid, "image": _image}
