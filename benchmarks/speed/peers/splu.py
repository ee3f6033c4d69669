"""scikit-fem assembly and SciPy's SuperLU: all patterns in one block solve, the adjoints in another, one factor.

The ordering is SciPy's default, COLAMD, which is faster here than MMD with the symmetric mode. SciPy has no way
to keep the symbolic analysis.
"""

import numpy as np
from electrodes import Electrodes, stiffness
from scipy import sparse
from scipy.sparse.linalg import splu


class Peer:
    def __init__(self, problem):
        self.system = Electrodes(problem)

    def _solve(self, sigma):
        system = self.system
        matrix = stiffness.assemble(system.basis, sigma=system.cell_basis.interpolate(sigma))
        matrix = sparse.csr_array((matrix.data, matrix.indices, _longer(matrix.indptr, system.size)), [system.size] * 2)
        factor = splu((matrix + system.constant).tocsc())
        return factor, factor.solve(system.right_hand_sides(system.currents))

    def forward(self, sigma):
        return self.system.voltages(self._solve(sigma)[1])

    def gradient(self, sigma, weight):
        system = self.system
        factor, state = self._solve(sigma)
        adjoint = factor.solve(system.right_hand_sides(system.adjoint_currents(weight)))
        return system.voltages(state), system.gradient(state, adjoint)


def _longer(indptr, rows):
    """Row pointers of the same matrix with empty rows below."""
    return np.pad(indptr, (0, rows + 1 - len(indptr)), mode="edge")
