"""A nonlinear problem at an estimate, as a linear one: whitened data = A g, and g = J theta.

    y - F(x) = A (g - g_hat) + noise,    A = W F'(x) P link'(g_hat),    g - g_hat = J (theta - theta_hat),

with W one over the deviations. A is written as M Q with orthonormal rows of Q: all that the data say, fitted and set
aside, is about the few numbers Q g.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.sparse import csr_array

from eitdip.data.data import Data
from eitdip.errors import InvalidDataError, OptionError
from eitdip.operator import ForwardModel, LinearOperator
from eitdip.parameterization import Parameterization
from eitdip.uncertainty.posterior import Variable

# A direction of g whose change by 1 moves the data by this many deviations tells nothing.
_LEAST = 1e-5
_BLOCK = 64  # unit vectors at a time


@dataclass(frozen=True, eq=False)
class Linearized:
    """The linear problem of the seen entries of a field.

    Args:
        variable: From the field before the link to values.
        shape: Of that field.
        seen: Which of its entries the model depends on, booleans in that shape; there are n.
        centre: g_hat there, (n,).
        basis: Q, (r, n), orthonormal rows.
        matrix: M, (m, r), in units of the noise.
        residual: W (y - F(x)), (m,).
        fitted: Which of the m numbers the posterior may use, booleans; the others are set aside.
    """

    variable: Variable
    shape: tuple[int, ...]
    seen: np.ndarray
    centre: np.ndarray
    basis: np.ndarray
    matrix: np.ndarray
    residual: np.ndarray
    fitted: np.ndarray


def linearize(
    parameterization: Parameterization,
    model: ForwardModel,
    data: Data,
    *,
    estimate: np.ndarray | None = None,
    aside: np.ndarray | None = None,
) -> Linearized:
    """Linearize at the present weights; all ranks of the model take part.

    Args:
        parameterization: At the weights that were kept.
        model: F.
        data: y with its noise. Where the deviation is unknown it is taken from the misfit; counts have that of their
            predicted mean.
        estimate: Field that is delivered, if it is not that of the weights: an average of iterates.
        aside: Measurements that are not used but predicted, booleans in the shape of the data.

    Raises:
        OptionError: If all measurements are set aside.
        InvalidDataError: If the estimate has values beyond the link's bounds.
    """
    variable, parameterization = Variable.of(parameterization), parameterization.eval()
    with torch.no_grad():
        raw = parameterization.raw().detach().cpu().numpy() if estimate is None else _raw(variable, estimate)
        values = torch.as_tensor(variable.values(raw))
        complex_field = parameterization.complex
        field = torch.complex(values[0], values[1]) if complex_field else values
        x = field.numpy() if parameterization.matrix() is None else parameterization.matrix() @ field.numpy().ravel()
    x = x.astype(model.domain.dtype).reshape(model.domain.shape)
    prediction, slope = model.linearize(torch.as_tensor(x, device=model.device) if model.arrays == "torch" else x)
    prediction = np.asarray(prediction.detach().cpu() if model.arrays == "torch" else prediction)
    used, deviation = data.mask.ravel(), _deviation(data, prediction).ravel()[data.mask.ravel()]
    matrix = dense(slope)[used] / deviation[:, None]
    seen = np.ones(raw.shape, bool)
    if (to_unknowns := parameterization.matrix()) is not None:
        seen = (abs(to_unknowns).sum(axis=0) > 0).reshape(raw.shape)
        matrix = (csr_array(to_unknowns).T @ matrix.T).T
    if complex_field:
        matrix = np.concatenate([matrix, 1j * matrix], axis=1)
    matrix = matrix[:, seen.ravel()] * variable.slope(raw)[seen]
    residual = (data.values - prediction).ravel()[used] / deviation
    fitted = np.ones(len(residual), bool) if aside is None else ~np.asarray(aside, bool).ravel()[used]
    if np.iscomplexobj(data.values):
        matrix, residual = (np.concatenate([part.real, part.imag]) for part in (matrix, residual))
        fitted = np.concatenate([fitted, fitted])
    if not fitted.any():
        raise OptionError("aside: got all measurements, expected some that are used")
    basis, factor = _compressed(matrix.real)
    return Linearized(variable, raw.shape, seen, raw[seen], basis, factor, residual.real, fitted)


def dense(operator: LinearOperator) -> np.ndarray:
    """The matrix of an operator, shape (range.size, domain.size); on tensors many columns at a time."""
    if operator.arrays != "torch":
        return operator.dense()
    size, columns = operator.domain.size, []
    unit = torch.eye(size, dtype=getattr(torch, operator.domain.dtype), device=operator.device)
    for part in unit.split(_BLOCK):
        columns.append(operator(part.reshape(-1, *operator.domain.shape)).reshape(len(part), -1).cpu().numpy())
    return np.concatenate(columns).T.astype(np.result_type(operator.range.dtype, np.float64))


def _raw(variable: Variable, estimate: np.ndarray) -> np.ndarray:
    estimate = np.stack([estimate.real, estimate.imag]) if np.iscomplexobj(estimate) else estimate
    raw = variable.raw(estimate)
    if not np.isfinite(raw).all():
        raise InvalidDataError(
            "estimate: got values at or beyond the bounds of the link, expected values between them, where it has a "
            "slope"
        )
    return raw


def _deviation(data: Data, prediction: np.ndarray) -> np.ndarray:
    """Of each measurement, > 0, in the shape of the data."""
    if data.noise.name == "poisson":
        return data.noise.deviation(prediction + data.noise.background, data.mask)
    deviation = data.deviation
    if data.noise.known:
        return deviation
    errors = np.abs((data.values - prediction) / deviation)[data.mask]
    parts = 2 if np.iscomplexobj(data.values) else 1
    return deviation * max(float(np.sqrt((errors**2).mean() / parts)), np.finfo(float).tiny)


def _compressed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q and M with matrix = M Q, by the eigenvectors of the smaller Gram matrix."""
    wide = len(matrix) <= matrix.shape[1]
    squares, vectors = eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    kept = squares > max(_LEAST**2, 1e-14 * squares[-1])
    if not kept.any():
        raise InvalidDataError("data: no change of the field moves them by a noticeable part of their deviation")
    values, vectors = np.sqrt(squares[kept]), vectors[:, kept]
    if not wide:
        return vectors.T, matrix @ vectors
    return (vectors / values).T @ matrix, vectors * values
