"""A small operator in double precision: random rays through 8 x 8 pixels."""

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.data.noise import Gaussian
from eitdip.imaging import SparseOperator
from eitdip.operator import Space
from eitdip.supervised import ellipse_pairs


@pytest.fixture(scope="session")
def rays() -> SparseOperator:
    matrix = sparse.random_array((60, 64), density=0.2, rng=np.random.default_rng(0), format="csr")
    return SparseOperator(matrix, Space((8, 8), "float64"), Space((6, 10), "float64"))


@pytest.fixture(scope="session")
def pairs(rays):
    return ellipse_pairs(rays, 12, seed=3, noise=Gaussian(0.01))


def disturb(model: torch.nn.Module, size: float = 0.05) -> torch.nn.Module:
    """Weights away from where training starts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += size * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return model
