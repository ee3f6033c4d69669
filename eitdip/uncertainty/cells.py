"""The Laplace posterior of a free field, of cells or pixels, with a prior of smoothness or of total variation.

What `linearized_laplace` does with the weights of a network, here with one unknown per entry: Gaussian around the
estimate, the model linearized there, the amplitude of the prior by evidence. For a linear model and a smooth prior it
is exact.

* "smooth": contrasts are a Whittle-Matern field of mean 0, with precision A M^-1 A, A = -Laplace + kappa^2 M.
* "tv": their precision is that of total variation's lagged diffusivity at the estimate, D^T diag(w / (2 |D c|)) D. It
  knows the edges of the estimate: across them the field is free, elsewhere it is held.

References:
    Lindgren, Rue, Lindstrom (2011), JRSS B 73; Bui-Thanh et al. (2013), SIAM J. Sci. Comput. 35 (hIPPYlib's);
    Bardsley (2012), Laplace-distributed increments, the Laplace prior, and edge-preserving regularization.
"""

import numpy as np
import torch
from scipy.linalg import cholesky
from torch import nn

from eitdip.classical.lagged import curvature
from eitdip.data.data import Data
from eitdip.errors import OptionError
from eitdip.objective.differences import Values
from eitdip.objective.penalty import Tikhonov, TotalVariation
from eitdip.operator import ForwardModel
from eitdip.parameterization import Parameterization
from eitdip.uncertainty.evidence import most_likely
from eitdip.uncertainty.kernel import Kernel
from eitdip.uncertainty.laplace import LinearizedLaplace, Prior
from eitdip.uncertainty.linearized import Linearized
from eitdip.uncertainty.point import point

PRIORS = ("smooth", "tv")
_SIDE = 64  # differences are per 1/64 of the longest side
_FREE = 1e-4  # of the mean diagonal: what holds the level, which total variation does not, and nothing else
_MOST = 12000  # entries


def cells_laplace(
    parameterization: Parameterization,
    model: ForwardModel,
    data: Data,
    differences: nn.Module,
    *,
    prior: str = "smooth",
    length: float = 0.3,
    sizes: np.ndarray | None = None,
    smoothing: float = 1e-2,
    estimate: np.ndarray | None = None,
    aside: np.ndarray | None = None,
    mean: str = "network",
) -> LinearizedLaplace:
    """The posterior of a field, entry by entry.

    Args:
        parameterization: Of a free field, or of any other: only its present field counts, not what makes it.
        model: F; all its ranks take part.
        data: y with its noise.
        differences: Of the field's contrast, as a `Grid` has them.
        prior: "smooth", or "tv".
        length: Of a smooth field: where its correlation is about a tenth, as a share of the longest side, > 0.
        sizes: What the entries stand for, such as areas of cells; by default equal.
        smoothing: Of total variation: jumps of the contrast far below it are no edges.
        estimate: The field that is delivered, if it is not the present one.
        aside: Measurements that are predicted, not used; booleans in the shape of the data.
        mean: "network": the estimate itself; or "linear": the mean of the linear model.

    Raises:
        OptionError: If an option is unknown or out of range, the field too large, or all is set aside.
        LinearSolverError: If the covariance is indefinite.
    """
    if prior not in PRIORS:
        raise OptionError(f"prior: got {prior!r}, expected one of {', '.join(PRIORS)}")
    if not 0 < length < float("inf"):
        raise OptionError(f"length: got {length!r}, expected a share of the longest side, > 0")
    at = point(parameterization, model, data, estimate=estimate, aside=aside)
    if at.seen.size > _MOST:
        raise OptionError(f"field: got {at.seen.size} entries, expected at most {_MOST}; use a coarser grid")
    contrast, slope = _contrast(parameterization, at, estimate)
    if prior == "smooth":
        covariance = smooth_covariance(differences, at.shape, length, sizes)
    else:
        form = curvature(TotalVariation(differences, smoothing), torch.from_numpy(contrast)).toarray()
        covariance = np.linalg.inv(form + _FREE * np.diag(form).mean() * np.eye(len(form)))
        covariance /= np.diag(covariance).mean()
    seen = at.seen.ravel()
    covariance = covariance[np.ix_(seen, seen)] / np.outer(slope[seen], slope[seen])
    linear = Linearized.of(at)
    cross = linear.basis @ covariance
    kernel = Kernel(cross @ linear.basis.T, cross, np.diag(covariance).copy())
    residual, matrix = linear.reduced()
    shift = contrast.ravel()[seen] / slope[seen]
    amplitudes = most_likely((matrix @ kernel.inner @ matrix.T)[None], residual + matrix @ (linear.basis @ shift))
    value = amplitudes.values[0]

    def draw(count: int, rng: np.random.Generator) -> np.ndarray:
        jitter = 1e-10 * np.diag(covariance).mean() * np.eye(len(covariance))
        root = cholesky(covariance + jitter, lower=True)
        return np.sqrt(value) * rng.standard_normal((count, len(root))) @ root.T

    return LinearizedLaplace(linear, Prior(value * kernel, draw, shift, amplitudes, "cells"), mean=mean)


def smooth_covariance(
    differences: nn.Module, shape: tuple[int, ...], length: float, sizes: np.ndarray | None = None
) -> np.ndarray:
    """Of a Whittle-Matern field of mean variance 1, shape (n, n) for a field of n entries.

    Args:
        differences, length, sizes: As for `cells_laplace`.
        shape: Of the field.
    """
    like = torch.zeros(shape, dtype=torch.float64)
    mass = curvature(Tikhonov(Values(sizes)), like).diagonal()
    stiffness = _SIDE**2 * curvature(Tikhonov(differences), like).toarray()
    inverse = np.linalg.inv(stiffness + np.diag(8 / length**2 * mass))  # kappa = sqrt(8 nu) / length, nu = 1
    covariance = (inverse * mass) @ inverse
    return covariance / np.diag(covariance).mean()


def _contrast(parameterization: Parameterization, at, estimate) -> tuple[np.ndarray, np.ndarray]:
    """Of the estimate, in the shape of the field: distance from the start on the scale; and its slope by g, (N,)."""
    with torch.no_grad():
        raw = parameterization.raw().detach().cpu().numpy() if estimate is None else None
    variable, unit = at.variable, parameterization.unit or 1.0
    if raw is None:
        raw = variable.raw(np.stack([estimate.real, estimate.imag]) if np.iscomplexobj(estimate) else estimate)
    values = variable.values(raw)
    contrast = (variable.scale(values) - variable.scale(np.float64(variable.link.start))) / unit
    return contrast, (variable.slope(raw) / (values if variable.logarithmic else unit)).ravel()
