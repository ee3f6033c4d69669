"""Cone-beam scans in the layout of the walnuts, small ones."""

import numpy as np
import pytest
from PIL import Image

import eitdip
from eitdip.data.walnut import SIDE, is_geometry, load
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.imaging import ConeBeam, ConeBeamCT, SampledConeCT
from eitdip.imaging import cone as cone_module
from eitdip.phantoms import random_picture
from eitdip.problems.load import detect
from tests.cases.commands import eitdip as command
from tests.cases.commands import words

VIEWS, ROWS, COLUMNS, N = 12, 36, 28, 16
DARK, FLAT = 100.0, 60_000.0


def write(folder, projections: np.ndarray, geometry: np.ndarray) -> str:
    """As the scanner does: line k of the geometry is of file VIEWS - k, the image transposed and mirrored."""
    folder.mkdir(parents=True, exist_ok=True)

    def picture(name: str, counts: np.ndarray) -> None:
        Image.fromarray(np.flipud(np.broadcast_to(counts, (ROWS, COLUMNS)).T).round().astype(np.uint16)).save(
            folder / name
        )

    tilt = 1 + 0.2 * np.arange(COLUMNS) / COLUMNS  # of the sensitivity
    picture("di000000.tif", np.full(1, DARK))
    picture("io000000.tif", DARK + (FLAT - 3000) / 1.3 * tilt)
    picture("io000001.tif", DARK + (FLAT + 3000) / 1.3 * tilt)
    for view in range(VIEWS + 1):
        counts = DARK + FLAT / 1.3 * tilt * np.exp(-projections[view % VIEWS])
        picture(f"scan_{VIEWS - view:06d}.tif", counts)
    path = folder / "scan_geom_corrected.geom"
    np.savetxt(path, np.concatenate([geometry, geometry[:1]]))
    return str(path)


def beam() -> ConeBeam:
    angles = np.linspace(0, 2 * np.pi, VIEWS, endpoint=False)
    return ConeBeam(angles, COLUMNS, 9.2, source_origin=66.0, origin_detector=133.0, rows=ROWS)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """The volume (attenuation, 1/mm), its projections and the file."""
    volume = 0.05 * random_picture(np.random.default_rng(3), (N,) * 3)
    projections = ConeBeamCT((N,) * 3, beam(), SIDE / N)(volume)
    panels = beam().panels()
    geometry = np.concatenate([panels.sources, panels.centres, panels.across, panels.up], axis=1)
    return volume, projections, write(tmp_path_factory.mktemp("walnut") / "tubeV2", projections, geometry)


def test_projections_are_those_that_were_scanned(scan):
    _, projections, path = scan
    found = load(path)
    np.testing.assert_allclose(found.projections, projections, atol=2e-3)
    assert projections.max() > 0.5 and not found.data.noise.known
    assert found.provenance["views"] == VIEWS and found.provenance["folder"] == "tubeV2"
    every_third = load(path, views=4)
    np.testing.assert_array_equal(every_third.projections, found.projections[::3])
    np.testing.assert_array_equal(every_third.geometry, found.geometry[::3])


def test_blocks_are_means_of_what_arrives(scan):
    _, projections, path = scan
    found = load(path, binning=2)
    arrives = np.exp(-projections).reshape(VIEWS, ROWS // 2, 2, COLUMNS // 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(found.projections, -np.log(arrives), atol=5e-3)
    one = load(path)
    np.testing.assert_allclose(found.geometry[:, 6:], 2 * one.geometry[:, 6:])
    np.testing.assert_array_equal(found.geometry[:, :6], one.geometry[:, :6])


def test_the_problem_of_a_scan(scan, monkeypatch):
    """In mm: the true volume explains the data, and no other orientation of it does."""
    volume, projections, path = scan
    assert detect(path) == "cone scan"
    problem = eitdip.load(path, size=N, views=VIEWS, binning=1)
    assert isinstance(problem.model, ConeBeamCT) and problem.unknown.dimension == 3 and problem.unknown.low == 0
    np.testing.assert_allclose(problem.model(volume), projections, atol=1e-5)
    back = problem.model.pinv(problem.data.values)
    score = [np.corrcoef(back.ravel(), np.flip(volume, axes).ravel())[0, 1] for axes in ((), 0, 1, 2)]
    assert score[0] > 0.8 and max(score[1:]) < score[0] - 0.1
    assert back[volume > 0].mean() == pytest.approx(volume[volume > 0].mean(), rel=0.25)
    monkeypatch.setattr(cone_module, "LARGEST", 1000)  # too large for a matrix
    large = eitdip.load(path, size=N, views=VIEWS, binning=1)
    assert isinstance(large.model, SampledConeCT)
    error = np.linalg.norm(large.model(volume) - projections) / np.linalg.norm(projections)
    assert error < 0.15


@pytest.mark.parametrize("largest", [1 << 27, 1000])
def test_a_network_is_trained_for_a_scan_and_reconstructs_it(largest, scan, tmp_path, monkeypatch):
    """With a matrix, and without as at 167^3 voxels."""
    monkeypatch.setattr(cone_module, "LARGEST", largest)
    _, _, path = scan
    data, out = {"size": 32, "views": 4, "binning": 2}, tmp_path / "w.safetensors"
    network = {"channels": 4, "levels": 1, "skips": 2, "held_pairs": 2, "patch": 2}
    assert command("train", path, "--out", out, *words(**data, **network, steps=2, batch=2)) == 0
    found = command(
        "reconstruct", path, "--method", "educated", "--out", tmp_path / "r", *words(**data, weights=out, steps=3)
    )
    assert found == 0
    with np.load(tmp_path / "r" / "estimate.npz") as file:
        x = file[file.files[0]]
    assert x.shape == (32, 32, 32) and x.min() >= 0 and np.isfinite(x).all()


def test_what_is_refused(scan, tmp_path):
    _, projections, path = scan
    with pytest.raises(OptionError, match="views: got 13, expected at most the 12"):
        load(path, views=13)
    with pytest.raises(OptionError, match="binning: got 0"):
        load(path, binning=0)
    with pytest.raises(ShapeError, match=r"got \(36, 28\) pixels, expected multiples of binning = 5"):
        load(path, binning=5)
    geometry = np.loadtxt(path)[:-1]
    with pytest.raises(FileFormatError, match=r"scan_000012\.tif: no such file"):
        copy = write(tmp_path / "missing", projections, geometry)
        (tmp_path / "missing" / "scan_000012.tif").unlink()
        load(copy)
    with pytest.raises(InvalidDataError, match=r"io000000\.tif is not brighter than di000000\.tif in row 0, column 0"):
        copy = write(tmp_path / "dark", projections, geometry)
        for name in ("io000000.tif", "io000001.tif"):
            (tmp_path / "dark" / name).write_bytes((tmp_path / "dark" / "di000000.tif").read_bytes())
        load(copy)
    with pytest.raises(ShapeError, match=r"blocks of pixels, expected \(36, 28\) as in di000000\.tif"):
        copy = write(tmp_path / "size", projections, geometry)
        Image.fromarray(np.ones((8, 8), np.uint16)).save(tmp_path / "size" / "scan_000012.tif")
        load(copy)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("1 2 3\n4 5 6\n", ShapeError, r"got shape \(2, 3\), expected at least two lines of 12 numbers"),
        ("1 " * 12, ShapeError, r"got shape \(1, 12\)"),
        ("1 2\n3\n", FileFormatError, "cannot be read as lines of numbers"),
        ("", ShapeError, "expected at least two lines"),
        ("1 " * 12 + "\n" + "nan " * 12, InvalidDataError, "line 2 has a number that is not finite"),
    ],
)
def test_geometries_that_cannot_be(text, error, message, tmp_path):
    (tmp_path / "scan.geom").write_text(text)
    with pytest.raises(error, match=message):
        load(tmp_path / "scan.geom")


def test_what_begins_like_a_geometry():
    line = b"1.5 " * 12
    assert is_geometry(line + b"\n" + line)
    assert not any(is_geometry(text) for text in (b"", b"\n", b"1.5 " * 11, b"x " * 12, b"\xff\xfe" * 12))
