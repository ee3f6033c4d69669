"""Simulated tanks for training: transfer matrices of random bodies, and what they are made of.

The transfer matrix Z (L x L) holds what any currents and voltage patterns would measure, so that patterns, missing
electrodes, noise, gains and the tank's own symmetries can be drawn anew whenever a tank is used. Kept is Z - Z_empty:
the empty tank is measured too, and most of a tank's imperfections cancel.

All is in units of the tank: for a background sigma0 (S/m) matrices are to be divided by sigma0.

Of a body whose whole boundary is driven the same is done with the matrix of flux moments of boundary potentials, both
in a basis of boundary functions, which is to be multiplied by sigma0.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path

import numpy as np

from eitdip import __version__
from eitdip.data.streams import stream
from eitdip.data.transfers import record
from eitdip.errors import OptionError
from eitdip.fem import CompleteElectrodeModel, DirichletModel
from eitdip.mesh import Ball, Cylinder, Domain, Tank
from eitdip.phantoms import Phantom, random_ellipsoids, random_shapes
from eitdip.problems.bodies import boundary_functions
from eitdip.ranks.collectives import alone, world

SIDES = {2: 128, 3: 48}  # pixels of the classes along the largest extent, over the tank's bounding square or box
# Edge lengths of meshes over the radius; of the cylinder of demos/impedance/tank_3d.py 4,500 to 8,000 nodes.
EDGES = {2: (0.036, 0.046), 3: (0.07, 0.09)}
PER_MESH = 60  # tanks: with 60 a mesh and its symbolic analysis cost a tenth of all


@dataclass(frozen=True)
class TankFamily:
    """What simulated tanks may be.

    Args:
        tank: The tank as it should be, plane or solid.
        edges: Edge lengths of meshes over the radius, from and to; the inversion's must differ. By default `EDGES`.
        electrode_error: Standard deviation of each end of an electrode around the wall, over the radius.
        wall_error: Standard deviation of the wall's radius, relative; the same at all heights of a solid.
        contact: Contact impedances, from and to, over radius / background; each electrode's differs by a factor
            whose logarithm has the deviation `contact_spread`.
        contact_spread: See above.
        contact_change: Largest deviation of the logarithm of a further factor, between the empty tank and the others.
        water: Standard deviation of the background's logarithm against that of the empty tank.
        most: Largest number of objects.
        low, high: Contrasts of resistive and of conductive objects.
        sizes: Half extents of objects over the radius, about; objects in solids are ellipsoids.
        touching: Share of tanks whose objects may touch or overlap.
        functions: Of a tank without electrodes: number of boundary functions that span potentials and moments.
    """

    tank: Tank | Cylinder | Ball
    edges: tuple[float, float] | None = None
    electrode_error: float = 0.0045  # 0.5 mm of 115 mm
    wall_error: float = 0.003
    contact: tuple[float, float] = (6.5e-6, 6.5e-4)
    contact_spread: float = 0.5
    contact_change: float = 0.3
    water: float = 0.03
    most: int = 4
    low: tuple[float, float] = (0.003, 0.05)
    high: tuple[float, float] = (8.0, 150.0)
    sizes: tuple[float, float] = (0.13, 0.42)
    touching: float = 0.1
    functions: int = 0

    def __post_init__(self):
        if (self.tank.electrode_count < 2) == (self.functions < 2):
            raise OptionError(
                f"tank: got {self.tank.electrode_count} electrodes and {self.functions} boundary functions, expected "
                "at least 2 of either"
            )
        if self.edges is None:
            object.__setattr__(self, "edges", EDGES[self.tank.dimension])
        for name, (least, largest) in (("edges", self.edges), ("contact", self.contact)):
            if not 0 < least <= largest < np.inf:
                raise OptionError(f"{name}: got {least} to {largest}, expected 0 < from <= to")

    @property
    def hash(self) -> str:
        """Of all settings: 16 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def pixels(self) -> tuple[int, ...]:
        """Shape of the classes, (H, W) or (D, H, W): squares, or near-cubic voxels."""
        widths = self.tank.widths[::-1]
        return tuple(round(SIDES[self.tank.dimension] * width / max(widths)) for width in widths)


def simulate_tanks(family: TankFamily, seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """`PER_MESH` tanks on one mesh, the same bits whenever they are asked for.

    Args:
        family: What they may be.
        seed: Of all draws.
        number: Which mesh, >= 0.

    Returns:
        Transfer matrices minus that of the empty tank, float32 (PER_MESH, L, L), 1 / background, or matrices of flux
        moments, times the background; classes, uint8
        (PER_MESH, *family.pixels), row 0 at the top, slice 0 at the bottom: 0 water, 1 resistive, 2 conductive.
    """
    fine, bodies, _ = _simulated(family, seed, number)
    return fine.astype(np.float32), np.stack([classes for classes, _ in bodies])


def compare_tanks(family: TankFamily, model: CompleteElectrodeModel, background: float, seed: int, number: int):
    """The same tanks, and what a model without any of their imperfections says of these bodies in this water.

    Args:
        family, seed, number: As for `simulate_tanks`.
        model: On the mesh and with the contacts of an inversion.
        background: At which that model is looked at, S/m.

    Returns:
        Two arrays (PER_MESH, L, L), 1 / background: transfer matrices minus that of the empty tank.
    """
    fine, bodies, water = _simulated(family, seed, number)
    samples = _samples(family, model.discretization.domain)
    cells = np.stack([_mixed(logarithm.ravel()[samples], family.tank.dimension) for _, logarithm in bodies])
    full = model.transfer(background * water[:, None] * np.exp(cells))
    return fine, background * (full - model.transfer(np.full((1, cells.shape[1]), background)))


def _simulated(family: TankFamily, seed: int, number: int):
    """Transfer matrices, classes and contrasts of the bodies, the water's conductivity over that of the empty tank."""
    rng = stream(seed, "simulated tanks", number)
    domain = _imperfect(family, rng)
    scale = family.tank.radius
    contact = scale * np.exp(rng.uniform(*np.log(family.contact)))
    contact = contact * np.exp(family.contact_spread * rng.standard_normal(family.tank.electrode_count))
    change = rng.uniform(0, family.contact_change) * rng.standard_normal(len(contact))
    water, samples = np.exp(family.water * rng.standard_normal(PER_MESH)), _samples(family, domain)
    bodies = [_classes_and_contrasts(family, _objects(family, rng)) for _ in range(PER_MESH)]
    cells = [_mixed(logarithm.ravel()[samples], domain.dimension) for _, logarithm in bodies]
    empty = _responses(family, domain, contact, np.ones((1, len(domain.cells))))
    full = _responses(family, domain, contact * np.exp(change), water[:, None] * np.exp(cells))
    return full - empty, bodies, water


def record_tanks(path, family: TankFamily, count: int, seed: int = 0, comm=None) -> Path:
    """Simulate tanks into a file, on all ranks; a killed call goes on where it was. See `eitdip.data.transfers`.

    Args:
        path: The file.
        family: What tanks may be.
        count: How many, rounded up to a multiple of `PER_MESH`.
        seed: Of all draws.
        comm: MPI communicator, by default all ranks.

    Raises:
        OptionError: If the count is not positive, or the file is there, made with other settings.
    """
    provenance = {"made by": f"eitdip {__version__}", "family": asdict(family), "seed": seed}
    provenance |= {"pixels": SIDES[family.tank.dimension]}
    make = partial(simulate_tanks, family, seed)
    return record(path, -(-count // PER_MESH), make, provenance, world() if comm is None else comm)


def _responses(family: TankFamily, domain: Domain, contact: np.ndarray, conductivities: np.ndarray) -> np.ndarray:
    """Transfer matrices, or flux moments of boundary functions, shape (B, L, L)."""
    if family.functions:
        functions = boundary_functions(domain, family.functions)
        model = DirichletModel(domain, functions, comm=alone(), solver="cholesky")
        return np.array([model(sigma) for sigma in conductivities])
    return _model(domain, contact).transfer(conductivities)


def _model(domain: Domain, contact: np.ndarray) -> CompleteElectrodeModel:
    ground = np.eye(len(contact))[:1] - np.eye(len(contact))[1:2]  # no matter: the matrix tells all currents
    return CompleteElectrodeModel(domain, ground, contact, comm=alone(), solver="cholesky")


@lru_cache(maxsize=8)
def _mesh(tank: Tank, step: int, edges: tuple[float, float]) -> Domain:
    """One of eight perfect meshes: gmsh takes 0.2 to 0.3 s, as long as 30 tanks; of solids several seconds."""
    least, largest = edges
    return tank.mesh(tank.radius * (least + (largest - least) * (step + 0.5) / 8))


def _imperfect(family: TankFamily, rng: np.random.Generator) -> Domain:
    """A mesh with electrodes out of place and the wall out of round."""
    tank = family.tank
    domain = _mesh(tank, int(rng.integers(8)), family.edges)
    around, height = domain.points[:, :2], (domain.points - domain.center)[:, 2:].sum(axis=1)
    angle, wall = np.arctan2(around[:, 1], around[:, 0]), tank.wall(height)
    depth = np.divide(np.hypot(*around.T), wall, out=np.ones_like(wall), where=wall > 0)
    shift = _shifts(tank, family.electrode_error * rng.standard_normal(2 * tank.electrode_count), angle, height)
    waves = np.arange(2, 7)  # 2: an ellipse; 6: five dents
    amplitudes, phases = rng.standard_normal(5) * family.wall_error * np.sqrt(2 / 5), rng.uniform(0, 2 * np.pi, 5)
    radial = (amplitudes * np.cos(np.outer(angle, waves) + phases)).sum(axis=1)
    # Both fade away from the wall: shifts of electrodes within about one, dents towards the middle.
    angle = angle + shift * depth**16
    points = domain.points.copy()
    around = around * (1 + radial * depth**2)[:, None]
    size = np.hypot(*around.T)
    points[:, :2] = np.stack([size * np.cos(angle), size * np.sin(angle)], axis=1)
    return replace(domain, points=points)


def _shifts(tank, moved: np.ndarray, angle: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Of angles, rad: linear around the axis between the electrodes' ends, and along it between the rings."""
    middles = np.radians(tank.first) + 2 * np.pi * np.arange(tank.electrodes) / tank.electrodes
    shift = np.zeros(len(angle))
    rings = zip(tank.half_angles, np.split(moved, max(len(tank.rings), 1)), np.eye(len(tank.rings)), strict=False)
    for half, ends_moved, share in rings:
        ends = np.sort(np.concatenate([middles - half, middles + half]) % (2 * np.pi))
        shift += np.interp(height, tank.heights, share) * np.interp(angle, ends, ends_moved, period=2 * np.pi)
    return shift


def _samples(family: TankFamily, domain: Domain) -> np.ndarray:
    """The pixels of six points of each triangle, or ten of each tetrahedron, shape (C, 6 or 10)."""
    # Towards each corner, and between each two of them.
    dimension = domain.dimension
    corners = 1 + 3 * np.eye(dimension + 1)
    pairs = list(combinations(range(dimension + 1), 2))
    sides = np.array([[3 if i in pair else 0.5 for i in range(dimension + 1)] for pair in pairs])
    inner = np.concatenate([corners, sides])
    points = np.einsum("qv,cvx->cqx", inner / inner.sum(axis=1, keepdims=True), domain.points[domain.corners])
    half = 0.5 * np.ptp(domain.points, axis=0)
    half = np.full(2, half.max()) if dimension == 2 else half
    shape, middle = np.array(family.pixels[::-1]), domain.center.copy()
    middle[:2] = 0  # the axis, wherever dents have moved the center to
    place = np.clip(shape * (0.5 + 0.5 * (points - middle) / half), 0, shape - 1).astype(int)
    place[..., 1] = shape[1] - 1 - place[..., 1]
    return np.ravel_multi_index(tuple(np.moveaxis(place, -1, 0)[::-1]), family.pixels)


def _mixed(logarithms: np.ndarray, dimension: int) -> np.ndarray:
    """Logarithm of what a cell conducts, from those at points in it, shape (C, q).

    Between two phases in the plane the geometric mean is Keller's and Dykhne's law of mixtures; the arithmetic mean
    would enlarge metal by about half a cell and shrink insulators. In space cubic roots are averaged, the law of
    Landau, Lifshitz and Looyenga: the geometric mean would shrink metal.
    """
    return logarithms.mean(axis=1) if dimension == 2 else 3 * np.log(np.exp(logarithms / 3).mean(axis=1))


def _objects(family: TankFamily, rng: np.random.Generator) -> Phantom:
    gap = None if rng.random() < family.touching else rng.uniform(0.02, 0.12)
    common = family.most, family.low, family.high
    if family.tank.dimension == 3:  # what stands on the bottom, or leans on the wall, is cut a little
        return random_ellipsoids(rng, family.tank, *common, rng.uniform(0.85, 1.05), gap, family.sizes)
    reach = rng.uniform(0.85, 0.98)
    return random_shapes(rng, *common, reach, gap, family.sizes)


def _classes_and_contrasts(family: TankFamily, phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
    """Classes and logarithms of contrasts over the bounding square or box, shape `family.pixels`."""
    shape = family.pixels
    halves = 0.5 * np.array(family.tank.widths[::-1]) / family.tank.radius
    axes = [half * ((np.arange(count) + 0.5) * 2 / count - 1) for half, count in zip(halves, shape, strict=True)]
    classes, logarithm = np.zeros(shape, np.uint8), np.zeros(shape)
    for each in phantom.inclusions:
        # Outlines reach to about one; only the square around an object is looked at, for speed.
        reach = 1.5 * max(each.radii)
        window = tuple(
            slice(*np.searchsorted(axis, [c - reach, c + reach]))
            for axis, c in zip(axes, each.center[::-1], strict=True)
        )
        places = np.meshgrid(*(axis[part] for axis, part in zip(axes, window, strict=True)), indexing="ij")
        inside = each.contains(np.stack(places[::-1], axis=-1))
        classes[window][inside] = 1 if each.contrast < 1 else 2
        logarithm[window][inside] = np.log(each.contrast)
    return classes[..., ::-1, :], logarithm[..., ::-1, :]
