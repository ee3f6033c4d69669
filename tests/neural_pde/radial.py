"""Exact solutions on the unit disk with a smooth inclusion about its center, which strong forms can see.

sigma(r) = 1 + (c - 1) / 2 (1 - tanh((r - 0.5) / width)); the potential of boundary values cos n t is phi(r) cos n t
with (r sigma phi')' = n^2 sigma phi / r, an ordinary differential equation that is solved to 1e-10.
"""

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import nn

from eitdip.networks.jets import Jet

START = 0.02  # below, sigma is constant to 1e-7 and phi = r^n


class Inclusion(nn.Module):
    """sigma as `eitdip.neural_pde.fields.Conductivity` gives it, of contrast c and with a rim of some width."""

    def __init__(self, contrast: float = 3.0, width: float = 0.06):
        super().__init__()
        self.contrast, self.width = contrast, width

    def at(self, r):
        """Of radii, an array."""
        return 1 + 0.5 * (self.contrast - 1) * (1 - np.tanh((r - 0.5) / self.width))

    def values(self, points: torch.Tensor) -> torch.Tensor:
        return 1 + 0.5 * (self.contrast - 1) * (1 - torch.tanh((points.norm(dim=1) - 0.5) / self.width))

    def forward(self, points: torch.Tensor) -> Jet:
        r = points.norm(dim=1)
        slope = -0.5 * (self.contrast - 1) / self.width / torch.cosh((r - 0.5) / self.width).square()
        return Jet(torch.stack([self.values(points), *(slope * points.T / r)])[..., None], 2)


class Exact:
    """Potentials and Dirichlet-to-Neumann eigenvalues for frequencies 1 ... n."""

    def __init__(self, inclusion: Inclusion, orders: int):
        self.orders = orders
        self._solutions = [self._solve(inclusion, n) for n in range(1, orders + 1)]
        # r sigma phi' / phi at r = 1.
        self.eigenvalues = np.array([end[1] / end[0] for end in (s.y[:, -1] for s in self._solutions)])

    @staticmethod
    def _solve(inclusion: Inclusion, n: int):
        def slopes(r, y):
            return y[1] / (r * inclusion.at(r)), n**2 * inclusion.at(r) * y[0] / r

        begin = [1.0, n * inclusion.at(START)]
        return solve_ivp(slopes, (START, 1.0), begin, rtol=1e-10, atol=1e-12, dense_output=True, method="LSODA")

    def potentials(self, points: np.ndarray) -> np.ndarray:
        """Of cos t, sin t, cos 2 t, ..., over sqrt(pi), at points (P, 2): shape (P, 2 n)."""
        r, t = np.hypot(*points.T), np.arctan2(*points.T[::-1])
        columns = []
        for n, solution in enumerate(self._solutions, start=1):
            radial = solution.sol(np.maximum(r, START))[0] * np.minimum(r / START, 1) ** n / solution.y[0, -1]
            columns += [radial * np.cos(n * t), radial * np.sin(n * t)]
        return np.stack(columns, axis=1) / np.sqrt(np.pi)
