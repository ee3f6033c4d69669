"""Numbers that prove a derivative, an adjoint or a discretization right. They never print."""

import numpy as np

from eitdip.operator import ForwardModel, LinearOperator


def taylor_orders(model: ForwardModel, x, direction, steps=(0.1, 0.05, 0.025, 0.0125)) -> np.ndarray:
    """Observed orders of the first-order Taylor remainder |F(x + e d) - F(x) - e J d|.

    Args:
        model: The model, with F(x) and J from `linearize`.
        x: Point, in model.domain.
        direction: Direction d, in model.domain.
        steps: Decreasing step lengths e.

    Returns:
        One order per pair of neighbouring steps, 2 for an exact derivative; infinite where the
        remainder is at rounding level, as it is for a linear model.
    """
    value, derivative = model.linearize(x)
    slope = derivative(direction)
    remainders = np.array([np.linalg.norm(model(x + e * direction) - value - e * slope) for e in steps])
    if (remainders <= 1e-12 * np.linalg.norm(value)).all():
        return np.full(len(steps) - 1, np.inf)
    return convergence_order(steps, remainders)


def adjoint_error(operator: LinearOperator, rng: np.random.Generator) -> float:
    """|<A x, y> - <x, A* y>| / (|A x| |y|) for random x and y."""
    x, y = operator.domain.random(rng), operator.range.random(rng)
    image, back = operator(x), operator.adjoint(y)
    gap = abs(np.vdot(image, y) - np.vdot(x, back))
    return float(gap / (np.linalg.norm(image) * np.linalg.norm(y)))


def convergence_order(sizes, errors) -> np.ndarray:
    """Observed orders log(e_i / e_j) / log(h_i / h_j) between neighbouring sizes."""
    sizes, errors = np.asarray(sizes, float), np.asarray(errors, float)
    return np.log(errors[1:] / errors[:-1]) / np.log(sizes[1:] / sizes[:-1])
