"""Simulated measurements on a finer, curved mesh, never by accident on the mesh of the inversion."""

import numpy as np

from eitdip import __version__
from eitdip.data import Measurements
from eitdip.errors import InvalidDataError, OptionError
from eitdip.fem import CompleteElectrodeModel, DirichletModel, trigonometric
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Domain, Tank
from eitdip.phantoms import Phantom


def simulate_electrodes(
    phantom: Phantom,
    tank: Tank,
    *,
    currents=None,
    background: float = 1.0,
    contact_impedance: float | None = None,
    noise: float = 0.01,
    seed: int = 0,
    h: float = 0.025,
    comm=None,
) -> Measurements:
    """Electrode voltages of a phantom and of the homogeneous tank, each with its own noise.

    Args:
        phantom: Conductivity.
        tank: Geometry.
        currents: Patterns, shape (K, L), A; adjacent ones with one electrode skipped by default.
        background: S/m.
        contact_impedance: Ohm m^2 per m of depth; by default 1 % of radius / background.
        noise: Standard deviation of each voltage over the root mean square of its excitation.
        seed: Of the noise.
        h: Edge length of the data mesh over the radius; the mesh is curved and of second order.
        comm: MPI communicator.
    """
    _check_noise(noise)
    count = tank.electrodes
    if count < 2:
        raise OptionError(f"tank: got {count} electrodes, expected at least 2 for the electrode model")
    currents = adjacent(count, skip=1) if currents is None else np.asarray(currents, dtype=float)
    impedance = np.full(count, 0.01 * tank.radius / background if contact_impedance is None else contact_impedance)
    domain = tank.mesh(h * tank.radius, degree=2)
    model = CompleteElectrodeModel(domain, currents, impedance, adjacent(count), comm=comm)
    clean = model(phantom.on_domain(domain, background))
    empty = model(np.full(model.domain.shape, background))
    # The same voltmeter measures both, so the deviation is that of the tank with objects.
    deviation = np.broadcast_to(noise * np.sqrt(np.square(clean).mean(axis=1, keepdims=True)), clean.shape)
    rng = np.random.default_rng(seed)
    values = clean + deviation * rng.standard_normal(clean.shape)
    reference = empty + deviation * rng.standard_normal(clean.shape) / 10  # averaged over 100 repetitions
    return Measurements(
        "electrodes", tank, currents, adjacent(count), values, deviation, np.ones(clean.shape, bool),
        reference, impedance, phantom.image(256, background),
        _provenance(phantom, domain, background, noise, seed),
    )  # fmt: skip


def simulate_dirichlet(
    phantom: Phantom,
    *,
    order: int = 8,
    moments: int = 16,
    background: float = 1.0,
    noise: float = 0.01,
    points: int = 128,
    seed: int = 0,
    h: float = 0.02,
    comm=None,
) -> Measurements:
    """Flux moments of a phantom on the unit disk.

    The flux of each pattern is sampled at equispaced boundary points with a standard deviation of
    `noise` times its root mean square; the moments are taken against the orthonormal trigonometric
    functions, so their noise is white with deviation noise * |moments of the pattern| / sqrt(points).

    Args:
        phantom: Conductivity.
        order: Highest frequency of the potentials; K = 2 * order.
        moments: Highest frequency of the moments; M = 2 * moments, at least `order`.
        background: S/m.
        noise: Relative deviation of each boundary sample.
        points: Number of boundary samples.
        seed: Of the noise.
        h: Edge length of the curved second-order data mesh.
        comm: MPI communicator.
    """
    _check_noise(noise)
    if moments < order or points <= 2 * moments:
        raise OptionError(f"moments, points: got {moments}, {points}; expected order <= moments < points / 2")
    tank = Tank(1.0)
    domain = tank.mesh(h, degree=2)
    functions = trigonometric(domain, moments)
    model = DirichletModel(domain, functions[: 2 * order], functions, comm=comm)
    clean = model(phantom.on_domain(domain, background))
    reference = model(np.full(model.domain.shape, background))
    deviation = np.broadcast_to(noise * np.linalg.norm(clean, axis=1, keepdims=True) / np.sqrt(points), clean.shape)
    values = clean + deviation * np.random.default_rng(seed).standard_normal(clean.shape)
    identity = np.eye(2 * moments)
    return Measurements(
        "dirichlet", tank, identity[: 2 * order], identity, values, deviation, np.ones(clean.shape, bool),
        reference, None, phantom.image(256, background),
        _provenance(phantom, domain, background, noise, seed) | {"points": points},
    )  # fmt: skip


def refuse_inverse_crime(measurements: Measurements, domain: Domain) -> None:
    """Refuse to invert simulated data on the very mesh that made them.

    Raises:
        InvalidDataError: If the data's mesh hash is the domain's.
    """
    if measurements.provenance.get("mesh_hash") == domain.hash:
        raise InvalidDataError(
            f"inverse crime: the data were simulated on this mesh ({domain.hash}); choose another edge length h"
        )


def _provenance(phantom: Phantom, domain: Domain, background: float, noise: float, seed: int) -> dict:
    return {
        "made by": f"eitdip {__version__} simulate",
        "phantom": phantom.name,
        "background": background,
        "noise": noise,
        "seed": seed,
        "mesh_hash": domain.hash,
        "mesh_degree": domain.degree,
    }


def _check_noise(level: float) -> None:
    if not 0 < level < 1:
        raise OptionError(f"noise: got {level}, expected a share between 0 and 1, such as 0.01 for 1 %")
