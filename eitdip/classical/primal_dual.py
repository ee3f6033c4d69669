"""Total variation by the primal-dual hybrid gradient method."""

import torch

from eitdip.errors import OptionError
from eitdip.objective.differences import differences, differences_transposed


def total_variation(
    operator,
    y: torch.Tensor,
    weight: float,
    *,
    deviation: float = 1.0,
    steps: int = 500,
    lower: float | None = None,
    upper: float | None = None,
    tolerance: float = 1e-5,
    balance: float = 1.0,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """Minimize |A x - y|^2 / (2 deviation^2) + weight * sum |grad x| over lower <= x <= upper.

    The gradient is that of forward differences between neighbouring pixels or voxels, isotropic, zero beyond the last.

    Args:
        operator: A, an `ImagingOperator` on images (H, W) or (D, H, W), real or complex.
        y: Data, shape (*batch, *range.shape); all items of a batch are solved at once.
        weight: Of the total variation, >= 0.
        deviation: Standard deviation of the data, > 0.
        steps: At most so many; each costs A and A* once.
        lower: Least value of x, such as 0, or None.
        upper: Largest value of x, or None.
        tolerance: It ends when a step changes x by less than this share of x.
        balance: Of primal to dual step lengths, over what is best for the weight in most cases (denoising, blur,
            tomography, compressed sensing); the solution does not depend on it, the speed does.
        start: First x; by default A* y scaled to fit the data best.

    Returns:
        x, shape (*batch, *domain.shape).

    Raises:
        OptionError: If weight, deviation, steps or balance are out of range, or a complex x has bounds.

    References:
        Chambolle, Pock (2011), J. Math. Imaging Vis. 40.
    """
    if not (weight >= 0 and deviation > 0 and steps >= 1 and balance > 0):
        raise OptionError(
            f"weight, deviation, steps, balance: got {weight}, {deviation}, {steps}, {balance}; "
            "expected >= 0, > 0, at least 1, > 0"
        )
    complex_image = operator.domain.dtype.startswith("complex")
    if complex_image and (lower is not None or upper is not None):
        raise OptionError("lower, upper: got bounds for complex images, expected none")
    axes = len(operator.domain.shape)
    # A and the differences are divided by their norms, so that steps fit both.
    size, jumps = 1.01 * operator.norm(), (4.0 * axes) ** 0.5
    radius = weight * jumps * deviation**2 / size**2
    data = y / size
    x = _first(operator, y) if start is None else start
    # x over the length of the dual vectors, which the radius bounds.
    scale = 0.03 * balance * float(x.detach().abs().max()) / radius if radius > 0 else balance
    scale = min(max(scale, 1e-6), 1e6)
    tau, sigma = scale / 2**0.5, 1 / (scale * 2**0.5)
    extended = x
    fit = torch.zeros_like(data)
    edges = torch.zeros_like(differences(x, axes))
    for _ in range(steps):
        fit = (fit + sigma * (operator(extended) / size - data)) / (1 + sigma)
        edges = into_ball(edges + sigma / jumps * differences(extended, axes), radius)
        new = x - tau * (operator.adjoint(fit) / size + differences_transposed(edges, axes) / jumps)
        if lower is not None or upper is not None:
            new = new.clamp(lower, upper)
        moved = float(torch.linalg.vector_norm((new - x).detach()))
        extended, x = 2 * new - x, new
        if moved <= tolerance * float(torch.linalg.vector_norm(x.detach())):
            break
    return x


def _first(operator, y: torch.Tensor) -> torch.Tensor:
    x = operator.adjoint(y)
    image = operator(x)
    energy = image.abs().square().sum()
    return x * (x.abs().square().sum() / torch.where(energy > 0, energy, 1))


def into_ball(d: torch.Tensor, radius: float) -> torch.Tensor:
    """Each vector of d, along its first axis, shortened to the radius."""
    square = d.abs().square().sum(dim=0)
    # Bounded before the root, whose derivative at 0 is infinite: the solver can be differentiated.
    return d * (radius / square.clamp(min=max(radius**2, torch.finfo(square.dtype).tiny)).sqrt())
