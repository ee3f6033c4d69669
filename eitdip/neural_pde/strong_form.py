"""The equation in its strong form at sample points: physics-informed networks, and what they share with others."""

from abc import abstractmethod

import torch

from eitdip.errors import OptionError
from eitdip.networks.jets import Jet
from eitdip.neural_pde.collocation import Collocation, LogVariation, normal_derivative
from eitdip.neural_pde.fields import Potentials
from eitdip.neural_pde.projection import Condition, best_combination


def residual(u: Jet, sigma: Jet) -> torch.Tensor:
    """div(sigma grad u) = sigma laplace u + grad sigma . grad u of K potentials at P points: shape (P, K).

    Args:
        u: K functions with Laplacians.
        sigma: One function.
    """
    return sigma.value * u.laplacian + (sigma.gradient * u.gradient).sum(dim=0)


class StrongForm(Collocation):
    """Conditions on potentials, all linear in them: the equation, the flux moments, perhaps the boundary values.

    All are measured in units of the noise. A residual r_k changes the moments of pattern k by integrals
    of r_k against functions of norm about 1, and an error e of its boundary values by integrals of the flux of e;
    so both are divided by the deviation of that pattern's moments. This balances patterns against each
    other and the data against the equation without a weight for each phantom or noise level.

    Args:
        potentials: u, K functions.
        project: Solve for the output layer of the potentials at every step (`projection`) instead of
            training it with the rest. The optimizer then leaves it alone.
        noise_units: Divide by the noise; else all errors count as they are.
        reweightings: How often the output layer is solved for again with the `factors` of the last solution.
        common: The arguments of `Collocation`.
    """

    def __init__(
        self,
        potentials: Potentials,
        *,
        project: bool = True,
        noise_units: bool = True,
        reweightings: int = 0,
        **common,
    ):
        super().__init__(**common)
        self.potentials, self.project, self.reweightings = potentials, project, reweightings
        weight, dtype = self.misfit.weight if noise_units else (self.misfit.weight > 0).double(), self.cells.dtype
        scale = (weight.square().sum(dim=1) / (weight > 0).sum(dim=1).clamp(min=1)).sqrt()
        scale = torch.where(scale > 0, scale, scale[scale > 0].mean())  # patterns without data obey the equation too
        self.register_buffer("_scale", scale[None].to(dtype), persistent=False)  # (1, K)
        self.register_buffer("_whitening", weight.T.to(dtype), persistent=False)  # (M, K)
        self.register_buffer("_measured", self.misfit.data.T.to(dtype), persistent=False)
        self.register_buffer("_given", self.disk.waves(self.boundary) @ self.disk.sources.T, persistent=False)
        if project:
            potentials.network.output.requires_grad_(False)

    @abstractmethod
    def factors(self, errors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the errors have to be multiplied by for their squares to add up to the loss.

        A loss that is no sum of squares takes factors from the present errors, such that the sum of
        squares has the same slopes: iteratively reweighted least squares.

        Args:
            errors: Of the conditions, shapes (R, K).

        Returns:
            For each condition a tensor of shape (R, K), (R, 1) or (1, 1).
        """

    def conditions(self, sigma: Jet, rim: torch.Tensor) -> dict[str, Condition]:
        """What is asked of the potentials, after solving for their output layer if `project`.

        Args:
            sigma: At the interior points.
            rim: At the boundary points, shape (B, 1).

        Returns:
            "equation" at the interior points, "misfit" of the moments, and "boundary" unless the boundary
            values are exact; in units of the noise.
        """
        if self.project:
            with torch.no_grad():
                self._solve(sigma, rim)
        return self._whitened(self._rows(self.potentials, sigma, rim))

    def _solve(self, sigma: Jet, rim: torch.Tensor) -> None:
        rows = self._rows(self.potentials.basis, sigma, rim)
        offset = self._rows(self.potentials.known, sigma, rim)
        errors = {name: condition.error() for name, condition in self._whitened(offset).items()}
        for _ in range(1 + self.reweightings):
            factors = self.factors(errors)
            wanted = {n: Condition(rows[n], c.target - c.rows, c.weight) for n, c in self._whitened(offset).items()}
            combination = best_combination(wanted[name].times(factors[name]) for name in wanted)
            errors = {
                n: Condition(rows[n] @ combination.to(rows[n].dtype), c.target, c.weight).error()
                for n, c in wanted.items()
            }
        self.potentials.combine(combination)

    def _rows(self, functions, sigma: Jet, rim: torch.Tensor) -> dict[str, torch.Tensor]:
        inner, edge = functions(Jet.coordinates(self.interior)), functions(self._edge())
        flux = rim * normal_derivative(edge, self.boundary)
        rows = {"equation": residual(inner, sigma), "misfit": self.disk.flux_moments(self.boundary, flux).T}
        return rows if self.potentials.exact else rows | {"boundary": edge.value}

    def _edge(self) -> Jet:
        return Jet.coordinates(self.boundary, laplacian=False)

    def _whitened(self, rows: dict[str, torch.Tensor]) -> dict[str, Condition]:
        asked = {
            "equation": (self._scale.new_zeros(1, 1), self._scale),
            "misfit": (self._measured, self._whitening),
            "boundary": (self._given, self._scale),
        }
        return {name: Condition(value, *asked[name]) for name, value in rows.items()}


class Pinn(StrongForm):
    """Physics-informed networks: mean squared residuals, flux misfit and total variation of log sigma.

    With a `GatedNetwork` and points drawn anew at each step it is the deep Galerkin method.

    Args:
        potentials: u.
        equation: Weight of the mean squared residuals in units of the noise.
        boundary: Weight of the mean squared errors of boundary values in that unit, if these are not exact.
        tv: Weight of the total variation.
        project: As for `StrongForm`.
        common: The arguments of `Collocation`.

    References:
        Raissi, Perdikaris, Karniadakis (2019), J. Comput. Phys. 378. Sirignano, Spiliopoulos (2018),
        J. Comput. Phys. 375.
    """

    def __init__(
        self,
        potentials: Potentials,
        *,
        equation: float = 0.5,
        boundary: float = 10.0,
        tv: float = 40.0,
        project: bool = True,
        **common,
    ):
        super().__init__(potentials, project=project, **common)
        if not (equation > 0 and boundary > 0 and tv >= 0):
            raise OptionError(f"equation, boundary, tv: got {equation}, {boundary}, {tv}, expected > 0, > 0 and >= 0")
        self.equation, self.border, self.tv = equation, boundary, tv
        self.variation = LogVariation()

    def factors(self, errors):
        weights = {"equation": self.equation, "misfit": 1.0, "boundary": self.border}
        counts = {name: error.numel() for name, error in errors.items()} | {"misfit": self.misfit.count}
        return {name: error.new_tensor([[weights[name] / counts[name]]]).sqrt() for name, error in errors.items()}

    def losses(self):
        sigma, rim = self.conductivity(self.interior), self.conductivity.values(self.boundary)[:, None]
        conditions = self.conditions(sigma, rim)
        errors = {name: condition.error() for name, condition in conditions.items()}
        factors = self.factors(errors)
        losses = {name: (factors[name] * error).square().sum() for name, error in errors.items()}
        if self.tv:
            losses["tv"] = self.tv * self.variation(sigma)
        return losses, conditions["misfit"].rows.T
