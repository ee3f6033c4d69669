"""Spherical harmonics on the boundary of a solid: what cosines and sines are on a plane one."""

import numpy as np
from scipy.special import sph_harm_y

from eitdip.errors import OptionError, ShapeError
from eitdip.mesh.domain import Domain


def spherical_harmonics(domain: Domain, order: int) -> np.ndarray:
    """Real spherical harmonics of degrees 1 to `order` in the directions of the boundary nodes.

    Directions are seen from the domain's center. Degree n has the functions m = -n, ..., n in this
    order, sines (m < 0) before cosines. They are scaled by 1 / r, with r the root mean square
    distance of the boundary from the center, so on a ball they are orthonormal in L2 of the
    boundary. There, a unit conductivity turns each into n / r times itself as flux.

    Args:
        domain: A solid that is star-shaped about its center.
        order: Highest degree, >= 1.

    Returns:
        Values at `domain.boundary_nodes`, shape (order * (order + 2), nB), in 1/m.

    Raises:
        ShapeError: If the domain is plane.
        OptionError: If the order is less than 1.
    """
    if domain.dimension != 3:
        raise ShapeError("domain: got a plane one, expected a solid; use eitdip.fem.trigonometric")
    if order < 1:
        raise OptionError(f"order: got {order}, expected at least 1")
    x, y, z = (domain.points[domain.boundary_nodes] - domain.center).T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    rows = [_real(n, m, polar, azimuth) for n in range(1, order + 1) for m in range(-n, n + 1)]
    return np.array(rows) / _mean_radius(domain)


def _real(n: int, m: int, polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    value = sph_harm_y(n, abs(m), polar, azimuth)
    if m == 0:
        return value.real
    return np.sqrt(2) * (-1) ** m * (value.real if m > 0 else value.imag)


def _mean_radius(domain: Domain) -> float:
    """Weighted by area, so that it does not depend on where the mesh is fine."""
    squares = np.square(domain.points[domain.facets] - domain.center).sum(axis=2).mean(axis=1)
    return float(np.sqrt(np.average(squares, weights=domain.facet_sizes)))
