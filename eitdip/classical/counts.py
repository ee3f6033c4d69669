"""Maximum likelihood for counts: expectation maximization for emission, surrogates for transmission."""

from collections.abc import Iterator

import torch

from eitdip.data.noise import whole_numbers
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging.pet import Transmission


def poisson_log_likelihood(counts: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Log-likelihood sum(y log(mean) - mean - log(y!)), in nats; differentiable in the mean.

    Args:
        counts: y, shape (...), at least one axis.
        mean: Means, > 0 where there are counts, of a shape that broadcasts against it.

    Returns:
        The sum over all entries; -infinity where counts are impossible (mean 0).
    """
    counts, mean = counts.double(), mean.double()  # single precision loses the units of sums of 10^6
    log = torch.log(torch.where(counts > 0, mean, 1))  # 0 log 0 = 0, with gradient 0
    return (counts * log - mean - torch.lgamma(counts + 1)).sum()


def em_iterates(operator, counts, background=0.0, start=None) -> Iterator[torch.Tensor]:
    """Expectation maximization for Poisson(A x + background): each iterate is more likely than the one before.

    Without a background the predicted counts sum to the measured ones from the first iterate on.

    Args:
        operator: A with entries >= 0, an `ImagingOperator` such as `EmissionPET`.
        counts: Shape (*batch, *range.shape), integers >= 0.
        background: Mean counts beside A x, >= 0, broadcastable.
        start: First x, >= 0; by default 1 in every pixel that is seen.

    Yields:
        x after 1, 2, ... steps, shape (*batch, *domain.shape), >= 0; pixels that no ray sees are 0. Without end.

    Raises:
        ShapeError: If the counts do not have this shape.
        InvalidDataError: If a count is no whole number, if the background is negative, if start is, if the operator
            is, or if there are counts in a ray that sees no pixel and has no background.

    References:
        Shepp, Vardi (1982), IEEE Trans. Med. Imaging 1(2).
    """
    dtype = getattr(torch, operator.range.dtype)
    y = _counts(counts, operator.range.shape).to(operator.device, dtype)
    background = torch.as_tensor(background, dtype=dtype, device=operator.device)
    if not bool((background >= 0).all()):
        raise InvalidDataError(f"background: got {float(background.min()):g}, expected mean counts >= 0")
    seen, share = em_weights(operator)
    x = seen if start is None else torch.as_tensor(start, dtype=dtype, device=operator.device) * seen
    if not bool((x >= 0).all()):
        raise InvalidDataError(f"start: got {float(x.min()):g}, expected activities >= 0")
    x = x.expand(*y.shape[: y.ndim - len(operator.range.shape)], *operator.domain.shape)
    if bool(((y > 0) & (operator(x) + background <= 0)).any()):
        raise InvalidDataError(
            "counts: a ray has counts but sees no pixel that can be active and has no background; enlarge the image or "
            "give the background"
        )

    def iterates(x: torch.Tensor) -> Iterator[torch.Tensor]:
        while True:
            x = em_step(operator, y, background, x, share)
            yield x

    return iterates(x)


def em_weights(operator) -> tuple[torch.Tensor, torch.Tensor]:
    """What expectation maximization needs of an operator: 1 for each pixel that is seen, and 1 / A* 1 there; else 0.

    Raises:
        InvalidDataError: If a column has a negative sum.
    """
    ones = torch.ones(operator.range.shape, dtype=getattr(torch, operator.range.dtype), device=operator.device)
    sensitivity = operator.adjoint(ones)
    if not bool((sensitivity >= 0).all()):
        raise InvalidDataError("operator: got a column with a negative sum, expected entries >= 0 as of line integrals")
    seen = (sensitivity > 0).to(sensitivity)
    return seen, seen / torch.where(sensitivity > 0, sensitivity, 1)


def em_step(operator, y: torch.Tensor, background, x: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """One step of expectation maximization, x * share * A* (y / (A x + background)); differentiable.

    Args:
        operator: A with entries >= 0.
        y: Counts, >= 0.
        background: Mean counts beside A x, >= 0.
        x: Activity, >= 0.
        share: Of `em_weights`.
    """
    mean = operator(x) + background
    quotient = torch.where(y > 0, y / mean.clamp(min=torch.finfo(mean.dtype).tiny), 0)
    return x * share * operator.adjoint(quotient)


def em(operator, counts, steps: int, background=0.0, start=None) -> torch.Tensor:
    """The iterate of `em_iterates` after `steps` steps.

    Raises:
        OptionError: If steps < 1.
    """
    return _last(em_iterates(operator, counts, background, start), steps)


def transmission_iterates(model: Transmission, counts, start: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
    """Maximum likelihood for a transmission scan under mu >= 0: each iterate is at least as likely as the one before.

    The negative log-likelihood of each ray is replaced by the parabola of least curvature that touches it at the
    present line integral and lies above it for all others >= 0; their sum is bounded by one that separates over pixels.

    Args:
        model: The scan.
        counts: Shape (*batch, *range.shape), integers >= 0.
        start: First mu, >= 0; by default 0.

    Yields:
        mu after 1, 2, ... steps, shape (*batch, *domain.shape), without end.

    Raises:
        ShapeError: If the counts do not have this shape.
        InvalidDataError: If a count is no whole number, or start is negative.

    References:
        Erdogan, Fessler (1999), Ordered subsets algorithms for transmission tomography, Phys. Med. Biol. 44(11):
        separable paraboloidal surrogates with optimal curvature.
    """
    projector = model.projector
    dtype = getattr(torch, projector.domain.dtype)
    y = _counts(counts, model.range.shape).to(model.device)
    batch = y.shape[: y.ndim - len(model.range.shape)]
    mu = torch.zeros(projector.domain.shape, dtype=dtype, device=y.device) if start is None else torch.as_tensor(start)
    if not bool((mu >= 0).all()):
        raise InvalidDataError(f"start: got {float(mu.min()):g}, expected attenuation >= 0")
    mu = mu.to(y.device, dtype).expand(*batch, *projector.domain.shape)
    return _surrogates(model, y, mu)


def _surrogates(model: Transmission, y: torch.Tensor, mu: torch.Tensor) -> Iterator[torch.Tensor]:
    projector = model.projector
    total = projector(torch.ones_like(mu)).double()  # of the weights of a ray
    while True:
        slope, curvature = _parabola(y, model.blank.double(), model.background.double(), projector(mu).double())
        weight = projector.adjoint(total * curvature)
        step = projector.adjoint(slope) / torch.where(weight > 0, weight, 1)
        mu = torch.where(weight > 0, (mu - step).clamp(min=0), mu)
        yield mu


def _parabola(y, blank, background, line) -> tuple[torch.Tensor, torch.Tensor]:
    """Slope of a ray's negative log-likelihood h at its line integral, and curvature of a parabola above it.

    The parabola that touches h there and meets it at 0 has the least curvature of all that stay above h.
    """
    through = blank * torch.exp(-line)
    mean = through + background
    slope = (y / mean - 1) * through
    at_zero = blank * (1 - y * background / (blank + background).square())
    rise = blank + background - mean - torch.xlogy(y, (blank + background) / mean)  # h(0) - h(line)
    long = line > 1e-4  # below it the quotient cancels; the curvature at 0 is the largest, so it is safe
    optimal = 2 * (rise + slope * line) / torch.where(long, line, 1).square()
    return slope, torch.where(long, optimal, at_zero).clamp(min=0)


def transmission(model: Transmission, counts, steps: int, start: torch.Tensor | None = None) -> torch.Tensor:
    """The iterate of `transmission_iterates` after `steps` steps.

    Raises:
        OptionError: If steps < 1.
    """
    return _last(transmission_iterates(model, counts, start), steps)


def _last(iterates: Iterator[torch.Tensor], steps: int) -> torch.Tensor:
    if steps < 1:
        raise OptionError(f"steps: got {steps}, expected at least 1")
    for _ in range(steps - 1):
        next(iterates)
    return next(iterates)


def _counts(counts, shape: tuple[int, ...]) -> torch.Tensor:
    """Whole numbers (*batch, *shape) of an array or a tensor, as a tensor of float64."""
    counts = torch.as_tensor(counts)
    if tuple(counts.shape[max(0, counts.ndim - len(shape)) :]) != shape:
        raise ShapeError(f"counts: got shape {tuple(counts.shape)}, expected (*batch, {shape})")
    return torch.from_numpy(whole_numbers(counts.detach().cpu().numpy())).double()
