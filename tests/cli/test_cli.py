"""The command line: files, exit codes, bad input, kill and resume, ranks."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import meshio
import numpy as np
import pytest
import torch
from scipy.io import savemat
from threadpoolctl import threadpool_limits

from eitdip.data import load
from eitdip.runs import session
from tests.cases.commands import COARSE, SMALL, SMALL_SOLID, eitdip, interrupted, on_two_ranks, refused, words
from tests.cases.kills import killed

pytestmark = pytest.mark.usefixtures("gmsh")

LONG = [*SMALL, *words(steps=80, checkpoint_seconds=0)]
FILES = {
    "result.json", "estimate.npz", "history.csv", "conductivity.vtu",
    "conductivity.png", "data_fit.png", "curves.png", "checkpoint",
}  # fmt: skip
PICTURES = {"conductivity.vtu", "conductivity.png", "data_fit.png", "curves.png"}
KEYS = {
    "problem", "kind", "method", "options", "seed", "status", "reason", "iterations", "kept", "seconds", "misfit",
    "misfit of noise alone", "unit",
    "noise level known", "measurements", "background", "calibration", "metrics", "mesh", "hash", "data", "versions",
    "memory", "memory of", "step seconds", "parallel", "solver", "data settings", "running", "sessions", "uncertainty",
}  # fmt: skip
DIVERGING = ["--method", "cells-tv", *COARSE, *words(link="exp", learning_rate="1e30")]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> np.ndarray:
    """Conductivity of the long run without interruption."""
    out = tmp_path_factory.mktemp("whole")
    assert eitdip("reconstruct", data["cem"], "--out", out, *LONG) == 0
    return sigma(out)


def sigma(out: Path) -> np.ndarray:
    return np.load(out / "estimate.npz")["x"]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("model", ["dtn", "cem"])
def test_reconstruct_writes_everything(model, data, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert eitdip("reconstruct", data[model], "--out", out, *SMALL, "--seed", "3", pictures=True) == 0
    streams = capsys.readouterr()
    assert "misfit" in streams.out and str(out) in streams.out and streams.err == ""
    assert re.search(r"^relative L2 over background +[0-9.]+$", streams.out, re.MULTILINE)
    assert {item.name for item in out.iterdir()} == FILES
    summary = json.loads((out / "result.json").read_text())
    assert set(summary) == KEYS
    assert [summary[name] for name in ("kind", "method", "seed", "status", "iterations")] == [
        "plane", "dip-tv", 3, "budget", [3]
    ]  # fmt: skip
    assert np.isfinite(summary["misfit"]) and summary["noise level known"]
    assert summary["metrics"]["relative L2"] > 0
    assert set(summary["seconds"]) == {"total", *session.PARTS}
    assert summary["options"]["channels"] == 8 and summary["options"]["optimizer"] == "adam"
    assert summary["parallel"] == {"ranks": 1, "teams": 1, "threads per rank": 1, "mesh ranks": 1}
    assert len(summary["memory"]) == 1 and 50 < summary["memory"][0] < 50_000  # MiB
    assert "cholesky" in summary["solver"]["solver"].lower() and summary["solver"]["factorizations"] >= 3
    arrays = np.load(out / "estimate.npz")
    assert arrays["field"].shape == (16, 16) and arrays["data"].shape == arrays["prediction"].shape
    assert np.array_equal(arrays["x_seed0"], arrays["x"]) and arrays["picture"].shape == (192, 192)
    mesh = meshio.read(out / "conductivity.vtu")
    assert np.allclose(mesh.cell_data["conductivity"][0], arrays["x"])
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2"] and float(rows[0]["loss"]) > 0
    for picture in out.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


@pytest.mark.parametrize(
    ("phantom", "missing"),
    [
        ("homogeneous", {"contrast error", "dice conductive", "dice resistive", "PSNR"}),
        ("6", {"dice conductive"}),  # two resistive objects
    ],
)
def test_scores_without_a_meaning_are_null(phantom, missing, tmp_path, capsys):
    """A truth without contrast, or without one sign, must not cost a finished run its results."""
    file = tmp_path / "tank.h5"
    assert eitdip("simulate", "--model", "cem", "--phantom", phantom, "--out", file) == 0
    assert eitdip("reconstruct", file, "--out", tmp_path / "out", *SMALL) == 0
    scores = json.loads((tmp_path / "out" / "result.json").read_text())["metrics"]
    found = {name for name, value in scores.items() if value is None}
    assert found == missing
    printed = capsys.readouterr().out
    assert all(f"{name:<18}-" in printed for name in missing)


def test_simulate_then_reconstruct(tmp_path, capsys):
    path = tmp_path / "tank.h5"
    tank = ["--model", "cem", "--domain", "tank", "--electrodes", 8]
    assert eitdip("simulate", "--out", path, *tank, "--phantom", 7) == 0
    assert "64 measurements, phantom 7" in capsys.readouterr().out
    assert eitdip("reconstruct", path, "--out", tmp_path / "out", *COARSE, "--method", "cells-tikhonov") == 0


@pytest.mark.parametrize(("domain", "count"), [("cylinder", 144), ("ball", 144)])
def test_simulate_a_solid_with_electrodes(domain, count, tmp_path, capsys):
    path = tmp_path / "solid.h5"
    assert eitdip("simulate", "--out", path, "--model", "cem", "--domain", domain, "--electrodes", 8) == 0
    assert f"{count} measurements, phantom two-balls" in capsys.readouterr().out
    measurements = load(path)
    assert measurements.geometry.electrode_count == 8 and measurements.geometry.dimension == 3
    assert measurements.truth.ndim == 3


@pytest.mark.parametrize("kind", ["ball", "cylinder"])
def test_reconstruct_a_solid(kind, data, tmp_path):
    assert eitdip("reconstruct", data[kind], "--out", tmp_path, *SMALL_SOLID, pictures=True) == 0
    assert {item.name for item in tmp_path.iterdir()} == FILES | {"render.png"}
    summary = json.loads((tmp_path / "result.json").read_text())
    assert summary["kind"] == "solid" and summary["metrics"]["relative L2"] > 0
    assert np.load(tmp_path / "estimate.npz")["field"].ndim == 3


def test_a_config_file_gives_way_to_the_command_line(data, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('method = "pixels-tv"\nseed = 5\nsteps = 2\nlink = "exp"\n')
    more = words(h=0.25, size=16, link="softplus")
    assert eitdip("reconstruct", data["cem"], "--out", tmp_path / "out", "--config", config, *more) == 0
    summary = json.loads((tmp_path / "out" / "result.json").read_text())
    options = summary["options"]
    found = (summary["method"], options["seed"], options["steps"], options["link"])
    assert found == ("pixels-tv", 5, 2, "softplus")


def test_several_files_get_a_folder_each(data, tmp_path, capsys):
    pair = data["dtn"], data["cem"]
    assert eitdip("reconstruct", *pair, "--out", tmp_path, *SMALL, "--seeds", "2") == 0
    printed = capsys.readouterr().out
    for name in ("dtn", "cem"):
        assert {item.name for item in (tmp_path / name).iterdir()} == FILES - PICTURES
        summary = json.loads((tmp_path / name / "result.json").read_text())
        assert summary["options"]["seeds"] == 2 and len(summary["iterations"]) == 2
        assert f"{name}.h5" in printed and f"results: {tmp_path / name}" in printed
    assert eitdip("reconstruct", data["cem"], "--out", tmp_path / "alone", *SMALL, "--set", "seeds=2") == 0
    assert np.array_equal(sigma(tmp_path / "cem"), sigma(tmp_path / "alone"))


def test_files_of_one_name_are_refused_before_any_work(data, tmp_path, capsys):
    other = tmp_path / "elsewhere" / "cem.h5"
    other.parent.mkdir()
    shutil.copy(data["cem"], other)
    line = refused(capsys, "reconstruct", data["cem"], data["dtn"], other, "--out", tmp_path / "out", *SMALL)
    assert f"got {data['cem']} and {other}, which would both write to {tmp_path / 'out' / 'cem'}" in line
    assert not (tmp_path / "out").exists()


def test_all_files_are_read_before_any_work(data, tmp_path, capsys):
    line = refused(capsys, "reconstruct", data["cem"], tmp_path / "missing.h5", "--out", tmp_path / "out", *SMALL)
    assert "missing.h5: no such file" in line
    assert not (tmp_path / "out").exists()


def test_a_data_set_that_fails_does_not_stop_the_others(data, tmp_path, capsys):
    assert eitdip("reconstruct", data["hopeless"], data["cem"], "--out", tmp_path, *SMALL) == 3
    streams = capsys.readouterr()
    assert streams.err.startswith("eitdip: diverged: 1 of 2 data sets failed: hopeless.h5: the loss became inf")
    assert streams.err.count("\n") == 1
    assert "cem.h5" in streams.out and "hopeless.h5" not in streams.out
    assert (tmp_path / "cem" / "result.json").exists()
    assert not (tmp_path / "hopeless" / "result.json").exists()


def test_threads_are_set_where_the_environment_does_not(data, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    try:
        assert eitdip("reconstruct", data["cem"], "--out", tmp_path, *SMALL, "--set", "threads=64") == 0
    finally:
        torch.set_num_threads(before)
        threadpool_limits(before)
    used = json.loads((tmp_path / "result.json").read_text())["parallel"]["threads per rank"]
    assert used == min(64, len(os.sched_getaffinity(0)))


def test_info_and_help(capsys):
    assert eitdip("info") == 0
    text = capsys.readouterr().out
    for word in ("eitdip", "torch", "MPI ranks", "direct solver", "GPU", "dip-tv"):
        assert word in text
    for asked in (["--help"], ["reconstruct", "-h"], ["simulate", "--help"]):
        assert eitdip(*asked) == 0
        assert "Usage:" in capsys.readouterr().out
    assert eitdip("reconstruct", "--help") == 0
    text = capsys.readouterr().out
    assert all(f" {name} [" in text for name in ("steps", "threads", "h", "background", "views"))


def test_a_reader_that_stops_reading_ends_the_command_quietly():
    """eitdip info | head -1"""
    command = [sys.executable, "-m", "eitdip", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def bad_files(folder: Path, good: Path) -> dict[str, tuple[Path, str]]:
    (folder / "none").mkdir()
    cut = folder / "cut.h5"
    cut.write_bytes(good.read_bytes()[:3000])
    garbage = folder / "garbage.mat"
    garbage.write_bytes(b"MATLAB 5.0 MAT-file" + os.urandom(500))
    other = folder / "other.mat"
    savemat(other, {"x": np.zeros(3)})
    (folder / "empty.h5").write_bytes(b"")
    return {
        "missing": (folder / "missing.h5", "no such file"),
        "folder": (folder / "none", "is a folder"),
        "cut": (cut, "cut.h5"),
        "garbage": (garbage, "garbage.mat"),
        "other": (other, "KTC2023"),
        "empty": (folder / "empty.h5", "empty.h5"),
    }


@pytest.mark.parametrize("kind", ["missing", "folder", "cut", "garbage", "other", "empty"])
def test_bad_files(kind, data, tmp_path, capsys):
    path, message = bad_files(tmp_path, data["cem"])[kind]
    line = refused(capsys, "reconstruct", path, "--out", tmp_path / "out", *SMALL)
    assert message in line
    assert not (tmp_path / "out").exists()


def items(file) -> list:
    """Names and objects of an HDF5 file."""
    found = []
    file.visititems(lambda name, item: found.append((name, item)))
    return found


def test_nan_data(data, tmp_path, capsys):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "nan.h5"
    shutil.copy(data["cem"], path)
    with h5py.File(path, "r+") as file:
        next(found for name, found in items(file) if name.endswith("values"))[2, 3] = np.nan
    assert "values" in refused(capsys, "reconstruct", path, "--out", tmp_path / "out", *SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["--method", "magic"], "expected one of: dip-tv, dip, unet-tv"),
        (["--set", "stepps=3"], "unknown option: got 'stepps', expected one of: steps"),
        (["--set", "views=3"], "unknown option: got 'views', expected one of: "),
        (["--set", "points=3"], "option points: got 3 for electrodes, but the method uses only"),
        (["--set", "steps=many"], "got 'many', expected int"),
        (["--set", "steps"], "expected KEY=VALUE"),
        (["--set", "link=cubic"], "expected one of: bounded, exp, softplus"),
        (["--set", "steps=0"], "at least 1"),
        (["--set", "background=-1.0"], "background"),
        (["--seed", "x"], "x"),
        (["--seeds", "0"], "option seeds: got 0, expected at least 1"),
        (["--set", "solver=magic"], "expected one of: auto, cholesky"),
        (["--set", "mesh_ranks=-1"], "option mesh_ranks: got -1, expected at least 0"),
        (["--level", "2"], "level"),
        (["--reference", "ref.mat"], "reference"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--config", __file__], "not a TOML file"),
        (["--bogus"], "--bogus"),
    ],
)
def test_bad_words(bad, message, data, tmp_path, capsys):
    assert message in refused(capsys, "reconstruct", data["cem"], "--out", tmp_path / "out", *SMALL, *bad)
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["--out", "x.mat"], "ending in .h5"),
        (["--out", "no/such/folder/x.h5"], "does not exist"),
        (["--phantom", "ghost"], "expected one of: three"),
        (["--domain", "cube"], "expected one of: disk, tank, cylinder, ball"),
        (["--domain", "ball", "--model", "cem", "--electrodes", "7"], "expected an even number"),
        (["--domain", "cylinder", "--model", "cem", "--electrodes", "0"], "got 0 electrodes"),
        (["--phantom", "two-balls"], "choose a plane phantom"),
        (["--model", "point"], "expected one of: dtn, cem"),
        (["--domain", "tank"], "dtn works on the unit disk"),
        (["--model", "cem", "--electrodes", "1"], "at least 2"),
        (["--noise", "2"], "noise: got 2"),
    ],
)
def test_bad_words_for_simulate(bad, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = bad if "--out" in bad else ["--out", "x.h5", *bad]
    assert message in refused(capsys, "simulate", *bad)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder(data, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "choose another output folder" in refused(capsys, "reconstruct", data["cem"], "--out", out, *SMALL)
    assert snapshot(tmp_path) == {"file": b"mine"}


def test_wrong_checkpoints(data, tmp_path, capsys):
    command = ["reconstruct", data["cem"], "--out", tmp_path, *SMALL]
    assert eitdip(*command) == 0
    capsys.readouterr()
    before = snapshot(tmp_path)
    assert "another run" in refused(capsys, *command, "--resume", "--set", "tv=2")
    assert snapshot(tmp_path) == before
    path = tmp_path / "checkpoint" / "seed-0.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = snapshot(tmp_path)
    assert "damaged or truncated" in refused(capsys, *command, "--resume")
    assert snapshot(tmp_path) == before


def test_what_becomes_of_earlier_results_is_told(data, tmp_path, capsys):
    command = ["reconstruct", data["cem"], "--out", tmp_path, *SMALL]

    def told(*more, code: int = 0) -> list[str]:
        assert (interrupted(*command, *more) if code else eitdip(*command, *more)) == code
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{tmp_path}: ")]

    nothing = f"{tmp_path}: nothing to resume, so the run starts at its beginning"
    assert told("--resume", code=130) == [nothing]
    begun = "holds the checkpoint of a run without result, which is replaced; --resume goes on with it"
    assert told(code=130) == [f"{tmp_path}: {begun}"]
    assert told("--resume") == []
    held = f"{tmp_path}: holds results of dip-tv, seed 0, which are replaced when this run is done"
    assert told("--seed", "1") == [held]
    assert json.loads((tmp_path / "result.json").read_text())["seed"] == 1
    (tmp_path / "result.json").write_text("[")
    assert told() == [f"{tmp_path}: holds results, which are replaced when this run is done"]
    shutil.rmtree(tmp_path / "checkpoint")
    assert told("--resume") == [nothing, held]


def test_divergence(data, tmp_path, capsys):
    line = refused(capsys, "reconstruct", data["cem"], "--out", tmp_path, *DIVERGING, code=3)
    assert "lower the learning rate" in line
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("kind", ["killed", "interrupted"])
def test_stopped_in_mid_run_and_resumed(kind, data, whole, tmp_path, capsys):
    command = ["reconstruct", data["cem"], "--out", tmp_path, *LONG]
    if kind == "killed":
        killed(*command, when=tmp_path / "checkpoint" / "seed-0.safetensors")
    else:
        assert interrupted(*command, step=40) == 130
        assert capsys.readouterr().err == ""
    assert not (tmp_path / "result.json").exists()
    assert eitdip(*command, "--resume") == 0
    assert np.array_equal(sigma(tmp_path), whole)
    assert not list(tmp_path.rglob("*.part"))


def test_an_error_ends_both_ranks(data, tmp_path):
    """More on ranks, without a start of their own: tests/parallel/run_batches.py."""
    done = on_two_ranks("reconstruct", "--out", tmp_path / "out", data["cem"], *DIVERGING)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("eitdip: ") == 1 and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("result.json"))
