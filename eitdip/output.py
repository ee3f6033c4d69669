"""The files of a finished session: numbers, ParaView, pictures, result.json."""

import csv
import io
import json
import platform
from importlib import metadata
from pathlib import Path

import numpy as np

from eitdip import __version__, plot
from eitdip.atomic import write_atomically
from eitdip.errors import OutputError
from eitdip.mesh import write_domain
from eitdip.methods import Problem
from eitdip.options import Options, settings
from eitdip.session import Solution, data_hash


def check_folder(out: Path) -> None:
    """Make sure, before any work, that results can be written.

    Raises:
        OutputError: If the folder cannot be created or written.
    """
    probe = out / ".writable"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{out}: cannot write there ({error.strerror}); choose another output folder") from error


def write(out: Path, problem: Problem, solution: Solution, method: str, options: Options) -> dict:
    """Write all results of a session into a folder.

    Returns:
        What went into result.json.
    """
    _write_arrays(out, problem, solution)
    summary = summarize(problem, solution, method, options)
    write_domain(out / "conductivity.vtu", problem.domain, {"conductivity": solution.sigma})
    _write_pictures(out, problem, solution)
    # Last, so that its presence says that everything else is complete.
    write_atomically(out / "result.json", json.dumps(summary, indent=2, allow_nan=False).encode())
    return summary


def summarize(problem: Problem, solution: Solution, method: str, options: Options) -> dict:
    """The numbers of a session as plain JSON values."""
    calibration = problem.calibration
    return {
        "method": method,
        "options": settings(options.completed(problem.domain.dimension)),
        "seed": options.seed,
        "status": str(solution.status),
        "reason": solution.results[-1].reason,
        "iterations": [result.iterations for result in solution.results],
        "kept": [result.kept for result in solution.results],
        "seconds": {name: round(value, 3) for name, value in solution.seconds.items()},
        "step seconds": [round(float(result.history["seconds"][-1]), 3) for result in solution.results],
        "memory": list(solution.memory),
        "memory of": solution.memory_of,
        "parallel": solution.parallel,
        "solver": solution.solver,
        "chi2": solution.chi2,
        "measurements": problem.measurements.count,
        "background": problem.background,
        "calibration": None if calibration is None else {
            "error": calibration.error,
            "gain spread": float(calibration.gain.std()),
            "offset rms": float(np.sqrt(np.square(calibration.offset).mean())),
        },
        "metrics": None if problem.truth is None else problem.truth.metrics(solution.sigma),
        "mesh": {"nodes": len(problem.domain.points), "cells": len(problem.domain.cells), "hash": problem.domain.hash},
        "data": {"hash": data_hash(problem.measurements), "provenance": problem.measurements.provenance},
        "versions": versions(),
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of everything that can change a result."""
    found = {"eitdip": __version__, "python": platform.python_version()}
    for name in (
        "fenics-dolfinx",
        "dolfinx-solver-real",
        "petsc4py",
        "mpi4py",
        "torch",
        "numpy",
        "scipy",
        "gmsh",
        "meshio",
    ):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write_arrays(out: Path, problem: Problem, solution: Solution) -> None:
    buffer = io.BytesIO()
    per_seed = {f"sigma_seed{i}": result.sigma for i, result in enumerate(solution.results)}
    np.savez(
        buffer,
        sigma=solution.sigma,
        estimate=solution.estimate,
        data=problem.data,
        prediction=solution.prediction,
        mask=problem.measurements.mask,
        **per_seed,
    )
    write_atomically(out / "estimate.npz", buffer.getvalue())
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(solution.results[0].history)
    writer.writerow(["seed", "step", *names])
    for seed, result in enumerate(solution.results):
        for step, row in enumerate(zip(*(result.history[name] for name in names), strict=True)):
            writer.writerow([seed, step, *(f"{value:.10g}" for value in row)])
    write_atomically(out / "history.csv", text.getvalue().encode())


def _write_pictures(out: Path, problem: Problem, solution: Solution) -> None:
    measurements, last = problem.measurements, solution.results[-1]
    look = {"truth": measurements.truth, "background": problem.background}
    if problem.domain.dimension == 2:
        plot.conductivity(out / "conductivity.png", problem.domain, solution.sigma, **look)
    else:
        plot.slices(out / "conductivity.png", problem.domain, solution.sigma, **look)
        plot.render(out / "render.png", problem.domain, solution.sigma, **look)
    plot.data_fit(out / "data_fit.png", problem.data, solution.prediction, measurements.deviation, measurements.mask)
    plot.curves(out / "curves.png", last.history, last.kept)
