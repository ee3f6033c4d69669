"""The over-parameterized linear generator G(c) = J c: what gradient descent finds, and how good that is.

J is (n, N) with N >= n, so that G reaches every signal and has no prior by its range. It has one by its algorithm:

**Gradient descent from c = 0** on |A J c - y|^2 / 2, with steps of 1 / |A J|^2, never leaves the range of (A J)^T, and
so converges to the one solution there, c = (A J)^+ y, the shortest of all. The signal is x = J (A J)^+ y: of all x
with A x = y that with the least sum over i of <w_i, x>^2 / sigma_i^2, where J = sum over i of sigma_i w_i v_i^T. For
signals it is Landweber's iteration with the preconditioner J J^T: after t steps the part at the singular value s of
A J has the share 1 - (1 - s^2 / |A J|^2)^t of its final size.

**Recovery.** Let A have m >= 12 rows of independent normal entries and y = A x. Then with high probability

    |J (A J)^+ y - x|^2 <= C / m (sum over i > 2 m / 3 of sigma_i^2) (sum over i of <w_i, x>^2 / sigma_i^2)

So what is smooth in the sense of J is found from few measurements, if sigma falls fast, and without early stopping.
The theorem does not name C. With n = 512 and the Jacobian of `eitdip.theory.two_layer` C = 1 is enough for 95 % of
random signals and more, however smooth; with n = 160 for 90 %, and C = 2 for nearly all. A signal made for A
needs up to 9: see `worst_ratio`.

References:
    Heckel, Soltanolkotabi (2020), ICML, Compressive sensing with un-trained neural networks, theorem 1.
    Engl, Hanke, Neubauer (1996), Regularization of inverse problems, section 6.1, for Landweber.
"""

import numpy as np
from scipy import linalg

from eitdip.errors import OptionError, ShapeError


def gradient_descent(operator, generator, data, steps: int, start=None) -> np.ndarray:
    """The signal after steps of gradient descent on |A J c - y|^2 / 2, each of length 1 / |A J|^2.

    Args:
        operator: A, shape (m, n).
        generator: J, shape (n, N).
        data: y, shape (m,).
        steps: How many, >= 0.
        start: First c, shape (N,); by default 0, as the theorem wants it.

    Returns:
        J c, shape (n,).

    Raises:
        ShapeError: If the arrays do not fit together.
        OptionError: If steps < 0.
    """
    product, generator, data = _product(operator, generator, data)
    _count(steps)
    if start is not None and np.shape(start) != (generator.shape[1],):
        raise ShapeError(f"start: got shape {np.shape(start)}, expected {(generator.shape[1],)}, one entry per column")
    c = np.zeros(generator.shape[1]) if start is None else np.array(start, dtype=float)
    step = 1 / np.linalg.norm(product, 2) ** 2
    for _ in range(steps):
        c -= step * (product.T @ (product @ c - data))
    return generator @ c


def landweber(operator, generator, data, steps: int) -> np.ndarray:
    """What `gradient_descent` from zero gives, in closed form: a filter of the singular values of A J.

    Arguments, result and errors are those of `gradient_descent`.
    """
    product, generator, data = _product(operator, generator, data)
    _count(steps)
    left, values, right = np.linalg.svd(product, full_matrices=False)
    shares = 1 - (1 - (values / values[0]) ** 2) ** steps
    inverse = np.divide(shares, values, out=np.zeros_like(values), where=values > 0)
    return generator @ (right.T @ (inverse * (left.T @ data)))


def minimum_norm(operator, generator, data) -> np.ndarray:
    """x = J (A J)^+ y, where gradient descent from zero ends.

    Args:
        operator: A, shape (m, n).
        generator: J, shape (n, N).
        data: y, shape (m,).

    Returns:
        The signal, shape (n,).

    Raises:
        ShapeError: If the arrays do not fit together.
    """
    product, generator, data = _product(operator, generator, data)
    return generator @ linalg.lstsq(product, data, lapack_driver="gelsy", check_finite=False)[0]


def steps_until(operator, generator, tolerance: float) -> int:
    """Steps of gradient descent after which |c - (A J)^+ y| is at most `tolerance` times |(A J)^+ y|.

    Each step shrinks the slowest part of the error by 1 - (smallest / largest singular value of A J)^2.

    Args:
        operator: A, shape (m, n).
        generator: J, shape (n, N), such that A J has full row rank.
        tolerance: Between 0 and 1.

    Raises:
        OptionError: If the tolerance is not in between.
    """
    if not 0 < tolerance < 1:
        raise OptionError(f"tolerance: got {tolerance}, expected a number between 0 and 1")
    values = np.linalg.svd(np.asarray(operator) @ np.asarray(generator), compute_uv=False)
    return int(np.ceil(np.log(tolerance) / np.log1p(-((values[-1] / values[0]) ** 2))))


def recovery_bound(singular_values, coefficients, measurements: int) -> float:
    """The right side of the recovery theorem with C = 1.

    Args:
        singular_values: Of J, shape (n,), falling and > 0.
        coefficients: <w_i, x> of the signal, shape (n,).
        measurements: m >= 12.

    Returns:
        Bound of |J (A J)^+ A x - x|^2.

    Raises:
        ShapeError: If the vectors differ in length.
        OptionError: If m < 12 or the singular values are not falling and positive.
    """
    sigma, coefficients = np.asarray(singular_values, dtype=float), np.asarray(coefficients, dtype=float)
    if sigma.ndim != 1 or sigma.shape != coefficients.shape:
        raise ShapeError(f"coefficients: got shape {coefficients.shape}, singular values {sigma.shape}; expected (n,)")
    return _tail(sigma, measurements) * float(np.square(coefficients / sigma).sum())


def worst_ratio(operator, singular_values, vectors) -> float:
    """The largest ratio, over all signals, of the squared error to `recovery_bound`: the C that A needs.

    Args:
        operator: A, shape (m, n).
        singular_values: Of J, shape (n,), falling and > 0.
        vectors: Left singular vectors w_i of J as columns, shape (n, n).

    Raises:
        ShapeError: If the arrays do not fit together.
        OptionError: As `recovery_bound`.
    """
    sigma = np.asarray(singular_values, dtype=float)
    product, _, _ = _product(operator, np.asarray(vectors) * sigma, np.zeros(len(operator)))
    # With x = W diag(sigma) e, the error is W diag(sigma) (I - Q Q^T) e, where Q spans the rows of A J.
    rows = np.linalg.qr(product.T)[0] * sigma[:, None]
    covariance = np.diag(sigma**2) - rows @ rows.T
    last = len(sigma) - 1
    largest = linalg.eigh(covariance, eigvals_only=True, subset_by_index=(last, last))[0]
    return float(largest) / _tail(sigma, len(product))


def _tail(sigma: np.ndarray, measurements: int) -> float:
    """1 / m times the sum over i > 2 m / 3 of sigma_i^2, where i counts from 1."""
    if measurements < 12:
        raise OptionError(f"measurements: got {measurements}, but the theorem is for at least 12")
    if not (sigma > 0).all() or (np.diff(sigma) > 1e-12 * sigma[0]).any():
        raise OptionError("singular values: expected positive numbers that fall; sort them")
    return float(np.square(sigma[2 * measurements // 3 :]).sum()) / measurements


def _product(operator, generator, data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A J, J and y as arrays that fit together."""
    operator, generator, data = (np.asarray(array, dtype=float) for array in (operator, generator, data))
    if operator.ndim != 2 or generator.ndim != 2 or operator.shape[1] != generator.shape[0]:
        raise ShapeError(f"operator, generator: got {operator.shape}, {generator.shape}; expected (m, n) and (n, N)")
    if data.shape != operator.shape[:1]:
        raise ShapeError(f"data: got shape {data.shape}, expected {operator.shape[:1]}, one number per row of A")
    return operator @ generator, generator, data


def _count(steps: int) -> None:
    if steps < 0:
        raise OptionError(f"steps: got {steps}, expected >= 0")
