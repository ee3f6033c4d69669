"""Natural gradient for few parameters: the metric of the data, and damping as Levenberg's and Marquardt's.

With whitened prediction w(theta) = C^{-1/2} F(x(theta)) of N data, and J its derivative, the Fisher matrix of
Gaussian noise is 2 / N J^T J in the unit of the misfit chi^2 / N. A step solves

    (2 / N J^T J + damping * mean diagonal) change = - gradient of misfit and penalties.

J has as many columns as there are parameters; each costs a derivative of network and model in one direction. In a
subspace of a network's weights these are a handful. Steps do not depend on how the subspace is spanned, but for the
damping.

References:
    Amari (1998), Natural gradient works efficiently in learning, Neural Computation 10.
    Martens and Grosse (2015), Optimizing neural networks with Kronecker-factored approximate curvature, section 6:
    the rule for the damping. Barbano et al. (2023), arXiv:2302.10279: in subspaces of deep image priors.
"""

from collections.abc import Callable

import numpy as np
import torch

from eitdip.errors import LinearSolverError, NotPositiveError, OptionError
from eitdip.objective import Variational
from eitdip.objective.jacobian import data_jacobian
from eitdip.objective.misfit import LeastSquares

MOST = 2000  # parameters: each is a column
_TRIALS = 8  # updates of growing damping in one step
_LESS, _MORE = 0.3, 4.0  # damping after a good prediction, and after a bad one
_LEAST, _LARGEST = 1e-9, 1e12


class NaturalGradient(torch.optim.Optimizer):
    """Damped natural-gradient steps of which none leads uphill.

    Args:
        objective: Its misfit is `LeastSquares`; what is trained are all parameters that require gradients.
        damping: First one, over the mean diagonal of the Fisher matrix; 0 for none.
        agree: Makes a value the same on all ranks of the model, under MPI.

    Raises:
        OptionError: If the objective is of another kind, has too many parameters, or the damping is negative.
    """

    def __init__(self, objective: Variational, damping: float = 1e-2, agree: Callable = lambda value: value):
        if not isinstance(objective, Variational) or not isinstance(objective.misfit, LeastSquares):
            raise OptionError("natural gradient: got another objective, expected Variational with LeastSquares")
        trained = [value for value in objective.parameters() if value.requires_grad]
        count = sum(value.numel() for value in trained)
        if count > MOST:
            raise OptionError(
                f"natural gradient: got {count} parameters, expected at most {MOST}, such as coordinates of a subspace "
                "of weights (tuned=snapshots or subspace); use Adam or L-BFGS"
            )
        if not 0 <= damping < float("inf"):
            raise OptionError(f"damping: got {damping}, expected >= 0")
        super().__init__(trained, {})
        self.objective, self._trained, self._agree = objective, trained, agree
        self._damping = float(damping)
        # A metric need not be more precise than the network itself, and is had in a third of the time.
        single = any(value.dtype == torch.float32 for value in objective.parameterization.parameters())
        self._precision = "float32" if single else "float64"

    def state_dict(self) -> dict:
        """The damping: with the parameters, all that the next step depends on."""
        return {"damping": self._damping}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a saved state."""
        self._damping = state_dict["damping"]

    @torch.no_grad()
    def step(self, closure):
        """One accepted update, or none.

        Args:
            closure: Evaluates the objective and its gradient, as for every torch optimizer; called once.

        Returns:
            What the closure returned.
        """
        with torch.enable_grad():
            loss = closure()
        value, start = float(loss), [parameter.clone() for parameter in self._trained]
        gradient = torch.cat([parameter.grad.double().reshape(-1).cpu() for parameter in self._trained]).numpy()
        fisher = self.fisher()
        unit = float(fisher.diagonal().mean())
        if not self._agree(bool(gradient.any() and unit > 0)):
            return loss
        for _ in range(_TRIALS):
            damped = fisher + self._damping * unit * np.eye(len(fisher))
            change = self._agree(-np.linalg.lstsq(damped, gradient, rcond=1e-13)[0])
            self._move(start, change)
            predicted = -gradient @ change - 0.5 * change @ fisher @ change
            ratio = self._agree((value - self._value()) / predicted if predicted > 0 else -1.0)
            if ratio > 0.75:
                self._damping = max(_LEAST * (self._damping > 0), _LESS * self._damping)
            elif ratio < 0.25:
                self._damping = min(max(self._damping, _LEAST) * _MORE, _LARGEST)
            if ratio > 1e-4:
                return loss
        self._move(start, None)
        return loss

    def fisher(self) -> np.ndarray:
        """The Fisher matrix at the present parameters, shape (d, d), of the misfit chi^2 / N; all ranks take part."""
        objective = self.objective
        with objective.stopwatch("model"), torch.enable_grad():
            jacobian = data_jacobian(objective.model, objective.parameterization, self._precision)
            columns = np.moveaxis(np.asarray(jacobian.dense()).reshape(*objective.model.range.shape, -1), -1, 0)
        misfit = objective.misfit
        rows = misfit.whitened(torch.from_numpy(np.ascontiguousarray(columns)).to(misfit.data.device))
        rows = rows.double().reshape(len(columns), -1).cpu().numpy()
        return 2 / misfit.count * rows @ rows.T

    def _move(self, start: list[torch.Tensor], change: np.ndarray | None) -> None:
        """Parameters become start + change; start itself without a change."""
        offset = 0
        for value, origin in zip(self._trained, start, strict=True):
            value.copy_(origin)
            if change is not None:
                part = torch.from_numpy(change[offset : offset + value.numel()])
                value += part.reshape(value.shape).to(value)
            offset += value.numel()

    def _value(self) -> float:
        """Of the objective at the present parameters; infinite where there is no solution."""
        try:
            value = float(self.objective().total)
        except (NotPositiveError, LinearSolverError):
            return float("inf")
        return value if np.isfinite(value) else float("inf")
