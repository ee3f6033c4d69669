"""Supervised training: it learns, it repeats itself, it resumes to the last bit."""

import numpy as np
import pytest
import torch

from eitdip.data.noise import Gaussian, Poisson
from eitdip.errors import CheckpointError, DivergenceError, InvalidDataError, OptionError, ShapeError
from eitdip.imaging import DenseOperator
from eitdip.operator import Space
from eitdip.supervised import LearnedGradient, Pairs, Training, ellipse_pairs, train

SHORT = Training(epochs=4, batch=5)


def weights(model) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_training_lowers_the_error_on_images_it_has_not_seen(rays):
    noise = Gaussian(0.1)
    model, unseen = LearnedGradient(rays, 4, 8), ellipse_pairs(rays, 40, seed=100, noise=noise)
    error = lambda: float((model(unseen.data) - unseen.images).detach().square().mean())  # noqa: E731
    before = error()
    learned = ellipse_pairs(rays, 120, seed=3, noise=noise)
    losses = train(model, learned, Training(epochs=15, learning_rate=3e-3), quiet=True)
    assert losses.shape == (15,) and losses[-1] < 0.5 * losses[0]
    assert error() < 0.5 * before
    assert not model.training


def test_the_same_seed_gives_the_same_weights(rays, pairs):
    models = [LearnedGradient(rays, 2, 4) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        train(model, pairs, Training(epochs=2, batch=5, seed=seed), quiet=True)
    assert torch.equal(weights(models[0]), weights(models[1]))
    assert not torch.equal(weights(models[0]), weights(models[2]))


def test_an_interrupted_training_goes_on_with_the_same_bits(rays, pairs, tmp_path, monkeypatch):
    whole, part, resumed = (LearnedGradient(rays, 2, 4) for _ in range(3))
    losses = train(whole, pairs, SHORT, quiet=True)
    from eitdip.supervised import training

    epoch = training._epoch

    def stopped(model, pairs, settings, optimizer, number):
        if number == 2:
            raise KeyboardInterrupt
        return epoch(model, pairs, settings, optimizer, number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "_epoch", stopped)
        train(part, pairs, SHORT, path=tmp_path / "model", quiet=True)
    np.testing.assert_array_equal(train(resumed, pairs, SHORT, path=tmp_path / "model", quiet=True), losses)
    assert torch.equal(weights(resumed), weights(whole))
    again = LearnedGradient(rays, 2, 4)
    np.testing.assert_array_equal(train(again, pairs, SHORT, path=tmp_path / "model", quiet=True), losses)
    assert torch.equal(weights(again), weights(whole))


def test_a_checkpoint_belongs_to_one_training(rays, pairs, tmp_path):
    train(LearnedGradient(rays, 2, 4), pairs, SHORT, path=tmp_path / "model", quiet=True)
    for model, settings in (
        (LearnedGradient(rays, 2, 4, seed=1), SHORT),
        (LearnedGradient(rays, 2, 4), Training(epochs=4, batch=5, seed=1)),
    ):
        with pytest.raises(CheckpointError, match="another run"):
            train(model, pairs, settings, path=tmp_path / "model", quiet=True)


def test_divergence_ends_the_training_and_names_the_rate(rays, pairs):
    with pytest.raises(DivergenceError, match=r"lower learning_rate \(now 1e\+80\)"):
        train(LearnedGradient(rays, 4, 4), pairs, Training(epochs=9, learning_rate=1e80), quiet=True)


def test_pairs_are_of_the_operator_and_repeat(rays):
    first, again, other = (ellipse_pairs(rays, 5, seed, Gaussian(0.01)) for seed in (1, 1, 2))
    assert first.images.shape == (5, 8, 8) and first.data.shape == (5, 6, 10) and len(first) == 5
    assert torch.equal(first.images, again.images) and torch.equal(first.data, again.data)
    assert not torch.equal(first.images, other.images)
    residual = (first.data - rays(first.images)).std()
    assert 0.008 < residual < 0.012
    assert first.images.min() >= 0 and first.images.max() <= 1


def test_the_noise_is_given_and_does_not_change_the_images(rays):
    counts = ellipse_pairs(rays, 5, 1, Poisson(2.0))
    assert torch.equal(counts.images, ellipse_pairs(rays, 5, 1, Gaussian(0.01)).images)
    assert torch.equal(counts.data, counts.data.round()) and counts.data.dtype == torch.float64
    assert float(counts.data.mean()) == pytest.approx(float(rays(counts.images).mean()) + 2, abs=0.4)
    matrix = np.random.default_rng(0).standard_normal((7, 64)) * (1 + 1j)
    echoes = DenseOperator(matrix, Space((8, 8), "float32"), Space((7,), "complex64"))
    pairs = ellipse_pairs(echoes, 5, 1, Gaussian(0.01))
    assert pairs.images.dtype == torch.float32 and pairs.data.dtype == torch.complex64


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda rays: Pairs(torch.zeros(2, 8, 8), torch.zeros(3, 60)), ShapeError, "got 2 images and 3 data"),
        (lambda rays: Pairs(torch.zeros(0, 8, 8), torch.zeros(0, 60)), InvalidDataError, "got none"),
        (lambda rays: Pairs(torch.full((1, 8, 8), torch.nan), torch.zeros(1, 60)), InvalidDataError, "images contain"),
        (lambda rays: ellipse_pairs(rays, 0, 0, Gaussian(1.0)), OptionError, "count, most: got 0, 8"),
        (lambda rays: ellipse_pairs(rays, 2, 0, Gaussian(1.0), most=2), OptionError, "count, most: got 2, 2"),
        (lambda rays: Training(epochs=0), OptionError, "epochs: got 0, expected at least 1"),
        (lambda rays: Training(learning_rate=0.0), OptionError, "learning_rate: got 0.0, expected > 0"),
    ],
)
def test_bad_pairs_and_settings(make, error, message, rays):
    with pytest.raises(error, match=message):
        make(rays)
