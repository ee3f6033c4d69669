"""The complete electrode model as a textbook has it: potentials and electrode voltages in one matrix.

Unknowns are the potential at the nodes and the voltages of all electrodes but the last, which is grounded.
The matrix is symmetric positive definite. Assembly and boundary terms are scikit-fem's.
"""

import numpy as np
import skfem
from scipy import sparse
from skfem.helpers import dot, grad


@skfem.BilinearForm
def stiffness(u, v, w):
    return w.sigma * dot(grad(u), grad(v))


@skfem.BilinearForm
def mass(u, v, w):
    return u * v


@skfem.LinearForm
def load(v, w):
    return v


class Electrodes:
    """Everything that does not depend on the conductivity."""

    def __init__(self, problem):
        points, cells, facets, tags, self.currents, impedance = problem
        mesh = skfem.MeshTri(points.T.copy(), cells.T.copy())
        element = skfem.ElementTriP1()
        self.basis = skfem.Basis(mesh, element)
        self.cell_basis = self.basis.with_element(skfem.ElementTriP0())
        self.nodes, self.count, self.cells = len(points), self.currents.shape[1], cells
        self.tensors = _gradient_products(points[cells])
        numbers = {tuple(pair): facet for facet, pair in enumerate(np.sort(mesh.facets, axis=0).T.tolist())}
        contact, couplings, lengths = sparse.csr_array((self.nodes, self.nodes)), [], []
        for electrode in range(1, self.count + 1):
            under = [numbers[tuple(sorted(pair))] for pair in facets[tags == electrode].tolist()]
            basis = skfem.FacetBasis(mesh, element, facets=np.array(under))
            contact = contact + mass.assemble(basis) / impedance
            couplings.append(load.assemble(basis) / impedance)
            lengths.append(couplings[-1].sum())
        coupling = sparse.csr_array(np.array(couplings[:-1]).T)
        self.constant = sparse.block_array(
            [[contact, -coupling], [-coupling.T, sparse.diags_array(lengths[:-1])]], format="csr"
        )

    @property
    def size(self) -> int:
        return self.constant.shape[0]

    def right_hand_sides(self, patterns):
        """Currents into the electrodes that are not grounded, shape (size, K)."""
        loads = np.zeros((self.size, len(patterns)), order="F")
        loads[self.nodes :] = patterns[:, :-1].T
        return loads

    def voltages(self, state):
        """Electrode voltages against their mean, shape (K, L)."""
        voltages = np.zeros((state.shape[1], self.count))
        voltages[:, :-1] = state[self.nodes :].T
        return voltages - voltages.mean(axis=1, keepdims=True)

    def gradient(self, state, adjoint):
        """Of sum(weight * voltages) for the adjoint states of the weights: one number per cell."""
        u, p = state[: self.nodes][self.cells], adjoint[: self.nodes][self.cells]
        return -np.einsum("cik,cij,cjk->c", u, self.tensors, p, optimize=True)

    @staticmethod
    def adjoint_currents(weight):
        """Voltages have zero mean, so only the zero-sum part of a weight counts."""
        return weight - weight.mean(axis=1, keepdims=True)


def _gradient_products(corners):
    """Integrals of grad phi_i . grad phi_j over each triangle, shape (C, 3, 3)."""
    opposite = np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)
    spans = corners[:, 1:] - corners[:, :1]
    return np.einsum("cix,cjx->cij", opposite, opposite) / (2 * np.abs(np.linalg.det(spans)))[:, None, None]
