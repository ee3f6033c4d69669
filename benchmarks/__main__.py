"""Value + gradient of the electrode model against a plain SciPy code: python -m benchmarks.

Same mesh, patterns and conductivity; agreement is asserted before any time is taken; repetitions
are interleaved and medians compared, one thread. Writes results/bench.json.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.parallel import alone
from eitdip.reconstruction.checkpoint import write_atomically

REPETITIONS = 7


class PlainScipy:
    """Bordered electrode system, assembled from cell matrices, SuperLU, one adjoint solve per pattern."""

    def __init__(self, model: CompleteElectrodeModel, domain):
        space = model.discretization
        order = np.argsort(space.cell_sigmas[:, 0])  # DOLFINx renumbers cells; conductivities are in file order
        self.tensors, self.nodes, self.size = space.cell_tensors[order, 0], space.cell_nodes[order], space.size
        self.currents, self.measurements = model.currents, model.measurements
        contact, coupling, lengths = model._contacts()
        ground = np.ones((1, len(lengths)))
        self.border = sparse.block_array(
            [[contact, -coupling, None], [-coupling.T, np.diag(lengths), ground.T], [None, ground, None]]
        ).tocsc()

    def value_and_gradient(self, sigma, weight):
        nodes, count = self.nodes, len(self.currents[0])
        entries = (sigma[:, None, None] * self.tensors).ravel()
        rows = np.repeat(nodes, nodes.shape[1], axis=1).ravel()
        columns = np.tile(nodes, (1, nodes.shape[1])).ravel()
        stiffness = sparse.csc_array((entries, (rows, columns)), shape=self.border.shape)
        factor = splu(stiffness + self.border)

        def solve(patterns):
            load = np.zeros((self.border.shape[0], len(patterns)))
            load[self.size : self.size + count] = patterns.T
            return factor.solve(load)

        state = solve(self.currents)
        voltages = state[self.size : self.size + count].T @ self.measurements.T
        adjoint = solve(weight @ self.measurements)
        u, p = state[: self.size][nodes], adjoint[: self.size][nodes]
        return voltages, -np.einsum("cik,cij,cjk->c", u, self.tensors, p, optimize=True)


def compare(h: float) -> dict:
    """Times and their ratio on a disk with 16 electrodes."""
    rng = np.random.default_rng(0)
    domain = disk(h=h, electrodes=16, width=0.2)
    model = CompleteElectrodeModel(domain, adjacent(16), 0.1, comm=alone())
    plain = PlainScipy(model, domain)
    times: dict[str, list[float]] = {"eitdip": [], "scipy": []}
    for repetition in range(REPETITIONS + 1):
        sigma = np.exp(0.3 * rng.standard_normal(model.domain.shape))
        weight = rng.standard_normal(model.range.shape)
        start = time.perf_counter()
        value, derivative = model.linearize(sigma)
        gradient = derivative.adjoint(weight)
        middle = time.perf_counter()
        other_value, other_gradient = plain.value_and_gradient(sigma, weight)
        end = time.perf_counter()
        np.testing.assert_allclose(value, other_value, rtol=0, atol=1e-9 * np.abs(value).max())
        np.testing.assert_allclose(gradient, other_gradient, rtol=0, atol=1e-8 * np.abs(gradient).max())
        if repetition:  # the first one analyzes and allocates
            times["eitdip"].append(middle - start)
            times["scipy"].append(end - middle)
    ratios = np.array(times["scipy"]) / np.array(times["eitdip"])
    return {
        "nodes": len(domain.points),
        "eitdip ms": 1e3 * float(np.median(times["eitdip"])),
        "scipy ms": 1e3 * float(np.median(times["scipy"])),
        "ratio": float(np.median(ratios)),
        "ratio range": [float(ratios.min()), float(ratios.max())],
    }


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows = [compare(h) for h in (0.045, 0.02)]
    for row in rows:
        print(
            "  ".join(
                f"{name} {value if isinstance(value, int) else np.round(value, 2)}" for name, value in row.items()
            )
        )
    Path("results").mkdir(exist_ok=True)
    write_atomically(Path("results/bench.json"), json.dumps({"electrode value + gradient": rows}, indent=2).encode())


if __name__ == "__main__":
    main()
