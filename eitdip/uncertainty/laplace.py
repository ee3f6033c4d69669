"""The linearized Laplace posterior of a deep image prior, for linear and nonlinear models.

At the weights theta_hat that were kept, the field before the link is g = g_hat + J (theta - theta_hat), the data are
linear in g, and theta ~ N(0, S) before them. With t the whitened data, B = R Q, C = B K B^T + 1 and K = J S J^T,

    cov(g) = K - K B^T C^-1 B K,    t = whitened (y - F(x_hat)) + B J theta_hat,

and log N(t; 0, C) is the evidence, which finds the amplitude of S. The mean is g_hat itself: the network's answer.

S = a mean(theta_b^2) per weight tensor b, with one amplitude a. A variance for each tensor by evidence is degenerate
where a normalization follows: the network does not depend on the size of such weights, its slope grows as they shrink,
and on test phantoms 95 % intervals then covered .47 of the pixels instead of .79.

What the network has not drawn has no variance: an object that was lost is not in any interval. A smooth field beside
the network, with a variance of its own, is the way out: `smooth`.

References:
    MacKay (1992); Khan et al. (2019); Antoran et al. (2022), Adapting the linearised Laplace model evidence;
    Barbano et al. (2022), Uncertainty estimation for computed tomography with a linearised deep image prior.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from eitdip.data.data import Data
from eitdip.errors import LinearSolverError, OptionError
from eitdip.objective.jacobian import Jacobian
from eitdip.operator import ForwardModel
from eitdip.parameterization import Parameterization
from eitdip.uncertainty.evidence import Amplitudes, most_likely
from eitdip.uncertainty.kernel import Kernel, tensor_kernels, variances, weights_kernel
from eitdip.uncertainty.linearized import Linearized
from eitdip.uncertainty.point import point
from eitdip.uncertainty.posterior import GaussianPosterior, positive
from eitdip.uncertainty.prediction import Predicted
from eitdip.uncertainty.rows import Rows
from eitdip.uncertainty.smooth import Smooth

PRIORS = ("relative", "common", "per tensor")
MEANS = ("network", "linear")
_MOST = 12000  # entries of the field up to which the exact route is taken


@dataclass(frozen=True, eq=False)
class Prior:
    """A Gaussian field before the data.

    Args:
        kernel: Its covariance.
        draw: Samples of a count and a generator, shape (count, n), mean 0.
        shift: J theta_hat, (n,): how far the estimate is from the mean of the weights, which is 0.
        amplitudes: What the evidence found.
        method: Name of the posterior.
    """

    kernel: Kernel
    draw: Callable[[int, np.random.Generator], np.ndarray]
    shift: np.ndarray
    amplitudes: Amplitudes
    method: str = "laplace"


@dataclass(frozen=True, eq=False)
class Decomposed:
    """B K B^T = U diag(values) U^T of the fitted data: it serves all factors on K.

    Args:
        residual: Of the fitted data, rotated, (r',).
        reduced: R, (r', r).
        values: Eigenvalues, >= 0, (r',).
        turn: U, (r', r').
        seen: U^T B K, (r', n).
    """

    residual: np.ndarray
    reduced: np.ndarray
    values: np.ndarray
    turn: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, linear: Linearized, kernel: Kernel) -> "Decomposed":
        """That of a problem and a prior covariance."""
        residual, reduced = linear.reduced()
        values, turn = eigh(reduced @ kernel.inner @ reduced.T)
        return cls(residual, reduced, np.maximum(values, 0), turn, turn.T @ (reduced @ kernel.cross))


class LinearizedLaplace(GaussianPosterior):
    """A Gaussian around the network's field; `linearized_laplace` makes one.

    Args:
        linear: The problem at the estimate.
        prior: Of the field.
        factor: By which all prior variances are multiplied: what calibration found; 1 is the evidence alone.
        mean: "network", or "linear": that of the linear model.
        decomposed: Of `linear` and `prior`, if it is known.

    Raises:
        OptionError: If the factor is not > 0, or the mean is unknown.
        LinearSolverError: If a variance comes out negative.
    """

    def __init__(
        self,
        linear: Linearized,
        prior: Prior,
        factor: float = 1.0,
        mean: str = "network",
        decomposed: Decomposed | None = None,
    ):
        super().__init__(prior.method, linear.point.variable, linear.point.shape, linear.point.seen)
        if mean not in MEANS:
            raise OptionError(f"mean: got {mean!r}, expected 'network' or 'linear'")
        self.linear, self.prior, self.factor, self.mean_of = linear, prior, positive(factor), mean
        self.decomposed = decomposed or Decomposed.of(linear, prior.kernel)
        self._gain = 1 / (self.factor * self.decomposed.values + 1)
        before = self.factor * prior.kernel.diagonal
        known = (np.sqrt(self._gain)[:, None] * self.decomposed.seen) ** 2
        variance = before - self.factor**2 * known.sum(axis=0)
        if (variance < -1e-6 * before.max()).any():
            raise LinearSolverError(
                f"posterior variance: got {variance.min():.3g} beside a prior variance of {before.max():.3g}, expected "
                "none below 0; compute the rows of the Jacobian in double precision"
            )
        self.raw_deviation = np.sqrt(np.maximum(variance, 0))
        self.centre = linear.point.centre
        if mean == "linear":
            target = self.decomposed.residual + self.decomposed.reduced @ (linear.basis @ prior.shift)
            self.centre = linear.point.centre - prior.shift + self._lift(target @ self.decomposed.turn)

    def _lift(self, turned: np.ndarray) -> np.ndarray:
        """K B^T C^-1 of whitened data, in the basis of the eigenvectors of C, shape (..., r) to (..., n)."""
        return self.factor * (turned * self._gain) @ self.decomposed.seen

    def raw_samples(self, count, rng):
        """From the prior, and each moved by its own data: K - K B^T C^-1 B K without a factor of either."""
        drawn = np.sqrt(self.factor) * self.prior.draw(count, rng)
        data = drawn @ self.linear.basis.T @ self.decomposed.reduced.T + rng.standard_normal(
            (count, len(self.decomposed.reduced))
        )
        return self.centre + drawn - self._lift(data @ self.decomposed.turn)

    def scaled(self, factor: float) -> "LinearizedLaplace":
        """The same with prior variances `factor` times those of the evidence; costs next to nothing."""
        return LinearizedLaplace(self.linear, self.prior, factor, self.mean_of, self.decomposed)

    def facts(self):
        found = self.prior.amplitudes
        told = {
            "mean": self.mean_of, "prior factor": self.factor, "prior amplitudes": found.values.tolist(),
            "log evidence": found.log_evidence, "undecided amplitudes": list(found.undecided),
        }  # fmt: skip
        if not self.linear.point.fitted.all():
            predicted = self.predict()
            told["held_out_log_likelihood"] = predicted.log_likelihood()
            told["held_out_log_likelihood of a constant"] = predicted.constant_log_likelihood()
            told["held_out_coverage"] = {f"{100 * level:g}": predicted.coverage(level) for level in (0.5, 0.9, 0.95)}
        return told

    def predict(self, chosen: np.ndarray | None = None) -> Predicted:
        """What it says of measurements.

        Args:
            chosen: Which of them, booleans (m,) over the measured numbers in their order, of complex data first all
                real parts; by default those that were set aside.

        Raises:
            OptionError: If none is chosen.
        """
        chosen = ~self.linear.point.fitted if chosen is None else chosen
        if not chosen.any():
            raise OptionError(
                "predict: no measurement was set aside, expected some; set whole electrodes or views aside"
            )
        matrix, kernel = self.linear.matrix[chosen], self.prior.kernel
        turned = self.decomposed.turn.T @ self.decomposed.reduced @ kernel.inner
        inner = self.factor * kernel.inner - self.factor**2 * (turned.T * self._gain) @ turned
        moved = matrix @ (self.linear.basis @ (self.centre - self.linear.point.centre))
        return Predicted(self.linear.point.residual[chosen] - moved, matrix @ inner @ matrix.T)


def linearized_laplace(
    parameterization: Parameterization,
    model: ForwardModel,
    data: Data,
    *,
    estimate: np.ndarray | None = None,
    aside: np.ndarray | None = None,
    prior: str = "relative",
    smooth: float | None = None,
    dimension: int = 2,
    mean: str = "network",
    comm=None,
    scratch=None,
    show: bool = False,
) -> LinearizedLaplace:
    """The posterior at the present weights of a network, exactly: the rows of J are computed.

    Args:
        parameterization: At the weights that were kept.
        model: F; all its ranks take part.
        data: y with its noise.
        estimate: The field that is delivered, if it is not that of the weights.
        aside: Measurements that are predicted, not used; booleans in the shape of the data.
        prior: "relative", "common" (one variance for all weights), or "per tensor" (degenerate; warns).
        smooth: Correlation length of a smooth field beside the network, as a share of the longest side; None for none.
        dimension: Of the grid on which that is smooth, 2 or 3.
        mean: "network", or "linear".
        comm: Ranks that share the rows.
        scratch: Folder for a file that holds the rows, which else stay in memory.
        show: Whether there is a progress bar.

    Raises:
        OptionError: If an option is unknown, the parameterization is a free field or too large, or all is set aside.
        LinearSolverError: If a covariance is indefinite.
    """
    if prior not in PRIORS:
        raise OptionError(f"prior: got {prior!r}, expected one of {', '.join(PRIORS)}")
    at = point(parameterization, model, data, estimate=estimate, aside=aside)
    if len(at.centre) > _MOST:
        raise OptionError(f"field: got {len(at.centre)} entries, expected at most {_MOST}; use matrix_free_laplace")
    linear = Linearized.of(at)
    rotated, triangle = linear.reduced()
    with Rows(parameterization, at.seen, comm, scratch, show) as rows:
        weights = rows.jacobian.weights.cpu().numpy()
        kernels, spread = [], None
        if prior == "per tensor":
            spread = _per_tensor(rows, linear, rotated, triangle, comm)
        else:
            spread = variances(rows.jacobian.shapes, weights, prior)
        kernel, shift = weights_kernel(rows, linear.basis, spread, comm)
        jacobian = rows.jacobian
    kernels, draws = [kernel], [_weights_draw(jacobian, spread, at.seen)]
    if smooth is not None:
        beside = Smooth(at.shape, at.seen, smooth, dimension)
        kernels.append(beside.kernel(linear.basis))
        draws.append(beside.draw)
    target = rotated + triangle @ (linear.basis @ shift)
    amplitudes = most_likely(np.stack([triangle @ each.inner @ triangle.T for each in kernels]), target)
    if amplitudes.undecided:
        warnings.warn(
            f"evidence: amplitude {amplitudes.undecided[0]} ended at its bound, so the data cannot tell it",
            stacklevel=2,
        )
    total = sum((value * each for value, each in zip(amplitudes.values, kernels, strict=True)), start=0.0 * kernel)

    def draw(count: int, rng: np.random.Generator) -> np.ndarray:
        return sum(np.sqrt(value) * each(count, rng) for value, each in zip(amplitudes.values, draws, strict=True))

    return LinearizedLaplace(linear, Prior(total, draw, shift, amplitudes), mean=mean)


def _per_tensor(rows: Rows, linear: Linearized, rotated, triangle, comm) -> np.ndarray:
    warnings.warn(
        "prior: a variance per tensor by evidence is degenerate behind normalizations: its intervals are far "
        "too narrow; use 'relative'",
        stacklevel=3,
    )
    shapes, weights = rows.jacobian.shapes, rows.jacobian.weights.cpu().numpy()
    _, shift = weights_kernel(rows, linear.basis, np.zeros(len(weights)), comm)
    inner = tensor_kernels(rows, linear.basis, comm)
    covariances = triangle @ inner @ triangle.T
    found = most_likely(covariances, rotated + triangle @ (linear.basis @ shift))
    return np.repeat(found.values, [shape.numel() for shape in shapes.values()])


def _weights_draw(jacobian: Jacobian, spread: np.ndarray, seen: np.ndarray):
    def draw(count: int, rng: np.random.Generator) -> np.ndarray:
        directions = (np.sqrt(spread) * rng.standard_normal((1, len(spread))) for _ in range(count))
        return np.concatenate([jacobian(direction)[:, seen] for direction in directions])

    return draw
