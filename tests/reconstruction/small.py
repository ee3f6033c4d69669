"""Measurements that are made, and reconstructed, in a moment."""

from functools import cache

import numpy as np

from eitdip.data import Measurements
from eitdip.mesh import Tank
from eitdip.phantoms import phantom
from eitdip.simulation import simulate_dirichlet, simulate_electrodes

SETTINGS = {"h": 0.25, "size": 16, "channels": 8, "steps": 3}
TANK = Tank(0.14, 8, 0.03)


@cache
def dtn() -> Measurements:
    return simulate_dirichlet(phantom("three"), order=3, moments=4, points=32, h=0.12)


@cache
def cem() -> Measurements:
    return simulate_electrodes(phantom("tank"), TANK, h=0.12, background=0.7)


DATA = {"dtn": dtn, "cem": cem}


def same(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays differ by at most `tolerance` of the largest entry."""
    return bool(np.abs(one - other).max() <= tolerance * np.abs(other).max())
