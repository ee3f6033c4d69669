"""Samples of a network's weights: Monte-Carlo dropout, and Langevin dynamics.

Both start at the weights that were kept and give fields for a `Sampled` posterior. They leave the weights as they were.

References:
    Gal, Ghahramani (2016), Dropout as a Bayesian approximation; Tompson et al. (2015), of whole channels;
    Welling, Teh (2011), Bayesian learning via stochastic gradient Langevin dynamics;
    Cheng et al. (2019), A Bayesian perspective on the deep image prior.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from eitdip.errors import DivergenceError, OptionError
from eitdip.objective import Variational
from eitdip.parameterization import Parameterization
from eitdip.parameterization.weights import snapshot
from eitdip.reconstruction import iterate
from eitdip.uncertainty.ensemble import Sampled, seen_by
from eitdip.uncertainty.posterior import Variable

_ACTIVATIONS = (nn.LeakyReLU, nn.ReLU)
_DECAY = 0.55  # of step sizes with time, as Welling and Teh have it


def monte_carlo_dropout(
    objective: Variational,
    *,
    probability: float = 0.05,
    steps: int = 200,
    learning_rate: float = 1e-3,
    count: int = 100,
    seed: int = 0,
    show: bool = False,
) -> Sampled:
    """Fields of a network of which some channels are missing.

    Channels are dropped after each activation, and what is left is enlarged as much. A network that has never missed a
    channel falls apart without it, so it is trained on with dropout first; then each sample is another choice of
    channels. What comes out depends on the probability: the data have no say in it, so calibrate it.

    Args:
        objective: At the weights that were kept.
        probability: Of a channel to be dropped, 0 < p < 1.
        steps: Of Adam, with dropout, before the samples are drawn.
        learning_rate: Of these steps.
        count: Samples.
        seed: Of all draws.
        show: Whether there is a progress bar.

    Raises:
        OptionError: If the probability is out of range, or the network has no activations to drop after.
        DivergenceError: As of `iterate`.
    """
    if not 0 < probability < 1:
        raise OptionError(f"probability: got {probability!r}, expected a number between 0 and 1")
    generator, parameterization = torch.Generator().manual_seed(seed), objective.parameterization.eval()
    optimizer = torch.optim.Adam(_trained(parameterization), lr=learning_rate)
    with _as_they_were(objective), _dropping(parameterization, probability, generator):
        stepping = islice(iterate(objective, optimizer), steps)
        for _ in tqdm(stepping, desc="dropout", total=steps, disable=None if show else True):
            pass
        return _sampled(parameterization, (None for _ in range(count)), count, "dropout")


def langevin(
    objective: Variational,
    measurements: int,
    *,
    steps: int = 2000,
    burn: int = 500,
    count: int = 100,
    share: float = 0.2,
    amplitude: float = 1.0,
    seed: int = 0,
    show: bool = False,
) -> Sampled:
    """Fields along a Langevin path through the posterior of the weights.

    The energy is measurements / 2 times the loss, that is chi^2 / 2 and the penalties, plus that of a Gaussian prior
    of variance v_b = amplitude * mean(theta_b^2) for the weights of each tensor b, as of `linearized_laplace`. The path
    is that of the overdamped Langevin equation by the Euler-Maruyama rule, preconditioned by these variances:

        theta <- theta - (e_t / 2) v grad U(theta) + sqrt(e_t v) xi,    e_t = e_0 (1 + t / burn)^-0.55,

    with the gradient of all data, and no Metropolis test: so its stationary distribution is off by O(e_t). e_0 is a
    share of 4 / (largest curvature of U), beyond which the rule is unstable. In directions that the data hardly see the
    path is a random walk that covers about sqrt(steps e_t) prior deviations: where that is below 1 the samples are too
    close together, and a larger number of steps widens them.

    Args:
        objective: At the weights that were kept.
        measurements: Numbers of which the misfit is the mean.
        steps: Of the path.
        burn: Of these, before samples are kept.
        count: Samples, at equal distances.
        share: Of the largest stable step, 0 < share < 1.
        amplitude: Of the prior variances, > 0; evidence says .5 to 1 for trained networks.
        seed: Of all draws.
        show: Whether there is a progress bar.

    Raises:
        OptionError: If an option is out of range.
        DivergenceError: If the energy becomes infinite or NaN.
    """
    if not 0 < share < 1 or not 0 < amplitude < float("inf"):
        raise OptionError(f"share, amplitude: got {share!r} and {amplitude!r}, expected 0 < share < 1, amplitude > 0")
    if not 0 < burn < steps or not 2 <= count <= steps - burn:
        raise OptionError(
            f"steps, burn, count: got {steps}, {burn} and {count}, expected 0 < burn < steps, and 2 <= count <= steps "
            "- burn"
        )
    parameterization, generator = objective.parameterization.eval(), torch.Generator().manual_seed(seed)
    weights = _trained(parameterization)
    variances = [amplitude * float(weight.detach().square().mean()) for weight in weights]

    def energy() -> torch.Tensor:
        return 0.5 * measurements * objective().total

    with _as_they_were(objective):
        largest = largest_curvature(energy, weights, variances, generator)
        first = share * 4 / (largest + 1)  # 1 is the prior's
        path = tqdm(
            langevin_path(energy, weights, variances, first, burn, generator), "langevin", steps,
            disable=None if show else True,
        )  # fmt: skip
        kept = set(np.linspace(burn, steps - 1, count).astype(int).tolist())
        chosen = (None for step, _ in enumerate(islice(path, steps)) if step in kept)
        return _sampled(parameterization, chosen, count, "langevin")


def langevin_path(
    energy: Callable[[], torch.Tensor],
    weights: Sequence[nn.Parameter],
    variances: Sequence[float],
    first: float,
    burn: int,
    generator: torch.Generator,
) -> Iterator[None]:
    """The path of `langevin`: each step moves the weights.

    Args:
        energy: Of the data, without the prior.
        weights: Moved in place.
        variances: Of their prior, mean 0, one per tensor.
        first: e_0.
        burn: Time scale on which steps become shorter.
        generator: Draws xi.

    Raises:
        DivergenceError: If the energy becomes infinite or NaN.
    """
    step = 0
    while True:
        size = first * (1 + step / burn) ** -_DECAY
        value = energy()
        if not torch.isfinite(value):
            raise DivergenceError(
                f"langevin: the energy became {float(value.detach())} at step {step}: use a smaller share"
            )
        slopes = torch.autograd.grad(value, weights)
        with torch.no_grad():
            for weight, slope, variance in zip(weights, slopes, variances, strict=True):
                noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight)
                weight -= 0.5 * size * (variance * slope + weight)
                weight += (size * variance) ** 0.5 * noise
        yield
        step += 1


def largest_curvature(
    energy: Callable[[], torch.Tensor],
    weights: Sequence[nn.Parameter],
    variances: Sequence[float],
    generator: torch.Generator,
    iterations: int = 20,
) -> float:
    """Largest eigenvalue of the energy's second derivative, with weights in units of their prior deviations.

    By the power method on differences of gradients, which asks for nothing but gradients.
    """
    scales = [variance**0.5 for variance in variances]
    here = [weight.detach().clone() for weight in weights]
    length = sum(float(w.square().sum()) / v for w, v in zip(here, variances, strict=True) if v > 0) ** 0.5

    def slopes(direction: list[torch.Tensor], by: float) -> list[torch.Tensor]:
        with torch.no_grad():
            for weight, start, part, scale in zip(weights, here, direction, scales, strict=True):
                weight.copy_(start + by * scale * part)
        return [part * scale for part, scale in zip(torch.autograd.grad(energy(), weights), scales, strict=True)]

    direction = [torch.randn(w.shape, generator=generator, dtype=torch.float64).to(w) for w in weights]
    largest, step = 0.0, 1e-3 * max(length, 1.0)
    for _ in range(iterations):
        norm = sum(float(part.square().sum()) for part in direction) ** 0.5
        if norm == 0:
            break
        direction = [part / norm for part in direction]
        above, below = slopes(direction, step), slopes(direction, -step)
        direction = [(up - down) / (2 * step) for up, down in zip(above, below, strict=True)]
        largest = sum(float(part.square().sum()) for part in direction) ** 0.5
    with torch.no_grad():
        for weight, start in zip(weights, here, strict=True):
            weight.copy_(start)
    return largest


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in module.parameters() if weight.requires_grad]


def _sampled(parameterization: Parameterization, moments: Iterator, count: int, method: str) -> Sampled:
    """The fields at the moments that an iterator gives."""
    variable, fields = Variable.of(parameterization), []
    for _ in moments:
        with torch.no_grad():
            fields.append(variable.values(parameterization.raw().detach().cpu().numpy()))
    assert len(fields) == count
    return Sampled(np.stack(fields), variable, seen_by(parameterization), method)


@contextmanager
def _as_they_were(objective: Variational) -> Iterator[None]:
    before = snapshot(objective.parameterization)
    try:
        yield
    finally:
        objective.parameterization.load_state_dict(before, strict=False)


@contextmanager
def _dropping(module: nn.Module, probability: float, generator: torch.Generator) -> Iterator[None]:
    def drop(_, __, output: torch.Tensor) -> torch.Tensor:
        shape = (*output.shape[:2], *(1,) * (output.ndim - 2))
        kept = torch.rand(shape, generator=generator).to(output.device) >= probability
        return output * kept / (1 - probability)

    hooks = [part.register_forward_hook(drop) for part in module.modules() if isinstance(part, _ACTIVATIONS)]
    if not hooks:
        raise OptionError("dropout: the network has no activations to drop channels after; use another generator")
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
