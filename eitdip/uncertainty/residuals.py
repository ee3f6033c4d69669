"""Problems with a few weights that are standard normal before the data: their posterior density and its summit.

    -log p(xi | y) = |r(xi)|^2 / 2 + |xi|^2 / 2 + const,    r = W (F(x(xi)) - y),

with gradients by the adjoint of the model. This is what samplers take, and what their answers are compared with.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import least_squares

from eitdip.data.data import Data
from eitdip.errors import LinearSolverError, OptionError
from eitdip.objective.bridge import apply
from eitdip.objective.jacobian import data_jacobian
from eitdip.objective.misfit import LeastSquares, misfit_of
from eitdip.operator import ForwardModel
from eitdip.parameterization import Parameterization
from eitdip.parameterization.low_dimensional import Modes
from eitdip.uncertainty.laplace import LinearizedLaplace

_MOST = 5000  # weights


@dataclass(frozen=True, eq=False)
class Summit:
    """Where a density is largest, and the Gaussian of its curvature there: Laplace's approximation.

    Args:
        mean: xi, (n,).
        covariance: (J^T J + 1)^-1, (n, n), with J the derivative of r.
    """

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        """Of each number, (n,)."""
        return np.sqrt(np.diag(self.covariance))


class Residuals:
    """r as a function of all weights of a parameterization in one vector xi.

    Args:
        parameterization: With few weights; those of `eitdip.parameterization.low_dimensional` for instance.
        model: F, on one rank.
        data: y with Gaussian noise of known deviation.

    Attributes:
        size: Number n of weights.
        evaluations: Of the model so far.

    Raises:
        OptionError: If the noise is of another kind, or there are no weights, or too many.
    """

    def __init__(self, parameterization: Parameterization, model: ForwardModel, data: Data):
        if data.noise.name != "gaussian" or not data.noise.known:
            raise OptionError("data: expected Gaussian noise of known deviation, which a posterior density needs")
        self.parameterization, self.model = parameterization.eval(), model
        self.weights = [weight for weight in parameterization.parameters() if weight.requires_grad]
        self.size = sum(weight.numel() for weight in self.weights)
        if not 0 < self.size <= _MOST:
            raise OptionError(f"parameterization: got {self.size} weights, expected 1 to {_MOST} for a sampler")
        self.evaluations = 0
        self._misfit: LeastSquares = misfit_of(data)
        self._last: tuple[bytes, torch.Tensor] | None = None

    def present(self) -> np.ndarray:
        """xi of the present weights."""
        return torch.cat([weight.detach().reshape(-1) for weight in self.weights]).numpy().astype(float)

    def set(self, xi: np.ndarray) -> None:
        """Give the parameterization the weights xi."""
        parts = torch.as_tensor(np.asarray(xi, float).ravel()).split([weight.numel() for weight in self.weights])
        with torch.no_grad():
            for weight, part in zip(self.weights, parts, strict=True):
                weight.copy_(part.reshape(weight.shape))

    def __call__(self, xi: np.ndarray) -> np.ndarray:
        """r, real numbers in units of the noise; 0 where nothing was measured."""
        return self._at(xi).detach().numpy()

    def adjoint(self, direction: np.ndarray, xi: np.ndarray) -> np.ndarray:
        """J^T direction at xi, (n,)."""
        slopes = torch.autograd.grad(self._at(xi), self.weights, torch.as_tensor(direction), retain_graph=True)
        return torch.cat([slope.reshape(-1) for slope in slopes]).numpy().astype(float)

    def jacobian(self, xi: np.ndarray) -> np.ndarray:
        """J at xi, (m, n)."""
        self.set(xi)
        operator = data_jacobian(self.model, self.parameterization)
        columns = [operator(unit) for unit in np.eye(self.size)]
        with torch.no_grad():
            return np.stack([self._misfit.whitened(torch.as_tensor(each)).reshape(-1).numpy() for each in columns]).T

    def log_density(self, xi: np.ndarray) -> float:
        """Of the posterior, without its constant."""
        return -0.5 * float(np.sum(self(xi) ** 2) + np.sum(np.square(xi)))

    def slope(self, xi: np.ndarray) -> np.ndarray:
        """Of the logarithm of the posterior density, (n,)."""
        return -self.adjoint(self(xi), xi) - np.asarray(xi, float)

    def summit(self, start: np.ndarray | None = None) -> Summit:
        """The most likely weights, by Levenberg and Marquardt's method, and the Gaussian there.

        Args:
            start: xi; by default the present weights. The summit found may be a local one.

        Raises:
            LinearSolverError: If no summit is reached.
        """
        start = self.present() if start is None else np.asarray(start, float)
        found = least_squares(
            lambda xi: np.concatenate([self(xi), xi]), start,
            jac=lambda xi: np.concatenate([self.jacobian(xi), np.eye(self.size)]), xtol=1e-10, ftol=1e-12,
        )  # fmt: skip
        if not found.success:
            raise LinearSolverError(f"summit: {found.message}; start nearer to it")
        slope = self.jacobian(found.x)
        return Summit(found.x, np.linalg.inv(slope.T @ slope + np.eye(self.size)))

    def _at(self, xi: np.ndarray) -> torch.Tensor:
        """r with its graph; the last one is kept, as samplers ask for value and slope in turn."""
        xi = np.ascontiguousarray(xi, dtype=float)
        key = xi.tobytes()
        if self._last is None or self._last[0] != key:
            self.set(xi)
            self.evaluations += 1
            prediction = apply(self.model, self.parameterization())
            self._last = key, self._misfit.whitened(prediction - self._misfit.data).reshape(-1)
        return self._last[1]


def leading_modes(laplace: LinearizedLaplace, count: int) -> tuple[Modes, np.ndarray]:
    """The directions of a posterior's field that the data determine best, each with a standard normal prior.

    With A K A^T = V diag(s) V^T they are K A^T v_i / sqrt(s_i): orthonormal in the norm of the prior.

    Args:
        laplace: The posterior.
        count: Number of directions.

    Returns:
        A generator of g = g_hat + sum_i (xi_i - c_i) u_i, everything else as it is at g_hat; and c, where its field is
        g_hat.

    Raises:
        OptionError: If there are not as many directions.
    """
    linear, known = laplace.linear, laplace.decomposed
    values = laplace.factor * known.values
    order = np.argsort(values)[::-1][:count]
    if not 0 < count <= (values > 1e-12 * values.max()).sum():
        raise OptionError(f"modes: got {count}, expected at most {int((values > 1e-12 * values.max()).sum())}")
    scales = np.sqrt(values[order])
    modes = laplace.factor * known.seen[order] / scales[:, None]
    here = known.turn[:, order].T @ (known.reduced @ (linear.basis @ laplace.prior.shift)) / scales
    centre = np.zeros(laplace.shape)
    centre[laplace.seen] = linear.point.centre - here @ modes
    return Modes(centre, np.nan_to_num(laplace.everywhere(modes))), here
