"""The files of a finished session: numbers, ParaView, pictures, result.json."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from eitdip.runs import uncertainty
from eitdip.runs.earlier import remove
from eitdip.runs.pictures import write_pictures
from eitdip.runs.versions import versions
from eitdip.writing import make_folder, write_atomically


def write(out: Path, solution) -> dict:
    """Write all results of a session into a folder, in place of those that are there.

    Returns:
        What went into result.json.
    """
    summary = summarize(solution)
    make_folder(out)
    remove(out)
    write_atomically(out / "estimate.npz", _arrays(solution))
    if solution.results:
        write_atomically(out / "history.csv", _history(solution).encode())
    write_pictures(out, solution)
    # Last, so that its presence says that everything else is complete.
    write_atomically(out / "result.json", json.dumps(summary, indent=2, allow_nan=False).encode())
    return summary


def summarize(solution) -> dict:
    """The numbers of a session as plain JSON values."""
    problem, cost, results = solution.problem, solution.cost, solution.results
    return {
        "problem": problem.name,
        "kind": problem.unknown.kind,
        "method": solution.name,
        "options": asdict(solution.method.completed(problem.unknown.kind)),
        "data settings": dict(problem.settings),
        "running": asdict(solution.running),
        "sessions": [list(result.sessions) for result in results],
        "seed": solution.method.seed,
        "status": str(solution.status),
        "reason": results[-1].reason if results else "",
        "iterations": [result.iterations for result in results],
        "kept": [result.kept for result in results],
        "seconds": {name: round(value, 3) for name, value in cost.seconds.items()},
        "step seconds": [round(float(result.history["seconds"][-1]), 3) for result in results]
        or [round(cost.seconds["total"], 3)],
        "memory": list(cost.memory),
        "memory of": cost.memory_of,
        "parallel": cost.parallel,
        "solver": cost.solver,
        "misfit": solution.misfit,
        "misfit of noise alone": solution.expected,
        "noise level known": problem.data.noise.known,
        "measurements": problem.data.count,
        **problem.unknown.facts(problem),
        "metrics": solution.errors or None,
        "uncertainty": uncertainty.summary(solution),
        "hash": problem.hash,
        "data": problem.data.provenance,
        "versions": versions(),
    }


def _arrays(solution) -> bytes:
    problem, buffer = solution.problem, io.BytesIO()
    np.savez(
        buffer,
        x=solution.x,
        field=solution.field,
        picture=problem.unknown.picture(solution.x),
        data=problem.data.values,
        prediction=solution.prediction,
        mask=problem.data.mask,
        **uncertainty.arrays(solution),
        **{f"x_seed{i}": result.x for i, result in enumerate(solution.results)},
    )
    return buffer.getvalue()


def _history(solution) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(solution.results[0].history)
    writer.writerow(["seed", "step", *names])
    for seed, result in enumerate(solution.results):
        for step, row in enumerate(zip(*(result.history[name] for name in names), strict=True)):
            writer.writerow([seed, step, *(f"{value:.10g}" for value in row)])
    return text.getvalue()
