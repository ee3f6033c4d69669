"""The pictures are there, complete, and show what they were given."""

import io
import os

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from eitdip import plot
from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, OutputError, ShapeError
from eitdip.mesh import Domain
from eitdip.plot import style
from tests.cases.meshes import bar, ring_disk
from tests.cases.solids import box_with_electrodes

BACKGROUND = 0.75


@pytest.fixture(scope="module")
def disk() -> Domain:
    return ring_disk(8, 16, radius=0.115)


@pytest.fixture(scope="module")
def sigma(disk) -> np.ndarray:
    return _two_disks(disk.centroids / 0.115)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    x = (np.arange(40) + 0.5) / 20 - 1
    points = np.stack(np.meshgrid(x, -x), axis=-1)
    return np.where(np.square(points).sum(axis=-1) > 1, np.nan, _two_disks(points))


@pytest.fixture
def fit(rng) -> dict[str, np.ndarray]:
    prediction = 1e-3 * rng.standard_normal((6, 15))
    deviation = np.full((6, 15), 1e-4)
    data = prediction + deviation * rng.standard_normal((6, 15))
    mask = rng.random((6, 15)) > 0.2
    mask[0] = False
    data[~mask] = np.nan
    return {"data": data, "prediction": prediction, "deviation": deviation, "mask": mask}


@pytest.fixture
def history() -> dict[str, np.ndarray]:
    chi2 = 1 + 50 * np.exp(-np.arange(80) / 10)
    tv = 0.01 * np.arange(80)
    return {"loss": chi2 + tv, "chi2": chi2, "held_out": np.full(80, np.nan), "misfit": chi2, "tv": tv}


def _two_disks(points) -> np.ndarray:
    """One conductive disk at the upper right, one resistive at the left; lengths in radii."""
    x, y = np.moveaxis(points, -1, 0)
    values = np.where(np.hypot(x - 0.4, y - 0.4) < 0.3, 5.0, BACKGROUND)
    return np.where(np.hypot(x + 0.5, y) < 0.3, 0.05, values)


def _pixels(path) -> np.ndarray:
    """RGB of a PNG, 0..1, after checks that hold for every picture; leaves nothing else behind."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert _dpi(content) == style.DPI
    assert 2_000 < len(content) < 500_000
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    pixels = imread(io.BytesIO(content))[..., :3]
    assert all(2 < side / style.DPI < 17 for side in pixels.shape[:2])
    assert pixels.std() > 0.05
    for edge in (pixels[[0, -1]], pixels[:, [0, -1]]):
        assert (edge == 1).all(), "something is cut off"
    return pixels


def _count(pixels, colour: str) -> int:
    """Number of pixels at 150 dpi that are rather red or blue."""
    return int(_are(pixels, colour).sum() * (150 / style.DPI) ** 2)


def _dpi(content: bytes) -> int:
    return round(int.from_bytes(content[content.index(b"pHYs") + 4 :][:4], "big") * 0.0254)


def _are(pixels, colour: str) -> np.ndarray:
    excess = pixels[..., 0] - pixels[..., 2]
    return (excess if colour == "red" else -excess) > 0.25


def test_conductivity_red_conducts_and_blue_resists(tmp_path, disk, sigma):
    path = tmp_path / "a.png"
    plot.conductivity(path, disk, sigma, background=BACKGROUND, title="two disks")
    both = _pixels(path)
    plot.conductivity(path, disk, np.minimum(sigma, BACKGROUND), background=BACKGROUND)
    resistive = _pixels(path)
    plot.conductivity(path, disk, np.maximum(sigma, BACKGROUND), background=BACKGROUND)
    conductive = _pixels(path)
    inclusion = 12_000  # pixels; the colour bar has fewer
    assert _count(both, "red") > inclusion and _count(both, "blue") > inclusion
    assert _count(resistive, "red") < inclusion < _count(resistive, "blue")
    assert _count(conductive, "blue") < inclusion < _count(conductive, "red")


@pytest.mark.parametrize("kind", ["cells", "vertices"])
def test_constant_conductivity_has_the_background_colour(tmp_path, disk, kind):
    path = tmp_path / "a.png"
    plot.conductivity(path, disk, np.full(len(getattr(disk, kind)), BACKGROUND), background=BACKGROUND)
    pixels = _pixels(path)
    rows, columns = pixels.shape[:2]
    middle = pixels[rows // 3 : rows // 2, columns // 3 : columns // 2]
    np.testing.assert_allclose(middle, matplotlib.colormaps["RdBu_r"](0.5)[0], atol=0.02)


def test_conductivity_is_drawn_where_it_is(tmp_path, disk, sigma):
    """Up is up and right is right, for the mesh and for the truth image."""
    path = tmp_path / "a.png"
    image = np.full((20, 20), BACKGROUND)
    image[2:7, 13:17] = 5.0
    plot.conductivity(path, disk, np.full(len(sigma), BACKGROUND), truth=image, background=BACKGROUND)
    blank = _pixels(path)
    plot.conductivity(path, disk, np.where(sigma > 1, 5.0, BACKGROUND), truth=image, background=BACKGROUND)
    pixels = _pixels(path)
    assert pixels.shape == blank.shape
    height, width = pixels.shape[:2]
    left, right = slice(0, width // 2), slice(width // 2, int(0.88 * width))
    assert not _count(blank[:, left], "red")
    for panel in (pixels[:, left], pixels[:, right], blank[:, right]):
        row, column = np.argwhere(_are(panel, "red")).mean(axis=0)
        assert 0.2 * height < row < 0.45 * height
        assert column > 0.5 * panel.shape[1]


def test_changing_conductivity_changes_only_pixels_of_that_cell(tmp_path, disk, sigma):
    path = tmp_path / "a.png"
    plot.conductivity(path, disk, sigma, background=BACKGROUND)
    before = _pixels(path)
    cell = int(np.argmin(np.hypot(*(disk.centroids - (0.0, -0.06)).T)))
    changed = sigma.copy()
    changed[cell] = 2.0
    plot.conductivity(path, disk, changed, background=BACKGROUND)
    different = (_pixels(path) != before).any(axis=-1)
    assert 5 < different.sum() < 0.01 * different.size


@pytest.mark.parametrize(
    "domain",
    [
        ring_disk(4, radius=1.0),
        ring_disk(4, 8, radius=0.002, degree=2),
        ring_disk(16, 32, radius=0.1),
        bar(6, 3, 0.3, 0.1),
    ],
    ids=["no electrodes", "curved", "32 electrodes", "bar"],
)
@pytest.mark.parametrize("background", [None, 1.0])
def test_every_domain(tmp_path, domain, background):
    sigma = 1.0 + np.linspace(0, 0.5, len(domain.cells))
    plot.conductivity(tmp_path / "a.png", domain, sigma, background=background)
    _pixels(tmp_path / "a.png")


def test_outliers_do_not_hide_the_rest(tmp_path, disk, sigma):
    path = tmp_path / "a.png"
    outlier = sigma.copy()
    outlier[[0, -1]] = 1e-12, 1e12
    plot.conductivity(path, disk, outlier, background=BACKGROUND)
    assert _count(_pixels(path), "blue") > 12_000


@pytest.mark.parametrize("count", [1, 3, 7])
def test_images(tmp_path, truth, count):
    panels = {f"method {i}": truth * 1.1**i for i in range(count)}
    panels["method 0"] = truth[::2, ::2]
    plot.images(tmp_path / "a.png", panels, background=BACKGROUND, title="a comparison")
    assert _count(_pixels(tmp_path / "a.png"), "red") > 1000 * count
    if count == 3:
        plot.images(tmp_path / "a.png", panels, extent=(-0.1, 0.1, -0.1, 0.1))
        _pixels(tmp_path / "a.png")


def test_labels(tmp_path, truth):
    path = tmp_path / "a.png"
    classes = np.where(truth > 1, 2, np.where(truth < 0.5, 1, 0))
    plot.labels(path, classes)
    pixels = _pixels(path)
    red, blue = _count(pixels, "red"), _count(pixels, "blue")
    assert red > 10_000 and blue > 10_000
    plot.labels(path, np.zeros_like(classes), classes)
    both = _pixels(path)
    assert both.shape[1] > 1.8 * pixels.shape[1]
    assert 0.7 * red < _count(both, "red") < 1.3 * red, "red is in one of the two panels"


@pytest.mark.parametrize("excitations", [1, 2])
def test_data_fit_of_few_excitations(tmp_path, fit, excitations):
    plot.data_fit(tmp_path / "a.png", **{name: array[1 : 1 + excitations] for name, array in fit.items()})
    _pixels(tmp_path / "a.png")


def test_data_fit(tmp_path, fit):
    plot.data_fit(tmp_path / "a.png", **fit, reference_prediction=0.9 * fit["prediction"])
    _pixels(tmp_path / "a.png")


def test_data_fit_of_zero_data(tmp_path):
    zero, one = np.zeros((2, 3)), np.ones((2, 3))
    plot.data_fit(tmp_path / "a.png", zero, zero, one, one)
    _pixels(tmp_path / "a.png")


def test_curves(tmp_path, history):
    path = tmp_path / "a.png"
    plot.curves(path, history)
    plain = _pixels(path)
    plot.curves(path, history, kept=40)
    kept = _pixels(path)
    assert _count(kept, "red") > _count(plain, "red") + 400
    plot.curves(path, history | {"held_out": 1.2 * history["chi2"]})
    assert not np.array_equal(_pixels(path), plain)


def test_curves_of_seconds_and_errors(tmp_path, history):
    """Seconds are no loss; the error has its own axes."""
    path, steps = tmp_path / "a.png", len(history["loss"])
    plot.curves(path, history)
    plain = _pixels(path)
    plot.curves(path, history | {"seconds": np.arange(1.0, steps + 1)})
    assert np.array_equal(_pixels(path), plain)
    plot.curves(path, history | {"relative L2": np.full(steps, 0.2)})
    assert _pixels(path).shape[0] == pytest.approx(1.5 * plain.shape[0], rel=0.05)


def test_methods_against_time(tmp_path, history):
    path, seconds = tmp_path / "a.png", np.arange(1.0, len(history["loss"]) + 1)
    one = {"seconds": seconds, "chi2": np.linspace(90, 2, len(seconds)), "relative L2": 1 / seconds}
    plot.against_time(path, {"a": one}, "relative L2")
    alone = _pixels(path)
    plot.against_time(path, {"a": one, "b": {name: 2 * values[:1] for name, values in one.items()}}, "relative L2")
    assert not np.array_equal(_pixels(path), alone)
    plot.against_time(path, {"a": one}, "chi2")
    assert not np.array_equal(_pixels(path), alone)
    with pytest.raises(ShapeError, match="history of 'a'"):
        plot.against_time(path, {"a": one | {"chi2": one["chi2"][1:]}}, "chi2")


@pytest.mark.parametrize("steps", [1, 2])
def test_curves_of_few_steps(tmp_path, history, steps):
    """The first step has a zero penalty, and may be the only one."""
    plot.curves(tmp_path / "a.png", {name: values[:steps] for name, values in history.items()}, kept=0)
    _pixels(tmp_path / "a.png")


def test_curves_without_anything_positive(tmp_path):
    plot.curves(tmp_path / "a.png", {"loss": -np.ones(3), "chi2": np.zeros(3)})
    assert (tmp_path / "a.png").exists()


def test_wrong_conductivities_are_refused(tmp_path, disk, sigma, truth):
    path = tmp_path / "a.png"
    with pytest.raises(ShapeError, match=r"sigma: got 383, expected 384 \(cells\) or 217 \(vertices\)"):
        plot.conductivity(path, disk, sigma[1:])
    with pytest.raises(ShapeError, match=r"sigma: got shape .* expected a vector"):
        plot.conductivity(path, disk, sigma[None])
    with pytest.raises(ShapeError, match=r"truth: got shape .* expected an image"):
        plot.conductivity(path, disk, sigma, truth=sigma)
    with pytest.raises(NotPositiveError, match=r"sigma: entry \(0,\) is -1"):
        plot.conductivity(path, disk, np.full(len(sigma), -1.0))
    with pytest.raises(NotPositiveError, match=r"sigma: entry \(3,\) is nan"):
        plot.conductivity(path, disk, np.where(np.arange(len(sigma)) == 3, np.nan, sigma))
    with pytest.raises(NotPositiveError, match="background: got 0"):
        plot.conductivity(path, disk, sigma, background=0.0)
    with pytest.raises(ShapeError, match="got 0 panels"):
        plot.images(path, {})
    with pytest.raises(ShapeError, match=r"extent \(0, 1\)"):
        plot.images(path, {"a": truth}, extent=(0, 1))
    with pytest.raises(ShapeError, match="panel 'b': got shape"):
        plot.images(path, {"a": truth, "b": truth[0]})
    with pytest.raises(NotPositiveError, match=r"panel 'a': entry \(0, 0\) is 0"):
        plot.images(path, {"a": np.zeros((2, 2))})
    assert not list(tmp_path.iterdir())


def test_wrong_labels_fits_and_histories_are_refused(tmp_path, fit, history):
    path, classes = tmp_path / "a.png", np.zeros((4, 4), dtype=int)
    with pytest.raises(ShapeError, match="segmentation: got shape"):
        plot.labels(path, classes[0])
    with pytest.raises(ShapeError, match=r"truth: got shape \(3, 4\)"):
        plot.labels(path, classes, classes[1:])
    with pytest.raises(InvalidDataError, match="segmentation: got other values than 0, 1, 2"):
        plot.labels(path, classes + 3)
    with pytest.raises(ShapeError, match=r"prediction: got shape \(5, 15\), mask \(6, 15\)"):
        plot.data_fit(path, **fit | {"prediction": fit["prediction"][1:]})
    with pytest.raises(InvalidDataError, match="data: got NaN"):
        plot.data_fit(path, **fit | {"mask": np.ones((6, 15), dtype=bool)})
    with pytest.raises(ShapeError, match="reference_prediction: got shape"):
        plot.data_fit(path, **fit, reference_prediction=fit["prediction"][:, 1:])
    with pytest.raises(InvalidDataError, match="nothing at all"):
        plot.data_fit(path, **fit | {"mask": np.zeros((6, 15), dtype=bool)})
    with pytest.raises(NotPositiveError, match="deviation: got an entry <= 0"):
        plot.data_fit(path, **fit | {"deviation": np.zeros((6, 15))})
    with pytest.raises(ShapeError, match="history: got shapes"):
        plot.curves(path, history | {"tv": np.zeros(3)})
    with pytest.raises(ShapeError, match="history: got shapes"):
        plot.curves(path, {})
    with pytest.raises(OptionError, match="kept: got 80, expected a step from 0 to 79"):
        plot.curves(path, history, kept=80)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_named_and_left_clean(tmp_path, truth):
    with pytest.raises(OutputError, match=r"nowhere.*cannot be written"):
        plot.images(tmp_path / "nowhere" / "a.png", {"a": truth})
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match=r"a\.png: cannot be written"):
        plot.images(tmp_path / "a.png", {"a": truth})
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_replacement_keeps_the_old_file(tmp_path, truth, monkeypatch):
    path = tmp_path / "a.png"
    plot.images(path, {"a": truth})
    old = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        plot.images(path, {"a": 2 * truth})
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_matplotlib_keeps_its_state(tmp_path, python):
    """No pyplot, no changed settings, no torch or DOLFINx; a user's own style does no harm."""
    code = """
import sys, matplotlib, numpy as np
matplotlib.rcParams["font.size"] = 31
matplotlib.rcParams["text.usetex"] = True
before = dict(matplotlib.rcParams.copy())
from eitdip import plot
from eitdip.errors import OutputError
plot.images(sys.argv[1], {"a": np.ones((9, 9))})
try:
    plot.images(sys.argv[1] + "/no/such/folder.png", {"a": np.ones((9, 9))})
except OutputError:
    pass
assert dict(matplotlib.rcParams.copy()) == before
print([name for name in ("matplotlib.pyplot", "torch", "dolfinx") if name in sys.modules])
"""
    assert python(code, str(tmp_path / "a.png")).strip() == "[]"
    assert _dpi((tmp_path / "a.png").read_bytes()) == 150


def test_the_same_picture_has_the_same_bytes(tmp_path, truth):
    for name in ("a.png", "b.png"):
        plot.images(tmp_path / name, {"a": truth})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def axes_of(draw) -> np.ndarray:
    """What a function draws into the left half of a figure; the right half must stay white."""
    figure = Figure(figsize=(8, 4))
    canvas = FigureCanvasAgg(figure)
    draw(figure.add_axes((0.06, 0.1, 0.34, 0.8)))
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    assert (pixels[:, pixels.shape[1] // 2 :] == 1).all() and pixels.std() > 0.05
    return pixels


def test_a_field_is_drawn_into_given_axes(disk, sigma):
    solid = box_with_electrodes(4)
    across = np.where(solid.centroids[:, 0] > 0.5, 5.0, 0.05)
    for domain, values in ((disk, sigma), (solid, across)):
        pixels = axes_of(lambda ax, d=domain, v=values: plot.draw_field(ax, d, v, background=BACKGROUND, title="here"))
        assert _count(pixels, "red") > 500 and _count(pixels, "blue") > 500
    with pytest.raises(ShapeError, match="sigma: got 3"):
        axes_of(lambda ax: plot.draw_field(ax, disk, np.ones(3)))
    with pytest.raises(ShapeError, match="sigma: got 3 values on a domain of 3 dimensions"):
        axes_of(lambda ax: plot.draw_field(ax, solid, np.ones(3)))


def test_without_axes_there_is_a_new_figure(disk, sigma):
    for ax in (plot.draw_field(None, disk, sigma), plot.draw_picture(None, np.eye(4))):
        assert len(ax.figure.axes) == 2  # with the colour bar


def test_a_picture_is_drawn_into_given_axes(rng):
    gray = rng.uniform(0, 1, (8, 8))
    pixels = axes_of(lambda ax: plot.draw_picture(ax, gray, 0, 1, "noise"))
    assert np.ptp(pixels, axis=-1).max() < 0.01
    colour = np.stack([np.ones((8, 8)), np.zeros((8, 8)), np.zeros((8, 8))])
    assert _count(axes_of(lambda ax: plot.draw_picture(ax, colour, 0, 1)), "red") > 10_000
    with pytest.raises(InvalidDataError, match="image: got NaN"):
        axes_of(lambda ax: plot.draw_picture(ax, np.full((2, 2), np.nan)))
