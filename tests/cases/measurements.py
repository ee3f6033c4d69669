"""Measurements that are made, and reconstructed, in a moment."""

from functools import cache

import numpy as np

from eitdip.data import Measurements
from eitdip.mesh import Ball, Cylinder, Tank
from eitdip.methods.options import Method, method
from eitdip.phantoms import phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.problem import Problem
from eitdip.problems.simulate_bodies import simulate_dirichlet, simulate_electrodes
from eitdip.ranks.collectives import alone

MESH, SOLID_MESH = {"h": 0.25}, {"h": 0.45}
SETTINGS = {"size": 16, "channels": 8, "steps": 3}
SOLID = {"size": 8, "channels": 4, "steps": 3}
TANK = Tank(0.14, 8, 0.03)


@cache
def dtn() -> Measurements:
    return simulate_dirichlet(phantom("three"), order=3, moments=4, points=32, h=0.12)


@cache
def cem() -> Measurements:
    return simulate_electrodes(phantom("tank"), TANK, h=0.12, background=0.7)


@cache
def ball() -> Measurements:
    return simulate_dirichlet(phantom("two-balls"), Ball(1.0), order=2, moments=2, points=32, h=0.4)


@cache
def cylinder() -> Measurements:
    return simulate_electrodes(phantom("two-balls"), Cylinder(0.14, 0.1, 2, 4, 0.08, 0.03), h=0.2, background=0.7)


DATA = {"dtn": dtn, "cem": cem}
SOLIDS = {"ball": ball, "cylinder": cylinder}


@cache
def problem(kind: str, **meshing) -> Problem:
    """One of `DATA` or `SOLIDS`, on a coarse mesh; the same object each time."""
    usual = MESH if kind in DATA else SOLID_MESH
    return prepare((DATA | SOLIDS)[kind](), Meshing(**(usual | meshing)), alone())


def fitting(name: str, kind: str = "plane", **wanted) -> Method:
    """A named method with those of some settings that it uses."""
    usual = SOLID if kind == "solid" else SETTINGS
    points = {"points": 256} if method(name).objective != "variational" else {}
    wanted = usual | points | wanted
    used = method(name, {k: v for k, v in wanted.items() if k in ("generator", "stop", "link", "optimizer")}).used(kind)
    return method(name, {k: v for k, v in wanted.items() if k in used})


def same(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays differ by at most `tolerance` of the largest entry."""
    return bool(np.abs(one - other).max() <= tolerance * np.abs(other).max())
