"""The worst perturbation: that of a linear map is known."""

import pytest
import torch

from eitdip.classical.primal_dual import total_variation
from eitdip.errors import InvalidDataError, OptionError
from eitdip.supervised import LearnedGradient, amplification, worst_case
from tests.supervised.conftest import disturb


@pytest.fixture
def linear(rng):
    """A map from data (6, 10) to images (8, 8) with singular values 1, .9, .81, ..."""
    left, right = (torch.linalg.qr(torch.from_numpy(rng.standard_normal((n, 20))))[0] for n in (64, 60))
    matrix = left * 0.9 ** torch.arange(20) @ right.T
    return lambda y: (y.flatten(1) @ matrix.T).reshape(-1, 8, 8)


def test_of_a_linear_map_it_reaches_the_largest_singular_value(linear, rng):
    y = torch.from_numpy(rng.standard_normal((6, 10)))
    attack = worst_case(linear, y, 0.05, steps=60)
    exact = float(y.norm() / linear(y[None]).norm())
    assert attack.amplification == pytest.approx(exact, rel=1e-3) and attack.amplification <= exact * (1 + 1e-9)
    assert attack.random < 0.8 * exact
    assert float(attack.perturbation.norm()) == pytest.approx(0.05 * float(y.norm()))
    torch.testing.assert_close(attack.perturbed, linear((y + attack.perturbation)[None])[0])
    torch.testing.assert_close(attack.clean, linear(y[None])[0])


def test_amplification_is_the_quotient_of_relative_changes():
    clean, y = torch.tensor([[3.0, 4.0]]), torch.tensor([0.0, 2.0])
    perturbed, perturbation = torch.tensor([[3.0, 5.0]]), torch.tensor([0.1, 0.0])
    assert amplification(clean, perturbed, y, perturbation) == pytest.approx((1 / 5) / (0.1 / 2))


def test_more_steps_find_no_smaller_one_and_the_seed_decides(rays, pairs):
    model = disturb(LearnedGradient(rays, 3, 4)).requires_grad_(False)
    y = pairs.data[0]
    short, long, again = (worst_case(model, y, 0.02, steps=steps, restarts=1) for steps in (1, 20, 20))
    assert long.amplification >= short.amplification > short.random
    assert torch.equal(long.perturbation, again.perturbation)


def test_total_variation_can_be_attacked(rays, pairs):
    """The gradient through the solver is finite, also where the image is flat."""
    method = lambda y: total_variation(rays, y, 0.01, steps=50, tolerance=0.0, lower=0.0)  # noqa: E731
    attack = worst_case(method, pairs.data[0], 0.02, steps=5, restarts=1)
    assert attack.amplification > attack.random > 0


@pytest.mark.parametrize("words", [{"size": 0.0}, {"size": 0.1, "steps": 0}, {"size": 0.1, "restarts": 0}])
def test_bad_settings(words, linear):
    with pytest.raises(OptionError, match="size, steps, restarts"):
        worst_case(linear, torch.ones(6, 10, dtype=torch.float64), **words)


def test_zero_data_have_no_relative_change(linear):
    with pytest.raises(InvalidDataError, match="zero"):
        worst_case(linear, torch.zeros(6, 10, dtype=torch.float64), 0.1)
