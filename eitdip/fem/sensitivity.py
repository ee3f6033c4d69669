"""The derivative that all electrical models share.

Each model's data are V = left^T G(sigma) right with dG = +-(dK-energies of r basis fields), so with
dc = W dsigma and the edge differences D of the basis fields
    dV = sign * left^T (D^T diag(dc) D) right,      adjoint(R) = sign * W^T rowsum((D S) * D),
S the symmetric part of left R right^T. No linear system is solved for either.
"""

import numpy as np

from eitdip.fem.spaces import Discretization
from eitdip.operator import LinearOperator, Space
from eitdip.ranks.collectives import Layout, from_root, gather_shares, share_of, sum_over

_CHUNK = 4096  # edges at a time: their differences stay in the cache


class PairSensitivity(LinearOperator):
    """dV/dsigma for data that are energies of pairs of fields.

    Args:
        discretization: Edge network of the model.
        range: Space of the data, shape (K, M).
        fields: Basis fields at this rank's nodes, shape (n, r), V or dimensionless.
        left: Coefficients of the K states in the basis, shape (r, K).
        right: Coefficients of the M lead fields in the basis, shape (r, M).
        sign: +1 if data grow with energy (flux moments), -1 otherwise (voltages).
        layout: The ranks; those with the same part of the mesh share its edges.
    """

    def __init__(self, discretization: Discretization, range: Space, fields, left, right, sign: float, layout: Layout):
        self.domain = discretization.sigma_space
        self.range = range
        self._discretization = discretization
        self._fields, self._left, self._right = fields, left, right
        self._sign, self._layout = sign, layout

    def _chunks(self, fields: np.ndarray):
        """Differences of fields over this rank's share of the edges, some at a time, in one buffer for all."""
        first, second = self._discretization.edges.T
        share = share_of(len(first), self._layout.patterns)
        ends = np.empty((2, _CHUNK, fields.shape[1]))
        for start in np.arange(share.start, share.stop, _CHUNK):
            where = slice(start, min(start + _CHUNK, share.stop))
            u, v = ends[:, : where.stop - start]
            # With mode "clip" numpy writes to `out` directly; all numbers are valid.
            fields.take(first[where], axis=0, out=u, mode="clip")
            fields.take(second[where], axis=0, out=v, mode="clip")
            u -= v
            yield where, u

    def __call__(self, x):
        """dV for a change dsigma (N,): shape (K, M)."""
        conductances = self._discretization.weights @ self.domain.check(x)
        rank = self._fields.shape[1]
        gram = np.zeros((rank, rank))
        for where, difference in self._chunks(self._fields):
            gram += difference.T @ (conductances[where, None] * difference)
        gram = sum_over(gram, self._layout.everyone)
        return self._sign * (self._left.T @ gram @ self._right)

    def adjoint(self, y):
        """Gradient of sum(y * V) with respect to sigma: shape (N,)."""
        y = self.range.check(from_root(y, self._layout.everyone))
        pairs = self._left @ y @ self._right.T
        # In the eigenvectors of the symmetric part only squares are left, and combining the fields at
        # the nodes is cheaper than at the edges, of which there are three (plane) or seven (solid) a node.
        strengths, vectors = np.linalg.eigh(0.5 * (pairs + pairs.T))
        combined = self._fields @ vectors
        edges = self._discretization.edges
        share = share_of(len(edges), self._layout.patterns)
        energy = np.empty(share.stop - share.start)
        for where, difference in self._chunks(combined):
            np.square(difference, out=difference)
            energy[where.start - share.start : where.stop - share.start] = difference @ strengths
        energy = gather_shares(energy, len(edges), self._layout.patterns)
        gradient = self._discretization.weights_transposed @ energy
        # Every group has the sum over its parts of the mesh; rank 0's bits count.
        gradient = sum_over(gradient, self._layout.mesh)
        return self._sign * gradient

    def factored(self, inner) -> tuple[np.ndarray, np.ndarray]:
        """Two factors of the Jacobian times a sparse matrix, never larger than the pairs of basis fields are many.

        Of a solid of 51,000 nodes with 32 electrodes the Jacobian would take 5 GB; energies of its 528 pairs in 16,000
        voxels are 70 MB, and what follows is as much faster as there are fewer pairs than data.

        Args:
            inner: Sparse matrix, shape (N, P), such as that of a map from pixels to cells.

        Returns:
            Left factor, shape (K * M, p), and right factor, shape (p, P), p = r (r + 1) / 2.
        """
        difference = self._discretization.differences(self._fields)
        weights = (inner.T @ self._discretization.weights_transposed).tocsr()
        rank = difference.shape[1]
        energies = [(weights @ (difference[:, i, None] * difference[:, i:])).T for i in range(rank)]
        first, second = np.triu_indices(rank)
        left, right = self._left.T, self._right.T
        both = left[:, None, first] * right[None, :, second] + left[:, None, second] * right[None, :, first]
        both[..., first == second] *= 0.5
        energies = sum_over(np.concatenate(energies), self._layout.mesh)
        return self._sign * both.reshape(self.range.size, -1), energies

    def dense(self):
        """The Jacobian, shape (K * M, N)."""
        difference = self._discretization.differences(self._fields)
        states, leads = difference @ self._left, difference @ self._right
        columns, weights = self.range.shape[1], self._discretization.weights_transposed
        jacobian = np.empty((self.range.size, self.domain.size))
        for k in np.arange(self.range.shape[0]):
            jacobian[k * columns : (k + 1) * columns] = (weights @ (states[:, k, None] * leads)).T
        jacobian = sum_over(jacobian, self._layout.mesh)
        jacobian *= self._sign
        return jacobian
