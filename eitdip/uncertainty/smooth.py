"""A smooth field beside a network, for what the network has not drawn."""

import numpy as np
from scipy.linalg import cholesky
from scipy.spatial.distance import pdist, squareform

from eitdip.errors import OptionError
from eitdip.uncertainty.kernel import Kernel


class Smooth:
    """A stationary Gaussian field of variance 1 on a grid, with Matern correlation of order 3/2.

    Its samples have slopes. Channels are independent of each other.

    Args:
        shape: Of the field, channels first.
        seen: Which entries count, booleans in that shape; there are n.
        length: Distance over which it loses about half of its correlation, as a share of the longest side, > 0.
        dimension: Of the grid, 2 or 3: how many of the last axes are its own; those before are channels.

    Raises:
        OptionError: If the length is out of range.
    """

    def __init__(self, shape: tuple[int, ...], seen: np.ndarray, length: float, dimension: int = 2):
        if not 0 < length < float("inf"):
            raise OptionError(f"smooth: got a length of {length!r}, expected a share of the longest side, > 0")
        places = np.argwhere(seen).astype(float)
        channels, own = np.split(places, [len(shape) - dimension], axis=1)
        scaled = np.sqrt(3) * squareform(pdist(own)) / (length * max(shape[-dimension:]))
        self.covariance = (1 + scaled) * np.exp(-scaled)
        if channels.size:
            self.covariance *= (channels[:, None] == channels[None]).all(axis=2)

    def kernel(self, basis: np.ndarray) -> Kernel:
        """As far as a basis (r, n) asks for it."""
        cross = basis @ self.covariance
        return Kernel(cross @ basis.T, cross, np.diag(self.covariance).copy())

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Samples, shape (count, n)."""
        jitter = 1e-10 * np.eye(len(self.covariance))  # rounding makes the smallest eigenvalues negative
        factor = cholesky(self.covariance + jitter, lower=True)
        return rng.standard_normal((count, len(factor))) @ factor.T
