"""Continuum models: boundary potentials to flux moments, and boundary currents to voltages."""

import numpy as np

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.fem.sensitivity import PairSensitivity
from eitdip.fem.spaces import Discretization
from eitdip.fem.stiffness import StiffnessSystem, check_sigma
from eitdip.mesh.domain import Domain
from eitdip.operator import ForwardModel, Space
from eitdip.parallel import from_root, world


class DirichletModel(ForwardModel):
    """Conductivity to moments of the flux of given boundary potentials.

    D_km = <Lambda_sigma f_k, w_m> = E[f_k]^T K(sigma) E[w_m], E the harmonic extension: the
    consistent (variational) flux, which converges one order faster than sigma grad u . n. Only
    independent functions among all f_k and w_m are solved for, so the moments, the derivative and
    its adjoint cost one factorization and at most K + M solves; K if the w_m span the f_k.

    Args:
        domain: The mesh.
        potentials: f_k at `domain.boundary_nodes`, shape (K, nB), V.
        moments: w_m at the same nodes, shape (M, nB); by default the potentials themselves.
        sigma_element: "cells" or "vertices".
        comm: MPI communicator, by default all ranks.

    Raises:
        ShapeError: If the functions do not fit the boundary.
        InvalidDataError: If a value is not finite.
    """

    def __init__(self, domain: Domain, potentials, moments=None, sigma_element="cells", comm=None):
        self._comm = world() if comm is None else comm
        potentials = _check_functions("potentials", potentials, domain)
        moments = potentials if moments is None else _check_functions("moments", moments, domain)
        self._basis, self._left, self._right = _independent(potentials, moments)
        self.discretization = Discretization(domain, sigma_element)
        self.domain = self.discretization.sigma_space
        self.range = Space((len(potentials), len(moments)), label="flux moments")
        self._boundary = domain.boundary_nodes
        interior = np.setdiff1d(np.arange(self.discretization.size), self._boundary)
        self.system = StiffnessSystem(self.discretization, interior, None, self._comm)

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
        sigma = check_sigma(from_root(x, self._comm), self.domain)
        conductances = self.discretization.weights @ sigma
        fields = np.zeros((self.discretization.size, self._basis.shape[0]))
        fields[self._boundary] = self._basis.T
        load = _apply_stiffness(self.discretization, conductances, fields)
        self.system.factorize(sigma)
        fields[self.system.free] = -self.system.solve(load[self.system.free])
        flux = _apply_stiffness(self.discretization, conductances, fields)[self._boundary]
        gram = self._basis @ flux
        value = self._left.T @ (0.5 * (gram + gram.T)) @ self._right
        derivative = PairSensitivity(self.discretization, self.range, fields, self._left, self._right, 1.0, self._comm)
        return value, derivative


class NeumannModel(ForwardModel):
    """Conductivity to moments of the boundary voltages of given boundary currents.

    V_km = integral of u_k w_m over the boundary, where u_k has the flux g_k and zero boundary mean.

    Args:
        domain: The mesh.
        currents: Current densities g_k at `domain.boundary_nodes`, shape (K, nB), A/m per m of
            depth; each integrates to zero (up to the mesh error, which is removed).
        moments: w_m at the same nodes, shape (M, nB); by default the currents themselves.
        sigma_element: "cells" or "vertices".
        comm: MPI communicator, by default all ranks.

    Raises:
        ShapeError: If the functions do not fit the boundary.
        InvalidDataError: If a value is not finite or a current does not integrate to zero.
    """

    def __init__(self, domain: Domain, currents, moments=None, sigma_element="cells", comm=None):
        self._comm = world() if comm is None else comm
        self.discretization = Discretization(domain, sigma_element)
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
        self.domain = self.discretization.sigma_space
        self.range = Space((len(currents), len(moments)), label="voltage moments")
        self._load = np.zeros((self.discretization.size, len(basis)))
        self._load[domain.boundary_nodes] = mass @ basis.T
        # Loads have zero sum, so grounding node 0 changes the potentials by constants only.
        self.system = StiffnessSystem(self.discretization, np.arange(1, self.discretization.size), None, self._comm)

    def linearize(self, x):
        """Voltage moments and their derivative at a conductivity; see `DirichletModel.linearize`."""
        sigma = check_sigma(from_root(x, self._comm), self.domain)
        self.system.factorize(sigma)
        fields = np.zeros(self._load.shape)
        fields[1:] = self.system.solve(self._load[1:])
        gram = self._load.T @ fields
        value = self._left.T @ (0.5 * (gram + gram.T)) @ self._right
        derivative = PairSensitivity(self.discretization, self.range, fields, self._left, self._right, -1.0, self._comm)
        return value, derivative


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


def _apply_stiffness(space: Discretization, conductances: np.ndarray, fields: np.ndarray) -> np.ndarray:
    flow = conductances[:, None] * space.differences(fields)
    return space.incidence.T @ flow
