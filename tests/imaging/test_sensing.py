"""Dense operators and Gaussian compressed sensing."""

import numpy as np
import pytest
import torch

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging import DenseOperator, cgls, compressed_sensing
from eitdip.operator import Space


def test_a_dense_operator_is_its_matrix(rng):
    matrix, x = rng.standard_normal((6, 20)), rng.standard_normal((4, 5))
    operator = DenseOperator(matrix, Space((4, 5)), Space((2, 3)))
    np.testing.assert_allclose(operator(x), (matrix @ x.ravel()).reshape(2, 3), rtol=1e-13)
    np.testing.assert_array_equal(operator.dense(), matrix)
    before = operator(x)
    matrix[:] = 0
    assert np.array_equal(operator(x), before), "it must own its matrix"


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_products_are_normal_with_the_norm_of_the_image(dtype, rng):
    """|A x|^2 / |x|^2 is chi^2_m / m, or chi^2_2m / 2m: of mean 1 and standard deviation sqrt(2 / m), sqrt(1 / m)."""
    m, x = 2000, Space((8, 8), dtype).random(rng)
    y = compressed_sensing((8, 8), m, seed=1, dtype=dtype)(x)
    deviation = (2 / m if dtype == "float64" else 1 / m) ** 0.5
    assert abs(np.linalg.norm(y) ** 2 / np.linalg.norm(x) ** 2 - 1) <= 4 * deviation
    y = y * np.sqrt(m) / np.linalg.norm(x)
    assert abs(y.mean()) <= 4 / np.sqrt(m) and np.mean(np.abs(y) ** 4) == pytest.approx(
        3 if dtype == "float64" else 2, rel=0.2
    )


def test_the_seed_decides_the_matrix_in_both_precisions():
    first, again, other = (compressed_sensing((4, 4), 5, seed, "float64").matrix for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(compressed_sensing((4, 4), 5, 0, "float32").matrix, first.float())


def test_enough_products_determine_the_image(rng):
    operator = compressed_sensing((6, 6), 72, seed=2, dtype="float64")
    x = torch.from_numpy(rng.standard_normal((6, 6)))
    assert torch.linalg.vector_norm(cgls(operator, operator(x), 200) - x) <= 1e-8 * torch.linalg.vector_norm(x)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: compressed_sensing((4, 4), 0), OptionError, "got 0, expected an integer, at least 1"),
        (lambda: compressed_sensing((4, 4), 2.5), OptionError, "got 2.5"),
        (lambda: compressed_sensing((4, -4), 2), ShapeError, r"got \(4, -4\)"),
        (lambda: compressed_sensing((), 2), ShapeError, "expected positive integers"),
        (lambda: compressed_sensing((4, 4), 2, dtype="int32"), OptionError, "got 'int32', expected one of: float32"),
        (lambda: DenseOperator(np.ones((3, 4)), Space((4,)), Space((2,))), ShapeError, r"expected \(2, 4\)"),
        (lambda: DenseOperator(1j * np.ones((2, 4)), Space((4,)), Space((2,))), ShapeError, "the data are float64"),
        (lambda: DenseOperator(np.ones((2, 4)), Space((4,)), Space((2,), "float32")), ShapeError, "same precision"),
        (lambda: DenseOperator(np.full((2, 4), np.nan), Space((4,)), Space((2,))), InvalidDataError, "not finite"),
    ],
)  # fmt: skip
def test_bad_input_is_explained(make, error, message):
    with pytest.raises(error, match=message):
        make()
