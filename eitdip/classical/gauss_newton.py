"""Gauss-Newton for free fields: linearize, solve a sparse-plus-low-rank system, accept what goes down."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from eitdip.classical.lagged import curvature
from eitdip.classical.normal import NormalEquations, compressed
from eitdip.errors import LinearSolverError, NotPositiveError, OptionError
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.parameterization import FreeField

_ENTRIES = 4e7  # of a Jacobian that is kept as an array (320 MB)
_TRIALS = 12  # updates of growing damping in one step
_LEAST, _FIRST = 1e-9, 1e-6  # damping that is worth its while, and where it starts after a failure without any
_MOST = 1e30  # damping with which nothing moves any more


@dataclass(frozen=True, eq=False)
class _Quadratic:
    """misfit + relaxation * penalties near the present parameters: gradient, and half the curvature."""

    value: float
    gradient: np.ndarray
    equations: NormalEquations


class GaussNewton(torch.optim.Optimizer):
    """Gauss-Newton with Levenberg-Marquardt damping, lagged diffusivity and noise continuation.

    One step of the loop linearizes the model once, and tries updates, with growing damping, until
    misfit + relaxation * penalties falls; if none does, the parameters stay. So it never diverges. Where the gradient
    is 0 they stay without a trial.

    The relaxation is the noise continuation: while chi^2/N is large, fitting the data to the noise
    would lead the linearization astray, so penalties count as much more as is needed to keep the
    misfit's share below `continuation`; it falls to 1, at least by half in every step. With a `target`
    it starts where the misfit counts as much as the target, and falls or grows, at most twofold in a
    step, until chi^2/N is the target: Morozov's choice of the weight, whatever weights are given.

    Args:
        objective: Its parameterization is a `FreeField` without unit, so that penalties see log contrast, with or
            without drift, its misfit `LeastSquares`, its penalties are `Tikhonov` and `TotalVariation`.
        damping: First one, in units of the objective per mean square of the change; 0 is pure Gauss-Newton.
        continuation: chi^2/N from which on penalties count as given; infinity for no continuation.
        target: chi^2/N to be reached by the choice of the penalties' weight, or None for their given weight.
        agree: Makes a value the same on all ranks of the model, under MPI: the update, and whether it is accepted.

    Raises:
        OptionError: If the objective is of another kind, or a number is out of range.
    """

    def __init__(
        self,
        objective: Variational,
        damping: float = 1e-3,
        continuation: float = 100.0,
        target: float | None = None,
        agree: Callable = lambda value: value,
    ):
        generator = getattr(getattr(objective, "parameterization", None), "generator", None)
        if not isinstance(generator, FreeField):
            raise OptionError(
                f"Gauss-Newton: got a generator {type(generator).__name__}, expected FreeField "
                "(cells, vertices or pixels); use Adam or L-BFGS"
            )
        if objective.parameterization.unit is not None:
            raise OptionError(
                f"Gauss-Newton: got a parameterization with the unit {objective.parameterization.unit:g}, expected one "
                "of positive values without a unit, whose penalties see the logarithm; use Adam or L-BFGS"
            )
        if not isinstance(objective.misfit, LeastSquares):
            raise OptionError(
                f"Gauss-Newton: got the misfit {type(objective.misfit).__name__}, expected LeastSquares; "
                "use Adam or L-BFGS"
            )
        if not (0 <= damping < float("inf") and continuation > 0 and (target is None or target > 0)):
            raise OptionError(
                f"damping, continuation, target: got {damping}, {continuation}, {target}; expected >= 0, > 0, > 0"
            )
        super().__init__(objective.parameters(), {})
        self.objective, self.continuation, self.target = objective, continuation, target
        self._agree = agree
        self._damping, self._growth, self._relaxation = float(damping), 2.0, float("inf")

    def state_dict(self) -> dict:
        """Damping, its growth and the relaxation: with the parameters, all that the next step depends on."""
        return {"damping": self._damping, "growth": self._growth, "relaxation": self._relaxation}

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a saved state."""
        self._damping, self._growth = state_dict["damping"], state_dict["growth"]
        self._relaxation = state_dict["relaxation"]

    @torch.no_grad()
    def step(self, closure):
        """One accepted update, or none.

        Args:
            closure: Evaluates the objective, as for every torch optimizer; called once, before the update.

        Returns:
            What the closure returned.
        """
        with torch.enable_grad():
            loss = closure()
        model = self._quadratic()
        start = [parameter.clone() for parameter in self._parameters()]
        scale = np.full(len(model.gradient), 1 / start[0].numel())
        scale[start[0].numel() :] = 1.0  # the drift moves all
        solved = not self._agree(bool(np.any(model.gradient)))  # else there is nothing to solve
        for _ in range(0 if solved else _TRIALS):
            change = self._agree(_solution(model, self._damping * model.value * scale))
            if change is not None:
                solved = True
                self._move(start, change)
                predicted = -model.gradient @ change - model.equations.quadratic(change)
                fall = model.value - self._value()
                ratio = fall / predicted if predicted else 0.0
                accepted, ratio = self._agree((bool(fall > 1e-4 * predicted > 0), ratio))
                if accepted:
                    self._settle(ratio)
                    return loss
            self._damping = min(max(self._damping, _FIRST) * self._growth, _MOST)
            self._growth *= 2
        self._move(start, None)
        self._growth = 2.0
        if not solved:
            raise LinearSolverError(
                f"Gauss-Newton: none of {_TRIALS} systems of growing damping could be solved; are the derivative of "
                "the model and the weights of the penalties finite?"
            )
        return loss

    def _settle(self, ratio: float) -> None:
        """Less damping after a good prediction, more after a bad one (Nielsen 1999)."""
        factor = max(0.1, 1 - (2 * min(ratio, 1.0) - 1) ** 3)  # lagged weights promise too little: more than 1 is good
        self._damping = max(_LEAST * (self._damping > 0), factor * self._damping)
        self._growth = 2.0

    def _parameters(self) -> list[torch.Tensor]:
        """Field values, and the drift if it is fitted."""
        sigma = self.objective.parameterization
        return [sigma.generator.values] + ([sigma.drift] if sigma.drift.requires_grad else [])

    def _move(self, start: list[torch.Tensor], change: np.ndarray | None) -> None:
        """Parameters become start + change; start itself without a change."""
        values, offset = self._parameters(), 0
        for value, origin in zip(values, start, strict=True):
            value.copy_(origin)
            if change is not None:
                part = torch.from_numpy(change[offset : offset + value.numel()])
                value += part.reshape(value.shape).to(value.device)
            offset += value.numel()

    def _value(self) -> float:
        """misfit + relaxation * penalties at the present parameters; infinite where there is no solution."""
        try:
            losses = self.objective().losses
        except (NotPositiveError, LinearSolverError):
            return float("inf")
        value = float(losses["misfit"]) + self._relaxation * sum(float(v) for k, v in losses.items() if k != "misfit")
        return value if np.isfinite(value) else float("inf")

    def _relax(self, chi2: float) -> None:
        """The relaxation of this step."""
        wanted = max(1.0, chi2 / (self.target or self.continuation))
        if self._relaxation == float("inf"):
            self._relaxation = wanted
        elif self.target is None:
            self._relaxation = max(1.0, min(wanted, 0.5 * self._relaxation))
        else:
            self._relaxation *= float(np.clip((self.target / max(chi2, 1e-300)) ** 2, 0.5, 2.0))

    def _quadratic(self) -> _Quadratic:
        """The objective near the present parameters; all ranks of the model take part."""
        objective, sigma = self.objective, self.objective.parameterization
        field, slope, contrast, gain = self._chain()
        with objective.stopwatch("model"):
            prediction, jacobian = objective.model.linearize(sigma.to_unknowns(field).cpu().numpy())
        misfit = objective.misfit
        weight = (misfit.weight / misfit.count**0.5).cpu().numpy()
        modes = None if misfit.modes is None else misfit.modes.cpu().numpy()
        residual = _uncorrelated((weight * (prediction - misfit.data.cpu().numpy())).ravel(), modes)
        chi2 = float(residual @ residual)
        self._relax(chi2)
        with objective.stopwatch("model"):
            rows, residual = _whitened(jacobian, weight, modes, self._to_unknowns(slope), residual)
        with objective.stopwatch("penalties"):
            value, form, gradient = self._penalties(contrast, gain)
        gradient = 2 * (rows.T @ residual) + self._relaxation * gradient
        return _Quadratic(chi2 + self._relaxation * value, gradient, NormalEquations(rows, self._relaxation * form))

    def _chain(self):
        """Field and d field / d values, contrast and d contrast / d (values, drift)."""
        sigma = self.objective.parameterization
        values, *drift = self._parameters()
        with torch.enable_grad():
            x = (values.detach() + sigma.drift.detach()).requires_grad_()
            field = sigma.link(x)
            (slope,) = torch.autograd.grad(field.sum(), x)
            zero = sigma.drift.detach().clone().requires_grad_()
            background = sigma.link(zero)
            (first,) = torch.autograd.grad(background, zero)
        field, background = field.detach(), background.detach()
        gain = (slope / field).cpu().numpy().ravel()
        blocks = [sparse.diags_array(gain)]
        if drift:
            blocks.append(sparse.csr_array((gain - float(first / background))[:, None]))
        return field, slope.cpu().numpy().ravel(), torch.log(field / background), sparse.hstack(blocks, format="csr")

    def _to_unknowns(self, slope: np.ndarray) -> sparse.csr_array:
        """d sigma / d (values, drift), sparse."""
        chain, field_map = sparse.diags_array(slope, format="csr"), self.objective.parameterization.matrix()
        if field_map is not None:
            chain = field_map @ chain
        if len(self._parameters()) > 1:
            chain = sparse.hstack([chain, sparse.csr_array(chain.sum(axis=1)[:, None])])
        return chain.tocsr()

    def _penalties(self, contrast: torch.Tensor, gain: sparse.csr_array):
        """Value, half the curvature and gradient of all penalties together."""
        objective = self.objective
        form = sparse.csr_array((contrast.numel(), contrast.numel()))
        with torch.enable_grad():
            contrast = contrast.detach().requires_grad_()
            value = (0 * contrast).sum()
            for name, penalty in objective.penalties.items():
                value = value + objective.weights[name] * penalty(contrast)
                form = form + objective.weights[name] * curvature(penalty, contrast.detach())
            (gradient,) = torch.autograd.grad(value, contrast)
        return float(value.detach()), gain.T @ form @ gain, gain.T @ gradient.cpu().numpy().ravel()


def _solution(model: _Quadratic, damping: np.ndarray) -> np.ndarray | None:
    """The change that minimizes a quadratic model, or None where the system cannot be solved: an update to reject."""
    try:
        return model.equations.solve(-0.5 * model.gradient, damping)
    except LinearSolverError:
        return None


def _uncorrelated(rows: np.ndarray, modes: np.ndarray | None, used=slice(None)) -> np.ndarray:
    """Rows of measurements in units of their deviations, made independent: see `LeastSquares`; its own transpose."""
    return rows if modes is None else rows - modes[1][:, used].T @ (modes[0][:, used] @ rows)


def _whitened(jacobian, weight: np.ndarray, modes, chain: sparse.csr_array, residual: np.ndarray):
    """Rows of C^{-1/2} J chain as an array or operator, and the residual of the same rows."""
    if max(jacobian.range.size * jacobian.domain.size, jacobian.range.size * chain.shape[1]) <= _ENTRIES:
        used = np.flatnonzero(weight.ravel())
        dense = _uncorrelated(jacobian.dense()[used] * weight.ravel()[used, None], modes, used)
        return compressed(np.ascontiguousarray((chain.T @ dense.T).T), residual[used])
    shape = weight.shape

    def product(x):
        return _uncorrelated((weight * jacobian(chain @ np.ravel(x))).ravel(), modes)

    def transposed(y):
        return chain.T @ jacobian.adjoint(weight * _uncorrelated(np.ravel(y), modes).reshape(shape)).ravel()

    size = (jacobian.range.size, chain.shape[1])
    return sparse_linalg.LinearOperator(size, matvec=product, rmatvec=transposed, dtype=float), residual
