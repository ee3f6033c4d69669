"""Normal equations of a few dense rows and a sparse form: (A^T A + B + diag(damping)) x = b.

B is factored once, and the rows are brought in by the Woodbury identity, so a system of p unknowns
costs p rows^2 operations, not p^3. Conjugate gradients on the exact product repair what rounding and
the regularization of a singular B have cost: one or two iterations. Without the rows as an array,
the factor of B alone preconditions them.
"""

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import linalg as sparse_linalg

from eitdip.errors import LinearSolverError

_EXACT, _INEXACT = 1e-12, 1e-4  # relative residuals with the rows as an array, and without
_FLOOR = 1e-8  # of the largest diagonal entry: what a preconditioner adds to a singular B
_RANK = 1e-12  # relative size of what counts for the rank
_LIMIT = 200  # iterations


class NormalEquations:
    """Systems with one A and B, and any damping.

    Args:
        rows: A, shape (m, p): an array, or a scipy LinearOperator where that would be too large.
        form: B, sparse, symmetric positive semidefinite, shape (p, p).
    """

    def __init__(self, rows, form):
        self._rows, self._form = rows, sparse.csc_array(form)
        self._dense = isinstance(rows, np.ndarray)
        largest = self._form.diagonal().max(initial=0.0)
        if self._dense:
            largest = max(largest, np.square(rows).sum(axis=0).max())
        self._floor = _FLOOR * (largest or 1.0)
        wide = self._dense and rows.shape[0] >= rows.shape[1]
        self._gram = rows.T @ rows if wide else None

    def quadratic(self, x: np.ndarray) -> float:
        """x^T (A^T A + B) x."""
        return float(np.square(self._rows @ x).sum() + x @ (self._form @ x))

    def solve(self, b: np.ndarray, damping: np.ndarray) -> np.ndarray:
        """The solution, shape (p,), for a damping >= 0 of each unknown, shape (p,); 0 if b is.

        Raises:
            LinearSolverError: If the system is singular or not finite, or conjugate gradients do not converge.
        """
        if not b.any():
            return np.zeros_like(b)
        if not (np.isfinite(b).all() and np.isfinite(damping).all()):
            raise LinearSolverError("normal equations: got a right-hand side or damping that is not finite")
        shape = (len(b), len(b))
        product = sparse_linalg.LinearOperator(
            shape, lambda x: self._rows.T @ (self._rows @ x) + self._form @ x + damping * x, dtype=float
        )
        try:
            inverse = sparse_linalg.LinearOperator(shape, self._preconditioner(damping + self._floor), dtype=float)
        except (ValueError, RuntimeError) as error:  # not finite, not positive definite; a singular factor
            raise LinearSolverError(f"normal equations: {error}; expected finite rows and more damping") from error
        tolerance = _EXACT if self._dense else _INEXACT
        x, left = sparse_linalg.cg(product, b, rtol=tolerance, maxiter=_LIMIT, M=inverse)
        if left or not np.isfinite(x).all():
            raise LinearSolverError(f"normal equations: conjugate gradients did not converge in {_LIMIT} iterations")
        return x

    def _preconditioner(self, damping: np.ndarray):
        if self._gram is not None:
            factor = linalg.cho_factor(self._gram + self._form.toarray() + np.diag(damping))
            return lambda x: linalg.cho_solve(factor, x)
        form = sparse.csc_array(self._form + sparse.diags_array(damping))
        factor = sparse_linalg.splu(
            form, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        if not self._dense:
            return factor.solve
        lifted = factor.solve(np.ascontiguousarray(self._rows.T))
        small = linalg.cho_factor(np.eye(len(self._rows)) + self._rows @ lifted)

        def inverse(x):
            y = factor.solve(np.ascontiguousarray(x))
            return y - lifted @ linalg.cho_solve(small, self._rows @ y)

        return inverse


def compressed(rows: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fewer rows with the same A^T A and A^T residual to rounding, if the rank is below a third of their number.

    The 2356 voltages of a KTC2023 tank, for instance, are linear in the 496 free entries of one admittance
    matrix. Random combinations of the columns of A span what all columns do, almost surely, once they
    are more than the rank.

    Args:
        rows: A, shape (m, p).
        residual: Shape (m,).

    Returns:
        Q^T A and Q^T residual with Q an orthonormal basis of the columns of A; or what was given.
    """
    probes = np.random.default_rng(0).standard_normal((rows.shape[1], len(rows) // 3))
    basis, triangle, _ = linalg.qr(rows @ probes, mode="economic", pivoting=True, check_finite=False)
    sizes = np.abs(np.diagonal(triangle))
    rank = max(1, int((sizes > _RANK * sizes[:1]).sum()))
    if rank >= len(sizes):
        return rows, residual
    basis = basis[:, :rank]
    return basis.T @ rows, basis.T @ residual
