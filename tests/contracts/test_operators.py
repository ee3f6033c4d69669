"""What every linear operator promises."""

import numpy as np
import pytest

from eitdip.errors import ShapeError
from eitdip.operator import ForwardModel, LinearOperator, Matrix, Space
from eitdip.verify import adjoint_error, taylor_orders
from tests.contracts.registry import OPERATORS, OperatorCase, electrodes, electrodes_of_pixels

every_operator = pytest.mark.parametrize("case", OPERATORS, ids=lambda case: case.name)


def close(got, expected) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12 * max(1.0, np.abs(expected).max()))


@every_operator
def test_dot_product(case: OperatorCase, rng):
    operator = case.make()
    assert max(adjoint_error(operator, rng) for _ in range(3)) <= 1e-10
    assert max(adjoint_error(operator.H, rng) for _ in range(3)) <= 1e-10


@every_operator
def test_dense_is_the_matrix_of_both_directions(case: OperatorCase, rng):
    operator = case.make()
    matrix = operator.dense()
    assert matrix.shape == (operator.range.size, operator.domain.size)
    if case.matrix is not None:
        close(matrix, case.matrix())
    x, y = operator.domain.random(rng), operator.range.random(rng)
    close(operator(x).ravel(), matrix @ x.ravel())
    close(operator.adjoint(y).ravel(), matrix.conj().T @ y.ravel())
    close(operator.H.dense(), matrix.conj().T)


@every_operator
def test_images_lie_in_the_spaces(case: OperatorCase, rng):
    operator = case.make()
    image, back = operator(operator.domain.random(rng)), operator.adjoint(operator.range.random(rng))
    assert (image.shape, image.dtype) == (operator.range.shape, np.dtype(operator.range.dtype))
    assert (back.shape, back.dtype) == (operator.domain.shape, np.dtype(operator.domain.dtype))


@every_operator
def test_algebra_agrees_with_the_matrices(case: OperatorCase):
    operator, matrix = case.make(), case.make().dense()
    close((operator + operator).dense(), 2 * matrix)
    close((3 * operator - operator).dense(), 2 * matrix)
    close((-operator).dense(), -matrix)
    close((operator @ operator.H).dense(), matrix @ matrix.conj().T)
    close((operator.H @ operator).dense(), matrix.conj().T @ matrix)
    assert adjoint_error((operator.H @ operator) * 0.5 + operator.H @ operator, np.random.default_rng(1)) <= 1e-10


@every_operator
def test_it_is_its_own_derivative(case: OperatorCase, rng):
    operator = case.make()
    x = operator.domain.random(rng)
    value, derivative = operator.linearize(x)
    assert derivative is operator
    close(value, operator(x))
    assert (taylor_orders(operator, x, operator.domain.random(rng)) == np.inf).all()


@every_operator
def test_arrays_of_another_shape_are_refused(case: OperatorCase):
    operator = case.make()
    for apply, space in ((operator, operator.domain), (operator.adjoint, operator.range)):
        with pytest.raises(ShapeError, match=r"got shape .* expected"):
            apply(np.ones((*space.shape, 2), dtype=space.dtype))


def test_operators_that_do_not_fit_are_refused(rng):
    tall, wide = Matrix(rng.standard_normal((5, 4))), Matrix(rng.standard_normal((4, 5)))
    with pytest.raises(ShapeError, match="domain of the second summand"):
        tall + wide
    with pytest.raises(ShapeError, match="range of the second summand"):
        tall - Matrix(rng.standard_normal((3, 4)))
    with pytest.raises(ShapeError, match="range of the right factor"):
        tall @ tall
    with pytest.raises(ShapeError, match=r"expected .*for these spaces"):
        Matrix(rng.standard_normal((5, 4)), domain=Space((5,)))
    with pytest.raises(ShapeError, match="range of the right factor"):  # same shape, other field of scalars
        wide @ Matrix(rng.standard_normal((5, 4)) * 1j)


def test_the_label_of_a_space_is_not_compared():
    assert Space((3,), label="V") == Space((3,), label="A")
    assert Space((3,)) != Space((3,), "complex128")
    assert Space((2, 3)).size == 6


def test_a_real_space_refuses_complex_numbers(rng):
    operator = Matrix(rng.standard_normal((5, 4)))
    with pytest.raises(ShapeError, match="complex"):
        operator(np.ones(4) * 1j)
    with pytest.raises(ShapeError, match="complex"):
        1j * operator


def test_composition_with_a_model_follows_the_chain_rule(rng):
    """(A F)(x), F(B x) and their derivatives, against the pieces."""
    inner, outer = electrodes_of_pixels(), electrodes(1, "cells")
    weights = Matrix(rng.standard_normal((3, outer.range.size)), domain=outer.range)
    both = weights @ inner
    assert isinstance(both, ForwardModel) and not isinstance(both, LinearOperator)
    x, dx = rng.uniform(0.5, 2.0, inner.domain.shape), inner.domain.random(rng)
    value, derivative = both.linearize(x)
    voltages, sensitivity = inner.linearize(x)
    close(value, weights(voltages))
    close(derivative(dx), weights(sensitivity(dx)))
    assert adjoint_error(derivative, rng) <= 1e-10
    with pytest.raises(ShapeError, match="range of the inner model of a composition"):
        outer @ outer
