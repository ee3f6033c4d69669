"""Leading singular triplets against dense ones."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from eitdip.errors import LinearSolverError, OptionError, ShapeError
from eitdip.imaging import CartesianMRI
from eitdip.objective.jacobian import data_jacobian, field_jacobian
from eitdip.operator import Matrix, Space
from eitdip.parameterization import Affine, Parameterization
from eitdip.spectrum import Spectrum, drift, randomized_svd


def matrix(values, shape, rng, dtype=float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A matrix with such singular values, and its factors."""

    def draw(n):
        x = rng.standard_normal((n, len(values)))
        return np.linalg.qr(x + 1j * rng.standard_normal(x.shape) if dtype is complex else x)[0]

    u, v = (draw(n) for n in shape)
    return (u * values) @ v.conj().T, u, v


@pytest.mark.parametrize("decay", [0.2, 2.0], ids=["slow", "fast"])
@pytest.mark.parametrize("shape", [(90, 60), (60, 90)])
def test_values_and_vectors_are_those_of_the_matrix(shape, decay, rng):
    values = np.arange(1.0, 61) ** -decay
    dense, u, v = matrix(values, shape, rng)
    found = randomized_svd(Matrix(dense), 12, rng, tolerance=1e-12)
    assert_allclose(found.values, values[:12], rtol=1e-8)
    signs = np.sign(np.sum(found.left * u[:, :12].T, axis=1))[:, None]
    assert_allclose(signs * found.left, u[:, :12].T, atol=1e-4)
    assert_allclose(signs * found.right, v[:, :12].T, atol=1e-4)


def test_left_and_right_vectors_have_the_shapes_of_the_spaces(rng):
    dense = rng.standard_normal((6, 20))
    operator = Matrix(dense, domain=Space((4, 5)), range=Space((2, 3)))
    found = randomized_svd(operator, 6, rng)
    assert found.left.shape == (6, 2, 3) and found.right.shape == (6, 4, 5)
    assert_allclose(
        np.einsum("r,rij,rkl->ijkl", found.values, found.left, found.right).reshape(6, 20), dense, atol=1e-9
    )


def test_a_complex_operator_is_one_of_pairs_of_real_numbers(rng):
    """Each singular value of the complex matrix stands twice."""
    values = 2.0 ** -np.arange(8)
    dense, _, _ = matrix(values, (30, 20), rng, complex)
    found = randomized_svd(Matrix(dense), 8, rng, tolerance=1e-12)
    assert_allclose(found.values, np.repeat(values, 2)[:8], rtol=1e-9)
    assert np.iscomplexobj(found.left) and found.left.shape == (8, 30)
    assert found.angle(found) < 1e-6


class Smooth(torch.nn.Module):
    """A small network with an image."""

    def __init__(self, side):
        super().__init__()
        torch.manual_seed(0)
        self.shape = (side, side)
        self.register_buffer("z", torch.randn(1, 3, side, side))
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(6, 1, 3, padding=1)
        )

    def forward(self):
        return self.layers(self.z)[0, 0]


@pytest.mark.parametrize("kind", ["field", "data"])
def test_a_network(kind, rng):
    """The leading 50 of 223 for 32 x 32 pixels, and 20 of (real weights to complex) k-space for 16 x 16."""
    side, rank = (32, 50) if kind == "field" else (16, 20)
    parameterization = Parameterization(Smooth(side), Affine(0.0, 1.0), unit=1.0)
    if kind == "field":
        operator = field_jacobian(parameterization)
        dense = np.asarray(operator.dense())
    else:
        operator = data_jacobian(CartesianMRI(np.ones((side, side), bool)), parameterization)
        dense = np.asarray(operator.dense())
        dense = np.concatenate([dense.real, dense.imag])
    expected = np.linalg.svd(dense, compute_uv=False)[:rank]
    found = randomized_svd(operator, rank, rng)
    assert_allclose(found.values, expected, rtol=0, atol=1e-6 * expected[0])


def test_what_cannot_be_asked_for(rng):
    with pytest.raises(OptionError, match="rank: got 4, expected 1 to 3"):
        randomized_svd(Matrix(rng.standard_normal((3, 5))), 4, rng)
    with pytest.raises(LinearSolverError, match="still change after 2 rounds"):
        randomized_svd(Matrix(rng.standard_normal((80, 80))), 5, rng, rounds=2, oversampling=0)


def test_angles_and_drift(rng):
    start = Spectrum(np.array([3.0, 4.0]), np.eye(4)[:2], np.eye(2))
    turned = np.array([[1.0, 0, 0, 0], [0, np.cos(0.3), np.sin(0.3), 0]])
    end = Spectrum(np.array([3.0, 1.0]), turned, np.eye(2))
    assert_allclose(drift(start, end), (3 / 5, 0.3), rtol=1e-12)
    assert_allclose(drift(start, end, count=1), (0, 0), atol=1e-12)
    with pytest.raises(OptionError, match="count: got 3, expected 1 to 2"):
        drift(start, end, count=3)
    with pytest.raises(ShapeError, match="left vectors: got shape"):
        start.angle(Spectrum(np.ones(2), np.eye(5)[:2], np.eye(2)))
