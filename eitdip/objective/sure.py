"""Stein's unbiased risk estimate."""

from dataclasses import replace

import torch

from eitdip.errors import ShapeError
from eitdip.objective.terms import Objective, Terms
from eitdip.objective.variational import Variational


class Sure(Objective):
    """A denoising objective that estimates its own error without the truth: Stein's unbiased risk estimate.

    A twin is trained on data with a small known perturbation; how much of that returns in its estimate is how much of
    the noise returns too. `Terms.held_out` is the estimated mean square error in units of the noise, over the N
    measurements that are fitted (a complex one is two), with all vectors divided by their deviations:

        chi^2 / N - 1 + 2 * divergence / N,    divergence = <x(y + b) - x(y), b> / mean(b^2)

    Args:
        objective: Fits the data, whose Gaussian noise has the known deviations of its `LeastSquares`, with a model
            that is the identity.
        twin: The same, from the same start, fits the data plus `perturbation`.
        perturbation: b in the unit of the data: independent normal numbers times a small factor of the deviations, in
            the shape of the data.

    Raises:
        ShapeError: If the perturbation, the unknowns and the data differ in shape.

    References:
        Ramani, Blu, Unser (2008), IEEE Trans. Image Process. 17(9), the estimate by perturbation.
    """

    def __init__(self, objective: Variational, twin: Variational, perturbation: torch.Tensor):
        super().__init__(objective.stopwatch)
        shapes = {tuple(perturbation.shape), objective.model.domain.shape, objective.model.range.shape}
        if len(shapes) > 1:
            raise ShapeError(
                f"perturbation, unknowns, data: got shapes {', '.join(map(str, sorted(shapes)))}, expected one: the "
                "risk is estimated for models that are the identity"
            )
        self.objective, self.twin = objective, twin
        self.register_buffer("_perturbation", perturbation)

    def forward(self) -> Terms:
        terms, other = self.objective(), self.twin()
        shift, change = (self._whitened(value) for value in (self._perturbation, other.x - terms.x))
        count = self.objective.misfit.count
        divergence = (change * shift).sum() / (shift.square().sum() / count)
        risk = terms.chi2 - 1 + 2 * float(divergence) / count
        losses = terms.losses | {f"twin {name}": loss for name, loss in other.losses.items()}
        return replace(terms, losses=losses, held_out=risk)

    def _whitened(self, values: torch.Tensor) -> torch.Tensor:
        """In units of the noise, 0 where nothing is fitted; real and imaginary parts apart."""
        values = values * self.objective.misfit.weight
        return torch.view_as_real(values) if values.is_complex() else values

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the objective; the twin's make nothing that is delivered."""
        return self.objective.state()
