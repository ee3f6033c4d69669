"""Ratios inside eitdip: gradient over forward, Dirichlet over electrodes, torch over bare, growth with the mesh."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.speed.measure import Figure, interleave, milliseconds, timed
from benchmarks.speed.problems import Plane, Settings, plane, value_and_gradient
from benchmarks.speed.report import Check
from eitdip.objective.bridge import apply

PART = "inside"
GRADIENT = 1.15
DIRICHLET = {10_000: 1.7, 50_000: 1.5}
TORCH = {10_000: 1.1, 50_000: 1.1, 200_000: 1.1}
GROWTH = 1.25
GROWS_FROM = 10_000  # nodes


def run(settings: Settings) -> Iterator[Check]:
    """Three rows per size, and the exponent of growth."""
    bare: dict[int, np.ndarray] = {}
    for size in settings.sizes:
        problem = plane(size)
        seconds = _measure(problem, settings.repetitions(size))
        bare[problem.nodes] = seconds["gradient"]
        details = {"ms": milliseconds(seconds)}
        rows = (
            ("electrodes: value + gradient / forward alone", "gradient", "forward", GRADIENT),
            ("value + gradient: Dirichlet / electrodes", "Dirichlet", "gradient", DIRICHLET.get(size)),
            ("torch forward + backward / bare value + gradient", "torch", "gradient", TORCH.get(size)),
        )
        for name, above, below, limit in rows:
            figure = Figure.ratio(seconds[above], seconds[below])
            yield Check(PART, name, problem.nodes, figure, at_most=limit, details=details)
    if len(bare) > 1:
        yield _growth(bare)


def _measure(problem: Plane, repetitions: int) -> dict[str, np.ndarray]:
    model = problem.electrodes

    def step(sigma, weight):
        sigma = torch.from_numpy(sigma).requires_grad_()
        voltages = apply(model, sigma)
        (voltages * torch.from_numpy(weight)).sum().backward()
        return voltages.detach().numpy(), sigma.grad.numpy()

    def agree(results):
        value, gradient = results["gradient"]
        np.testing.assert_array_equal(results["forward"], value)
        np.testing.assert_array_equal(results["torch"][0], value)
        np.testing.assert_array_equal(results["torch"][1], gradient)

    codes = {
        "forward": timed(model),
        "gradient": timed(value_and_gradient(model)),
        "Dirichlet": timed(value_and_gradient(problem.dirichlet)),
        "torch": timed(step),
    }
    codes["forward"] = lambda sigma, weight: timed(model)(sigma)
    return interleave(codes, problem.draws(model), repetitions, agree)


def _growth(bare: dict[int, np.ndarray]) -> Check:
    """Exponent p of seconds ~ nodes^p, fitted in each repetition."""
    large = {nodes: times for nodes, times in bare.items() if nodes > 0.7 * GROWS_FROM}
    chosen = large if len(large) > 1 else bare
    count = min(len(times) for times in chosen.values())
    logs = np.log([times[:count] for times in chosen.values()])
    slopes = np.polyfit(np.log(list(chosen)), logs, 1)[0]
    name = f"exponent of growth of value + gradient, {min(chosen):,} to {max(chosen):,} nodes"
    return Check(PART, name, None, Figure.of(slopes), at_most=GROWTH if chosen is large else None)
