"""Function spaces on a domain, and the stiffness matrix as a network of edge conductances.

The stiffness matrix K(sigma) is linear in sigma and has zero row sums, so
    u^T K(sigma) p = sum over edges (i, j) of  c_e (u_i - u_j) (p_i - p_j),   c = W sigma,
with one sparse matrix W, built once. Assembly, the derivative and its transpose are products with W.

On several ranks each has the edges of its own cells. Cells add up, so the sum above may be split at
will: two ranks hold an edge on their border with a part of its conductance each.
"""

from functools import cached_property

import basix
import basix.ufl
import numpy as np
from dolfinx import fem, la
from dolfinx import mesh as dmesh
from scipy import sparse

from eitdip.errors import OptionError, choose
from eitdip.mesh.domain import Domain
from eitdip.operator import Space
from eitdip.ranks.collectives import alone

_SIGMA_ELEMENTS = {"cells": ("DG", 0), "vertices": ("Lagrange", 1)}
_CELLS = {2: basix.CellType.triangle, 3: basix.CellType.tetrahedron}
_FACETS = {2: basix.CellType.interval, 3: basix.CellType.triangle}


class Discretization:
    """Lagrange potentials and piecewise conductivities on a domain.

    The potential has the degree of the geometry: 1 on straight cells, 2 on curved ones, where
    straight cells would spoil the order of the flux. Conductivities are whole and in file order on
    every rank; potentials live on `nodes`, those of this rank's cells.

    Args:
        domain: The mesh.
        sigma_element: "cells" (piecewise constant) or "vertices" (piecewise linear).
        comm: Ranks that share the mesh; by default this rank alone.

    Attributes:
        nodes: File numbers of this rank's nodes in increasing order, shape (n,).
        owned: True for those of them that are counted here and not on a neighbour, shape (n,).
        position: Number of each node of the file in an order in which the nodes owned by rank 0 come
            first, then those of rank 1 and so on, shape (all nodes,).
        cell_nodes: This rank's cells by numbers into `nodes`.
        cell_sigmas: File numbers of their conductivities.
    """

    def __init__(self, domain: Domain, sigma_element: str = "cells", comm=None):
        family, degree = choose("sigma_element", sigma_element, _SIGMA_ELEMENTS)
        self.comm = alone() if comm is None else comm
        if self.comm.size > len(domain.cells):
            raise OptionError(f"mesh_ranks: got {self.comm.size} for {len(domain.cells)} cells; use fewer ranks")
        self.domain = domain
        self.sigma_element = sigma_element
        mesh = dolfinx_mesh(domain, self.comm)
        # Only the elements are kept: the mesh itself would double the memory.
        self._potential = fem.functionspace(mesh, ("Lagrange", domain.degree)).element.basix_element
        self._sigma = fem.functionspace(mesh, (family, degree)).element.basix_element
        self._number(mesh)
        size = len(domain.cells) if sigma_element == "cells" else len(domain.vertices)
        self.sigma_space = Space((size,), label=f"conductivity on {sigma_element}, S/m")

    def _number(self, mesh: dmesh.Mesh) -> None:
        """Translate DOLFINx's numbers of nodes and cells to those of the file."""
        own = mesh.topology.index_map(mesh.topology.dim).size_local
        file_nodes = np.asarray(mesh.geometry.input_global_indices)
        # Isoparametric: potential dofs sit at the geometry nodes, cell by cell in the same order.
        cells = file_nodes[mesh.geometry.dofmaps[0][:own]]
        self._map = mesh.geometry.index_map()
        self._order = np.argsort(file_nodes)
        self.nodes = file_nodes[self._order]
        self.owned = self._order < self._map.size_local
        self.cell_nodes = np.searchsorted(self.nodes, cells)
        if self.sigma_element == "cells":
            self.cell_sigmas = np.asarray(mesh.topology.original_cell_index)[:own, None]
        else:
            self.cell_sigmas = np.searchsorted(self.domain.vertices, cells[:, : self.domain.dimension + 1])
        by_rank = np.concatenate(self.comm.allgather(self.nodes[self.owned]))
        self.position = np.empty(len(by_rank), dtype=np.int64)
        self.position[by_rank] = np.arange(len(by_rank))

    @property
    def size(self) -> int:
        """Number n of this rank's potential dofs; dof i is node `nodes[i]` of the domain."""
        return len(self.nodes)

    def with_neighbours(self, owned: np.ndarray) -> np.ndarray:
        """Values of all ranks' owned nodes brought to every rank that has the node.

        Args:
            owned: Values at `nodes[owned]`, shape (owned nodes, K).

        Returns:
            Values at `nodes`, shape (n, K).
        """
        if self.comm.size == 1:
            return owned
        vector = la.vector(self._map, bs=owned.shape[1], dtype=np.float64)
        values = vector.array.reshape(-1, owned.shape[1])
        values[self._order[self.owned]] = owned
        vector.scatter_forward()
        return values[self._order]

    @property
    def cell_tensors(self) -> np.ndarray:
        """Integrals of psi_s grad phi_i . grad phi_j per cell, shape (C, s, d, d); made anew at each use."""
        degree = self.domain.degree
        # On curved cells the integrand is rational; degree 6 keeps its error below that of P2.
        points, weights = basix.make_quadrature(_CELLS[self.domain.dimension], 1 if degree == 1 else 6)
        potential = self._potential.tabulate(1, points)[..., 0]
        sigma = self._sigma.tabulate(0, points)[0, :, :, 0]
        gradients = potential[1:]  # (d, Q, nodes); the geometry has the same basis
        corners = self.domain.points[self.nodes[self.cell_nodes]]
        jacobian = np.einsum("rqd,cdx->cqxr", gradients, corners)
        physical = np.einsum("cqrx,rqd->cqxd", np.linalg.inv(jacobian), gradients)
        measure = np.abs(np.linalg.det(jacobian)) * weights
        return np.einsum("cq,qs,cqxi,cqxj->csij", measure, sigma, physical, physical, optimize=True)

    @cached_property
    def edges(self) -> np.ndarray:
        """Node pairs that share a cell, shape (E, 2), first < second, numbers into `nodes`."""
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
        return np.stack(np.divmod(keys, self.size)).T, matrix  # columns contiguous, for fast gathering

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
    def _facet_quadrature(self) -> tuple[np.ndarray, np.ndarray]:
        """Basis functions (Q, d) and measures (F, Q) at quadrature points of all facets."""
        degree, cell = self.domain.degree, _FACETS[self.domain.dimension]
        points, weights = basix.make_quadrature(cell, 2 if degree == 1 else 8)
        element = basix.create_element(basix.ElementFamily.P, cell, degree, basix.LagrangeVariant.gll_warped)
        value, *slopes = element.tabulate(1, points)[..., 0]  # (Q, d) each
        spans = np.stack([np.einsum("qd,fdx->fqx", s, self.domain.points[self.domain.facets]) for s in slopes], axis=2)
        gram = spans @ spans.swapaxes(2, 3)
        return value, np.sqrt(np.linalg.det(gram)) * weights

    @cached_property
    def facet_masses(self) -> np.ndarray:
        """Integrals of phi_i phi_j over each facet of the domain, shape (F, d, d), m or m^2."""
        value, measure = self._facet_quadrature
        return np.einsum("fq,qi,qj->fij", measure, value, value, optimize=True)

    @cached_property
    def facet_loads(self) -> np.ndarray:
        """Integrals of phi_i over each facet of the domain, shape (F, d), m or m^2."""
        value, measure = self._facet_quadrature
        return measure @ value

    @cached_property
    def boundary_mass(self) -> sparse.csr_array:
        """Mass matrix of the boundary on `domain.boundary_nodes`, shape (nB, nB), m or m^2."""
        local = np.searchsorted(self.domain.boundary_nodes, self.domain.facets)
        rows = np.broadcast_to(local[:, :, None], self.facet_masses.shape)
        columns = np.broadcast_to(local[:, None, :], self.facet_masses.shape)
        count = len(self.domain.boundary_nodes)
        return sparse.csr_array((self.facet_masses.ravel(), (rows.ravel(), columns.ravel())), shape=(count, count))


def dolfinx_mesh(domain: Domain, comm) -> dmesh.Mesh:
    """The domain as a DOLFINx mesh, its cells divided over the ranks of `comm`."""
    name = _CELLS[domain.dimension].name
    element = basix.ufl.element("Lagrange", name, domain.degree, shape=(domain.dimension,))
    # File order keeps midpoints of edges 01, 12, 20; basix numbers edges by the opposite vertex.
    cells = domain.cells if domain.degree == 1 else domain.cells[:, [0, 1, 2, 4, 5, 3]]
    if comm.size == 1:
        return dmesh.create_mesh(comm, cells, element, domain.points)
    # Rank 0 hands everything in, so that DOLFINx's input numbers are those of the file.
    mine = slice(None) if comm.rank == 0 else slice(0)
    partition = dmesh.create_cell_partitioner(dmesh.GhostMode.none, 2)
    return dmesh.create_mesh(comm, np.ascontiguousarray(cells[mine]), element, domain.points[mine], partition)
