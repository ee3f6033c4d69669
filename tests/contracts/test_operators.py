"""What every linear operator promises."""

import numpy as np
import pytest

from eitdip.errors import ShapeError
from eitdip.operator import ForwardModel, LinearOperator, Matrix, Space, stack
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


@every_operator
def test_norm_is_the_largest_singular_value(case: OperatorCase):
    operator = case.make()
    largest = np.linalg.norm(operator.dense(), 2)
    assert 0.97 * largest <= operator.norm() <= (1 + 1e-10) * largest


@every_operator
def test_pinv_explains_the_data(case: OperatorCase, rng):
    operator = case.make()
    y = operator(operator.domain.random(rng))
    x = operator.pinv(y)
    assert (x.shape, x.dtype) == (operator.domain.shape, np.dtype(operator.domain.dtype))
    assert np.linalg.norm(operator(x) - y) < 0.1 * np.linalg.norm(y)
    assert not operator.pinv(np.zeros_like(y)).any()
    with pytest.raises(ShapeError, match="got shape"):
        operator.pinv(np.ones((*operator.range.shape, 2), dtype=operator.range.dtype))


@every_operator
def test_it_says_where_it_computes(case: OperatorCase):
    operator = case.make()
    assert str(operator.device) == "cpu" and operator.to("cpu") is operator and operator.solver_report() == {}
    parts = case.name.split("-")
    assert operator.arrays == ("torch" if parts == ["tensors"] else "numpy")


@pytest.mark.parametrize("name", ["arrays-of-tensors", "tensors-of-arrays", "arrays-and-tensors"])
def test_tensors_of_a_mixed_composition_move(name):
    (operator,) = [case.make() for case in OPERATORS if case.name == name]
    operator.to("meta")
    devices = {part.device if isinstance(part.device, str) else part.device.type for part in operator.parts}
    assert devices == {"meta", "cpu"} and operator.device == "cpu"


def test_pinv_is_the_least_squares_solution_after_as_many_steps_as_unknowns(rng):
    matrix = rng.standard_normal((7, 4)) + 1j * rng.standard_normal((7, 4))
    y = rng.standard_normal(7) + 0j
    np.testing.assert_allclose(Matrix(matrix).pinv(y), np.linalg.lstsq(matrix, y)[0], rtol=1e-10)


def test_operators_that_do_not_fit_are_refused(rng):
    tall, wide = Matrix(rng.standard_normal((5, 4))), Matrix(rng.standard_normal((4, 5)))
    with pytest.raises(ShapeError, match="domain of the second summand"):
        tall + wide
    with pytest.raises(ShapeError, match="range of the second summand"):
        tall - Matrix(rng.standard_normal((3, 4)))
    with pytest.raises(ShapeError, match="range of the inner model of a composition"):
        tall @ tall
    with pytest.raises(ShapeError, match=r"expected .*for these spaces"):
        Matrix(rng.standard_normal((5, 4)), domain=Space((5,)))
    with pytest.raises(ShapeError, match="range of the inner model"):  # same shape, other field of scalars
        wide @ Matrix(rng.standard_normal((5, 4)) * 1j)


def test_operators_that_do_not_stack_are_refused(rng):
    first = Matrix(rng.standard_normal((6, 4)), range=Space((3, 2)))
    for other, message in (
        (Matrix(rng.standard_normal((6, 5)), range=Space((3, 2))), "domain of a part of the stack"),
        (Matrix(rng.standard_normal((9, 4)), range=Space((3, 3))), "range of a part of the stack"),
        (Matrix(rng.standard_normal((6, 4))), "range of a part of the stack"),
        (Matrix(rng.standard_normal((1, 4)), range=Space(())), "first axis"),
    ):
        for operators in ((first, other), (other, first)):
            with pytest.raises(ShapeError, match=message):
                stack(*operators)
    with pytest.raises(ShapeError, match="got none"):
        stack()
    both = stack(first, first)
    for rows in (5, 7):
        with pytest.raises(ShapeError, match="got shape"):
            both.adjoint(np.ones((rows, 2)))


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
