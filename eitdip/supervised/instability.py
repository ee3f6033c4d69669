"""How much a small change of the data changes the image, for any reconstruction y -> x.

The experiment of Antun et al.: of all perturbations r of the data with |r| = size |y|, the one that changes the image
most. It is found by gradient ascent, so what is reported is a lower bound: the largest found. Learned reconstructions
and total variation (its iterations unrolled) are differentiated. A deep image prior is trained anew for each y, and its
many steps are not differentiated: it gets the perturbations that were found against the other methods, and random ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from eitdip.errors import InvalidDataError, OptionError


@dataclass(frozen=True, eq=False)
class Attack:
    """The worst perturbation that was found.

    Args:
        perturbation: r, shape of the data.
        clean: Image of y.
        perturbed: Image of y + r.
        amplification: (|perturbed - clean| / |clean|) / (|r| / |y|).
        random: The same for a random perturbation of this size.
    """

    perturbation: torch.Tensor
    clean: torch.Tensor
    perturbed: torch.Tensor
    amplification: float
    random: float


def amplification(clean: torch.Tensor, perturbed: torch.Tensor, y: torch.Tensor, perturbation: torch.Tensor) -> float:
    """Relative change of the image over relative change of the data."""
    change = torch.linalg.vector_norm(perturbed - clean) / torch.linalg.vector_norm(clean)
    return float(change * torch.linalg.vector_norm(y) / torch.linalg.vector_norm(perturbation))


def worst_case(
    method: Callable[[torch.Tensor], torch.Tensor],
    y: torch.Tensor,
    size: float,
    *,
    steps: int = 40,
    restarts: int = 2,
    seed: int = 0,
) -> Attack:
    """The perturbation of a given size that changes the image most, by projected gradient ascent.

    The step is the power method's, r = size |y| g / |g| with the gradient g of |f(y + r) - f(y)|^2 / 2: for a linear f
    it converges to the largest singular vector.

    Args:
        method: f, data (B, *range.shape) to images (B, H, W), differentiable.
        y: Data of one image, without the batch axis.
        size: |r| / |y|, > 0.
        steps: Of ascent.
        restarts: Random first perturbations.
        seed: Of these.

    Raises:
        OptionError: If size, steps or restarts are out of range.
        InvalidDataError: If the data or their image are zero.

    References:
        Antun, Renna, Poon, Adcock, Hansen (2020), PNAS 117(48).
    """
    if not (0 < size < float("inf") and steps >= 1 and restarts >= 1):
        raise OptionError(f"size, steps, restarts: got {size}, {steps}, {restarts}; expected > 0 and at least 1")
    with torch.no_grad():
        clean = method(y[None])[0]
    radius = size * torch.linalg.vector_norm(y)
    if not radius > 0 or not torch.linalg.vector_norm(clean) > 0:
        raise InvalidDataError("data: they or their image are zero; relative changes need both")
    generator = torch.Generator().manual_seed(seed)
    best, at_random = None, None
    for _ in range(restarts):
        r = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
        r = r * radius / torch.linalg.vector_norm(r)
        for step in range(steps + 1):
            r = r.requires_grad_()
            image = method((y + r)[None])[0]
            change = (image - clean).square().sum() / 2
            found = (float(change.detach()), r.detach(), image.detach())
            if step == 0 and at_random is None:
                at_random = found
            if best is None or found[0] > best[0]:
                best = found
            if step == steps:
                break
            (slope,) = torch.autograd.grad(change, r)
            length = torch.linalg.vector_norm(slope)
            if not length > 0:
                break
            r = (slope * radius / length).detach()
    grow = lambda found: amplification(clean, found[2], y, found[1])  # noqa: E731
    return Attack(best[1], clean, best[2], grow(best), grow(at_random))
