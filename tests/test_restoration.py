"""Linear tasks from data to image: options, stopping, resuming, files, the command line."""

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.errors import CheckpointError, FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.imaging import Gaussian, Poisson, SparseOperator
from eitdip.operator import Space
from eitdip.reconstruction import Status
from eitdip.restoration import Task, build, image_options, restore
from eitdip.restoration.output import write
from eitdip.restoration.pictures import read_picture, square

SIDE = 16
SMALL = {"channels": 8, "levels": 2, "steps": 60, "patience": 20}


def block() -> np.ndarray:
    image = np.full((SIDE, SIDE), 0.2)
    image[4:11, 5:13] = 0.8
    return image


def identity(dtype: str = "float64") -> SparseOperator:
    space = Space((SIDE, SIDE), dtype)
    return SparseOperator(sparse.eye_array(SIDE**2, format="csr"), space, space, Gaussian(0.1))


def denoising(sigma: float | None = None, seed: int = 5) -> Task:
    operator = identity()
    data = operator.noise.sample(torch.from_numpy(block()), torch.Generator().manual_seed(seed))
    return Task("denoise", operator, data, sigma, truth=block(), low=0.0, high=1.0)


def test_the_prior_removes_noise_and_the_held_out_rule_keeps_its_best():
    task = denoising()
    found = restore(task, image_options("dip", SMALL | {"steps": 250, "average": 0.95}), quiet=True)
    noisy = 10 * np.log10(1 / np.mean((task.data.numpy() - block()) ** 2))
    (result,) = found.results
    assert found.psnr > noisy + 0.5  # 16 x 16 pixels leave little to be learned
    assert result.kept == np.argmin(result.history["held_out"])
    assert found.psnr == pytest.approx(result.history["PSNR"][result.kept])
    assert found.image.min() >= 0 and found.image.max() <= 1


def test_a_second_run_starts_anew_and_gives_the_same_bits():
    task, options = denoising(), image_options("dip-tv", SMALL | {"input_noise": 0.1})
    first, again = (restore(task, options, quiet=True).image for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = restore(task, image_options("dip-tv", SMALL | {"input_noise": 0.1, "seed": 1}), quiet=True).image
    assert np.abs(other - first).max() > 1e-3


def test_an_interrupted_run_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    """Also with noise on the input and an average, which have states of their own."""
    task, options = denoising(), image_options("dip", SMALL | {"input_noise": 0.1, "stop": "budget"})
    whole = restore(task, options, quiet=True)
    heard = iter([False] * 24 + [True])
    with monkeypatch.context() as patch:
        patch.setattr("eitdip.restoration.session.Interruption.heard", lambda self: next(heard))
        part = restore(task, options, folder=tmp_path, quiet=True)
    assert part.status == Status.INTERRUPTED and part.results[0].iterations == 25
    resumed = restore(task, options, folder=tmp_path, resume=True, quiet=True)
    np.testing.assert_array_equal(resumed.image, whole.image)
    np.testing.assert_array_equal(resumed.results[0].history["loss"], whole.results[0].history["loss"])
    with pytest.raises(CheckpointError, match="another run"):
        restore(denoising(seed=6), options, folder=tmp_path, resume=True, quiet=True)


def test_the_average_is_of_the_iterates():
    task, settings = denoising(), SMALL | {"stop": "budget", "steps": 2}
    averaged = restore(task, image_options("dip", settings | {"average": 0.75}), quiet=True).image
    parts = build(task, image_options("dip", settings | {"average": 0.0}), 0)
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
    task = denoising(0.1)
    options = image_options("dip", SMALL | {"stop": "sure", "average": 0.0, "patience": 60, "held_out": 0.1})
    (result,) = restore(task, options, quiet=True).results
    error = 10 ** (-result.history["PSNR"] / 10) / 0.1**2
    assert np.abs(result.history["held_out"] - error).max() < 0.25 * error.max()
    assert error[result.kept] < 1.5 * error.min()


def test_sure_needs_the_noise_level():
    with pytest.raises(OptionError, match="and its noise level"):
        restore(denoising(), image_options("dip", SMALL | {"stop": "sure", "average": 0.0}), quiet=True)
    with pytest.raises(OptionError, match="noise level is unknown"):
        restore(denoising(), image_options("dip", SMALL | {"stop": "discrepancy"}), quiet=True)


@pytest.mark.parametrize("name", ["tv", "tikhonov", "pinv", "pixels-tv"])
def test_other_methods_speak_the_same_language(name):
    found = restore(denoising(0.1), image_options(name), quiet=True)
    assert found.image.shape == (SIDE, SIDE) and found.status in (Status.DONE, Status.BUDGET)
    assert found.misfit == pytest.approx(float(np.mean((found.image - denoising().data.numpy()) ** 2)) / 0.01)


def test_the_weight_of_total_variation_is_one_for_networks_pixels_and_the_classical_solver():
    """All minimize the same functional over free pixels, so the classical solver must reach its least value."""
    task = denoising(0.1)
    options = {"tv": 20.0, "bounded": False}
    classical = restore(task, image_options("tv", options | {"steps": 3000}), quiet=True).image
    free = restore(task, image_options("pixels-tv", options | {"steps": 1500, "learning_rate": 0.003}), quiet=True)
    np.testing.assert_allclose(free.image, classical, atol=0.02)


def test_counts_are_thinned_and_their_images_positive():
    space = Space((SIDE, SIDE))
    operator = SparseOperator(200 * sparse.eye_array(SIDE**2, format="csr"), space, space, Poisson())
    data = operator.noise.sample(operator(torch.from_numpy(block())), torch.Generator().manual_seed(1))
    task = Task("pet", operator, data, truth=block(), low=0.0)
    found = restore(task, image_options("dip", SMALL), quiet=True)
    assert found.image.min() > 0 and np.isfinite(found.results[0].history["held_out"]).all()
    assert np.mean((found.image - block()) ** 2) < 0.02
    em = restore(task, image_options("em", {"steps": 20}), quiet=True)
    np.testing.assert_allclose(em.image, data / 200, rtol=1e-6)


def test_complex_images_fit_complex_data(tmp_path):
    phase = np.exp(1j * np.linspace(0, 1, SIDE**2).reshape(SIDE, SIDE))
    space = Space((SIDE, SIDE), "complex128")
    operator = SparseOperator(sparse.eye_array(SIDE**2, format="csr"), space, space, Gaussian(0.05))
    data = operator.noise.sample(torch.from_numpy(block() * phase), torch.Generator().manual_seed(1))
    task, options = Task("mri", operator, data, truth=block() * phase), image_options("dip-tv", SMALL)
    found = restore(task, options, folder=tmp_path, quiet=True)
    again = restore(task, options, folder=tmp_path, resume=True, quiet=True)  # ended: nothing is left to do
    np.testing.assert_array_equal(again.image, found.image)
    assert np.iscomplexobj(found.image)
    assert np.linalg.norm(found.image - block() * phase) < 0.25 * np.linalg.norm(block())


def test_measurements_are_set_aside_together():
    task = denoising()
    coils = Task("mri", identity(), task.data, tied=(0,))
    held = coils.held_out(0.25, seed=3)
    assert held.sum() == SIDE * 4 and (held.all(axis=0) | ~held.any(axis=0)).all()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:2] = True
    held = Task("inpaint", identity(), task.data, mask=mask).held_out(0.5, seed=3)
    assert held.sum() == SIDE and not held[2:].any()
    with pytest.raises(OptionError, match="some but not all"):
        coils.held_out(0.001, seed=3)


def test_bad_tasks_are_refused():
    data = denoising().data
    with pytest.raises(ShapeError, match="got data of shape"):
        Task("denoise", identity(), data[1:])
    with pytest.raises(ShapeError, match="mask of shape"):
        Task("denoise", identity(), data, mask=np.ones(3, bool))
    with pytest.raises(InvalidDataError, match="NaN or infinity"):
        Task("denoise", identity(), data * np.nan)
    with pytest.raises(InvalidDataError, match="empty"):
        Task("denoise", identity(), data, mask=np.zeros((SIDE, SIDE), bool))
    with pytest.raises(OptionError, match="sigma"):
        Task("denoise", identity(), data, sigma=0.0)
    with pytest.raises(OptionError, match="low < high"):
        Task("denoise", identity(), data, low=1.0, high=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"average": 1.0}, "average"),
        ({"held_out": 0.0}, "held_out"),
        ({"tv": -1.0}, "tv"),
        ({"generator": "gan"}, "expected one of: skip"),
        ({"colour": True}, "unknown option"),
    ],
)
def test_bad_options_are_refused(settings, message):
    with pytest.raises(OptionError, match=message):
        image_options("dip", settings)


def test_the_square_of_a_picture_keeps_its_mean(rng):
    picture = rng.random((3, 30, 42))
    middle = picture[:, :, 6:36]
    np.testing.assert_allclose(square(picture, 30), middle)
    np.testing.assert_allclose(square(picture, 15), middle.reshape(3, 15, 2, 15, 2).mean(axis=(2, 4)))
    assert square(picture, 7).mean() == pytest.approx(middle.mean())
    with pytest.raises(ShapeError, match="at least size"):
        square(picture, 31)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(FileFormatError, match="cannot be read as a picture"):
        read_picture(tmp_path / "a.png")


def test_the_files_of_a_restoration(tmp_path):
    task, options = denoising(), image_options("dip", SMALL | {"steps": 5})
    write(tmp_path, task, restore(task, options, quiet=True), "dip", options)
    summary = json.loads((tmp_path / "result.json").read_text())
    assert summary["task"] == "denoise" and summary["noise level known"] is False
    assert np.load(tmp_path / "estimate.npz")["image"].shape == (SIDE, SIDE)
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert len(rows) == 6 and "PSNR" in rows[0]
    for name in ("image.png", "curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_images_of_any_size(rng):
    space = Space((11, 18))
    operator = SparseOperator(sparse.eye_array(11 * 18, format="csr"), space, space, Gaussian(0.1))
    task = Task("denoise", operator, torch.from_numpy(rng.random((11, 18))), low=0.0, high=1.0)
    for generator in ("skip", "deep-decoder", "two-layer", "pixels"):
        found = restore(task, image_options("dip-tv", SMALL | {"generator": generator, "steps": 3}), quiet=True)
        assert found.image.shape == (11, 18)
