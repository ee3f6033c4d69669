"""Positron emission tomography: the likelihood, its two iterations, and what is refused."""

import itertools

import numpy as np
import pytest
import torch
from scipy import optimize, sparse, stats

from eitdip.classical.counts import (
    _parabola,
    em,
    em_iterates,
    em_step,
    em_weights,
    poisson_log_likelihood,
    transmission,
    transmission_iterates,
)
from eitdip.data.noise import Poisson
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging import SparseOperator
from eitdip.imaging.pet import EmissionPET, Transmission, survival
from eitdip.objective import bridge
from eitdip.operator import Space
from eitdip.verify import taylor_orders

SHAPE, VIEWS = (4, 5), (6, 7)


def projector(dtype: str = "float64", seed: int = 0) -> SparseOperator:
    """A sparse matrix with entries >= 0 that sees every pixel."""
    rng = np.random.default_rng(seed)
    matrix = sparse.random_array((42, 20), density=0.3, rng=rng).toarray() + np.eye(42, 20)
    return SparseOperator(matrix, Space(SHAPE, dtype), Space(VIEWS, dtype))


@pytest.fixture
def scan(rng) -> EmissionPET:
    return EmissionPET(projector(), attenuation=rng.uniform(0.2, 1, VIEWS), normalization=rng.uniform(5, 9, VIEWS))


@pytest.fixture
def background(rng) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(0.5, 3, VIEWS))


@pytest.fixture
def activity(rng) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(0, 4, SHAPE))


def counts_of(mean: torch.Tensor, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(Poisson().sample(mean.numpy(), np.random.default_rng(seed)))


def test_the_mean_is_the_product_of_its_parts(rng, activity):
    attenuation, normalization = rng.uniform(0.2, 1, VIEWS), rng.uniform(0, 9, VIEWS)
    scan = EmissionPET(projector(), attenuation, normalization)
    expected = torch.from_numpy(attenuation * normalization) * projector()(activity)
    torch.testing.assert_close(scan(activity), expected)
    torch.testing.assert_close(EmissionPET(projector())(activity), projector()(activity))
    mu = rng.uniform(0, 0.3, SHAPE)
    np.testing.assert_allclose(survival(projector(), mu), np.exp(-projector()(mu)))


def test_simulated_counts_have_the_mean_of_the_model(scan, background, activity):
    mean = scan(activity) + background
    clean = scan(activity).expand(4000, *VIEWS).numpy()
    draws = torch.from_numpy(Poisson(background.numpy()).sample(clean, np.random.default_rng(2)))
    error = (draws.mean(dim=0) - mean) / (mean / len(draws)).sqrt()  # in standard errors
    assert error.abs().max() <= 4  # the largest of 42
    total = float((draws.sum(dim=(1, 2)).mean() - mean.sum()) / (mean.sum() / len(draws)).sqrt())
    assert abs(total) <= 3 and abs(float(error.square().mean()) - 1) <= 3 * (2 / 42) ** 0.5


def test_log_likelihood_is_that_of_scipy_with_its_gradient(rng):
    counts = torch.from_numpy(rng.poisson(3.0, (5, 8)))
    mean = torch.from_numpy(rng.uniform(0.5, 6, (5, 8))).requires_grad_()
    value = poisson_log_likelihood(counts, mean)
    expected = stats.poisson.logpmf(counts.numpy(), mean.detach().numpy()).sum()
    assert value.item() == pytest.approx(expected, rel=1e-12)
    (gradient,) = torch.autograd.grad(value, mean)
    torch.testing.assert_close(gradient, counts / mean - 1)


def test_log_likelihood_without_events():
    mean = torch.tensor([0.0, 2.0], dtype=torch.float64, requires_grad=True)
    value = poisson_log_likelihood(torch.tensor([0, 0]), mean)
    assert value.item() == -2.0
    torch.testing.assert_close(torch.autograd.grad(value, mean)[0], torch.tensor([-1.0, -1.0], dtype=torch.float64))
    assert poisson_log_likelihood(torch.tensor([1, 0]), mean).item() == -np.inf


def test_em_raises_the_likelihood_at_every_step(scan, background, activity):
    counts = counts_of(scan(activity) + background)
    iterates = [x for _, x in zip(range(40), em_iterates(scan, counts, background), strict=False)]
    values = [float(poisson_log_likelihood(counts, scan(x) + background)) for x in iterates]
    assert (np.diff(values) > 0).all() and all(bool((x >= 0).all()) for x in iterates)
    assert values[-1] > float(poisson_log_likelihood(counts, scan(activity) + background)), "below the truth"
    assert torch.equal(em(scan, counts, 40, background), iterates[-1])


def test_em_preserves_the_counts_from_the_first_step(activity):
    scan = EmissionPET(projector(), normalization=np.full(VIEWS, 8.0))
    counts = counts_of(scan(activity))
    for _, x in zip(range(5), em_iterates(scan, counts), strict=False):
        assert float(scan(x).sum()) == pytest.approx(float(counts.sum()), rel=1e-12)


def most_likely(counts: torch.Tensor, mean) -> tuple[np.ndarray, float]:
    """The image >= 0 of largest likelihood and that likelihood, by a quasi-Newton method."""

    def objective(x):
        x = torch.from_numpy(x).requires_grad_()
        value = -poisson_log_likelihood(counts, mean(x.reshape(SHAPE)))
        return value.item(), torch.autograd.grad(value, x)[0].numpy()

    options = {"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-8}
    start = np.full(20, 0.1)
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * 20, options=options)
    return found.x.reshape(SHAPE), -found.fun


def test_em_finds_the_most_likely_activity(scan, background, activity):
    counts = counts_of(scan(activity) + background)
    best, largest = most_likely(counts, lambda x: scan(x) + background)
    x = em(scan, counts, 800, background)
    value = float(poisson_log_likelihood(counts, scan(x) + background))
    assert largest - 5e-3 <= value <= largest + 1e-6
    np.testing.assert_allclose(x.numpy(), best, atol=5e-2)


def test_em_on_exact_counts_stays_at_the_truth():
    scan = EmissionPET(projector(), normalization=np.full(VIEWS, 3.0))
    matrix = np.round(scan.matrix.toarray() * 4)
    scan = EmissionPET(SparseOperator(matrix, scan.domain, scan.range))
    truth = torch.arange(20, dtype=torch.float64).reshape(SHAPE)
    torch.testing.assert_close(em(scan, scan(truth), 1, start=truth), truth)


def test_em_of_a_batch_is_a_loop_and_the_background_can_be_given(scan, background, activity):
    counts = torch.stack([counts_of(scan(activity) + background, seed) for seed in (1, 2)])
    together = em(scan, counts, 5, background)
    for item, x in zip(counts, together, strict=True):
        torch.testing.assert_close(em(scan, item, 5, background), x)
        torch.testing.assert_close(em(scan, item.numpy().astype(int), 5, background=background.numpy()), x)
        assert not torch.allclose(em(scan, item, 5, background=0.0), x)
    torch.testing.assert_close(em(scan, counts, 2, background, em(scan, counts, 3, background)), together)


def test_an_em_step_is_differentiable(scan, background, activity):
    counts, x = counts_of(scan(activity) + background), activity.clamp(min=0.1).requires_grad_()
    _, share = em_weights(scan)
    step = lambda x, y: em_step(scan, y, background, x, share)  # noqa: E731
    torch.testing.assert_close(step(x.detach(), counts), em(scan, counts, 1, background, x.detach()))
    assert torch.autograd.gradcheck(step, (x, (counts + 0.5).requires_grad_()), fast_mode=True)


def test_pixels_that_no_ray_sees_are_zero(activity):
    matrix = projector().matrix.toarray()
    matrix[:, 7] = 0
    blind = SparseOperator(matrix, Space(SHAPE), Space(VIEWS))
    x = em(blind, counts_of(blind(activity)), 3, background=1.0)
    assert x.flatten()[7] == 0 and bool((x.flatten()[:7] > 0).all())


def test_single_precision(activity):
    scan, background = EmissionPET(projector("float32")), np.full(VIEWS, 2.0)
    counts = counts_of(scan(activity) + 2)
    assert em(scan, counts, 3, background).dtype == torch.float32
    double = em(EmissionPET(projector()), counts, 3, background)
    torch.testing.assert_close(em(scan, counts, 3, background).double(), double, rtol=1e-5, atol=1e-5)


@pytest.fixture(params=[0.0, 4.0], ids=["", "background"])
def model(request, rng) -> Transmission:
    background = np.full(VIEWS, request.param) if request.param else None
    return Transmission(projector(), rng.uniform(20, 40, VIEWS), background)


def test_transmission_and_its_derivative(model, rng, activity):
    mu, direction = rng.uniform(0, 0.5, SHAPE), rng.standard_normal(SHAPE)
    expected = model.blank.numpy() * np.exp(-projector()(mu)) + model.background.numpy()
    np.testing.assert_allclose(model(mu), expected, rtol=1e-14)
    assert (np.abs(taylor_orders(model, mu, direction) - 2) <= 0.15).all()
    value, derivative = model.linearize(mu)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    weight = torch.from_numpy(rng.standard_normal(VIEWS))
    x = torch.from_numpy(mu).requires_grad_()
    expected = torch.from_numpy(derivative.adjoint(weight.numpy()))
    torch.testing.assert_close(torch.autograd.grad((model(x) * weight).sum(), x)[0], expected)
    torch.testing.assert_close(torch.autograd.grad((bridge.apply(model, x) * weight).sum(), x)[0], expected)


def test_the_parabola_touches_and_lies_above():
    lines = torch.tensor([0.0, 1e-6, 0.02, 0.7, 3.0, 8.0], dtype=torch.float64)
    others = torch.linspace(0, 12, 400, dtype=torch.float64)
    for y, background in itertools.product((0.0, 1.0, 30.0, 300.0), (0.0, 2.0)):
        blank = torch.tensor(50.0, dtype=torch.float64)

        def height(line, y=y, blank=blank, background=background):
            mean = blank * torch.exp(-line) + background
            return mean - y * torch.log(mean)

        for line in lines:
            slope, curvature = _parabola(torch.tensor(y).double(), blank, torch.tensor(background).double(), line)
            at = line.clone().requires_grad_()
            assert float(slope) == pytest.approx(float(torch.autograd.grad(height(at), at)[0]), rel=1e-9, abs=1e-12)
            gap = height(line) + slope * (others - line) + curvature / 2 * (others - line) ** 2 - height(others)
            assert float(gap.min()) >= -1e-9 * float(height(others).abs().max())


def test_transmission_raises_the_likelihood_at_every_step(model, activity):
    counts = counts_of(model(activity / 10))
    iterates = [mu for _, mu in zip(range(60), transmission_iterates(model, counts), strict=False)]
    values = [float(poisson_log_likelihood(counts, model(mu))) for mu in iterates]
    assert (np.diff(values) >= -1e-10 * abs(values[-1])).all() and values[-1] > values[0] + 1
    assert all(bool((mu >= 0).all()) for mu in iterates)
    assert torch.equal(transmission(model, counts, 60), iterates[-1])


def test_transmission_finds_the_most_likely_attenuation(model, activity):
    counts = counts_of(model(activity / 10))
    best, largest = most_likely(counts, model)
    mu = transmission(model, counts, 300)
    value = float(poisson_log_likelihood(counts, model(mu)))
    assert largest - 1e-5 <= value <= largest + 1e-6
    np.testing.assert_allclose(mu.numpy(), best, atol=1e-3)


def test_transmission_of_a_batch_is_a_loop(model, activity):
    counts = torch.stack([counts_of(model(activity / 10), seed) for seed in (1, 2)])
    together = transmission(model, counts, 4)
    for item, mu in zip(counts, together, strict=True):
        torch.testing.assert_close(transmission(model, item, 4), mu)
    torch.testing.assert_close(transmission(model, counts, 1, start=transmission(model, counts, 3)), together)


@pytest.mark.parametrize("what", ["em", "transmission"])
def test_what_are_no_counts(what):
    reconstruct = {"em": em, "transmission": transmission}[what]
    operator = {"em": EmissionPET(projector()), "transmission": Transmission(projector(), np.ones(VIEWS))}[what]
    good = torch.full(VIEWS, 3.0)
    for value in (-1.0, 0.5, float("nan"), float("inf")):
        bad = good.clone()
        bad[2, 4] = value
        with pytest.raises(InvalidDataError, match=rf"counts: entry \(2, 4\) is {value:g}, expected an integer >= 0"):
            reconstruct(operator, bad, 1)
    with pytest.raises(ShapeError, match=r"counts: got shape \(6, 6\), expected \(\*batch, \(6, 7\)\)"):
        reconstruct(operator, good[:, 1:], 1)
    with pytest.raises(OptionError, match="steps: got 0"):
        reconstruct(operator, good, 0)
    with pytest.raises(InvalidDataError, match="start: got -1"):
        reconstruct(operator, good, 1, start=-torch.ones(SHAPE))


def test_operators_that_cannot_be():
    with pytest.raises(ShapeError, match=r"attenuation: got shape \(7,\), expected that of the sinogram, \(6, 7\)"):
        EmissionPET(projector(), attenuation=np.ones(7))
    with pytest.raises(InvalidDataError, match=r"attenuation: got 1 to 1\.5, expected 0 to 1"):
        EmissionPET(projector(), attenuation=np.where(np.arange(42).reshape(VIEWS) == 3, 1.5, 1))
    with pytest.raises(InvalidDataError, match="attenuation: got the share 0"):
        EmissionPET(projector(), attenuation=np.zeros(VIEWS))
    with pytest.raises(InvalidDataError, match="normalization: got nan"):
        EmissionPET(projector(), normalization=np.full(VIEWS, np.nan))
    with pytest.raises(InvalidDataError, match="background: got -1"):
        Transmission(projector(), np.ones(VIEWS), background=-np.ones(VIEWS))
    with pytest.raises(InvalidDataError, match="blank: got a ray with 0 counts"):
        Transmission(projector(), np.zeros(VIEWS))


def test_counts_that_no_activity_explains():
    matrix = projector().matrix.toarray()
    matrix[11] = 0
    blind = SparseOperator(matrix, Space(SHAPE), Space(VIEWS))
    counts = torch.ones(VIEWS)
    with pytest.raises(InvalidDataError, match="a ray has counts but sees no pixel"):
        em(blind, counts, 1)
    assert bool(torch.isfinite(em(blind, counts, 5, background=0.1)).all())
    counts[1, 4] = 0
    assert bool(torch.isfinite(em(blind, counts, 5)).all())
    negative = SparseOperator(-projector().matrix, Space(SHAPE), Space(VIEWS))
    with pytest.raises(InvalidDataError, match="operator: got a column with a negative sum"):
        em(negative, counts, 1)
    with pytest.raises(InvalidDataError, match="background: got -1, expected mean counts"):
        em(projector(), counts, 1, background=-1.0)
