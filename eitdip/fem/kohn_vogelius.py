"""The Kohn-Vogelius gap: the same boundary seen as given potentials and as measured currents."""

import numpy as np

from eitdip.errors import ShapeError
from eitdip.fem.continuum import DirichletModel, NeumannModel
from eitdip.fem.spaces import Discretization
from eitdip.mesh.domain import Domain
from eitdip.operator import ForwardModel, LinearOperator, Space


class KohnVogelius(ForwardModel):
    """Conductivity to the energy gaps between given boundary potentials and their measured fluxes.

    G_k = 1/2 int sigma |grad(u_k - v_k)|^2, where u_k has the potential f_k on the boundary and v_k the flux
    g_k. It is >= 0, and 0 exactly where the flux of f_k is g_k. Its derivative 1/2 (|grad u_k|^2 - |grad v_k|^2)
    needs no adjoint state. With <., .> over the boundary,
        G_k = 1/2 <Lambda f_k, f_k> + 1/2 <g_k, Lambda^-1 g_k> - <f_k, g_k> = 1/2 <r_k, Lambda^-1 r_k>,
    r_k = Lambda f_k - g_k: a weak norm of the misfit in the flux, in which high frequencies count less.

    It is made of both continuum models: two factorizations, and K solves with each.

    Args:
        domain: The mesh.
        potentials: f_k at `domain.boundary_nodes`, shape (K, nB), V.
        fluxes: g_k at the same nodes, shape (K, nB), A/m per m of depth; their means are removed.
        sigma_element, comm, mesh_ranks, solver: As for `DirichletModel`.

    Raises:
        ShapeError: If the functions do not fit the boundary or each other.
        InvalidDataError: If a value is not finite.

    References:
        Kohn, Vogelius (1987), Comm. Pure Appl. Math. 40(6).
    """

    def __init__(self, domain: Domain, potentials, fluxes, sigma_element: str = "cells", comm=None, **choices):
        potentials, fluxes = np.asarray(potentials, dtype=float), np.asarray(fluxes, dtype=float)
        self.dirichlet = DirichletModel(domain, potentials, None, sigma_element, comm, **choices)
        self.discretization, self.layout = self.dirichlet.discretization, self.dirichlet.layout
        mass = self.discretization.boundary_mass
        if fluxes.shape != potentials.shape:
            raise ShapeError(f"fluxes: got shape {fluxes.shape}, expected that of the potentials, {potentials.shape}")
        weights = mass.sum(axis=0)
        fluxes = fluxes - (fluxes @ weights / weights.sum())[:, None]
        self.neumann = NeumannModel(domain, fluxes, None, sigma_element, comm, **choices)
        self._given = np.einsum("kn,kn->k", potentials, fluxes @ mass)
        self.domain, self.range = self.dirichlet.domain, Space((len(potentials),), label="energy gaps")

    def linearize(self, x):
        """Gaps and their derivative at a conductivity; see `DirichletModel.linearize`."""
        moments, rise = self.dirichlet.linearize(x)
        voltages, fall = self.neumann.linearize(x)
        gaps = 0.5 * (np.diagonal(moments) + np.diagonal(voltages)) - self._given
        return gaps, _HalfDiagonals(rise, fall)

    def state(self):
        states = {"dirichlet": self.dirichlet.state(), "neumann": self.neumann.state()}
        return {f"{part}.{name}": value for part, state in states.items() for name, value in state.items()}

    def restore(self, state):
        for part, model in (("dirichlet", self.dirichlet), ("neumann", self.neumann)):
            start = f"{part}."
            model.restore({name.removeprefix(start): v for name, v in state.items() if name.startswith(start)})

    def solver_report(self) -> dict:
        """The linear solver of the Dirichlet problem; that of the Neumann problem does the same."""
        return self.dirichlet.solver_report()


class _HalfDiagonals(LinearOperator):
    """Half the sum of the diagonals of two derivatives of matrices (K, K)."""

    def __init__(self, first: LinearOperator, second: LinearOperator):
        self._parts = first, second
        self.domain, self.range = first.domain, Space(first.range.shape[:1], label="energy gaps")

    def __call__(self, x):
        return 0.5 * sum(np.diagonal(part(x)) for part in self._parts)

    def adjoint(self, y):
        weights = 0.5 * np.diag(self.range.check(y))
        return sum(part.adjoint(weights) for part in self._parts)


def dual_functions(space: Discretization, functions: np.ndarray) -> np.ndarray:
    """The functions w*_m in the span of boundary functions w_m with <w*_m, w_n> = 1 if m = n, else 0.

    A function with the moments d_m against the w_m is sum_m d_m w*_m. An orthonormal set is its own dual.

    Args:
        space: Discretization of the body.
        functions: w_m at `domain.boundary_nodes`, shape (M, nB), linearly independent.
    """
    return np.linalg.solve(functions @ (space.boundary_mass @ functions.T), functions)


def noise_gaps(domain: Domain, functions: np.ndarray, deviation: np.ndarray, sigma: np.ndarray, comm=None, **choices):
    """Expected gaps, shape (K,), at the true conductivity, where only the noise of the fluxes is left.

    Args:
        domain: The mesh.
        functions: Boundary functions in which the fluxes are expanded, shape (M, nB).
        deviation: Standard deviations of the coefficients, which are independent, shape (K, M).
        sigma: The conductivity, S/m, shape (N,); that of the background is a good guess.
        comm: MPI communicator, by default all ranks.
        choices: `mesh_ranks` and `solver` of the model.
    """
    voltages = np.diagonal(NeumannModel(domain, functions, None, comm=comm, **choices)(sigma))
    return 0.5 * np.square(deviation) @ voltages
