"""Tasks by name: what each file becomes, and the command line that reads it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from eitdip.cli import app
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.exits import run
from eitdip.imaging import Transmission, random_ellipses
from eitdip.restoration import Task, image_options, restore
from eitdip.restoration.load import TASKS, load_task
from tests.imaging.test_pet import counts_of, projector

NETWORK = {"channels": 8, "levels": 2, "steps": 12, "patience": 20}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photo(tmp_path, rng):
    """A picture in colour, 40 x 48."""
    pixels = (255 * random_ellipses(rng, 4).image((40, 48), 2 / 48).clip(0, 1)).astype(np.uint8)
    Image.fromarray(np.stack([pixels, pixels // 2, 255 - pixels], axis=-1)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def disc(tmp_path, rng):
    """A small sinogram in the layout of HTC2022."""
    pytest.importorskip("astra")
    parameters = {
        "distanceSourceOrigin": 410.66, "distanceSourceDetector": 553.74, "pixelSizePost": 2.0,
        "effectivePixelSizePost": 0.148322, "numDetectorsPost": 56, "angles": np.arange(0, 361, 2.0),
    }  # fmt: skip
    sinogram = rng.uniform(0.5, 2, (181, 56))
    savemat(tmp_path / "ta.mat", {"CtDataFull": {"type": "2D", "sinogram": sinogram, "parameters": parameters}})
    return tmp_path / "ta.mat"


@pytest.fixture
def kspace(tmp_path, rng):
    """Two coils, every other line of k-space."""
    samples = rng.standard_normal((2, 32, 32)) + 1j * rng.standard_normal((2, 32, 32))
    samples[:, [0, 2, 4, 6, 25, 27, 29, 31]] = 0
    np.save(tmp_path / "k.npy", samples.astype(np.complex64))
    return tmp_path / "k.npy"


@pytest.fixture
def scan(tmp_path, rng):
    pytest.importorskip("astra")
    blank = np.full((160, 192), 20.0)
    np.savez(tmp_path / "scan.npz", trans=rng.poisson(10, (160, 192)), blank=blank)
    return tmp_path / "scan.npz"


def command(*words) -> int:
    return run(lambda: app([str(word) for word in words], standalone_mode=False), name="eitdip")


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("denoise", {}, (40, 40)),
        ("inpaint", {"missing": 0.3}, (40, 40)),
        ("super-resolve", {"factor": 4}, (10, 10)),
        ("deblur", {"width": 2.0}, (40, 40)),
        ("compressed-sense", {"share": 0.5}, (800,)),
        ("ct", {"views": 7}, (7, 58)),
    ],
)
def test_pictures(name, settings, shape, photo):
    if name == "ct":
        pytest.importorskip("astra")
    task, again, other = (load_task(name, photo, {"size": 40, "noise_seed": s} | settings) for s in (0, 0, 1))
    assert task.name == name and tuple(task.data.shape) == shape and task.truth.shape == (40, 40)
    assert torch.equal(task.data, again.data) and not torch.equal(task.data, other.data)
    found = np.asarray(task.operator(torch.from_numpy(task.truth)))
    measured = task.measured if isinstance(task.measured, np.ndarray) else np.array(task.measured)
    noise = (task.data.numpy() - found)[measured]
    assert noise.std() == pytest.approx(task.sigma, rel=0.25)


def test_colours_and_whole_pictures(photo):
    task = load_task("denoise", photo, {"size": 0, "colour": True, "noise": 0.05})
    assert task.truth.shape == (3, 40, 48)
    noisy = load_task("denoise", photo, {"size": 0, "noise": 0})
    assert noisy.truth is None and noisy.sigma is None and tuple(noisy.data.shape) == (40, 48)
    np.testing.assert_allclose(restore(noisy, image_options("pinv"), quiet=True).image, noisy.data)


def test_a_sinogram_is_limited_thinned_and_binned(disc):
    task = load_task("ct", disc, {"size": 16, "views": 10, "span": 60, "start": 20, "binning": 4})
    assert task.operator.domain.shape == (16, 16) and task.truth is None and task.low == 0
    assert tuple(task.data.shape) == (11, 14)  # every third of 31 views, four pixels of 56 at a time
    whole = load_task("ct", disc, {"size": 16, "views": 0})
    assert tuple(whole.data.shape) == (181, 56)


def test_k_space_of_all_coils_is_set_aside_together(kspace):
    task = load_task("mri", kspace, {"calibration": 16})
    assert tuple(task.data.shape) == (2, 32, 32) and task.operator.domain.dtype == "complex64"
    assert task.measured.sum() == 2 * 32 * 24
    held = task.held_out(0.2, seed=0)
    np.testing.assert_array_equal(held[0], held[1])


def test_a_transmission_scan(scan):
    task = load_task("pet", scan, {"size": 32})
    assert task.counts and isinstance(task.operator, Transmission) and task.operator.domain.shape == (32, 32)
    found = restore(task, image_options("em", {"steps": 3}), quiet=True)
    assert found.image.min() >= 0 and found.misfit < restore(task, image_options("em", {"steps": 1}), quiet=True).misfit


@pytest.fixture
def transmission() -> Task:
    model = Transmission(projector("float32"), np.full((6, 7), 30.0), np.full((6, 7), 2.0))
    mu = torch.linspace(0, 0.5, 20).reshape(4, 5)
    return Task("pet", model, counts_of(model(mu)).double(), truth=mu.numpy(), low=0.0)


def test_networks_find_an_attenuation_from_counts(transmission):
    """The nonlinear model is differentiated through its own formula."""
    assert transmission.background == 0.0  # the model adds its own
    settings = {"generator": "pixels", "stop": "budget", "tv": 0.0, "steps": 800, "learning_rate": 0.02}
    free = restore(transmission, image_options("pixels-tv", settings), quiet=True)
    em = restore(transmission, image_options("em", {"steps": 800}), quiet=True)
    # Both go to the most likely image; pixels that are 0 there are only approached by positive ones.
    assert em.misfit - 1e-4 < free.misfit < 1.02 * em.misfit
    assert free.image.min() > 0


@pytest.mark.parametrize("method", ["tv", "tikhonov"])
def test_least_squares_is_refused_for_counts(method, transmission):
    with pytest.raises(OptionError, match="whose noise grows with the counts; expected 'em'"):
        restore(transmission, image_options(method), quiet=True)


def test_counts_are_checked_before_any_work(transmission):
    model = transmission.operator
    with pytest.raises(OptionError, match="got a mask for counts"):
        Task("pet", model, transmission.data, mask=np.ones((6, 7), bool))
    with pytest.raises(InvalidDataError, match=r"entry \(0, 0\) is 0.5"):
        Task("pet", model, torch.full((6, 7), 0.5))


def test_em_is_for_counts_only(photo):
    task = load_task("denoise", photo, {"size": 16})
    with pytest.raises(OptionError, match="got 'em' for denoise, expected counts"):
        restore(task, image_options("em"), quiet=True)


@pytest.mark.parametrize(
    ("name", "source", "settings", "error", "message"),
    [
        ("paint", "photo", {}, OptionError, "expected one of: denoise"),
        ("denoise", "photo", {"size": -1}, OptionError, "option size: got -1, expected >= 0"),
        ("denoise", "photo", {"size": 41}, ShapeError, "at least size"),
        ("mri", "kspace", {}, InvalidDataError, "middle .24, 24., .* choose a smaller block .option calibration."),
        ("inpaint", "photo", {"missing": 1.0, "size": 16}, OptionError, "missing: got 1.0, expected 0 < missing < 1"),
        ("ct", "photo", {"views": 0, "size": 16}, OptionError, "views: got 0, expected at least 1"),
        ("ct", "photo", {"colour": True, "size": 16}, ShapeError, "expected a gray one"),
        ("mri", "photo", {}, FileFormatError, "cannot be read as a NumPy file"),
        ("pet", "photo", {}, FileFormatError, "photo.png"),
        ("denoise", "kspace", {}, FileFormatError, "cannot be read as a picture"),
        ("denoise", "skimage:nobody", {}, OptionError, "scikit-image has no such picture"),
    ],
)
def test_what_is_refused(name, source, settings, error, message, request):
    source = source if ":" in source else request.getfixturevalue(source)
    with pytest.raises(error, match=message):
        load_task(name, source, settings)


@pytest.mark.parametrize(
    ("task", "source", "method", "words"),
    [
        ("inpaint", "photo", "dip-tv", {"size": 16} | NETWORK),
        ("denoise", "photo", "tv", {"size": 16, "steps": 5}),
        ("denoise", "photo", "dip", {"size": 16, "colour": True, "generator": "convolutional-decoder"} | NETWORK),
        ("ct", "disc", "tikhonov", {"size": 16, "views": 10, "steps": 5}),
        ("mri", "kspace", "dip", {"calibration": 16} | NETWORK),
        ("pet", "scan", "dip", {"size": 16} | NETWORK),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_command_writes_every_file(task, source, method, words, request, tmp_path, capsys):
    source, out = request.getfixturevalue(source), tmp_path / "out"
    pairs = [word for name, value in words.items() for word in ("--set", f"{name}={value}".replace("True", "true"))]
    assert command("reconstruct", source, "--task", task, "--method", method, "--out", out, *pairs) == 0
    printed = capsys.readouterr().out
    assert f"task              {task}" in printed and f"results: {out}" in printed
    summary = json.loads((out / "result.json").read_text())
    assert summary["task"] == task and np.isfinite(summary["misfit"])
    assert np.isfinite(np.load(out / "estimate.npz")["image"]).all()
    assert (out / "image.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "paint"), "expected one of: denoise"),
        (("--task", "denoise", "--level", "3"), "with tank data only"),
        (("--task", "denoise", "--method", "gan"), "expected one of: dip"),
        (("--task", "denoise", "--set", "noise=-1"), "option noise: got -1"),
        (("--task", "denoise", "--set", "sigma=1"), "unknown option"),
        (("--task", "denoise", "--method", "em"), "expected counts"),
    ],
)
def test_the_command_explains_in_one_line(words, message, photo, tmp_path, capsys):
    assert command("reconstruct", photo, *words, "--out", tmp_path / "out", "--set", "size=16") == 2
    streams = capsys.readouterr()
    assert streams.out == "" and streams.err.count("\n") == 1 and message in streams.err


def test_the_command_takes_one_file(photo, tmp_path, capsys):
    assert command("reconstruct", photo, photo, "--task", "denoise", "--out", tmp_path / "out") == 2
    assert "got 2 files with --task, expected one" in capsys.readouterr().err


def test_the_help_names_every_task(capsys):
    assert command("reconstruct", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in TASKS)
