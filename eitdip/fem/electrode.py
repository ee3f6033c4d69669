"""The complete electrode model."""

import numpy as np
from scipy import sparse

from eitdip.errors import InvalidDataError, LinearSolverError, NotPositiveError, ShapeError
from eitdip.fem.model import ElectricalModel
from eitdip.fem.sensitivity import PairSensitivity
from eitdip.fem.stiffness import check_sigma
from eitdip.mesh.domain import Domain
from eitdip.operator import Space
from eitdip.ranks.collectives import from_root, sum_over

# What the body conducts over what the contacts do: voltages lose so many digits. They are off by 2e-4 at this share, by
# 3e-2 at 1e-14, on plane and solid meshes, coarse and fine, alike.
_LEAST_SHARE = 1e-12


class CompleteElectrodeModel(ElectricalModel):
    """Conductivity to electrode voltages, with contact impedance.

    With the contact mass B the matrix A = K(sigma) + B is positive definite. Its L solutions Phi
    (potential when one electrode is held at 1 V and the others at 0 V) give the electrode
    admittance S, and from Phi and S follow the voltages and derivatives for any number of current
    and measurement patterns: one factorization and L solves, whatever K and M.

    Args:
        domain: Mesh with L tagged electrodes.
        currents: Injected currents, shape (K, L), A (plane domains: A per m of depth); each row
            sums to zero.
        contact_impedance: Shape (L,) or scalar, Ohm m^2 (plane domains too); > 0.
        measurements: Voltage patterns, shape (M, L); row m measures sum_l pattern[m, l] U_l. By
            default the L electrode voltages against their mean.
        sigma_element, comm, mesh_ranks, solver: As for `ElectricalModel`.

    Raises:
        ShapeError: If shapes disagree with the number of electrodes.
        InvalidDataError: If the domain has no electrodes, a current pattern does not sum to zero
            or an entry is not finite.
        NotPositiveError: If a contact impedance is not positive.

    References:
        Somersalo, Cheney, Isaacson (1992), SIAM J. Appl. Math. 52(4).
    """

    def __init__(
        self,
        domain: Domain,
        currents,
        contact_impedance,
        measurements=None,
        sigma_element: str = "cells",
        comm=None,
        mesh_ranks: int = 0,
        solver: str = "auto",
    ):
        count = domain.electrode_count
        if count < 2:
            raise InvalidDataError(
                f"domain: got {count} tagged electrodes, expected at least 2; tag its boundary facets"
            )
        self.currents = check_currents(currents, count)
        self.measurements = _check_patterns(
            "measurements", np.eye(count) if measurements is None else measurements, count
        )
        self.contact_impedance = _check_impedance(contact_impedance, count)
        super().__init__(domain, sigma_element, comm, mesh_ranks)
        self.range = Space((len(self.currents), len(self.measurements)), label="voltages, V")
        contact, self._covered, self._coupling = self._contacts()
        self._own, self._mine = self._owned_part(self._covered)
        self._set_system(np.arange(len(domain.points)), contact, solver)

    def _contacts(self):
        """Contact mass (n, n), nodes under electrodes (S,) and the loads there (S, L), over all nodes of the file."""
        space, mesh = self.discretization, self.discretization.domain
        covered = mesh.facet_tags > 0
        nodes, electrode = mesh.facets[covered], mesh.facet_tags[covered] - 1
        scale = 1 / self.contact_impedance[electrode]
        masses = space.facet_masses[covered] * scale[:, None, None]
        loads = space.facet_loads[covered] * scale[:, None]
        rows = np.broadcast_to(nodes[:, :, None], masses.shape).ravel()
        columns = np.broadcast_to(nodes[:, None, :], masses.shape).ravel()
        contact = sparse.csr_array((masses.ravel(), (rows, columns)), shape=(len(mesh.points),) * 2)
        support = np.unique(nodes)
        coupling = np.zeros((len(support), len(self.contact_impedance)))
        np.add.at(coupling, (np.searchsorted(support, nodes), electrode[:, None]), loads)
        return contact, support, coupling

    def linearize(self, x):
        """Voltages and their derivative at a conductivity.

        One factorization and L solves; the derivative and its adjoint need no further solve.

        Args:
            x: Conductivity, shape (N,) in file order, S/m, strictly positive. Rank 0's copy counts.

        Returns:
            Voltages, shape (K, M), V (electrode voltages have zero mean), and dV/dsigma.

        Raises:
            ShapeError: If x does not match the domain.
            NotPositiveError: If an entry is <= 0 or not finite.
            LinearSolverError: If a contact impedance is so small against radius / conductivity that rounding errors
                would decide the voltages.
        """
        potentials, inverse = self._solved(check_sigma(from_root(x, self.layout.everyone), self.domain))
        states, leads = inverse @ self.currents.T, inverse @ self.measurements.T
        voltages = states.T @ self.measurements.T
        derivative = PairSensitivity(self.discretization, self.range, potentials, states, leads, -1.0, self.layout)
        return voltages, derivative

    def transfer(self, conductivities) -> np.ndarray:
        """Transfer matrices of many conductivities: what any currents and voltage patterns would measure.

        Voltages of currents I (K, L) and patterns W (M, L) are I Z W^T. One factorization and L solves each.

        Args:
            conductivities: Shape (B, N) in file order, S/m, strictly positive. Rank 0's copy counts.

        Returns:
            Shape (B, L, L), V/A, symmetric: column l has the electrode voltages, of zero mean, for one unit of current
            into electrode l that leaves through all alike.

        Raises:
            ShapeError, NotPositiveError, LinearSolverError: As `linearize`.
        """
        conductivities = from_root(conductivities, self.layout.everyone)
        if np.ndim(conductivities) != 2:
            raise ShapeError(f"conductivities: got shape {np.shape(conductivities)}, expected (B, {self.domain.size})")
        return np.array([self._solved(check_sigma(sigma, self.domain))[1] for sigma in conductivities])

    def _solved(self, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Phi at this rank's nodes, shape (n, L), and the inverse of the electrodes' admittance, shape (L, L)."""
        self.system.update(sigma)
        potentials = self.system.solve(self._covered, self._coupling)
        # Schur complement; symmetric by reciprocity, and zero on constants by construction.
        returned = sum_over(self._coupling[self._mine].T @ potentials[self._own], self.layout.mesh)
        contacts = self._coupling.sum(axis=0)
        admittance = np.diag(contacts) - returned
        self._check_digits(np.diag(admittance) / contacts, sigma)
        return potentials, _pseudo_inverse(0.5 * (admittance + admittance.T))

    def _check_digits(self, shares: np.ndarray, sigma: np.ndarray) -> None:
        """Shares (L,) of what is left of the contacts' admittances; the same on all ranks."""
        if not shares.min() >= _LEAST_SHARE:
            worst = int(shares.argmin())
            raise LinearSolverError(
                f"contact_impedance: electrode {worst + 1} has {self.contact_impedance[worst]:.3g}, at a conductivity "
                f"of {np.median(sigma):.3g} S/m too small for double precision (1e-13 of radius over "
                "conductivity is the least); check the units, or give 1e-7 of it, which acts as no impedance at all"
            )


def _pseudo_inverse(admittance: np.ndarray) -> np.ndarray:
    """Inverse on zero-sum vectors of a symmetric matrix whose kernel is the constants."""
    count = len(admittance)
    projection = np.full((count, count), 1 / count)
    scale = np.trace(admittance) / count
    inverse = np.linalg.inv(admittance + scale * projection) - projection / scale
    return 0.5 * (inverse + inverse.T)


def _check_patterns(name: str, patterns, count: int) -> np.ndarray:
    patterns = np.asarray(patterns, dtype=float)
    if patterns.ndim != 2 or patterns.shape[1] != count:
        raise ShapeError(f"{name}: got shape {patterns.shape}, expected (number of patterns, {count} electrodes)")
    if not np.isfinite(patterns).all():
        raise InvalidDataError(f"{name}: pattern {int(np.argwhere(~np.isfinite(patterns))[0, 0])} is not finite")
    return patterns


def check_currents(currents, count: int) -> np.ndarray:
    """Current patterns, shape (K, L), as floats.

    Raises:
        ShapeError: If they are not patterns on `count` electrodes.
        InvalidDataError: If one is not finite or does not sum to zero.
    """
    currents = _check_patterns("currents", currents, count)
    excess = np.abs(currents.sum(axis=1))
    if (excess > 1e-6 * np.abs(currents).sum(axis=1)).any():
        worst = int(excess.argmax())
        raise InvalidDataError(
            f"currents: pattern {worst} sums to {currents[worst].sum():g}, expected 0 (what enters must leave)"
        )
    return currents


def _check_impedance(impedance, count: int) -> np.ndarray:
    impedance = np.asarray(impedance, dtype=float)
    if impedance.ndim == 0:
        impedance = np.full(count, float(impedance))
    if impedance.shape != (count,):
        raise ShapeError(f"contact_impedance: got shape {impedance.shape}, expected ({count},) or a scalar")
    if not (np.isfinite(impedance).all() and (impedance > 0).all()):
        bad = int(np.flatnonzero(~(np.isfinite(impedance) & (impedance > 0)))[0])
        raise NotPositiveError(f"contact_impedance: electrode {bad + 1} has {impedance[bad]:g}, expected > 0")
    return impedance
