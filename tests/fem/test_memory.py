"""Evaluations leave nothing behind."""

import numpy as np
import pytest

from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.ranks.collectives import alone
from tests.cases.meshes import ring_disk


def resident() -> int:
    """Bytes of physical memory of this process."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except FileNotFoundError:
        pytest.skip("needs /proc")


@pytest.mark.parametrize("solver", ["cholesky", "last-factor", "multigrid"])
def test_memory_is_flat(solver, rng):
    """Anything of the size of one field that is kept (160 kB here) would show as 32 MB."""
    model = CompleteElectrodeModel(ring_disk(20, 8), adjacent(8), 0.1, comm=alone(), solver=solver)
    count = 200 if solver != "multigrid" else 40

    def evaluate():
        sigma = rng.uniform(0.9, 1.1, model.domain.shape)
        value, derivative = model.linearize(sigma)
        derivative.adjoint(value)

    for _ in range(count // 4):
        evaluate()
    before = resident()
    for _ in range(count):
        evaluate()
    field = len(model.discretization.domain.points) * 8 * 8
    assert resident() - before < 0.1 * count * field


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_evaluations(rng):
    model = CompleteElectrodeModel(ring_disk(20, 8), adjacent(8), 0.1, comm=alone())
    sizes = []
    for _ in range(10_000):
        value, derivative = model.linearize(np.exp(0.3 * rng.standard_normal(model.domain.shape)))
        derivative.adjoint(value)
        sizes.append(resident())
    assert sizes[-1] < 1.01 * sizes[100]
