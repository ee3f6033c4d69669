"""What each file becomes, and the command line that reads it."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import eitdip
from eitdip.cli import app
from eitdip.cli.exits import run
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian, Poisson
from eitdip.data.streams import stream
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.imaging import Transmission
from eitdip.methods.options import method
from eitdip.phantoms import random_ellipses, random_picture
from eitdip.problems.images import image_problem
from eitdip.problems.load import TASKS, detect
from eitdip.problems.problem import Problem
from tests.imaging.test_pet import projector

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
def volume(tmp_path, rng):
    """A cube of 12 voxels a side."""
    np.save(tmp_path / "v.npy", rng.random((12, 12, 12)).astype(np.float32))
    return tmp_path / "v.npy"


@pytest.fixture
def scan(tmp_path, rng):
    pytest.importorskip("astra")
    blank = np.full((160, 192), 20.0)
    np.savez(tmp_path / "scan.npz", trans=rng.poisson(10, (160, 192)), blank=blank)
    return tmp_path / "scan.npz"


def command(*words) -> int:
    return run(lambda: app([str(word) for word in words], standalone_mode=False), name="eitdip")


@pytest.mark.parametrize(
    ("task", "settings", "shape"),
    [
        ("denoise", {"noise": 0.1}, (40, 40)),
        ("inpaint", {"missing": 0.3}, (40, 40)),
        ("super-resolve", {"factor": 4}, (10, 10)),
        ("deblur", {"width": 2.0}, (40, 40)),
        ("compressed-sense", {"share": 0.5}, (800,)),
        ("ct", {"views": 7}, (7, 58)),
    ],
)
def test_pictures(task, settings, shape, photo):
    if task == "ct":
        pytest.importorskip("astra")
    one, again, other = (eitdip.load(photo, task=task, size=40, noise_seed=s, **settings) for s in (0, 0, 1))
    assert one.name == task and one.data.shape == shape and one.truth.shape == (40, 40)
    assert np.array_equal(one.data.values, again.data.values) and one.hash == again.hash
    assert not np.array_equal(one.data.values, other.data.values) and one.hash != other.hash
    noise = (one.data.values - one.model(one.truth))[one.data.mask]
    assert noise.std() == pytest.approx(one.data.noise.sigma, rel=0.25)


def test_noise_and_missing_pixels_are_drawn_apart(photo):
    """Noise of one sign only where a pixel is known would be a bias that no picture has."""
    problem = eitdip.load(photo, task="inpaint", size=40)
    noise = problem.data.values - np.where(problem.data.mask, problem.truth, 0)
    assert abs(noise[problem.data.mask].mean()) < 4 * problem.data.noise.sigma / problem.data.count**0.5


def test_colours_and_whole_pictures(photo):
    colours = eitdip.load(photo, task="denoise", size=0, colour=True, noise=0.05)
    assert colours.truth.shape == (3, 40, 48) and colours.unknown.channels == 3
    noisy = eitdip.load(photo, task="denoise", size=0, noise=0)
    assert noisy.truth is None and not noisy.data.noise.known and noisy.data.shape == (40, 48)
    np.testing.assert_allclose(eitdip.solve(noisy, "pinv", quiet=True).x, noisy.data.values, rtol=1e-6)


def test_a_sinogram_is_limited_thinned_and_binned(disc):
    problem = eitdip.load(disc, size=16, views=10, span=60.0, start=20.0, binning=4)
    assert problem.model.domain.shape == (16, 16) and problem.truth is None and problem.unknown.low == 0
    assert problem.data.shape == (10, 14)  # ten of 31 views, four pixels of 56 at a time
    assert eitdip.load(disc, task="ct", size=16, views=0).data.shape == (181, 56)


def test_a_volume_is_seen_by_a_cone_beam(volume):
    one, again, other = (eitdip.load(volume, size=6, views=5, noise=0.1, noise_seed=seed) for seed in (0, 0, 1))
    assert one.name == "cone-beam" and one.unknown.dimension == 3 and (one.unknown.low, one.unknown.high) == (0, 1)
    blocks = np.load(volume).reshape(6, 2, 6, 2, 6, 2)
    np.testing.assert_allclose(one.truth, blocks.mean(axis=(1, 3, 5)), rtol=1e-5)
    assert np.array_equal(one.data.values, again.data.values) and one.hash == again.hash != other.hash
    clean, noise = one.model(one.truth), one.data.values - one.model(one.truth)
    assert one.data.noise.sigma == pytest.approx(0.1 * np.sqrt(np.mean(clean**2)), rel=1e-5)
    assert noise.std() == pytest.approx(one.data.noise.sigma, rel=0.1)
    assert eitdip.load(volume, size=0, views=3).truth.shape == (12, 12, 12)


def test_the_detector_sees_all_corners_of_a_volume():
    """And hardly more: with fewer pixels a corner would be out of sight in some view."""
    problem = eitdip.load("phantom:ellipses-0", size=8, views=12, noise=0.01)
    for corner in np.ndindex(2, 2, 2):
        one = np.zeros((8, 8, 8))
        one[tuple(7 * n for n in corner)] = 1
        seen = problem.model(one)
        borders = seen[:, [0, -1]].sum() + seen[:, :, [0, -1]].sum()
        assert (seen.sum(axis=(1, 2)) > 0).all() and borders == 0
    used = problem.model(np.ones((8, 8, 8))) > 0
    assert used[:, [1, -2]].any() and used[:, :, [1, -2]].any()


def test_phantoms_are_drawn_by_their_number():
    one, same, other = (eitdip.load(f"phantom:shapes-{n}", size=8, views=3) for n in (1, 1, 2))
    assert np.array_equal(one.truth, same.truth) and not np.array_equal(one.truth, other.truth)
    expected = random_picture(stream(1, "held-out pairs"), (8, 8, 8), "shapes")
    assert np.array_equal(one.truth, expected) and one.truth.max() > 0


def test_k_space_of_all_coils_is_set_aside_together(kspace):
    problem = eitdip.load(kspace, calibration=16)
    assert problem.name == "mri" and problem.data.shape == (2, 32, 32)
    assert problem.model.domain.dtype == "complex64" and problem.data.mask.sum() == 2 * 32 * 24
    held = problem.data.held_out(0.2, seed=0)
    np.testing.assert_array_equal(held[0], held[1])


def test_a_transmission_scan(scan):
    problem = eitdip.load(scan, size=32)
    assert problem.name == "pet" and problem.data.noise.name == "poisson"
    assert isinstance(problem.model, Transmission) and problem.model.domain.shape == (32, 32)
    more, less = (eitdip.solve(problem, "em", steps=steps, quiet=True) for steps in (3, 1))
    assert more.x.min() >= 0 and more.misfit < less.misfit


@pytest.fixture
def transmission() -> Problem:
    model = Transmission(projector("float32"), np.full((6, 7), 30.0), np.full((6, 7), 2.0))
    mu = np.linspace(0, 0.5, 20).reshape(4, 5)
    counts = Poisson().sample(model(mu), np.random.default_rng(0))
    return image_problem("pet", model, Data(counts, Poisson()), truth=mu, low=0.0)


def test_networks_find_an_attenuation_from_counts(transmission):
    """The nonlinear model is differentiated through its own formula."""
    settings = {"generator": "pixels", "stop": "budget", "tv": 0.0, "steps": 800, "learning_rate": 0.02}
    free = eitdip.solve(transmission, "pixels-tv", quiet=True, **settings)
    em = eitdip.solve(transmission, "em", steps=800, quiet=True)
    # Both go to the most likely image; pixels that are 0 there are only approached by positive ones.
    assert em.misfit - 1e-4 < free.misfit < 1.02 * em.misfit
    assert free.x.min() > 0


@pytest.mark.parametrize("name", ["tv", "tikhonov"])
def test_least_squares_is_refused_for_counts(name, transmission):
    with pytest.raises(OptionError, match=f"got '{method(name).optimizer}' for pet, expected"):
        eitdip.solve(transmission, name, quiet=True)


def test_counts_are_checked_before_any_work(transmission):
    values = transmission.data.values
    mask = np.ones((6, 7), bool)
    mask[0, 0] = False
    with pytest.raises(OptionError, match="got one for counts"):
        Data(values, Poisson(), mask)
    with pytest.raises(InvalidDataError, match=r"entry \(0, 0\) is 0.5"):
        Data(np.full((6, 7), 0.5), Poisson())


def test_em_is_for_counts_only(photo):
    with pytest.raises(OptionError, match="got 'em' for denoise, expected em for counts"):
        eitdip.solve(eitdip.load(photo, task="denoise", size=16), "em", quiet=True)


@pytest.mark.parametrize(
    ("task", "source", "settings", "error", "message"),
    [
        ("paint", "photo", {}, OptionError, "which holds a picture; expected one of: denoise"),
        (None, "photo", {}, OptionError, "task: got none .* which holds a picture; expected one of: denoise"),
        ("denoise", "photo", {"size": -1}, OptionError, "option size: got -1, expected at least 0"),
        ("denoise", "photo", {"size": 41}, ShapeError, "at least size"),
        ("mri", "kspace", {}, InvalidDataError, "middle .24, 24., .* choose a smaller block .option calibration."),
        ("inpaint", "photo", {"missing": 1.0, "size": 16}, OptionError, "option missing: got 1.0, expected .*< 1"),
        ("ct", "photo", {"views": 0, "size": 16}, OptionError, "views: got 0, expected at least 1"),
        ("ct", "photo", {"colour": True, "size": 16}, ShapeError, "expected a gray one"),
        ("mri", "photo", {}, OptionError, "got 'mri' for .* which holds a picture"),
        (None, "volume", {"size": 5}, ShapeError, "cube whose side is a multiple of size = 5; --set size=0 takes"),
        (None, "volume", {"views": 0, "size": 4}, OptionError, "views: got 0, expected at least 1"),
        (None, "volume", {"binning": 2}, OptionError, "option binning: got 2 for cone-beam of a volume"),
        ("ct", "volume", {}, OptionError, "which holds a volume; expected one of: cone-beam"),
        ("denoise", "kspace", {}, OptionError, "which holds a kspace; expected one of: mri"),
        ("mri", "kspace", {"size": 16}, OptionError, "option size: got 16 for mri .* which uses calibration"),
        ("mri", "kspace", {"noise": 0.1}, OptionError, "option noise: got 0.1 for mri"),
        ("denoise", "photo", {"views": 3}, OptionError, "option views: got 3 for denoise"),
        ("ct", "disc", {"noise": 0.1}, OptionError, "option noise: got 0.1 for ct of a disc"),
        ("denoise", "skimage:nobody", {}, OptionError, "scikit-image has no such picture"),
    ],
)
def test_what_is_refused(task, source, settings, error, message, request):
    source = source if ":" in source else request.getfixturevalue(source)
    with pytest.raises(error, match=message):
        eitdip.load(source, task=task, **settings)


@pytest.mark.parametrize("option", [{"reference": "empty.mat"}, {"level": 3}])
def test_what_is_of_tanks_is_refused_for_images(option, photo):
    with pytest.raises(OptionError, match="expected it with tank data only"):
        eitdip.load(photo, task="denoise", **option)


def test_the_content_tells_what_a_file_is(photo, disc, kspace, volume, scan, tmp_path):
    found = [detect(path) for path in (photo, disc, kspace, volume, scan, "phantom:cats")]
    assert found == ["picture", "disc", "kspace", "volume", "transmission", "volume"]
    assert detect("skimage:camera") == "picture"
    for content in (b"", b"no picture", b"PK\x03\x04", b"MATLAB 5.0 MAT-file" + bytes(200)):
        (tmp_path / "what").write_bytes(content)
        with pytest.raises(FileFormatError, match=r"what: (its content is not known; expected|cannot be read)"):
            detect(tmp_path / "what")
    with pytest.raises(FileFormatError, match="no such file"):
        detect(tmp_path / "none.h5")


def test_the_task_of_a_name_is_what_the_table_says():
    assert {task for known in TASKS.values() for task in known} == {
        "denoise", "inpaint", "super-resolve", "deblur", "compressed-sense", "ct", "cone-beam", "mri", "pet"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("task", "source", "name", "words"),
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
def test_the_command_writes_every_file(task, source, name, words, request, tmp_path, capsys):
    source, out = request.getfixturevalue(source), tmp_path / "out"
    pairs = [word for key, value in words.items() for word in ("--set", f"{key}={value}".replace("True", "true"))]
    assert command("reconstruct", source, "--task", task, "--method", name, "--out", out, *pairs) == 0
    printed = capsys.readouterr().out
    assert f"problem           {task}" in printed and f"results: {out}" in printed
    summary = json.loads((out / "result.json").read_text())
    assert summary["problem"] == task and np.isfinite(summary["misfit"])
    assert np.isfinite(np.load(out / "estimate.npz")["x"]).all()
    assert (out / "image.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "paint"), "expected one of: denoise"),
        (("--task", "denoise", "--level", "3"), "with tank data only"),
        (("--task", "denoise", "--method", "gan"), "expected one of: dip"),
        (("--task", "denoise", "--set", "noise=-1"), "option noise: got -1"),
        (("--task", "denoise", "--set", "sigma=1"), "unknown option"),
        (("--task", "denoise", "--method", "em"), "em for counts"),
    ],
)
def test_the_command_explains_in_one_line(words, message, photo, tmp_path, capsys):
    assert command("reconstruct", photo, *words, "--out", tmp_path / "out", "--set", "size=16") == 2
    streams = capsys.readouterr()
    assert streams.out == "" and streams.err.count("\n") == 1 and message in streams.err


def test_the_help_names_every_task(capsys):
    assert command("reconstruct", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in TASKS["picture"])


def test_a_measured_picture_has_no_noise_level(photo):
    problem = eitdip.load(photo, task="denoise", noise=0, size=16)
    assert problem.data.noise.sigma is None and isinstance(problem.data.noise, Gaussian)


def test_a_picture_is_denoised_whole_and_as_it_is(photo, capsys, tmp_path):
    problem = eitdip.load(photo, task="denoise")
    assert problem.data.shape == (40, 48) and problem.truth is None and not problem.data.noise.known
    words = ["reconstruct", photo, "--task", "inpaint", "--method", "pinv", "--set", "size=16", "--out", tmp_path / "o"]
    assert command(*words) == 0
    assert "data              simulated from 16 x 16 pixels, noise of deviation 0.05 added" in capsys.readouterr().out


def test_own_holes_are_filled(photo, tmp_path):
    """Told by a mask, or transparent; what they hide has no influence."""
    known = np.full((40, 48), 255, np.uint8)
    known[10:20, 12:30] = 0
    Image.fromarray(known).save(tmp_path / "mask.png")
    masked = eitdip.load(photo, task="inpaint", mask=str(tmp_path / "mask.png"), colour=True)
    assert masked.data.shape == (3, 40, 48) and (~masked.data.mask).sum() == 3 * 180 and masked.truth is None
    pixels = np.asarray(Image.open(photo)).copy()
    pixels[10:20, 12:30] = 77
    rgba = np.concatenate([pixels, known[..., None]], axis=2)
    Image.fromarray(rgba).save(tmp_path / "hole.png")
    transparent = eitdip.load(tmp_path / "hole.png", task="inpaint", colour=True)
    assert np.array_equal(masked.data.values, transparent.data.values) and masked.hash == transparent.hash
    found = eitdip.solve(transparent, "tv", steps=30, quiet=True).x
    assert np.array_equal(found, eitdip.solve(masked, "tv", steps=30, quiet=True).x)
    Image.fromarray(known[1:]).save(tmp_path / "small.png")
    with pytest.raises(ShapeError, match=r"got a mask of shape \(39, 48\), expected \(40, 48\)"):
        eitdip.load(photo, task="inpaint", mask=str(tmp_path / "small.png"))


def test_more_views_than_there_are_are_refused(disc):
    assert eitdip.load(disc, size=16, views=100).data.shape == (100, 56)
    with pytest.raises(OptionError, match="views: got 182, expected 1 to 181"):
        eitdip.load(disc, size=16, views=182)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16, np.uint16, np.int32])
def test_the_type_of_a_sinogram_does_not_matter(kind):
    """Squares of 12-bit integers overflow 16 bits."""
    values = np.round(np.random.default_rng(0).uniform(0, 4000, (5, 7)))
    data = Data(values.astype(kind))
    assert data.values.dtype == float
    assert data.deviation[0, 0] == pytest.approx(0.05 * np.sqrt(np.mean(values**2)), rel=1e-12)
