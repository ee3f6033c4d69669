"""Data of every kind: in two lines of Python, and several of them by one command."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

import eitdip
from eitdip.metrics.truth import BETTER
from tests.cases.commands import SMALL_IMAGE, refused, words
from tests.cases.commands import eitdip as command
from tests.cases.measurements import MESH, SETTINGS, SOLID, SOLID_MESH

NETWORK = {"channels": 8, "levels": 2, "steps": 3}
# Data to what is said when they are read, a method and its settings, and the shape of its field.
KINDS = {
    "cem": (MESH, "dip-tv", SETTINGS, (16, 16)),
    "ball": (SOLID_MESH, "dip-tv", SOLID, (8, 8, 8)),
    "disc": ({"size": 16, "views": 10}, "dip-tv", NETWORK, (16, 16)),
    "kspace": ({"calibration": 16}, "dip", NETWORK | {"seeds": 2}, (32, 32)),
    "scan": ({"size": 16}, "em", {"steps": 3}, (16, 16)),
    "photo": ({"task": "inpaint", "size": 32, "colour": True}, "tv", {"steps": 9}, (3, 32, 32)),
}
FILES = {
    "body": {"conductivity.vtu", "conductivity.png", "data_fit.png", "curves.png", "history.csv"},
    "image": {"image.png"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_two_lines_of_python(kind, data, tmp_path):
    reading, name, settings, shape = KINDS[kind]
    problem = eitdip.load(data[kind], **reading)
    solution = eitdip.solve(problem, name, quiet=True, **settings)

    assert solution.x.shape == problem.model.domain.shape and np.isfinite(solution.x).all()
    assert np.iscomplexobj(solution.x) == (kind == "kspace")
    assert solution.field.shape == shape and np.ptp(np.abs(solution.field)) > 0
    assert np.allclose(solution.prediction, problem.model(solution.x), rtol=1e-5, atol=1e-6)

    values, mask = problem.data.values, problem.data.mask
    if kind == "scan":
        mean = solution.prediction
        expected = 2 * np.mean(mean - values + values * np.log(np.maximum(values, 1e-300) / mean))
    else:
        expected = np.square(np.abs((solution.prediction - values) / problem.data.deviation))[mask].sum()
        expected /= problem.data.count
    assert solution.misfit == pytest.approx(expected, rel=1e-5)

    body, known = kind in ("cem", "ball"), kind in ("cem", "ball", "photo")
    assert list(solution.errors) == (list(BETTER) if body else ["relative L2", "PSNR"] if known else [])

    axes = Figure().subplots()
    assert solution.plot(ax=axes) is axes
    for drawn in (axes, solution.plot()):
        assert drawn.images or drawn.collections

    summary = solution.save(tmp_path / "deep" / "out")
    written = {path.name for path in (tmp_path / "deep" / "out").iterdir()}
    steps = {"history.csv", "curves.png"} if solution.results else set()
    assert written == FILES["body" if body else "image"] | steps | {"result.json", "estimate.npz"} | (
        {"render.png"} if kind == "ball" else set()
    )
    assert json.loads((tmp_path / "deep" / "out" / "result.json").read_text()) == summary
    assert summary["misfit"] == solution.misfit and summary["method"] == name and summary["hash"] == problem.hash
    with np.load(tmp_path / "deep" / "out" / "estimate.npz") as arrays:
        assert np.array_equal(arrays["x"], solution.x) and np.array_equal(arrays["field"], solution.field)
        assert [key for key in arrays if key.startswith("x_seed")] == [
            f"x_seed{i}" for i in range(len(solution.results))
        ]
        assert arrays["picture"].ndim == (3 if kind == "photo" else 2)


def x(folder) -> np.ndarray:
    with np.load(folder / "estimate.npz") as arrays:
        return arrays["x"]


def test_two_pictures_in_one_batch(data, tmp_path, capsys):
    common = ["--task", "denoise", *SMALL_IMAGE, *words(size=32, noise=0.1)]
    pair = data["photo"], data["drawing"]
    assert command("reconstruct", *pair, *common, "--out", tmp_path, pictures=True) == 0
    printed = capsys.readouterr().out
    for name in ("photo", "drawing"):
        found = {path.name for path in (tmp_path / name).iterdir()}
        assert found == {"result.json", "estimate.npz", "history.csv", "image.png", "curves.png", "checkpoint"}
        assert f"{name}.png" in printed and f"results: {tmp_path / name}" in printed
        summary = json.loads((tmp_path / name / "result.json").read_text())
        assert summary["problem"] == "denoise" and summary["metrics"]["PSNR"] > 0
    assert command("reconstruct", data["drawing"], *common, "--out", tmp_path / "alone") == 0
    assert np.array_equal(x(tmp_path / "drawing"), x(tmp_path / "alone"))
    assert not np.array_equal(x(tmp_path / "drawing"), x(tmp_path / "photo"))


def test_a_tank_and_a_sinogram_in_one_batch(data, tmp_path, capsys):
    """Each gets the settings that it knows; one that none knows is an error."""
    pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
    common = [*SMALL_IMAGE, *words(size=16, h=0.25, views=10)]
    both = data["cem"], data["disc"]
    assert command("reconstruct", *both, *common, "--out", tmp_path) == 0
    tank, sinogram = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("cem", "disc"))
    assert (tank["kind"], sinogram["kind"]) == ("plane", "image")
    assert tank["options"]["size"] == 16 and sinogram["options"]["size"] is None
    assert x(tmp_path / "disc").shape == (16, 16) and len(x(tmp_path / "cem")) == tank["mesh"]["cells"] < 2000
    assert np.load(tmp_path / "disc" / "estimate.npz")["data"].shape == (10, 56)
    capsys.readouterr()
    line = refused(capsys, "reconstruct", *both, *common, *words(veiws=3), "--out", tmp_path / "no")
    assert "unknown option: got 'veiws', expected one of: views" in line
    assert not (tmp_path / "no").exists()


def test_a_picture_that_cannot_be_read_stops_the_batch_before_any_work(data, tmp_path, capsys):
    (tmp_path / "cut.png").write_bytes(data["photo"].read_bytes()[:40])
    more = ["--task", "denoise", *words(size=32), "--out", tmp_path / "out"]
    assert "cut.png" in refused(capsys, "reconstruct", data["photo"], tmp_path / "cut.png", *more)
    assert not (tmp_path / "out").exists()
