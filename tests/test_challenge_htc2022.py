"""The calling convention of the Helsinki Tomography Challenge 2022, on a simulated disc and on the real ones."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from eitdip.challenges import htc2022
from eitdip.challenges.htc2022 import AIR, CURVE, RADIUS, acrylic, find_disc, segment
from eitdip.data import data_root
from eitdip.data.htc2022 import DiscData, load, load_segmentation
from eitdip.exits import run
from eitdip.metrics import mcc

pytest.importorskip("astra")

CENTER = (1.5, -2.0)
HOLE = (8.0, 5.0, 6.0)  # x, y, radius in mm


def disc(span: float) -> DiscData:
    """Views of a disc with a hole, from exact chords through the challenge's own curve of acrylic."""
    angles = np.arange(0, span + 0.25, 1.0)
    empty = DiscData(np.zeros((len(angles), 560)), angles, 410.66, 553.74, 0.2, 0.148322)
    points, directions = empty.beam.rays()
    normal = np.stack([-directions[..., 1], directions[..., 0]], axis=-1)

    def chord(x: float, y: float, radius: float) -> np.ndarray:
        distance = ((points - np.array([x, y])) * normal).sum(axis=-1)
        return 2 * np.sqrt(np.clip(radius**2 - distance**2, 0, None))

    length = chord(*CENTER, RADIUS) - chord(*HOLE)
    levels = np.linspace(0, 4, 4001)  # of the sinogram, to turn the curve round
    sinogram = np.interp(length, np.polyval((*CURVE[::-1], 0.0), levels), levels) + AIR
    return DiscData(sinogram, angles, 410.66, 553.74, 0.2, 0.148322)


def truth() -> np.ndarray:
    place = (np.arange(512) - 255.5) * 0.148322
    x, y = np.meshgrid(place, -place)
    inside = (x - CENTER[0]) ** 2 + (y - CENTER[1]) ** 2 < RADIUS**2
    return inside & ((x - HOLE[0]) ** 2 + (y - HOLE[1]) ** 2 > HOLE[2] ** 2)


def write(path, data: DiscData) -> None:
    parameters = {
        "angles": data.angles, "distanceSourceOrigin": data.source_origin,
        "distanceSourceDetector": data.source_detector, "pixelSizePost": data.detector_size,
        "effectivePixelSizePost": data.pixel_size, "numDetectorsPost": float(data.detectors),
    }  # fmt: skip
    savemat(path, {"CtDataLimited": {"sinogram": data.sinogram, "parameters": parameters}})


def command(*words) -> int:
    return run(lambda: htc2022.command(list(map(str, words)), standalone_mode=False), name="htc2022")


def test_the_disc_is_found_from_30_degrees():
    views = disc(30)
    found = find_disc(views, acrylic(views.sinogram))
    np.testing.assert_allclose(found, CENTER, atol=0.1)


@pytest.mark.parametrize("category", [1, 7])
def test_what_is_missing_is_told_before_any_work(tmp_path, capsys, category):
    assert command(tmp_path / "nowhere", tmp_path / "out", category) == 2
    assert "no such input folder" in capsys.readouterr().err
    (tmp_path / "in").mkdir()
    assert command(tmp_path / "in", tmp_path / "out", category) == 2
    assert "expected at least one" in capsys.readouterr().err
    write(tmp_path / "in" / "a.mat", disc(20))
    assert command(tmp_path / "in", tmp_path / "out", category) == 2
    assert "give the category of the files" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_simulated_disc_in_the_layout_of_the_challenge(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "htc2022_x_limited.mat", disc(30))
    assert command(tmp_path / "in", tmp_path / "out", 7) == 0
    image = np.asarray(Image.open(tmp_path / "out" / "htc2022_x_limited.png"))
    assert image.shape == (512, 512) and set(np.unique(image)) == {0, 255}
    assert mcc(image > 0, truth()) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "start", "span", "least"),
    [
        ("ta", 269, 30, 0.93),
        ("tb", 299, 30, 0.79),
        ("ta", 269, 60, 0.963),
        ("tb", 299, 60, 0.892),
        ("ta", 269, 90, 0.988),
        ("tb", 299, 90, 0.933),
        ("ta", 0, 360, 0.99),
        ("tb", 0, 360, 0.99),
    ],
)
def test_the_real_discs(name, start, span, least):
    folder = data_root() and data_root() / "htc2022"
    if folder is None or not folder.is_dir():
        pytest.skip("needs the HTC2022 discs ta and tb; point EITDIP_DATA to the folder of data sets")
    views = load(folder / f"htc2022_{name}_full.mat").limited(start, span)
    assert mcc(segment(views), load_segmentation(folder / f"htc2022_{name}_full_recon_fbp_seg.mat")) >= least
