"""Unrolled networks: the classical iterations before training, exact derivatives after."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from eitdip.classical.counts import em
from eitdip.data.noise import Poisson
from eitdip.errors import InvalidDataError, OptionError
from eitdip.imaging import CartesianMRI, EmissionPET, blur
from eitdip.supervised import LearnedADMM, LearnedEM, LearnedGradient, LearnedISTA, LearnedPrimalDual, PostProcessing
from tests.supervised.conftest import disturb

UNROLLED = (LearnedGradient, LearnedISTA, LearnedADMM, LearnedPrimalDual, LearnedEM)
STEPS = 5


def landweber(operator, y, x, steps: int = STEPS):
    for _ in range(steps):
        x = x + operator.adjoint(y - operator(x)) / (1.01 * operator.norm()) ** 2
        yield x


def normal_matrix(operator) -> torch.Tensor:
    """A* A as an array."""
    unit = torch.eye(64, dtype=torch.float64).reshape(64, 8, 8)
    return operator.adjoint(operator(unit)).reshape(64, 64)


def test_the_learned_gradient_starts_as_landwebers_iteration(rays, pairs):
    (*_, expected) = landweber(rays, pairs.data, rays.pinv(pairs.data))
    torch.testing.assert_close(LearnedGradient(rays, STEPS)(pairs.data), expected, rtol=0, atol=1e-12)


def test_learned_ista_starts_as_ista(rays, pairs):
    x = torch.zeros_like(pairs.images)
    for _ in range(STEPS):
        z = x + rays.adjoint(pairs.data - rays(x)) / (1.01 * rays.norm()) ** 2
        x = z.sign() * (z.abs() - 0.01).clamp(min=0)
    found = LearnedISTA(rays, threshold=0.01, iterations=STEPS)(pairs.data)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-12)
    assert (found == 0).any()


def test_learned_admm_starts_as_iterated_tikhonov(rays, pairs):
    model = LearnedADMM(rays, penalty=0.1, inner=200, iterations=STEPS)
    weight = 0.1 * (1.01 * rays.norm()) ** 2
    matrix = normal_matrix(rays) + weight * torch.eye(64, dtype=torch.float64)
    right, x = rays.adjoint(pairs.data).reshape(12, 64), torch.zeros(12, 64, dtype=torch.float64)
    for _ in range(STEPS):
        x = torch.linalg.solve(matrix, (right + weight * x).T).T
    torch.testing.assert_close(model(pairs.data).reshape(12, 64), x, rtol=0, atol=1e-9)


def test_learned_primal_dual_starts_as_a_solver_of_least_squares(rays, pairs):
    """For h* = residual and no prior, the method of Chambolle and Pock goes to the least-squares solution."""
    exact = rays(pairs.images)
    few, many = (LearnedPrimalDual(rays, iterations=count, width=1)(exact).detach() for count in (5, 300))
    residual = [float((rays(x) - exact).norm() / exact.norm()) for x in (few, many)]
    assert residual[1] < 0.1 * residual[0]


def test_learned_em_starts_as_em(rays):
    operator, background = EmissionPET(rays), np.full((6, 10), 2.0)
    activity = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = torch.from_numpy(Poisson().sample(40 * operator(activity).numpy(), np.random.default_rng(1)))
    found = LearnedEM(operator, STEPS, background=background)(counts)
    torch.testing.assert_close(found, em(operator, counts, STEPS, background), rtol=1e-12, atol=0)
    assert (LearnedEM(operator, STEPS)(counts) - found).abs().max() > 1e-3 * found.max()
    trained = disturb(LearnedEM(operator, STEPS, background=background))(counts)
    assert (trained > 0).all() and (trained - found).abs().max() > 1e-3 * found.max()


def test_em_refuses_what_are_no_counts(rays):
    with pytest.raises(InvalidDataError):
        LearnedEM(rays)(torch.full((1, 6, 10), -1.0, dtype=torch.float64))


def test_post_processing_starts_as_the_pseudo_inverse():
    operator = blur((16, 16), sigma=1.0, dtype="float64")
    y = operator(torch.rand(2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    model = PostProcessing(operator)
    torch.testing.assert_close(model(y), operator.pinv(y), rtol=0, atol=1e-12)
    assert disturb(model)(y).shape == (2, 16, 16)


@pytest.mark.parametrize("kind", UNROLLED, ids=lambda kind: kind.__name__)
def test_a_batch_is_a_loop(kind, rays, pairs):
    model = disturb(kind(rays, iterations=3, width=4))
    data = pairs.data[:3].abs()
    together = model(data)
    alone = torch.stack([model(y[None])[0] for y in data])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", UNROLLED, ids=lambda kind: kind.__name__)
def test_taylor_of_the_loss_in_weights_and_data(kind, rays, pairs):
    """The remainder of first order falls with the square of the step: through A, A* and the networks."""
    model = disturb(kind(rays, iterations=3, width=4))
    for layer in model.modules():  # a kink of ReLU would be no second order
        for name, child in list(layer.named_children()):
            if isinstance(child, torch.nn.ReLU):
                setattr(layer, name, torch.nn.Softplus())
    data = pairs.data[:2].abs().requires_grad_()
    variables = list(model.parameters())
    if kind is not LearnedGradient:  # it starts from conjugate gradients here, whose many steps are hardly smooth
        variables.append(data)
    generator = torch.Generator().manual_seed(2)
    directions = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in variables]

    def loss() -> torch.Tensor:
        return (model(data) - pairs.images[:2]).square().sum()

    value = loss()
    slope = sum((g * d).sum() for g, d in zip(torch.autograd.grad(value, variables), directions, strict=True))
    remainders = []
    for t in (4e-6, 2e-6, 1e-6):
        with torch.no_grad():
            for variable, direction in zip(variables, directions, strict=True):
                variable += t * direction
            remainders.append(float((loss() - value - t * slope).abs()))
            for variable, direction in zip(variables, directions, strict=True):
                variable -= t * direction
    for larger, smaller in pairwise(remainders):
        assert 3.5 < larger / smaller < 4.5


@pytest.mark.parametrize("kind", UNROLLED, ids=lambda kind: kind.__name__)
def test_the_seed_decides_the_weights_and_nothing_else_does(kind, rays):
    state = torch.random.get_rng_state()
    weights = [torch.cat([w.detach().flatten() for w in kind(rays, seed=seed).parameters()]) for seed in (4, 4, 5)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_iterations_have_networks_of_their_own(rays):
    first, second = (network.hidden[0].weight for network in LearnedGradient(rays, 2).corrections)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rays: LearnedGradient(rays, iterations=0), "iterations: got 0, expected at least 1"),
        (lambda rays: LearnedISTA(rays, threshold=0.0), "threshold: got 0.0, expected > 0"),
        (lambda rays: LearnedADMM(rays, penalty=-1.0), "penalty, inner: got -1.0, 8; expected > 0 and at least 1"),
        (lambda rays: LearnedGradient(CartesianMRI(np.ones((8, 8), bool))), "expected real ones"),
    ],
)
def test_what_cannot_be_unrolled(make, message, rays):
    with pytest.raises(OptionError, match=message):
        make(rays)
