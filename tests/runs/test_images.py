"""Images from data to files: priors, stopping, classical solvers, counts, complex values."""

import json

import numpy as np
import pytest
import torch

import eitdip
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.methods.build import start
from eitdip.methods.options import method
from eitdip.problems.images import image_problem
from eitdip.reconstruction import Status
from tests.cases.images import SIDE, SMALL, block, counts, identity, kspace, noisy


def solve(problem, name, **settings):
    return eitdip.solve(problem, name, quiet=True, **settings)


def test_the_prior_removes_noise_and_the_held_out_rule_keeps_its_best():
    gains = []
    for seed in (5, 6, 7):
        problem = noisy(seed=seed)
        found = solve(problem, "dip", **SMALL | {"steps": 250, "average": 0.95})
        before = 10 * np.log10(1 / np.mean((problem.data.values - block()) ** 2))
        gains.append(found.errors["PSNR"] - before)
        (result,) = found.results
        assert result.kept == np.argmin(result.history["held_out"])
        assert found.errors["PSNR"] == pytest.approx(result.history["PSNR"][result.kept])
        assert found.x.min() >= 0 and found.x.max() <= 1
    assert np.median(gains) > 0.5  # 16 x 16 pixels leave little to be learned


def test_a_second_run_starts_anew_and_gives_the_same_bits():
    problem, settings = noisy(), SMALL | {"input_noise": 0.1}
    first, again = (solve(problem, "dip-tv", **settings).x for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = solve(problem, "dip-tv", **settings, seed=1).x
    assert np.abs(other - first).max() > 1e-3


def test_the_average_is_of_the_iterates():
    problem = noisy()
    settings = {name: value for name, value in SMALL.items() if name != "patience"} | {"stop": "budget", "steps": 2}
    averaged = solve(problem, "dip", **settings, average=0.75).x
    parts = start(problem, method("dip", settings | {"average": 0.0}), 0)
    iterates = []
    for _ in range(2):
        parts.optimizer.zero_grad()
        terms = parts.objective()
        iterates.append(terms.estimate.numpy())
        terms.total.backward()
        parts.optimizer.step()
    expected = (0.75 * 0.25 * iterates[0] + 0.25 * iterates[1]) / (0.75 * 0.25 + 0.25)
    np.testing.assert_allclose(averaged, expected, rtol=1e-12)


def test_sure_estimates_the_error_that_the_truth_would_give():
    (result,) = solve(noisy(0.1), "dip", **SMALL | {"stop": "sure", "patience": 60}).results
    error = 10 ** (-result.history["PSNR"] / 10) / 0.1**2
    assert np.abs(result.history["held_out"] - error).max() < 0.25 * error.max()
    assert error[result.kept] < 1.5 * error.min()


def test_rules_that_need_the_noise_level_say_so():
    with pytest.raises(OptionError, match="Gaussian noise of known deviation"):
        method("dip", {"stop": "sure"}).check(noisy())
    with pytest.raises(OptionError, match="noise level is unknown"):
        method("dip", {"stop": "discrepancy"}).check(noisy())
    with pytest.raises(OptionError, match="a model that is the identity"):
        data = Data(block(), Gaussian(0.1))
        method("dip", {"stop": "sure"}).check(image_problem("scaled", identity(scale=2.0), data))
    with pytest.raises(OptionError, match="0 but for adam, without the rule sure"):
        method("dip", {"stop": "sure", "average": 0.5}).check(noisy(0.1))


@pytest.mark.parametrize("name", ["tv", "tikhonov", "pinv", "pixels-tv"])
def test_other_methods_speak_the_same_language(name):
    problem = noisy(0.1)
    found = solve(problem, name)
    assert found.x.shape == (SIDE, SIDE) and found.status in (Status.DONE, Status.BUDGET)
    assert found.misfit == pytest.approx(float(np.mean((found.x - problem.data.values) ** 2)) / 0.01)
    assert bool(found.results) == (name == "pixels-tv")


def test_the_weight_of_total_variation_is_one_for_networks_pixels_and_the_classical_solver():
    """All minimize the same functional over free pixels, so the classical solver must reach its least value."""
    problem, settings = noisy(0.1), {"tv": 80.0, "link": "free"}
    classical = solve(problem, "tv", **settings, steps=3000).x
    free = solve(problem, "pixels-tv", **settings, steps=1500, learning_rate=0.003).x
    np.testing.assert_allclose(free, classical, atol=0.02)
    assert np.ptp(classical) < 0.9 * np.ptp(problem.data.values)


def test_what_the_mask_hides_reaches_no_solver():
    """Whatever stands there: the answers have the same bits."""
    mask = np.random.default_rng(0).random((SIDE, SIDE)) < 0.7
    answers = {}
    for hidden in (0.0, 1e6, np.nan):
        values = np.where(mask, noisy().data.values, hidden)
        problem = image_problem("inpaint", identity(), Data(values, Gaussian(0.1), mask))
        for name, settings in (("tv", {"steps": 50}), ("tikhonov", {}), ("pinv", {}), ("dip-tv", SMALL | {"steps": 5})):
            answers.setdefault(name, []).append(solve(problem, name, **settings).x)
    for name, found in answers.items():
        assert all(np.array_equal(found[0], other) for other in found[1:]), name


def test_counts_are_thinned_and_their_images_positive():
    problem = counts()
    found = solve(problem, "dip", **SMALL)
    assert found.x.min() > 0 and np.isfinite(found.results[0].history["held_out"]).all()
    assert np.mean((found.x - block()) ** 2) < 0.02
    em = solve(problem, "em", steps=200)
    np.testing.assert_allclose(em.x, (problem.data.values - 2) / 200, rtol=1e-4)
    assert em.misfit < found.misfit < 3


def test_complex_images_fit_complex_data(tmp_path):
    problem = kspace()
    found = solve(problem, "dip-tv", **SMALL, folder=tmp_path)
    again = solve(problem, "dip-tv", **SMALL, folder=tmp_path, resume=True)  # ended: nothing is left to do
    np.testing.assert_array_equal(again.x, found.x)
    assert np.iscomplexobj(found.x)
    assert np.linalg.norm(found.x - problem.truth) < 0.25 * np.linalg.norm(block())


def test_bad_problems_are_refused():
    values = noisy().data.values
    with pytest.raises(ShapeError, match="got data of shape"):
        image_problem("denoise", identity(), Data(values[1:]))
    with pytest.raises(ShapeError, match="mask: got shape"):
        Data(values, mask=np.ones(3, bool))
    with pytest.raises(InvalidDataError, match="mask it out"):
        Data(values * np.nan)
    with pytest.raises(InvalidDataError, match="no measurement is left"):
        Data(values, mask=np.zeros((SIDE, SIDE), bool))
    with pytest.raises(OptionError, match="low < high"):
        image_problem("denoise", identity(), Data(values), low=1.0, high=0.0)
    with pytest.raises(ShapeError, match="got a truth of shape"):
        image_problem("denoise", identity(), Data(values), truth=values[1:])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("dip", {"average": 0.5, "optimizer": "lbfgs"}, "option average"),
        ("dip", {"held_out": 0.0}, "option held_out: got 0.0 .* expected > 0"),
        ("dip", {"size": 16}, "option size: got 16 for denoise, but the method uses only"),
        ("dip", {"fit_drift": False}, "option fit_drift"),
        ("dip", {"low": 0.1}, "option low"),
        ("dip", {"link": "exp"}, None),
        ("dip", {"generator": "cells"}, "option generator"),
        ("gn-tv", {}, "option optimizer"),
        ("tv", {"learning_rate": 0.1}, "option learning_rate"),
        ("em", {}, "em for counts"),
    ],
)
def test_settings_that_do_not_apply_are_refused(name, settings, message):
    chosen = method(name, settings)
    if message is None:
        assert chosen.check(noisy()) is None
        return
    with pytest.raises(OptionError, match=message):
        chosen.check(noisy())


@pytest.mark.parametrize("name", ["tv", "tikhonov"])
def test_least_squares_is_refused_for_counts(name):
    with pytest.raises(OptionError, match="em for counts, whose noise grows with them"):
        method(name).check(counts())


def test_the_files_of_an_image(tmp_path):
    found = solve(noisy(), "dip", **SMALL | {"steps": 5})
    assert found.save(tmp_path) == json.loads((tmp_path / "result.json").read_text())
    summary = json.loads((tmp_path / "result.json").read_text())
    assert summary["problem"] == "denoise" and summary["kind"] == "image" and summary["noise level known"] is False
    assert np.load(tmp_path / "estimate.npz")["x"].shape == (SIDE, SIDE)
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert len(rows) == 6 and "PSNR" in rows[0]
    for name in ("image.png", "curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("generator", ["skip", "deep-decoder", "two-layer", "fourier", "level-set", "pixels"])
def test_images_of_any_size(generator, rng):
    values = rng.random((11, 18))
    problem = image_problem("denoise", identity((11, 18)), Data(values, Gaussian(0.1)), low=0.0, high=1.0)
    used = method("dip-tv", {"generator": generator}).used("image")
    small = {key: value for key, value in (SMALL | {"steps": 3, "channels": 2}).items() if key in used}
    found = solve(problem, "dip-tv", generator=generator, **small)
    assert found.x.shape == found.field.shape == (11, 18)
    assert torch.is_tensor(next(iter(found.results[0].state.values())))


def test_a_volume_is_no_image_of_many_channels(rng):
    """(D, H, W) with convolutions in three dimensions."""
    truth = np.zeros((6, 8, 7))
    truth[2:4, 2:6, 2:5] = 1
    values = truth + 0.1 * rng.standard_normal(truth.shape)
    model = identity(truth.shape)
    problem = image_problem("denoise", model, Data(values, Gaussian(0.1)), low=0.0, high=1.0, truth=truth, volume=True)
    assert problem.unknown.dimension == 3 and problem.unknown.channels == 1
    found = solve(problem, "dip-tv", generator="decoder", channels=4, levels=1, steps=20)
    assert found.x.shape == truth.shape and problem.unknown.picture(found.x).shape == (8, 7)
    assert found.misfit < found.results[0].history["chi2"][0]
    channels = image_problem("denoise", model, Data(values, Gaussian(0.1)))
    assert channels.unknown.dimension == 2 and channels.unknown.channels == 6


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_channels_that_are_no_colours_are_drawn_side_by_side(channels, rng, tmp_path):
    values = rng.random((channels, 9, 7))
    problem = image_problem("denoise", identity(values.shape), Data(values, Gaussian(0.1)), truth=values)
    found = solve(problem, "tikhonov", steps=2)
    found.save(tmp_path / "out")
    with np.load(tmp_path / "out/estimate.npz") as saved:
        assert saved["x"].shape == values.shape
        assert np.array_equal(saved["picture"][:, -7:], found.x[-1]) and saved["picture"].shape == (9, 7 * channels)
    assert found.plot().images[0].get_array().shape == (9, 7 * channels)
    assert (tmp_path / "out/image.png").exists()
