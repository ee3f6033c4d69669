"""Simulated measurements on a finer mesh (curved, of a plane body), never by accident on that of the inversion."""

import numpy as np

from eitdip import __version__
from eitdip.data import Measurements
from eitdip.data.streams import stream
from eitdip.errors import InvalidDataError, OptionError
from eitdip.fem import CompleteElectrodeModel, DirichletModel, trigonometric
from eitdip.fem.harmonics import spherical_harmonics
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Ball, Cylinder, Domain, Tank
from eitdip.phantoms import Phantom
from eitdip.ranks.collectives import together, world
from eitdip.ranks.failures import ending_together

_TRUTH = {2: 256, 3: 64}  # pixels along the truth's largest extent


def simulate_electrodes(
    phantom: Phantom,
    tank: Tank | Cylinder | Ball,
    *,
    currents=None,
    background: float = 1.0,
    contact_impedance: float | None = None,
    noise: float = 0.01,
    seed: int = 0,
    h: float | None = None,
    comm=None,
) -> Measurements:
    """Electrode voltages of a phantom and of the homogeneous body, each with its own noise.

    The voltages are those of `ring_patterns`.

    Args:
        phantom: Conductivity.
        tank: Geometry with electrodes.
        currents: Patterns, shape (K, L), A; by default `ring_patterns` with one electrode skipped.
        background: S/m.
        contact_impedance: Ohm m^2 (per m of depth, in the plane); by default 1 % of radius / background.
        noise: Standard deviation of each voltage over the root mean square of its excitation.
        seed: Of the noise.
        h: Edge length of the data mesh over the radius; by default 0.025 for a tank, whose mesh is
            curved and of second order, and 0.08 for solids.
        comm: MPI communicator.
    """
    _check_noise(noise)
    count, rings = tank.electrode_count, len(tank.rings)
    if count < 2:
        raise OptionError(f"tank: got {count} electrodes, expected at least 2 for the electrode model")
    moments = ring_patterns(rings, tank.electrodes)
    if currents is None:
        currents = ring_patterns(rings, tank.electrodes, skip=min(1, tank.electrodes - 2))
    currents = np.asarray(currents, dtype=float)
    impedance = np.full(count, 0.01 * tank.radius / background if contact_impedance is None else contact_impedance)
    comm = world() if comm is None else comm
    with together(comm):
        domain = _data_mesh(tank, h, 0.025)
    with ending_together(comm):
        model = CompleteElectrodeModel(domain, currents, impedance, moments, comm=comm)
        clean = model(phantom.on_domain(domain, background))
        empty = model(np.full(model.domain.shape, background))
    # The same voltmeter measures both, so the deviation is that of the tank with objects.
    deviation = np.broadcast_to(noise * np.sqrt(np.square(clean).mean(axis=1, keepdims=True)), clean.shape)
    rng = stream(seed, "noise of bodies")
    values = clean + deviation * rng.standard_normal(clean.shape)
    reference = empty + deviation * rng.standard_normal(clean.shape) / 10  # averaged over 100 repetitions
    return Measurements(
        "electrodes", tank, currents, moments, values, deviation, np.ones(clean.shape, bool),
        reference, impedance, _truth(phantom, tank, background),
        _provenance(phantom, domain, background, noise, seed),
    )  # fmt: skip


def simulate_dirichlet(
    phantom: Phantom,
    body: Tank | Cylinder | Ball | None = None,
    *,
    order: int | None = None,
    moments: int | None = None,
    background: float = 1.0,
    noise: float = 0.01,
    points: int | None = None,
    seed: int = 0,
    h: float | None = None,
    comm=None,
) -> Measurements:
    """Flux moments of a phantom.

    Potentials and moments are orthonormal functions on the boundary: cosines and sines of the polar
    angle in the plane, real spherical harmonics (`eitdip.fem.harmonics`) of a solid. The flux of each
    pattern is sampled at evenly spread boundary points with a standard deviation of `noise` times
    its root mean square, so the noise of the moments is white with deviation
    noise * |moments of the pattern| / sqrt(points).

    Args:
        phantom: Conductivity.
        body: Geometry; by default the unit disk.
        order: Highest frequency (or degree) n of the potentials; K = 2 n or n (n + 2). By default 8
            in the plane and 4 for solids.
        moments: The same for the moments, at least `order`; by default 16 and 6.
        background: S/m.
        noise: Relative deviation of each boundary sample.
        points: Number of boundary samples, more than there are moments; by default 128 and 512.
        seed: Of the noise.
        h: Edge length of the data mesh over the radius; by default 0.02 for a tank, whose mesh is
            curved and of second order, and 0.08 for solids.
        comm: MPI communicator.
    """
    _check_noise(noise)
    body = Tank(1.0) if body is None else body
    usual = (8, 16, 128) if body.dimension == 2 else (4, 6, 512)
    given = (order, moments, points)
    order, moments, points = (new if old is None else old for old, new in zip(given, usual, strict=True))
    sources, count = (2 * n if body.dimension == 2 else n * (n + 2) for n in (order, moments))
    if moments < order or points <= count:
        raise OptionError(
            f"moments, points: got {moments}, {points}; expected moments >= order = {order} and points > {count}, "
            "the number of moments"
        )
    comm = world() if comm is None else comm
    with together(comm):
        domain = _data_mesh(body, h, 0.02)
        functions = trigonometric(domain, moments) if body.dimension == 2 else spherical_harmonics(domain, moments)
    with ending_together(comm):
        model = DirichletModel(domain, functions[:sources], functions, comm=comm)
        clean = model(phantom.on_domain(domain, background))
        reference = model(np.full(model.domain.shape, background))
    deviation = np.broadcast_to(noise * np.linalg.norm(clean, axis=1, keepdims=True) / np.sqrt(points), clean.shape)
    values = clean + deviation * stream(seed, "noise of bodies").standard_normal(clean.shape)
    identity = np.eye(count)
    return Measurements(
        "dirichlet", body, identity[:sources], identity, values, deviation, np.ones(clean.shape, bool),
        reference, None, _truth(phantom, body, background),
        _provenance(phantom, domain, background, noise, seed) | {"points": points},
    )  # fmt: skip


def ring_patterns(rings: int, electrodes: int, skip: int = 0) -> np.ndarray:
    """Pairs of electrodes within each ring and, where there are several, from each ring to the next.

    Within a ring from electrode l to l + 1 + skip, all around (`eitdip.fem.patterns.adjacent`); between
    rings from each electrode to the one above it. With skip = 0 they span all voltages.

    Args:
        rings: Number of rings.
        electrodes: Number per ring; they are numbered ring by ring.
        skip: Electrodes left out within a ring.

    Returns:
        Shape ((2 * rings - 1) * electrodes, rings * electrodes), +1 and -1 in each row.
    """
    count = rings * electrodes
    within = np.kron(np.eye(rings), adjacent(electrodes, skip)) + 0.0  # no negative zeros
    between = np.eye(count)[:-electrodes] - np.eye(count, k=electrodes)[:-electrodes]
    return np.concatenate([within, between])


def refuse_inverse_crime(measurements: Measurements, domain: Domain) -> None:
    """Refuse to invert simulated data on the very mesh that made them.

    Raises:
        InvalidDataError: If the data's mesh hash is the domain's.
    """
    if measurements.provenance.get("mesh_hash") == domain.hash:
        raise InvalidDataError(
            f"inverse crime: the data were simulated on this mesh ({domain.hash}); choose another edge length h"
        )


def _data_mesh(body, h: float | None, usual: float) -> Domain:
    """Curved and of second order in the plane; solids have straight cells only."""
    if body.dimension == 2:
        return body.mesh((usual if h is None else h) * body.radius, degree=2)
    return body.mesh((0.08 if h is None else h) * body.radius)


def _truth(phantom: Phantom, body, background: float) -> np.ndarray:
    """An image of square pixels or of voxels that are nearly cubes."""
    widths = np.array(body.widths[::-1])
    shape = np.maximum(1, np.round(_TRUTH[body.dimension] * widths / widths.max())).astype(int)
    return phantom.image(body, tuple(shape.tolist()), background)


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
