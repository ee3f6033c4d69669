"""Boundary functions and current patterns in common use."""

import numpy as np

from eitdip.errors import OptionError
from eitdip.mesh.domain import Domain


def trigonometric(domain: Domain, order: int) -> np.ndarray:
    """cos t, sin t, ..., cos(order t), sin(order t) at the boundary nodes.

    t is the polar angle about the domain's center. The functions are scaled by 1/sqrt(pi r) with r
    the boundary length over 2 pi, so on a disk they are orthonormal in L2 of the boundary.

    Args:
        domain: A domain that is star-shaped about its center.
        order: Highest frequency, >= 1.

    Returns:
        Values at `domain.boundary_nodes`, shape (2 * order, nB), in m^(-1/2).
    """
    if order < 1:
        raise OptionError(f"order: got {order}, expected at least 1")
    x, y = (domain.points[domain.boundary_nodes] - domain.center).T
    angle = np.arctan2(y, x)
    radius = np.sqrt((x**2 + y**2).mean())
    waves = [wave(n * angle) for n in range(1, order + 1) for wave in (np.cos, np.sin)]
    return np.array(waves) / np.sqrt(np.pi * radius)


def adjacent(count: int, skip: int = 0) -> np.ndarray:
    """Unit currents in at electrode l and out at l + 1 + skip, all around: shape (L, L), A."""
    if not 0 <= skip <= count - 2:
        raise OptionError(f"skip: got {skip}, expected 0..{count - 2} for {count} electrodes")
    identity = np.eye(count)
    return identity - np.roll(identity, 1 + skip, axis=1)


def against_one(count: int, reference: int = 0) -> np.ndarray:
    """Unit currents in at each other electrode and out at `reference` (0-based): shape (L - 1, L), A."""
    patterns = np.delete(np.eye(count), reference, axis=0)
    patterns[:, reference] = -1
    return patterns


def trigonometric_currents(count: int) -> np.ndarray:
    """Cosines and sines over the electrodes, L - 1 orthogonal zero-sum patterns: shape (L - 1, L), A."""
    angle = 2 * np.pi * np.arange(count) / count
    waves = [wave(n * angle) for n in range(1, count // 2 + 1) for wave in (np.cos, np.sin)]
    return np.array(waves[: count - 1])
