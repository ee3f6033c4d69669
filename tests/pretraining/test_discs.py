"""Pairs of simulated discs, their loss, and answers of a network."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from eitdip.metrics import mcc
from eitdip.pretraining import discs
from eitdip.pretraining.discs import DiscPairs, Holes, answered, distorted, score, simulate
from eitdip.pretraining.weights import Weights, build
from eitdip.problems.disc_views import CHANNELS, SIDE, mirrored, projected, solid, wedge

pytest.importorskip("astra")

ARCHITECTURE = {"class": "unet", "latent_channels": CHANNELS, "channels": 8, "levels": 2, "skips": 2, "patch": 4}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def first() -> Weights:
    return Weights(ARCHITECTURE, build(ARCHITECTURE).state_dict(), discs.TASK)


def test_pair_i_is_pair_i(monkeypatch):
    monkeypatch.setattr(discs, "SPANS", (30, 40))
    monkeypatch.setattr(discs, "_SHARES", (0.5, 0.5))
    source = DiscPairs(held=7)
    all_of_them, some = source.pairs(4, 8), source.pairs(6, 3)
    assert all_of_them.inputs.shape == (8, CHANNELS, SIDE, SIDE) and all_of_them.targets.shape == (8, SIDE, SIDE)
    assert_array_equal(all_of_them.inputs[2:5], some.inputs)
    assert_array_equal(all_of_them.targets[2:5], some.targets)
    spans = all_of_them.inputs[:, 1, 0, 0]  # pairs 0..7 have one span, and 8..15
    assert len(set(spans[:4].tolist())) == len(set(spans[4:].tolist())) == 1
    held = source.held_out()
    assert held.inputs[:, 1, 0, 0].tolist() == pytest.approx([-1, -1, -1, *3 * [-2 / 3]])
    assert not any(torch.equal(a, b) for a in held.targets for b in all_of_them.targets)
    assert DiscPairs(held=7).hash == source.hash != DiscPairs(seed=1, held=7).hash


def test_every_second_pair_has_an_answer_to_improve_on(first):
    source = DiscPairs(first, held=7)
    batch = source.pairs(0, 4)
    assert_array_equal(batch.targets[0], batch.targets[1])
    assert_array_equal(batch.inputs[0][3:7], batch.inputs[1][3:7])
    assert not batch.inputs[[0, 2], 2].any()
    span = float(batch.inputs[0, 1, 0, 0]) * 30 + 60
    missing, _, centers = simulate([discs.stream(0, "training pairs", 0, 0)], round(span))
    expected = answered(first.network(), wedge(round(span)), missing, centers, 1)
    assert_allclose(batch.inputs[1, 2], expected[0], atol=1e-5)
    assert_array_equal(source.pairs(1, 2).inputs, batch.inputs[1:3])
    assert source.hash != DiscPairs(held=7).hash


def test_the_views_are_those_of_the_holes():
    missing, holes, centers = simulate([np.random.default_rng(i) for i in range(6)], 60)
    for seen, hole, center in zip(missing, holes, centers, strict=True):
        exact = projected(wedge(60).matrix(256), hole[None])[0]
        assert 0.03 < np.median(np.abs(seen - exact)) < 1.5
        assert np.corrcoef(seen.ravel(), exact.ravel())[0, 1] > 0.95
        assert ((hole > 0) <= (solid(center, 256) == 1)).all()


def test_errors_vanish_with_their_level_and_are_of_the_measured_size():
    lengths = projected(wedge(30).matrix(), solid((0.5, 0.2))[None])[0].astype(float)
    assert_array_equal(distorted(np.random.default_rng(0), lengths, 0.0), lengths)
    error = np.array([distorted(np.random.default_rng(i), lengths, 1.0) - lengths for i in range(40)])[:, lengths > 30]
    assert 0.3 < error.std(axis=1).mean() < 0.7  # the training discs leave 0.38 and 0.46 mm
    assert 0.1 < error.mean(axis=1).std() < 0.6


def test_the_score_is_that_of_the_challenge():
    rng, inside = np.random.default_rng(0), solid((0, 0)) == 1
    answers, targets = (inside & (rng.random((SIDE, SIDE)) < share) for share in (0.3, 0.25))
    targets |= answers & (rng.random((SIDE, SIDE)) < 0.5)
    found = score(*(torch.from_numpy(a[None]).float() for a in (answers, targets)))
    assert float(found[0]) == pytest.approx(
        mcc(solid((0, 0)) * ~answers > 0.5, solid((0, 0)) * ~targets > 0.5), abs=1e-3
    )
    assert float(score(torch.from_numpy(targets[None]).float(), torch.from_numpy(targets[None]).float())[0]) == 1


def test_the_loss_has_both_parts():
    targets = torch.from_numpy((solid((0, 0)) == 1)[None] * (np.arange(SIDE) < 64)).float()
    inside = torch.from_numpy(solid((0, 0)) == 1)
    right, unsure = (Holes()(logits, targets) for logits in (20 * (2 * targets - 1), -20.0 * ~inside[None]))
    assert float(sum(right.values())) < 1e-4
    assert float(unsure["cross-entropy"]) == pytest.approx(3 * np.log(2) * float(inside.float().mean()), rel=1e-3)
    assert 0.3 < float(unsure["score"]) < 0.8
    assert_allclose(Holes().images(torch.zeros(1, 2, 2)), 0.5)


def test_an_answer_is_the_mean_over_both_mirror_images(first):
    missing, _, centers = simulate([np.random.default_rng(3)], 40)
    network, views = first.network(), wedge(40)
    seen = torch.from_numpy(views.inputs(missing, centers))
    with torch.no_grad():
        one, other = network(seen).sigmoid(), network(mirrored(seen)).sigmoid().flip(-1)
    once = answered(network, views, missing, centers, 1)
    assert_allclose(once, ((one + other) / 2).numpy(), atol=1e-5)
    twice = torch.from_numpy(views.inputs(missing, centers, once))
    with torch.no_grad():
        expected = (network(twice).sigmoid() + network(mirrored(twice)).sigmoid().flip(-1)) / 2
    assert_allclose(answered(network, views, missing, centers, 2), expected.numpy(), atol=1e-5)
