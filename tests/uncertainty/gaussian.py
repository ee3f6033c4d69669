"""A Gaussian posterior that is known, and truths that are drawn from it."""

import numpy as np
import torch

from eitdip.parameterization import Exp
from eitdip.uncertainty import GaussianPosterior, Variable


class Known(GaussianPosterior):
    """N(centre, covariance) of the field before a link; independent entries if only deviations are given."""

    def __init__(self, centre, deviation, link=None, logarithmic=True, root=None, seen=None):
        centre = np.asarray(centre, float)
        seen = np.ones(centre.shape, bool) if seen is None else seen
        super().__init__("known", Variable(link or Exp(2.0), logarithmic), centre.shape, seen)
        self.centre, self.raw_deviation = centre[seen], np.broadcast_to(deviation, centre.shape)[seen]
        self.root = np.diag(self.raw_deviation) if root is None else root

    def raw_samples(self, count, rng):
        return self.centre + rng.standard_normal((count, self.root.shape[1])) @ self.root.T

    def truth(self, rng, stretch=1.0):
        raw = self.everywhere(self.centre + stretch * (self.raw_samples(1, rng)[0] - self.centre))
        with torch.no_grad():
            return self.variable.link(torch.from_numpy(raw)).numpy()
