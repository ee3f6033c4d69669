"""Function spaces on a domain, and the stiffness matrix as a network of edge conductances.

The stiffness matrix K(sigma) is linear in sigma and has zero row sums, so
    u^T K(sigma) p = sum over edges (i, j) of  c_e (u_i - u_j) (p_i - p_j),   c = W sigma,
with one sparse matrix W, built once. Assembly, the derivative and its transpose are products with W.
"""

from functools import cached_property

import basix
import basix.ufl
import numpy as np
from dolfinx import fem
from dolfinx import mesh as dmesh
from scipy import sparse

from eitdip.errors import choose
from eitdip.mesh.domain import Domain
from eitdip.operator import Space

_SIGMA_ELEMENTS = {"cells": ("DG", 0), "vertices": ("Lagrange", 1)}


class Discretization:
    """Lagrange potentials and piecewise conductivities on a domain.

    The potential has the degree of the geometry: 1 on straight cells, 2 on curved ones, where
    straight cells would spoil the order of the flux. All arrays are in file order.

    Args:
        domain: The mesh.
        sigma_element: "cells" (piecewise constant) or "vertices" (piecewise linear).
    """

    def __init__(self, domain: Domain, sigma_element: str = "cells"):
        family, degree = choose("sigma_element", sigma_element, _SIGMA_ELEMENTS)
        self.domain = domain
        self.sigma_element = sigma_element
        mesh = _dolfinx_mesh(domain)
        self._potentials = fem.functionspace(mesh, ("Lagrange", domain.degree))
        self._sigmas = fem.functionspace(mesh, (family, degree))
        # Isoparametric: potential dofs sit at the geometry nodes, cell by cell in the same order.
        self.cell_nodes = mesh.geometry.input_global_indices[mesh.geometry.dofmaps[0]]
        self.cell_sigmas = self._canonical_sigmas(mesh)
        size = len(domain.cells) if sigma_element == "cells" else len(domain.vertices)
        self.sigma_space = Space((size,), label=f"conductivity on {sigma_element}, S/m")

    @property
    def size(self) -> int:
        """Number n of potential dofs; dof i is node i of the domain."""
        return len(self.domain.points)

    def _canonical_sigmas(self, mesh: dmesh.Mesh) -> np.ndarray:
        if self.sigma_element == "cells":
            return np.asarray(mesh.topology.original_cell_index)[:, None]
        return np.searchsorted(self.domain.vertices, self.cell_nodes[:, :3])

    @cached_property
    def cell_tensors(self) -> np.ndarray:
        """Integrals of psi_s grad phi_i . grad phi_j per cell, shape (C, s, d, d)."""
        degree = self.domain.degree
        # On curved cells the integrand is rational; degree 6 keeps its error below that of P2.
        points, weights = basix.make_quadrature(basix.CellType.triangle, 2 * degree - 1 if degree == 1 else 6)
        potential = self._potentials.element.basix_element.tabulate(1, points)[..., 0]
        sigma = self._sigmas.element.basix_element.tabulate(0, points)[0, :, :, 0]
        gradients = potential[1:]  # (2, Q, d); the geometry has the same basis
        corners = self.domain.points[self.cell_nodes]  # (C, d, 2)
        jacobian = np.einsum("rqd,cdx->cqxr", gradients, corners)
        physical = np.einsum("cqrx,rqd->cqxd", np.linalg.inv(jacobian), gradients)
        measure = np.abs(np.linalg.det(jacobian)) * weights
        return np.einsum("cq,qs,cqxi,cqxj->csij", measure, sigma, physical, physical, optimize=True)

    @cached_property
    def edges(self) -> np.ndarray:
        """Node pairs that share a cell, shape (E, 2), first < second."""
        return self._network[0]

    @cached_property
    def weights(self) -> sparse.csr_array:
        """W, shape (E, N): edge conductances are W sigma."""
        return self._network[1]

    @cached_property
    def weights_transposed(self) -> sparse.csr_array:
        """W^T, shape (N, E), in row-major order for fast products."""
        return self.weights.T.tocsr()

    @cached_property
    def _network(self) -> tuple[np.ndarray, sparse.csr_array]:
        first, second = np.triu_indices(self.cell_nodes.shape[1], k=1)
        low = np.minimum(self.cell_nodes[:, first], self.cell_nodes[:, second]).astype(np.int64)
        high = np.maximum(self.cell_nodes[:, first], self.cell_nodes[:, second]).astype(np.int64)
        keys, edge = np.unique(low * self.size + high, return_inverse=True)  # int64: n^2 overflows int32
        edge = edge.reshape(low.shape)  # (C, pairs)
        conductance = -self.cell_tensors[:, :, first, second]  # (C, s, pairs)
        rows = np.broadcast_to(edge[:, None, :], conductance.shape)
        columns = np.broadcast_to(self.cell_sigmas[:, :, None], conductance.shape)
        shape = (len(keys), self.sigma_space.size)
        matrix = sparse.csr_array((conductance.ravel(), (rows.ravel(), columns.ravel())), shape=shape)
        matrix.sum_duplicates()
        return np.stack([keys // self.size, keys % self.size], axis=1), matrix

    def differences(self, fields: np.ndarray) -> np.ndarray:
        """Nodal fields (n, K) to their differences over edges (E, K)."""
        return fields[self.edges[:, 0]] - fields[self.edges[:, 1]]

    @cached_property
    def incidence(self) -> sparse.csr_array:
        """Signed edge-node incidence, shape (E, n): `differences` as a matrix."""
        count = len(self.edges)
        rows, signs = np.repeat(np.arange(count), 2), np.tile([1.0, -1.0], count)
        return sparse.csr_array((signs, (rows, self.edges.ravel())), shape=(count, self.size))

    @cached_property
    def _boundary_lines(self) -> tuple[np.ndarray, np.ndarray]:
        degree = self.domain.degree
        points, weights = basix.make_quadrature(basix.CellType.interval, 2 if degree == 1 else 8)
        line = basix.create_element(
            basix.ElementFamily.P, basix.CellType.interval, degree, basix.LagrangeVariant.gll_warped
        )
        value, slope = line.tabulate(1, points)[..., 0]  # (Q, d) each
        tangent = np.einsum("qd,fdx->fqx", slope, self.domain.points[self.domain.facets])
        return value, np.linalg.norm(tangent, axis=2) * weights

    @cached_property
    def facet_masses(self) -> np.ndarray:
        """Integrals of phi_i phi_j over each facet, shape (F, d, d), m."""
        value, measure = self._boundary_lines
        return np.einsum("fq,qi,qj->fij", measure, value, value)

    @cached_property
    def facet_loads(self) -> np.ndarray:
        """Integrals of phi_i over each facet, shape (F, d), m."""
        value, measure = self._boundary_lines
        return measure @ value

    @cached_property
    def boundary_mass(self) -> sparse.csr_array:
        """Mass matrix of the boundary on `domain.boundary_nodes`, shape (nB, nB), m."""
        local = np.searchsorted(self.domain.boundary_nodes, self.domain.facets)
        rows = np.broadcast_to(local[:, :, None], self.facet_masses.shape)
        columns = np.broadcast_to(local[:, None, :], self.facet_masses.shape)
        count = len(self.domain.boundary_nodes)
        return sparse.csr_array((self.facet_masses.ravel(), (rows.ravel(), columns.ravel())), shape=(count, count))


def _dolfinx_mesh(domain: Domain) -> dmesh.Mesh:
    from eitdip.parallel import alone

    element = basix.ufl.element("Lagrange", "triangle", domain.degree, shape=(2,))
    # File order keeps midpoints of edges 01, 12, 20; basix numbers edges by the opposite vertex.
    order = [0, 1, 2] if domain.degree == 1 else [0, 1, 2, 4, 5, 3]
    return dmesh.create_mesh(alone(), domain.cells[:, order], element, domain.points)
