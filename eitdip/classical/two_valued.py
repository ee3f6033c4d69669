"""Images of two values from few or limited views."""

from collections.abc import Sequence

import torch

from eitdip.classical.primal_dual import into_ball
from eitdip.errors import OptionError, ShapeError
from eitdip.objective.differences import differences, differences_transposed


def two_valued(
    operator,
    y: torch.Tensor,
    weight: float,
    pushes: Sequence[float],
    *,
    deviation: float = 1.0,
    steps: int = 100,
    allowed: torch.Tensor | None = None,
    start: torch.Tensor | None = None,
    lean: torch.Tensor | None = None,
) -> torch.Tensor:
    """Reduce |A x - y|^2 / (2 deviation^2) + weight * sum |grad x| + push * sum x (1 - x) + <lean, x>, 0 <= x <= 1.

    The third term is concave: it is zero for two values only. Without it the problem is convex; with `pushes` that
    grow from 0 the image follows a path of minima from there to two values, which ends in a far better one than
    cutting the convex solution at 1/2. What comes out depends on the path, unlike a convex problem's solution.

    Primal-dual hybrid gradient, with the concave term replaced by its tangent in each step.

    Args:
        operator: A, an `ImagingOperator` on real images (H, W) or (D, H, W).
        y: Data, shape operator.range.shape.
        weight: Of the total variation, >= 0.
        pushes: One after the other, each >= 0.
        deviation: Standard deviation of the data, > 0.
        steps: For each push; one costs A and A* once.
        allowed: Where x may differ from 0, true or false, shape of the image; by default everywhere.
        start: First x; by default 1/2.
        lean: What a pixel of 1 costs, shape of the image: minus the logits of what is expected; by default nothing.

    Returns:
        x, shape operator.domain.shape, nearly two-valued if the last push is large.

    Raises:
        OptionError: If weight, pushes, deviation or steps are out of range.
        ShapeError: If an array does not fit the operator.

    References:
        Chambolle, Pock (2011), J. Math. Imaging Vis. 40; Blake, Zisserman (1987), Visual reconstruction (graduated
        non-convexity).
    """
    if not (weight >= 0 and deviation > 0 and steps >= 1 and pushes and min(pushes) >= 0):
        raise OptionError(
            f"weight, pushes, deviation, steps: got {weight}, {tuple(pushes)}, {deviation}, {steps}; "
            "expected >= 0, at least one and all >= 0, > 0, at least 1"
        )
    shape, axes = operator.domain.shape, len(operator.domain.shape)
    for name, array, expected in (("y", y, operator.range.shape), ("allowed", allowed, shape), ("start", start, shape),
                                  ("lean", lean, shape)):  # fmt: skip
        if array is not None and tuple(array.shape) != tuple(expected):
            raise ShapeError(f"{name}: got shape {tuple(array.shape)}, expected {tuple(expected)}")
    # A and the differences are divided by their norms, so that the steps fit both.
    size, jumps = 1.02 * operator.norm(), (4.0 * axes) ** 0.5
    unit = deviation**2 / size**2
    data = y / size
    room = torch.ones(shape).to(y) if allowed is None else allowed.to(y)
    x = (0.5 * room) if start is None else start.to(y) * room
    cost = 0.0 if lean is None else lean.to(y) * unit
    extended, fit, edges = x, torch.zeros_like(data), torch.zeros_like(differences(x, axes))
    for push in pushes:
        # The tangent of a strong concave term leads astray in long steps: they would swing between 0 and 1 without end.
        sigma = max(1 / (_BALANCE * 2**0.5), 2 * push * unit)
        tau = 0.5 / sigma
        for _ in range(steps):
            fit = (fit + sigma * (operator(extended) / size - data)) / (1 + sigma)
            edges = into_ball(edges + sigma / jumps * differences(extended, axes), weight * jumps * unit)
            slope = operator.adjoint(fit) / size + differences_transposed(edges, axes) / jumps
            new = (x - tau * (slope + cost + push * unit * (1 - 2 * x))).clamp(0, 1) * room
            extended, x = 2 * new - x, new
    return x


_BALANCE = 10.0  # primal over dual step length, for images of order 1, where pushes are weak
