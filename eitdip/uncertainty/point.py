"""A nonlinear problem at an estimate, as a linear one.

    W (y - F(x)) = A (g - g_hat) + noise of deviation 1,    A = W F'(x_hat) P link'(g_hat),

where g is the field before the link, x_hat = P link(g_hat), and W whitens: one over the deviations, or with correlated
errors the inverse of a Cholesky factor. Complex data are real numbers twice as many, all real parts first.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array

from eitdip.data.data import Data
from eitdip.errors import InvalidDataError, OptionError
from eitdip.operator import ForwardModel, LinearOperator
from eitdip.parameterization import Parameterization
from eitdip.uncertainty.posterior import Variable

_BLOCK = 64  # unit vectors at a time


@dataclass(frozen=True, eq=False)
class Point:
    """The linear problem for the n seen entries of a field and m measured numbers.

    Args:
        variable: From the field before the link to values.
        shape: Of that field.
        seen: Which of its entries the model depends on, booleans in that shape.
        centre: g_hat there, (n,).
        residual: W (y - F(x_hat)), (m,).
        fitted: Which of the m numbers the posterior may use, booleans; the others are set aside.
        slope: F'(x_hat).
        field_map: P on flattened fields, or None.
        link_slope: link'(g_hat) at the seen entries, (n,).
        used: Which entries of the data are measured, booleans in their shape.
        whitening: Deviations of the measured entries, or a lower Cholesky factor of their covariance.
    """

    variable: Variable
    shape: tuple[int, ...]
    seen: np.ndarray
    centre: np.ndarray
    residual: np.ndarray
    fitted: np.ndarray
    slope: LinearOperator
    field_map: csr_array | None
    link_slope: np.ndarray
    used: np.ndarray
    whitening: np.ndarray

    @property
    def complex_data(self) -> bool:
        """Whether a measurement is two numbers."""
        return len(self.residual) != int(self.used.sum())

    def forward(self, directions: np.ndarray) -> np.ndarray:
        """A of directions of g, (k, n) to (k, m)."""
        fields = np.zeros((len(directions), *self.shape))
        fields[:, self.seen] = directions * self.link_slope
        if self.field_map is None:
            domain = self.slope.domain
            unknowns = fields[:, 0] + 1j * fields[:, 1] if domain.dtype.startswith("complex") else fields
            unknowns = unknowns.reshape(-1, *domain.shape)
        else:
            unknowns = (self.field_map @ fields.reshape(len(fields), -1).T).T.reshape(-1, *self.slope.domain.shape)
        return self._real(_products(self.slope, self.slope.domain.dtype, unknowns)[:, self.used])

    def transpose(self, data: np.ndarray) -> np.ndarray:
        """A^T of whitened data, (k, m) to (k, n)."""
        half = data.shape[1] // 2
        numbers = data[:, :half] + 1j * data[:, half:] if self.complex_data else data
        whole = np.zeros((len(data), *self.used.shape), numbers.dtype)
        whole[:, self.used] = self._whitened(numbers, transposed=True)
        found = _products(self.slope.H, self.slope.range.dtype, whole).reshape(len(data), -1)
        if self.field_map is not None:
            found = (self.field_map.T @ found.real.T).T
        elif self.slope.domain.dtype.startswith("complex"):
            found = np.concatenate([found.real, found.imag], axis=1)
        return found.real[:, self.seen.ravel()] * self.link_slope

    def dense(self) -> np.ndarray:
        """A, (m, n)."""
        matrix = dense(self.slope)[self.used.ravel()]
        if self.field_map is not None:
            matrix = (self.field_map.T @ matrix.T).T
        elif self.slope.domain.dtype.startswith("complex"):
            matrix = np.concatenate([matrix, 1j * matrix], axis=1)
        return self._real((matrix[:, self.seen.ravel()] * self.link_slope).T).T

    def _real(self, data: np.ndarray) -> np.ndarray:
        whitened = self._whitened(data)
        return np.concatenate([whitened.real, whitened.imag], axis=1) if self.complex_data else whitened.real

    def _whitened(self, data: np.ndarray, transposed: bool = False) -> np.ndarray:
        return whiten(data, self.whitening, transposed)


def point(
    parameterization: Parameterization,
    model: ForwardModel,
    data: Data,
    *,
    estimate: np.ndarray | None = None,
    aside: np.ndarray | None = None,
) -> Point:
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
    values, field_map = variable.values(raw), parameterization.matrix()
    field = values[0] + 1j * values[1] if parameterization.complex else values
    x = field if field_map is None else field_map @ field.ravel()
    x = x.astype(model.domain.dtype).reshape(model.domain.shape)
    prediction, slope = model.linearize(torch.as_tensor(x, device=model.device) if model.arrays == "torch" else x)
    prediction = np.asarray(prediction.detach().cpu() if model.arrays == "torch" else prediction)
    seen = np.ones(raw.shape, bool)
    if field_map is not None:
        seen = (abs(field_map).sum(axis=0) > 0).reshape(raw.shape)
    whitening = _whitening(data, prediction)
    residual = whiten(_error(data, prediction)[None], whitening)[0]
    fitted = np.ones(len(residual), bool) if aside is None else ~np.asarray(aside, bool)[data.mask]
    if np.iscomplexobj(data.values):
        residual, fitted = np.concatenate([residual.real, residual.imag]), np.concatenate([fitted, fitted])
    if not fitted.any():
        raise OptionError("aside: got all measurements, expected some that are used")
    return Point(
        variable, raw.shape, seen, raw[seen], residual, fitted, slope, field_map, variable.slope(raw)[seen], data.mask,
        whitening,
    )  # fmt: skip


def dense(operator: LinearOperator) -> np.ndarray:
    """The matrix of an operator, shape (range.size, domain.size); on tensors many columns at a time."""
    if operator.arrays != "torch":
        return operator.dense()
    size, columns = operator.domain.size, []
    unit = torch.eye(size, dtype=getattr(torch, operator.domain.dtype), device=operator.device)
    for part in unit.split(_BLOCK):
        columns.append(operator(part.reshape(-1, *operator.domain.shape)).reshape(len(part), -1).cpu().numpy())
    return np.concatenate(columns).T.astype(np.result_type(operator.range.dtype, np.float64))


def whiten(data: np.ndarray, whitening: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Data (..., m) over their deviations, or by the Cholesky factor of their covariance."""
    if whitening.ndim == 1:
        return data / whitening
    return solve_triangular(whitening, data.T, lower=True, trans="T" if transposed else "N").T


def _products(operator: LinearOperator, dtype: str, elements: np.ndarray) -> np.ndarray:
    elements = elements.astype(dtype)
    if operator.arrays == "torch":
        return operator(torch.as_tensor(elements, device=operator.device)).cpu().numpy()
    return np.stack([operator(element) for element in elements])


def _raw(variable: Variable, estimate: np.ndarray) -> np.ndarray:
    estimate = np.stack([estimate.real, estimate.imag]) if np.iscomplexobj(estimate) else estimate
    raw = variable.raw(estimate)
    if not np.isfinite(raw).all():
        raise InvalidDataError(
            "estimate: got values at or beyond the bounds of the link, expected values between them, where it has a "
            "slope"
        )
    return raw


def _error(data: Data, prediction: np.ndarray) -> np.ndarray:
    """Measured less predicted, over the measured entries."""
    shift = 0.0 if data.noise.error is None else data.noise.error.mean
    return (data.values - prediction - data.noise.background - shift)[data.mask]


def _whitening(data: Data, prediction: np.ndarray) -> np.ndarray:
    """Deviations of the measured entries, all > 0; with a model's error the Cholesky factor of the covariance."""
    mean = prediction + data.noise.background  # counts have the deviation of their mean
    deviation = data.noise.deviation(mean, data.mask)[data.mask]
    if not data.noise.known:
        parts = 2 if np.iscomplexobj(data.values) else 1
        misfit = np.mean(np.abs(_error(data, prediction) / deviation) ** 2) / parts
        return deviation * max(float(np.sqrt(misfit)), np.finfo(float).tiny)
    if data.noise.error is None:
        return deviation
    modes, own = data.noise.error.modes[:, data.mask], data.noise.error.deviation[data.mask]
    return cholesky(modes.T @ modes + np.diag(deviation**2 + own**2), lower=True)
