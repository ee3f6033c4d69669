"""Images that are seen through small operators: problems that are solved in a moment."""

import numpy as np
from scipy import sparse

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian, Poisson
from eitdip.imaging import SparseOperator
from eitdip.operator import Space
from eitdip.problems.images import image_problem
from eitdip.problems.problem import Problem

SIDE = 16
SMALL = {"channels": 8, "levels": 2, "steps": 60, "patience": 20}


def block() -> np.ndarray:
    """A bright rectangle, shape (16, 16)."""
    image = np.full((SIDE, SIDE), 0.2)
    image[4:11, 5:13] = 0.8
    return image


def identity(shape=(SIDE, SIDE), dtype: str = "float64", scale: float = 1.0) -> SparseOperator:
    """x to scale x."""
    space, size = Space(shape, dtype), int(np.prod(shape))
    return SparseOperator(scale * sparse.eye_array(size, format="csr"), space, space)


def noisy(sigma: float | None = None, seed: int = 5) -> Problem:
    """The block with noise of deviation 0.1, which is told or not."""
    values = Gaussian(0.1).sample(block(), np.random.default_rng(seed))
    return image_problem("denoise", identity(), Data(values, Gaussian(sigma)), low=0.0, high=1.0, truth=block())


def sinogram(seed: int = 5) -> Problem:
    """Sums of the block along rows, columns and diagonals, with 1 % noise."""
    rows, columns = np.indices((SIDE, SIDE)).reshape(2, -1)
    lines = np.concatenate([rows, SIDE + columns, 2 * SIDE + (rows + columns) // 2])
    entries = (np.ones(len(lines)), (lines, np.tile(np.arange(SIDE**2), 3)))
    matrix = sparse.csr_array(entries, shape=(3 * SIDE, SIDE**2)) / SIDE
    model = SparseOperator(matrix, Space((SIDE, SIDE)), Space((3, SIDE)))
    noise = Gaussian(0.005)
    values = noise.sample(model(block()), np.random.default_rng(seed))
    return image_problem("ct", model, Data(values, noise), low=0.0, truth=block())


def kspace(seed: int = 5) -> Problem:
    """A complex block with noise, whose values are set aside by rows."""
    phase = np.exp(1j * np.linspace(0, 1, SIDE**2).reshape(SIDE, SIDE))
    values = Gaussian(0.05).sample(block() * phase, np.random.default_rng(seed))
    mask = np.ones((SIDE, SIDE), bool)
    mask[:, 3] = False
    data = Data(values, Gaussian(), mask, tied=(0,))
    return image_problem("mri", identity(dtype="complex128"), data, truth=block() * phase)


def counts(seed: int = 5) -> Problem:
    """40 to 160 counts a pixel, and 2 more of a background."""
    model, noise = identity(scale=200.0), Poisson(2.0)
    values = noise.sample(model(block()), np.random.default_rng(seed))
    return image_problem("pet", model, Data(values, noise), low=0.0, truth=block())


IMAGES = {"picture": noisy, "sinogram": sinogram, "kspace": kspace, "counts": counts}
