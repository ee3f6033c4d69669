"""Positron emission tomography: counts of photon pairs, emission and transmission scans, and their likelihood."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse
from torch import nn

from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging.noise import Poisson
from eitdip.imaging.sparse import SparseOperator
from eitdip.operator import ForwardModel, Matrix, Space


class EmissionPET(SparseOperator):
    """Mean counts of an emission scan without its background: A x = normalization * attenuation * P x.

    The background (random and scattered pairs) is what makes the mean affine; it is kept beside the linear operator:
    the mean counts are `operator(x) + operator.background`.

    Args:
        projector: P, for instance `ParallelCT(..., kernel="strip")`: anything with `matrix`, `domain` and `range`.
        attenuation: Share of pairs that reach the detectors, in (0, 1], shape of the sinogram; see `survival`.
        normalization: Efficiency of each pair of detectors times the duration of the scan, >= 0, likewise.
        background: Mean counts of random and scattered pairs, >= 0, likewise.

    Raises:
        ShapeError: If one does not have the shape of the sinogram.
        InvalidDataError: If one is out of range or not finite.
    """

    def __init__(self, projector: SparseOperator, attenuation=None, normalization=None, background=None):
        shape, dtype = projector.range.shape, projector.range.dtype
        attenuation = _factors("attenuation", attenuation, 1.0, shape, above=1)
        if not (attenuation > 0).all():
            raise InvalidDataError(
                "attenuation: got the share 0, expected > 0; leave such rays out by normalization = 0"
            )
        weights = attenuation * _factors("normalization", normalization, 1.0, shape)
        matrix = sparse.diags_array(weights.ravel()) @ projector.matrix
        super().__init__(matrix, projector.domain, Space(shape, dtype, "counts"), Poisson())
        background = _factors("background", background, 0.0, shape)
        self.register_buffer("background", torch.from_numpy(background.astype(dtype)))


class Transmission(nn.Module, ForwardModel):
    """Mean counts of a transmission scan, y = blank exp(-P mu) + background: nonlinear in the attenuation mu.

    It takes tensors (*batch, *domain.shape), differentiably, or arrays.

    Args:
        projector: P.
        blank: Mean counts without an object, > 0, shape of the sinogram.
        background: Mean counts that do not come through the object, >= 0, likewise.

    Raises:
        ShapeError: If one does not have the shape of the sinogram.
        InvalidDataError: If one is out of range or not finite.
    """

    def __init__(self, projector: SparseOperator, blank, background=None):
        super().__init__()
        shape, dtype = projector.range.shape, projector.range.dtype
        blank = _factors("blank", blank, 1.0, shape)
        if not (blank > 0).all():
            raise InvalidDataError("blank: got a ray with 0 counts, expected > 0; leave out rays without a source")
        self.projector, self.domain, self.range = projector, projector.domain, Space(shape, dtype, "counts")
        self.noise = Poisson()
        self.register_buffer("blank", torch.from_numpy(blank.astype(dtype)))
        self.register_buffer(
            "background", torch.from_numpy(_factors("background", background, 0.0, shape).astype(dtype))
        )

    def __call__(self, mu):
        """Mean counts."""
        line = self.projector(mu)
        if isinstance(line, torch.Tensor):
            return self.blank * torch.exp(-line) + self.background
        return self.blank.cpu().numpy() * np.exp(-line) + self.background.cpu().numpy()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.projector.device

    def pinv(self, counts: torch.Tensor) -> torch.Tensor:
        """The projector's `pinv` of log(blank / (counts - background)), shape (*batch, *domain.shape).

        Rays without a count beyond the background are taken to have half a count.
        """
        through = (counts.to(self.blank.dtype) - self.background).clamp(min=0.5)
        return self.projector.pinv(torch.log(self.blank / through))

    def linearize(self, mu):
        """Mean counts of an array, and their derivative -diag(blank exp(-P mu)) P."""
        through = self.blank.cpu().numpy() * survival(self.projector, mu)
        slope = Matrix(sparse.diags_array(-through.ravel()), self.projector.range, self.range)
        return through + self.background.cpu().numpy(), slope @ self.projector


def survival(projector, mu):
    """Share exp(-P mu) of the photons that pass an attenuation mu, in 1 / length: tensors or arrays."""
    line = projector(mu)
    return torch.exp(-line) if isinstance(line, torch.Tensor) else np.exp(-line)


def check_counts(counts, shape: tuple[int, ...]) -> torch.Tensor:
    """Counts as a tensor.

    Args:
        counts: Array or tensor (*batch, *shape).
        shape: Of one sinogram.

    Raises:
        ShapeError: If the shape is another one.
        InvalidDataError: If a count is negative, no integer or not finite; the message names the first one.
    """
    counts = torch.as_tensor(counts).double()
    if counts.ndim < len(shape) or tuple(counts.shape[counts.ndim - len(shape) :]) != shape:
        raise ShapeError(f"counts: got shape {tuple(counts.shape)}, expected (*batch, {shape})")
    wrong = ~((counts >= 0) & (counts == counts.round()) & (counts < float("inf")))
    if wrong.any():
        entry = tuple(int(i) for i in wrong.nonzero()[0])
        raise InvalidDataError(
            f"counts: entry {entry} is {float(counts[entry]):g}, expected an integer >= 0; the Poisson likelihood "
            "needs the counts themselves, before any correction"
        )
    return counts


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


def em_iterates(operator, counts, background=None, start: torch.Tensor | None = None) -> Iterator[torch.Tensor]:
    """Expectation maximization for Poisson(A x + background): each iterate is more likely than the one before.

    Without a background the predicted counts sum to the measured ones from the first iterate on.

    Args:
        operator: A with entries >= 0, an `ImagingOperator` such as `EmissionPET`.
        counts: Shape (*batch, *range.shape), integers >= 0.
        background: Mean counts beside A x, broadcastable; by default the operator's, or none.
        start: First x, >= 0; by default 1 in every pixel that is seen.

    Yields:
        x after 1, 2, ... steps, shape (*batch, *domain.shape), >= 0; pixels that no ray sees are 0. Without end.

    Raises:
        ShapeError, InvalidDataError: As `check_counts`, or if the background is negative, if start is, or if there are
            counts in a ray that sees no pixel and has no background.

    References:
        Shepp, Vardi (1982), IEEE Trans. Med. Imaging 1(2).
    """
    dtype = getattr(torch, operator.range.dtype)
    y = check_counts(counts, operator.range.shape).to(operator.device, dtype)
    background = getattr(operator, "background", 0.0) if background is None else background
    background = torch.as_tensor(background, dtype=dtype, device=operator.device)
    if not bool((background >= 0).all()):
        raise InvalidDataError(f"background: got {float(background.min()):g}, expected mean counts >= 0")
    sensitivity = operator.adjoint(torch.ones(operator.range.shape, dtype=dtype, device=operator.device))
    if not bool((sensitivity >= 0).all()):
        raise InvalidDataError("operator: got a column with a negative sum, expected entries >= 0 as of line integrals")
    seen = sensitivity > 0
    x = seen.to(dtype) if start is None else torch.as_tensor(start, dtype=dtype, device=operator.device) * seen
    if not bool((x >= 0).all()):
        raise InvalidDataError(f"start: got {float(x.min()):g}, expected activities >= 0")
    x = x.expand(*y.shape[: y.ndim - len(operator.range.shape)], *operator.domain.shape)
    share = torch.where(seen, 1 / torch.where(seen, sensitivity, 1), 0)
    if bool(((y > 0) & (operator(x) + background <= 0)).any()):
        raise InvalidDataError(
            "counts: a ray has counts but sees no pixel that can be active and has no background; enlarge the image or "
            "give the background"
        )
    return _em(operator, y, background, x, share)


def _em(operator, y, background, x, share) -> Iterator[torch.Tensor]:
    while True:
        mean = operator(x) + background
        x = x * share * operator.adjoint(torch.where(y > 0, y / mean, 0))
        yield x


def em(operator, counts, steps: int, background=None, start: torch.Tensor | None = None) -> torch.Tensor:
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
        ShapeError, InvalidDataError: As `check_counts`, or if start is negative.

    References:
        Erdogan, Fessler (1999), Ordered subsets algorithms for transmission tomography, Phys. Med. Biol. 44(11):
        separable paraboloidal surrogates with optimal curvature.
    """
    projector = model.projector
    dtype = getattr(torch, projector.domain.dtype)
    y = check_counts(counts, model.range.shape).to(model.blank.device, torch.float64)
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


def _factors(name: str, values, default: float, shape: tuple[int, ...], above: float = np.inf) -> np.ndarray:
    if values is None:
        return np.full(shape, default)
    values = np.asarray(values, dtype=float)
    if values.shape != shape:
        raise ShapeError(f"{name}: got shape {values.shape}, expected that of the sinogram, {shape}")
    if not (np.isfinite(values) & (values >= 0) & (values <= above)).all():
        limit = f"0 to {above:g}" if above < np.inf else ">= 0 and finite"
        raise InvalidDataError(f"{name}: got {values.min():g} to {values.max():g}, expected {limit}")
    return values
