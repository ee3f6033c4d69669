"""Dirichlet data of a disk without a mesh: sample points, boundary functions, flux moments.

Coordinates are those of the unit disk. Laplace-type equations do not know lengths, and a flux moment in the plane
does not either, so potentials and conductivities carry over to a disk of any radius as they are.
"""

import numpy as np
import torch
from torch import nn

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.mesh import Domain
from eitdip.networks.jets import Jet


class DirichletDisk(nn.Module):
    """K boundary potentials on the unit disk, M moments of the flux of each.

    Both are combinations of cos t / s, sin t / s, cos 2t / s, ... of the polar angle t with s = sqrt(pi radius),
    the functions of `eitdip.fem.trigonometric`.

    Args:
        sources: Coefficients of the potentials, shape (K, 2 n).
        moments: Coefficients of the weights, shape (M, 2 n).
        radius: Of the true disk, m.
        dtype: Of all computations.

    Raises:
        ShapeError: If the numbers of coefficients differ or are odd.
    """

    def __init__(self, sources, moments, radius: float = 1.0, dtype: torch.dtype = torch.float32):
        super().__init__()
        sources, moments = np.asarray(sources, dtype=float), np.asarray(moments, dtype=float)
        if sources.ndim != 2 or moments.ndim != 2 or sources.shape[1] != moments.shape[1] or sources.shape[1] % 2:
            raise ShapeError(
                f"sources, moments: got shapes {sources.shape}, {moments.shape}, expected (K, 2 n) and (M, 2 n)"
            )
        scale = 1 / np.sqrt(np.pi * radius)
        self.orders = sources.shape[1] // 2
        self.register_buffer("sources", torch.from_numpy(scale * sources).to(dtype), persistent=False)
        self.register_buffer("moments", torch.from_numpy(scale * moments).to(dtype), persistent=False)

    def interior(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Evenly spread points of the disk, shape (count, 2): a sunflower's seeds, turned and shifted at random.

        Independent points leave gaps in which a network that is fitted at the points may do as it likes.
        """
        shift, turn = torch.rand(2, generator=generator, dtype=torch.float64)
        number = torch.arange(count, dtype=torch.float64)
        radius = ((number + shift) / count).sqrt()
        angle = number * (torch.pi * (3 - 5**0.5)) + 2 * torch.pi * turn
        points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        return points.to(self.sources)

    def boundary(self, count: int) -> torch.Tensor:
        """Evenly spaced boundary points, shape (count, 2); enough of them make `flux_moments` exact."""
        if count <= 2 * self.orders:
            raise OptionError(f"boundary points: got {count}, expected more than {2 * self.orders} for these patterns")
        angle = torch.arange(count, dtype=self.sources.dtype, device=self.sources.device) * (2 * torch.pi / count)
        return torch.stack([angle.cos(), angle.sin()], dim=1)

    def waves(self, points: torch.Tensor) -> torch.Tensor:
        """r^n cos n t, r^n sin n t for n = 1 ... at points (P, 2): shape (P, 2 n)."""
        return _real(_powers(points, self.orders)[:, 1:])

    def harmonic(self, x: Jet, coefficients: torch.Tensor) -> Jet:
        """The harmonic functions with given boundary values: no equation has to be solved for them.

        Args:
            x: `Jet.coordinates` of P points.
            coefficients: Of the boundary values, such as `sources`, shape (C, 2 n).

        Returns:
            C functions.
        """
        powers = _powers(x.value, self.orders)
        slopes = powers[:, :-1] * torch.arange(1, self.orders + 1, device=x.value.device)
        parts = [_real(powers[:, 1:]), _real(slopes), _real(1j * slopes)]
        if x.has_laplacian:
            parts.append(torch.zeros_like(parts[0]))
        return Jet(torch.stack(parts), x.dimension).linear(coefficients)

    def flux_moments(self, points: torch.Tensor, flux: torch.Tensor) -> torch.Tensor:
        """Integrals of fluxes sigma du/dn at `boundary` points, shape (B, K), against the weights: shape (K, M)."""
        weights = self.waves(points) @ self.moments.T
        return (2 * torch.pi / len(points)) * flux.T @ weights


def unit_coordinates(domain: Domain, points: np.ndarray) -> np.ndarray:
    """Points of a disk in coordinates of the unit disk, shape (P, 2).

    Raises:
        InvalidDataError: If the domain is not a disk.
    """
    boundary = domain.points[domain.boundary_nodes] - domain.center
    radii = np.linalg.norm(boundary, axis=1)
    if domain.dimension != 2 or np.ptp(radii) > 1e-6 * radii.max():
        raise InvalidDataError("body: got one that is not a disk, expected a disk; use a finite-element method for it")
    return (points - domain.center) / radii.max()


def _powers(points: torch.Tensor, count: int) -> torch.Tensor:
    """1, z, ..., z^count of the points as complex numbers: shape (P, count + 1)."""
    z = torch.complex(points[:, 0], points[:, 1])[:, None]
    return torch.cumprod(torch.cat([torch.ones_like(z), z.expand(-1, count)], dim=1), dim=1)


def _real(numbers: torch.Tensor) -> torch.Tensor:
    """Real and imaginary parts in turn: (P, n) to (P, 2 n)."""
    return torch.view_as_real(numbers).flatten(-2)
