"""Continuum models: boundary potentials to flux moments, and boundary currents to voltages."""

import numpy as np
from scipy import sparse

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.fem.model import ElectricalModel
from eitdip.fem.sensitivity import PairSensitivity
from eitdip.fem.stiffness import check_sigma
from eitdip.mesh.domain import Domain
from eitdip.operator import Space
from eitdip.ranks.collectives import from_root, sum_over


class DirichletModel(ElectricalModel):
    """Conductivity to moments of the flux of given boundary potentials.

    D_km = <Lambda_sigma f_k, w_m> = E[f_k]^T K(sigma) E[w_m], E the harmonic extension: the
    consistent (variational) flux, which converges one order faster than sigma grad u . n. Only
    independent functions among all f_k and w_m are solved for, so the moments, the derivative and
    its adjoint cost one factorization and at most K + M solves; K if the w_m span the f_k.

    Args:
        domain: The mesh.
        potentials: f_k at `domain.boundary_nodes`, shape (K, nB), V.
        moments: w_m at the same nodes, shape (M, nB); by default the potentials themselves.
        sigma_element, comm, mesh_ranks, solver: As for `ElectricalModel`.

    Raises:
        ShapeError: If the functions do not fit the boundary.
        InvalidDataError: If a value is not finite.
    """

    def __init__(
        self,
        domain: Domain,
        potentials,
        moments=None,
        sigma_element: str = "cells",
        comm=None,
        mesh_ranks: int = 0,
        solver: str = "auto",
    ):
        potentials = _check_functions("potentials", potentials, domain)
        moments = potentials if moments is None else _check_functions("moments", moments, domain)
        self._basis, self._left, self._right = _independent(potentials, moments)
        super().__init__(domain, sigma_element, comm, mesh_ranks)
        self.range = Space((len(potentials), len(moments)), label="flux moments")
        interior = np.setdiff1d(np.arange(len(domain.points)), domain.boundary_nodes)
        self._set_system(interior, None, solver)
        self._find_rim()

    def _find_rim(self) -> None:
        """The edges that touch the boundary: only there do boundary potentials alone drive a current."""
        space, boundary = self.discretization, self.discretization.domain.boundary_nodes
        self._on_boundary = np.isin(space.nodes, boundary)
        self._values = self._basis.T[np.searchsorted(boundary, space.nodes[self._on_boundary])]
        self._rim = np.flatnonzero(self._on_boundary[space.edges].any(axis=1))
        self._rim_weights = space.weights[self._rim]
        ends = space.nodes[space.edges[self._rim]]
        inner = ~np.isin(ends, boundary)
        # The same nodes on every rank, so that loads can be summed.
        self._support = np.unique(np.concatenate(self.layout.mesh.allgather(np.unique(ends[inner]))))
        edge, end = np.nonzero(inner)
        place = np.searchsorted(self._support, ends[inner])
        shape = (len(self._support), len(self._rim))
        self._divergence = sparse.csr_array((np.where(end == 0, 1.0, -1.0), (place, edge)), shape=shape)

    def linearize(self, x):
        """Moments and their derivative at a conductivity.

        One factorization and as many solves as there are independent functions.

        Args:
            x: Conductivity, shape (N,) in file order, S/m, strictly positive. Rank 0's copy counts.

        Returns:
            Moments, shape (K, M), and their derivative, which stays valid after further calls.

        Raises:
            ShapeError: If x does not match the domain.
            NotPositiveError: If an entry is <= 0 or not finite.
        """
        sigma = check_sigma(from_root(x, self.layout.everyone), self.domain)
        self.system.update(sigma)
        space, comm = self.discretization, self.layout.mesh
        conductances = (self._rim_weights @ sigma)[:, None]
        given = np.zeros((space.size, len(self._basis)))
        given[self._on_boundary] = self._values
        first, second = space.edges[self._rim].T
        drive = given[first] - given[second]
        load = sum_over(self._divergence @ (conductances * drive), comm)
        fields = self.system.solve(self._support, -load) + given
        gram = sum_over(drive.T @ (conductances * (fields[first] - fields[second])), comm)
        value = self._left.T @ (0.5 * (gram + gram.T)) @ self._right
        return value, PairSensitivity(space, self.range, fields, self._left, self._right, 1.0, self.layout)


class NeumannModel(ElectricalModel):
    """Conductivity to moments of the boundary voltages of given boundary currents.

    V_km = integral of u_k w_m over the boundary, where u_k has the flux g_k and zero boundary mean.

    Args:
        domain: The mesh.
        currents: Current densities g_k at `domain.boundary_nodes`, shape (K, nB), A/m per m of
            depth; each integrates to zero (up to the mesh error, which is removed).
        moments: w_m at the same nodes, shape (M, nB); by default the currents themselves.
        sigma_element, comm, mesh_ranks, solver: As for `ElectricalModel`.

    Raises:
        ShapeError: If the functions do not fit the boundary.
        InvalidDataError: If a value is not finite or a current does not integrate to zero.
    """

    def __init__(
        self,
        domain: Domain,
        currents,
        moments=None,
        sigma_element: str = "cells",
        comm=None,
        mesh_ranks: int = 0,
        solver: str = "auto",
    ):
        super().__init__(domain, sigma_element, comm, mesh_ranks)
        mass = self.discretization.boundary_mass
        currents = _check_functions("currents", currents, domain)
        net = np.abs((mass @ currents.T).sum(axis=0))
        gross = (mass @ np.abs(currents).T).sum(axis=0)
        if (net > 1e-2 * gross).any():
            raise InvalidDataError(
                f"currents: pattern {int((net / gross).argmax())} does not integrate to zero over the boundary "
                "(what enters must leave); subtract its mean"
            )
        moments = currents if moments is None else _check_functions("moments", moments, domain)
        basis, self._left, self._right = _independent(_without_mean(currents, mass), _without_mean(moments, mass))
        self.range = Space((len(currents), len(moments)), label="voltage moments")
        # Loads have zero sum, so grounding one boundary node changes the potentials by constants only.
        self._support, load = domain.boundary_nodes[1:], mass @ basis.T
        self._load = load[1:]
        self._own, self._mine = self._owned_part(self._support)
        self._set_system(np.delete(np.arange(len(domain.points)), domain.boundary_nodes[0]), None, solver)

    def linearize(self, x):
        """Voltage moments and their derivative at a conductivity; see `DirichletModel.linearize`."""
        sigma = check_sigma(from_root(x, self.layout.everyone), self.domain)
        self.system.update(sigma)
        fields = self.system.solve(self._support, self._load)
        gram = sum_over(self._load[self._mine].T @ fields[self._own], self.layout.mesh)
        value = self._left.T @ (0.5 * (gram + gram.T)) @ self._right
        space = self.discretization
        return value, PairSensitivity(space, self.range, fields, self._left, self._right, -1.0, self.layout)


def _check_functions(name: str, functions, domain: Domain) -> np.ndarray:
    functions = np.asarray(functions, dtype=float)
    count = len(domain.boundary_nodes)
    if functions.ndim != 2 or functions.shape[1] != count:
        raise ShapeError(f"{name}: got shape {functions.shape}, expected (patterns, {count} boundary nodes)")
    if not np.isfinite(functions).all():
        raise InvalidDataError(f"{name}: pattern {int(np.argwhere(~np.isfinite(functions))[0, 0])} is not finite")
    return functions


def _independent(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An orthonormal basis (r, nB) of the span of all rows, and the rows' coefficients (r, K), (r, M)."""
    _, values, basis = np.linalg.svd(np.concatenate([left, right]), full_matrices=False)
    basis = basis[values > 1e-12 * values[0]]
    return basis, basis @ left.T, basis @ right.T


def _without_mean(functions: np.ndarray, mass) -> np.ndarray:
    ones = np.ones(mass.shape[0])
    return functions - ((functions @ (mass @ ones)) / (ones @ (mass @ ones)))[:, None]
