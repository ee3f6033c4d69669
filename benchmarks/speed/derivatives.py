"""One step of a strong-form loss: derivatives carried forward against two backward passes for each potential."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.speed.measure import Figure, interleave, milliseconds, timed
from benchmarks.speed.problems import Settings
from benchmarks.speed.report import Check
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.fields import drawn

PART = "derivatives"
PATTERNS = 16


def run(settings: Settings) -> Iterator[Check]:
    """One row: the mean square of sigma laplace u + grad sigma . grad u and its gradient, for all patterns."""
    points = 1024 if settings.peers else 64
    seconds = _measure(points, 15 if settings.effort else 1)
    name = f"strong-form step, {PATTERNS} potentials, {points} points: double backwards / carried forward"
    yield Check(
        PART,
        name,
        None,
        Figure.ratio(seconds["backward"], seconds["forward"]),
        at_least=4,
        details={"ms": milliseconds(seconds)},
    )


def _measure(points: int, repetitions: int) -> dict[str, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    networks = [drawn(SmoothNetwork(*size), generator, torch.float32) for size in ((PATTERNS,), (1, (32, 32, 32)))]
    for network in networks:
        torch.nn.init.normal_(network.output.weight, std=0.1, generator=generator)
    potentials, log_sigma = networks

    def plain(network, x):
        for layer in network.hidden:
            x = torch.tanh(layer(x))
        return network.output(x)

    def gradient(residuals):
        parameters = [*potentials.parameters(), *log_sigma.parameters()]
        loss = residuals.square().mean()  # which does not depend on the last bias of the potentials
        return torch.cat([part.ravel() for part in torch.autograd.grad(loss, parameters, materialize_grads=True)])

    def forward(x):
        u, s = potentials(Jet.coordinates(x)), log_sigma(Jet.coordinates(x, laplacian=False))
        # The common factor sigma of both terms is taken out: div(sigma grad u) / sigma.
        return gradient(s.value.exp() * (u.laplacian + (s.gradient * u.gradient).sum(dim=0)))

    def backward(x):
        x = x.clone().requires_grad_()
        u, s = plain(potentials, x), plain(log_sigma, x)
        (slope,) = torch.autograd.grad(s.sum(), x, create_graph=True)
        residuals = []
        for k in range(PATTERNS):
            (first,) = torch.autograd.grad(u[:, k].sum(), x, create_graph=True)
            second = [torch.autograd.grad(first[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2)]
            residuals.append(sum(second) + (slope * first).sum(dim=1))
        return gradient(s.exp() * torch.stack(residuals, dim=1))

    def agree(results):
        one, other = (results[name].numpy() for name in ("forward", "backward"))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * np.abs(other).max())

    def draw():
        return (2 * torch.rand(points, 2, generator=generator) - 1,)

    return interleave({"forward": timed(forward), "backward": timed(backward)}, draw, repetitions, agree)
