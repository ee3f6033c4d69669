"""Measurements that are made, and reconstructed, in a moment."""

from functools import cache

import numpy as np

from eitdip.data import Measurements
from eitdip.mesh import Ball, Cylinder, Tank
from eitdip.phantoms import phantom
from eitdip.simulation import simulate_dirichlet, simulate_electrodes

SETTINGS = {"h": 0.25, "size": 16, "channels": 8, "steps": 3}
SOLID = {"h": 0.45, "size": 8, "channels": 4, "steps": 3}
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


def same(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays differ by at most `tolerance` of the largest entry."""
    return bool(np.abs(one - other).max() <= tolerance * np.abs(other).max())
