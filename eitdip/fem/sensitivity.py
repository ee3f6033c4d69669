"""The derivative that all electrical models share.

Each model's data are V = left^T G(sigma) right with dG = +-(dK-energies of r basis fields), so with
dc = W dsigma and the edge differences D of the basis fields
    dV = sign * left^T (D^T diag(dc) D) right,      adjoint(R) = sign * W^T rowsum((D S) * D),
S the symmetric part of left R right^T. No linear system is solved for either.
"""

import numpy as np

from eitdip.fem.spaces import Discretization
from eitdip.operator import LinearOperator, Space
from eitdip.parallel import from_root, share_of

_CHUNK = 8192  # edges at a time: the products stay in the cache


class PairSensitivity(LinearOperator):
    """dV/dsigma for data that are energies of pairs of fields.

    Args:
        discretization: Edge network of the model.
        range: Space of the data, shape (K, M).
        fields: Basis fields, shape (n, r), V or dimensionless.
        left: Coefficients of the K states in the basis, shape (r, K).
        right: Coefficients of the M lead fields in the basis, shape (r, M).
        sign: +1 if data grow with energy (flux moments), -1 otherwise (voltages).
        comm: MPI communicator; the work is split over its ranks.
    """

    def __init__(self, discretization: Discretization, range: Space, fields, left, right, sign: float, comm):
        self.domain = discretization.sigma_space
        self.range = range
        self._discretization = discretization
        self._fields, self._left, self._right = fields, left, right
        self._sign, self._comm = sign, comm

    def _chunks(self):
        edges = self._discretization.edges
        for start in np.arange(0, len(edges), _CHUNK):
            part = edges[start : start + _CHUNK]
            yield slice(start, start + len(part)), self._fields[part[:, 0]] - self._fields[part[:, 1]]

    def __call__(self, x):
        """dV for a change dsigma (N,): shape (K, M)."""
        conductances = self._discretization.weights @ self.domain.check(x)
        rank = self._fields.shape[1]
        gram = np.zeros((rank, rank))
        for where, difference in self._chunks():
            gram += difference.T @ (conductances[where, None] * difference)
        return self._sign * (self._left.T @ gram @ self._right)

    def adjoint(self, y):
        """Gradient of sum(y * V) with respect to sigma: shape (N,)."""
        y = self.range.check(from_root(y, self._comm))
        pairs = self._left @ y @ self._right.T
        pairs = 0.5 * (pairs + pairs.T)
        share = share_of(self._fields.shape[1], self._comm)
        energy = np.empty(len(self._discretization.edges))
        for where, difference in self._chunks():
            energy[where] = np.einsum("ej,ej->e", difference @ pairs[:, share], difference[:, share])
        if self._comm.size > 1:
            total = np.empty_like(energy)
            self._comm.Reduce(energy, total, root=0)
            self._comm.Bcast(total, root=0)
            energy = total
        return self._sign * (self._discretization.weights_transposed @ energy)

    def dense(self):
        """The Jacobian, shape (K * M, N)."""
        difference = self._discretization.differences(self._fields)
        states, leads = difference @ self._left, difference @ self._right
        columns, weights = self.range.shape[1], self._discretization.weights_transposed
        jacobian = np.empty((self.range.size, self.domain.size))
        for k in np.arange(self.range.shape[0]):
            jacobian[k * columns : (k + 1) * columns] = (weights @ (states[:, k, None] * leads)).T
        jacobian *= self._sign
        return jacobian
