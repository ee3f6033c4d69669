"""A linear network and a linear model, of which every posterior has a formula."""

import numpy as np
import torch
from torch import nn

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.imaging import DenseOperator
from eitdip.operator import Space
from eitdip.parameterization import Affine, Parameterization

SHAPE = (5, 6)
SIZES = (5, 7)  # of its two weight tensors
NOISE = 0.3


class LinearNetwork(nn.Module):
    """field = matrix @ weights."""

    def __init__(self, matrix: np.ndarray, weights: np.ndarray, shape=SHAPE):
        super().__init__()
        self.shape = shape
        self.register_buffer("matrix", torch.from_numpy(matrix))
        first, second = torch.from_numpy(weights).split([SIZES[0], len(weights) - SIZES[0]])
        self.first, self.second = nn.Parameter(first.clone()), nn.Parameter(second.clone())

    def forward(self):
        return (self.matrix @ torch.cat([self.first, self.second])).reshape(self.shape)


def linear_problem(measurements: int = 20, seed: int = 0, link=None):
    """Parameterization, model, data, J, A and theta of a random linear problem."""
    rng = np.random.default_rng(seed)
    fields, count = int(np.prod(SHAPE)), sum(SIZES)
    jacobian, theta = rng.standard_normal((fields, count)), rng.standard_normal(count)
    parameterization = Parameterization(LinearNetwork(jacobian, theta), link or Affine(0.0, 1.0), unit=1.0)
    matrix = rng.standard_normal((measurements, fields))
    model = DenseOperator(torch.from_numpy(matrix), Space(SHAPE), Space((measurements,)))
    values = matrix @ jacobian @ rng.standard_normal(count) + NOISE * rng.standard_normal(measurements)
    return parameterization, model, Data(values, Gaussian(NOISE)), jacobian, matrix, theta
