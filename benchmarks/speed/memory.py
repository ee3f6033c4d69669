"""Resident memory over many evaluations."""

from collections.abc import Iterator

from benchmarks.speed.measure import Figure, resident_bytes
from benchmarks.speed.problems import Settings, plane, value_and_gradient
from benchmarks.speed.report import Check

PART = "memory"
ASKED = 0.01
WARM_UP = 100


def run(settings: Settings) -> Iterator[Check]:
    """One row, on the smallest mesh."""
    problem = plane(min(settings.sizes))
    work, draw = value_and_gradient(problem.electrodes), problem.draws(problem.electrodes)
    before = 0
    for evaluation in range(settings.evaluations):
        if evaluation == WARM_UP:
            before = resident_bytes()
        work(*draw())
    growth = resident_bytes() / before - 1
    details = {"resident MB after the first 100": round(before / 1e6, 1)}
    name = f"growth of resident memory over {settings.evaluations:,} evaluations"
    limit = ASKED if settings.effort else None
    yield Check(PART, name, problem.nodes, Figure.of([growth]), at_most=limit, details=details)
