"""The semi-inverse problem: the conductivity where potentials are known inside, and it itself at the boundary."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from eitdip.cost import Stopwatch
from eitdip.errors import OptionError, ShapeError, choose
from eitdip.networks.jets import Jet
from eitdip.neural_pde.bar_sochen import PRESETS, Prior, Weights, largest
from eitdip.neural_pde.fields import Conductivity
from eitdip.neural_pde.strong_form import residual
from eitdip.objective import Objective, Terms

_BLOCK = 2000  # points whose neighbourhoods are fitted at once: tens of MB


def recovered(nodes: np.ndarray, values: np.ndarray, points: np.ndarray, neighbours: int = 40) -> np.ndarray:
    """Values, gradients and Laplacians of plane functions from their values at scattered nodes.

    A cubic is fitted to the nearest nodes of every point by least squares, the near ones counting more. Second
    differences of finite-element potentials within single cells would not converge; these do, and they
    smooth what is smaller than the neighbourhood.

    Args:
        nodes: Shape (n, 2).
        values: Of K functions at the nodes, shape (n, K).
        points: Where to evaluate, shape (P, 2).
        neighbours: Nodes per point, more than the 10 coefficients of a cubic.

    Returns:
        The `parts` of a `Jet`, shape (4, P, K).

    Raises:
        OptionError: If there are not enough neighbours.
    """
    if not 10 < neighbours <= len(nodes):
        raise OptionError(f"neighbours: got {neighbours} of {len(nodes)} nodes, expected more than 10, and no more")
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    first_x, first_y, second_x, second_y = (powers.index(p) for p in ((1, 0), (0, 1), (2, 0), (0, 2)))
    tree, parts = cKDTree(nodes), np.empty((4, len(points), values.shape[1]))
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        distances, nearest = tree.query(points[block], neighbours)
        reach = distances[:, -1:]
        x, y = np.moveaxis((nodes[nearest] - points[block, None]) / reach[..., None], -1, 0)
        weight = np.exp(-2 * (distances / reach) ** 2)[..., None]
        monomials = np.stack([x**i * y**j for i, j in powers], axis=-1)  # (P, neighbours, 10)
        normal = monomials.mT @ (weight * monomials)
        c = np.linalg.solve(normal, monomials.mT @ (weight * values[nearest]))  # (P, 10, K)
        parts[0, block] = c[:, powers.index((0, 0))]
        parts[1, block], parts[2, block] = c[:, first_x] / reach, c[:, first_y] / reach
        parts[3, block] = 2 * (c[:, second_x] + c[:, second_y]) / reach**2
    return parts


@dataclass(frozen=True)
class InteriorData:
    """Potentials inside a domain, conductivity on its boundary.

    Args:
        points: Shape (P, d).
        potentials: Of K currents at the points, the `parts` of a `Jet` with Laplacians: shape (2 + d, P, K).
        boundary: Boundary points, shape (B, d).
        sigma: Conductivity there, S/m, shape (B,).

    Raises:
        ShapeError: If the shapes do not fit.
    """

    points: torch.Tensor
    potentials: torch.Tensor
    boundary: torch.Tensor
    sigma: torch.Tensor

    def __post_init__(self):
        count, dimension = self.points.shape
        if self.potentials.ndim != 3 or self.potentials.shape[:2] != (2 + dimension, count):
            raise ShapeError(
                f"potentials: got shape {tuple(self.potentials.shape)}, expected ({2 + dimension}, {count}, K): "
                "values, first derivatives and Laplacians at the points"
            )
        if self.boundary.shape != (len(self.sigma), dimension):
            raise ShapeError(
                f"boundary: got shape {tuple(self.boundary.shape)}, expected ({len(self.sigma)}, {dimension}) as "
                "there are that many conductivities"
            )


class SemiInverse(Objective):
    """Known potentials to the conductivity that conserves their currents: the loss of Bar and Sochen.

    `Terms.chi2` is NaN: nothing here has a noise level.

    Args:
        conductivity: sigma.
        data: Potentials and boundary conductivity.
        cells: Where the conductivity is reported, shape (N, d).
        weights: A `Weights`, or the name of one of `eitdip.neural_pde.bar_sochen.PRESETS`; residuals count as
            they are, in A/m^2 (per m of depth), and "flux" and "boundary" do not exist here.
        floor: Lower bound of sigma, S/m, for a `Conductivity` whose link does not keep one.
        batch: Points drawn at each step.
        seed: Of the draws.

    Raises:
        OptionError: If the batch is larger than the data, or smaller than the number of worst points.

    References:
        Bar, Sochen (2021), SIAM J. Imaging Sci. 14(1).
    """

    def __init__(
        self,
        conductivity: Conductivity,
        data: InteriorData,
        cells: torch.Tensor,
        *,
        weights: Weights | str = "paper",
        floor: float | None = None,
        batch: int = 1000,
        seed: int = 0,
    ):
        super().__init__(Stopwatch())
        self.weights = weights if isinstance(weights, Weights) else choose("preset", weights, PRESETS)
        if not self.weights.count <= batch <= len(data.points):
            raise OptionError(
                f"batch: got {batch}, expected {self.weights.count} (count of the worst) to {len(data.points)} (points)"
            )
        self.conductivity, self.batch = conductivity, batch
        for name in ("points", "potentials", "boundary", "sigma"):
            self.register_buffer(f"_{name}", getattr(data, name), persistent=False)
        self.register_buffer("_cells", cells, persistent=False)
        self.floor = floor
        self._generator = torch.Generator().manual_seed(seed)
        self._draw()

    def _draw(self) -> None:
        chosen = torch.randint(len(self._points), (self.batch,), generator=self._generator)
        self.register_buffer("_chosen", chosen.to(self._points.device))

    def forward(self) -> Terms:
        with self.stopwatch("network"):
            if self.training and torch.is_grad_enabled():
                self._draw()
            losses = self.losses()
            with torch.no_grad():
                sigma = self.conductivity.values(self._cells).double()
        return Terms(losses, float("nan"), float("nan"), sigma, sigma)

    def losses(self) -> dict[str, torch.Tensor]:
        """The terms at the points of this step."""
        w, dimension = self.weights, self._points.shape[1]
        sigma = self.conductivity(self._points[self._chosen])
        r = residual(Jet(self._potentials[:, self._chosen], dimension), sigma)
        losses = {"equation": w.equation * r.square().mean(), "worst": w.worst * largest(r, w.count)}
        prior = Prior(float(self._sigma.mean()), self._sigma, self.floor)
        losses |= prior.losses(w, sigma, self.conductivity.values(self._boundary))
        if w.decay:
            losses["decay"] = w.decay / 2 * sum(p.square().sum() for p in self.parameters())
        return losses

    def get_extra_state(self) -> dict:
        """Where the random sequence of batches has come to."""
        return {"generator": self._generator.get_state()}

    def set_extra_state(self, state: dict) -> None:
        """Go on with that sequence."""
        self._generator.set_state(state["generator"].cpu())
