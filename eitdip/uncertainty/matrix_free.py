"""The linearized Laplace posterior by products alone, for fields and data too large for matrices.

The prior covariance K = J S J^T of a network falls fast: most of it is a few hundred directions. A Nystrom
approximation of rank k (Gittens, Mahoney 2016), K_k = L L^T, costs k products with J and J^T, is never larger than K,
and has the posterior L (1 + L^T A^T A L)^-1 L^T, without any difference of large numbers. What it leaves out is found
by samples: draw weights and data, solve (A K A^T + 1) w = A J theta + noise by conjugate gradients (with A K_k A^T + 1
as preconditioner), and move the draw by -K A^T w. Each sample has a partner in the posterior of rank k that shares its
draws, so the mean of the difference of their squares is small and has small errors.

Memory: 32 vectors of the size of the weights, k of that of the field, k of that of the data.

References:
    Papandreou, Yuille (2010), perturb and solve; Frangella, Tropp, Udell (2023), Nystrom preconditioning;
    Antoran et al. (2023), Sampling-based inference for large linear models.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular, svd
from scipy.sparse.linalg import LinearOperator as ScipyOperator
from scipy.sparse.linalg import cg
from tqdm import tqdm

from eitdip.data.data import Data
from eitdip.data.streams import stream
from eitdip.errors import LinearSolverError, OptionError
from eitdip.objective.jacobian import Jacobian, raw_jacobian
from eitdip.operator import ForwardModel
from eitdip.parameterization import Parameterization
from eitdip.uncertainty.evidence import Amplitudes, most_likely
from eitdip.uncertainty.kernel import variances
from eitdip.uncertainty.point import Point, point
from eitdip.uncertainty.posterior import GaussianPosterior, positive
from eitdip.uncertainty.prediction import Predicted

_BLOCK = 32  # vectors of the size of the weights at a time
_TOLERANCE, _STEPS = 1e-4, 1000  # of conjugate gradients: errors far below those of samples
_SHIFT = 1e-10  # of the Nystrom matrix, over the largest: rounding of the products must not make it indefinite


class PriorProducts:
    """K = J S J^T by products, and its approximation of rank k.

    Args:
        jacobian: J of the whole field, in double precision.
        at: Which entries count.
        spread: Diagonal of S, (P,).
        rank: k, at most n.
        rng: Draws the test directions.
        show: Whether there is a progress bar.

    Attributes:
        factor: L, (n, k).

    Raises:
        OptionError: If the rank is not positive.
        LinearSolverError: If the approximation is indefinite.
    """

    def __init__(self, jacobian: Jacobian, at: Point, spread: np.ndarray, rank: int, rng, show: bool = False):
        if rank < 1:
            raise OptionError(f"rank: got {rank}, expected at least 1")
        self.jacobian, self.at, self.spread = jacobian, at, spread
        size = len(at.centre)
        self._test = np.linalg.qr(rng.standard_normal((size, min(rank, size))))[0].T
        blocks = np.array_split(self._test, -(-len(self._test) // _BLOCK))
        seen = np.concatenate([self(part) for part in tqdm(blocks, desc="prior covariance", disable=not show or None)])
        inner = seen @ self._test.T
        inner = (inner + inner.T) / 2 + _SHIFT * np.linalg.norm(inner, 2) * np.eye(len(inner))
        try:
            self._triangle = cholesky(inner, lower=True)
        except LinAlgError as error:
            raise LinearSolverError(
                "prior covariance: got an indefinite Nystrom matrix, expected a positive one; take a smaller rank"
            ) from error
        self.factor = solve_triangular(self._triangle, seen, lower=True).T

    def __call__(self, fields: np.ndarray) -> np.ndarray:
        """K of fields, (k, n)."""
        return self.fields(self.spread * self.weights(fields))

    def fields(self, weights: np.ndarray) -> np.ndarray:
        """J of directions of the weights, (k, P) to (k, n)."""
        return self.jacobian(weights)[:, self.at.seen]

    def weights(self, fields: np.ndarray) -> np.ndarray:
        """J^T of fields, (k, n) to (k, P)."""
        whole = np.zeros((len(fields), *self.at.shape))
        whole[:, self.at.seen] = fields
        return self.jacobian.adjoint(whole)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """J theta with theta ~ N(0, S), (n,), and z ~ N(0, 1), (k,), with which L z is what the approximation sees."""
        drawn = self.fields(np.sqrt(self.spread) * rng.standard_normal((1, len(self.spread))))[0]
        return drawn, solve_triangular(self._triangle, self._test @ drawn, lower=True)


@dataclass(frozen=True, eq=False)
class MatrixFreePrior:
    """What all posteriors of one problem share.

    Args:
        products: Of the covariance at amplitude 1.
        seen: A L, (m, k): what the data see of its approximation.
        amplitudes: What the evidence found.
        seed: Of the samples by which deviations are found.
        samples: Their number.
        show: Whether there is a progress bar.
    """

    products: PriorProducts
    seen: np.ndarray
    amplitudes: Amplitudes
    seed: int
    samples: int
    show: bool = False


class MatrixFreeLaplace(GaussianPosterior):
    """A Gaussian around the network's field; `matrix_free_laplace` makes one.

    Args:
        prior: Of the field, with the problem.
        factor: By which prior variances are multiplied; 1 is the evidence alone.

    Raises:
        OptionError: If the factor is not > 0.
        LinearSolverError: If conjugate gradients do not converge.
    """

    def __init__(self, prior: MatrixFreePrior, factor: float = 1.0):
        at = prior.products.at
        super().__init__("laplace", at.variable, at.shape, at.seen)
        self.prior, self.factor, self.centre = prior, positive(factor), at.centre
        self._variance = self.factor * prior.amplitudes.values[0]
        fitted = prior.seen[at.fitted]
        self._triangle = cholesky(np.eye(fitted.shape[1]) / self._variance + fitted.T @ fitted, lower=True)
        low = solve_triangular(self._triangle, prior.products.factor.T, lower=True)
        variance = np.einsum("kn,kn->n", low, low)
        if prior.samples:
            rng = stream(prior.seed, "samples of posteriors")
            turns = tqdm(range(prior.samples), desc="samples", disable=not prior.show or None)
            pairs = (self._pair(rng) for _ in turns)
            rest = sum(full**2 - part**2 for full, part in pairs) / prior.samples
            variance = np.maximum(variance + rest, variance)  # what is left out only adds
        self.raw_deviation = np.sqrt(variance)

    def raw_samples(self, count, rng):
        return self.centre + np.stack([self._pair(rng)[0] for _ in range(count)])

    def scaled(self, factor: float) -> "MatrixFreeLaplace":
        """The same with prior variances `factor` times those of the evidence; its samples are drawn anew."""
        return MatrixFreeLaplace(self.prior, factor)

    def facts(self):
        found = self.prior.amplitudes
        return {
            "mean": "network", "prior factor": self.factor, "prior amplitudes": found.values.tolist(),
            "rank": self.prior.seen.shape[1], "samples": self.prior.samples,
        }  # fmt: skip

    def predict(self, chosen: np.ndarray | None = None) -> Predicted:
        """What it says of measurements, by the prior's approximation alone: `LinearizedLaplace.predict`."""
        at = self.prior.products.at
        chosen = ~at.fitted if chosen is None else chosen
        if not chosen.any():
            raise OptionError("predict: got nothing that was set aside; set whole electrodes or views aside")
        low = solve_triangular(self._triangle, self.prior.seen[chosen].T, lower=True)
        return Predicted(at.residual[chosen], low.T @ low)

    def _pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A sample less its mean, and its partner of the approximation, (n,) each."""
        products, fitted, scale = self.prior.products, self.prior.products.at.fitted, np.sqrt(self._variance)
        drawn, partner = products.draw(rng)
        seen = self.prior.seen[fitted]
        noise = rng.standard_normal(len(seen))
        data = scale * products.at.forward(drawn[None])[0, fitted] + noise
        weights = self._solve(data)
        back = products(products.at.transpose(self._all(weights)[None]))[0]
        full = scale * drawn - self._variance * back
        low = scale * partner - self._variance * (seen.T @ self._precondition(scale * seen @ partner + noise))
        return full, products.factor @ low

    def _solve(self, data: np.ndarray) -> np.ndarray:
        """(v A K A^T + 1)^-1 of fitted data."""
        products, size = self.prior.products, len(data)

        def apply(vector):
            seen = products.at.forward(products(products.at.transpose(self._all(vector)[None])))[0]
            return vector + self._variance * seen[products.at.fitted]

        covariance = ScipyOperator((size, size), apply, dtype=float)
        inverse = ScipyOperator((size, size), self._precondition, dtype=float)
        found, status = cg(covariance, data, rtol=_TOLERANCE, maxiter=_STEPS, M=inverse)
        if status:
            raise LinearSolverError(
                f"samples: conjugate gradients did not converge in {_STEPS} steps; take a larger rank"
            )
        return found

    def _precondition(self, data: np.ndarray) -> np.ndarray:
        """(v W W^T + 1)^-1 with W = A L."""
        seen = self.prior.seen[self.prior.products.at.fitted]
        inner = solve_triangular(self._triangle, seen.T @ data, lower=True)
        return data - seen @ solve_triangular(self._triangle, inner, lower=True, trans="T")

    def _all(self, fitted: np.ndarray) -> np.ndarray:
        """Fitted data among all, 0 for the others."""
        at = self.prior.products.at
        whole = np.zeros(len(at.residual))
        whole[at.fitted] = fitted
        return whole


def matrix_free_laplace(
    parameterization: Parameterization,
    model: ForwardModel,
    data: Data,
    *,
    estimate: np.ndarray | None = None,
    aside: np.ndarray | None = None,
    rank: int = 400,
    samples: int = 64,
    seed: int = 0,
    factor: float = 1.0,
    show: bool = False,
) -> MatrixFreeLaplace:
    """The posterior at the present weights of a network, by products with J and A.

    Args:
        parameterization: At the weights that were kept.
        model: F.
        data: y with its noise.
        estimate: The field that is delivered, if it is not that of the weights.
        aside: Measurements that are predicted, not used; booleans in the shape of the data.
        rank: k of the approximation, the more the less is left to samples.
        samples: Of the rest; 0 neglects it.
        seed: Of test directions and samples.
        factor: By which the prior variances that the evidence finds are multiplied.
        show: Whether there are progress bars.

    Raises:
        OptionError: If rank or samples are out of range, or all is set aside.
        LinearSolverError: If the approximation is indefinite, or conjugate gradients do not converge.
    """
    if samples < 0:
        raise OptionError(f"samples: got {samples}, expected at least 0")
    at = point(parameterization, model, data, estimate=estimate, aside=aside)
    jacobian = raw_jacobian(parameterization)
    weights = jacobian.weights.cpu().numpy()
    spread = variances(jacobian.shapes, weights, "relative")
    products = PriorProducts(jacobian, at, spread, rank, stream(seed, "samples of posteriors", 1), show)
    seen = at.forward(products.factor.T).T
    left, values, _ = svd(seen[at.fitted], full_matrices=False)
    shift = at.forward(products.fields(weights[None]))[0, at.fitted]
    target = left.T @ (at.residual[at.fitted] + shift)
    amplitudes = most_likely(np.diag(values**2)[None], target)
    return MatrixFreeLaplace(MatrixFreePrior(products, seen, amplitudes, seed, samples, show), factor)
