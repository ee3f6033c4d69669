"""The command line: files, exit codes, bad input, kill and resume, ranks."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import meshio
import numpy as np
import pytest
from scipy.io import savemat

from eitdip.cli import app
from eitdip.cli.exits import run
from eitdip.data import load, save
from eitdip.runs import session
from tests.cases.measurements import SETTINGS, SOLID, SOLIDS, cem, dtn, same
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("gmsh")

EITDIP = [sys.executable, "-W", "error", "-m", "eitdip"]
SMALL = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
LONG = [*SMALL, "--set", "steps=80", "--set", "checkpoint_seconds=0"]
FILES = {
    "result.json", "estimate.npz", "history.csv", "conductivity.vtu",
    "conductivity.png", "data_fit.png", "curves.png", "checkpoint",
}  # fmt: skip
KEYS = {
    "method", "options", "seed", "status", "reason", "iterations", "kept", "seconds", "chi2", "measurements",
    "background", "calibration", "metrics", "mesh", "data", "versions", "memory", "memory of",
    "step seconds", "parallel", "solver",
}  # fmt: skip


def eitdip(*arguments) -> int:
    """The command in this process; its exit code."""
    return run(lambda: app([str(a) for a in arguments], standalone_mode=False), name="eitdip")


@pytest.fixture(scope="module")
def data(tmp_path_factory, gmsh_module) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    for name, measurements in (("dtn", dtn()), ("cem", cem())):
        save(folder / f"{name}.h5", measurements)
    return {name: folder / f"{name}.h5" for name in ("dtn", "cem")}


@pytest.fixture(scope="module")
def gmsh_module():
    pytest.importorskip("gmsh", exc_type=(ImportError, OSError))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> np.ndarray:
    """Conductivity of the long run without interruption."""
    out = tmp_path_factory.mktemp("whole")
    assert eitdip("reconstruct", data["cem"], "--out", out, *LONG) == 0
    return sigma(out)


def sigma(out: Path) -> np.ndarray:
    return np.load(out / "estimate.npz")["sigma"]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(capsys, *arguments, code: int = 2) -> str:
    """One line on standard error, nothing else; the line."""
    assert eitdip(*arguments) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.count("\n") == 1 and streams.err.endswith("\n"), streams.err
    assert streams.err.startswith("eitdip: error: " if code == 2 else "eitdip: diverged: ")
    return streams.err


@pytest.mark.parametrize("model", ["dtn", "cem"])
def test_reconstruct_writes_everything(model, data, tmp_path, capsys):
    assert eitdip("reconstruct", data[model], "--out", tmp_path / "deep" / "out", *SMALL, "--seed", "3") == 0
    out = tmp_path / "deep" / "out"
    streams = capsys.readouterr()
    assert "chi^2/N" in streams.out and str(out) in streams.out and streams.err == ""
    assert {item.name for item in out.iterdir()} == FILES
    summary = json.loads((out / "result.json").read_text())
    assert set(summary) == KEYS
    assert (summary["method"], summary["seed"], summary["status"], summary["iterations"]) == (
        "dip-tv",
        3,
        "budget",
        [3],
    )
    assert summary["metrics"]["relative L2"] > 0
    assert set(summary["seconds"]) == {"total", *session.PARTS}
    assert summary["options"]["channels"] == 8 and summary["options"]["solver"] == "auto"
    assert summary["parallel"] == {"ranks": 1, "teams": 1, "threads per rank": 1, "mesh ranks": 1}
    assert len(summary["memory"]) == 1 and 50 < summary["memory"][0] < 50_000  # MiB
    assert "cholesky" in summary["solver"]["solver"].lower() and summary["solver"]["factorizations"] >= 3
    arrays = np.load(out / "estimate.npz")
    assert arrays["estimate"].shape == (16, 16) and arrays["data"].shape == arrays["prediction"].shape
    mesh = meshio.read(out / "conductivity.vtu")
    assert np.allclose(mesh.cell_data["conductivity"][0], arrays["sigma"])
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
    assert (
        eitdip("simulate", "--out", path, "--model", "cem", "--domain", "tank", "--electrodes", 8, "--phantom", 7) == 0
    )
    assert "64 measurements, phantom 7" in capsys.readouterr().out
    assert eitdip("reconstruct", path, "--out", tmp_path / "out", *SMALL, "--method", "cells-tikhonov") == 0


@pytest.mark.parametrize(("domain", "count"), [("cylinder", 144), ("ball", 144)])
def test_simulate_a_solid_with_electrodes(domain, count, tmp_path, capsys):
    path = tmp_path / "solid.h5"
    assert eitdip("simulate", "--out", path, "--model", "cem", "--domain", domain, "--electrodes", 8) == 0
    assert f"{count} measurements, phantom two-balls" in capsys.readouterr().out
    measurements = load(path)
    assert measurements.geometry.electrode_count == 8 and measurements.geometry.dimension == 3
    assert measurements.truth.ndim == 3


@pytest.mark.parametrize("kind", SOLIDS)
def test_reconstruct_a_solid(kind, tmp_path):
    save(tmp_path / "solid.h5", SOLIDS[kind]())
    words = [word for name, value in SOLID.items() for word in ("--set", f"{name}={value}")]
    assert eitdip("reconstruct", tmp_path / "solid.h5", "--out", tmp_path / "out", *words) == 0
    assert {item.name for item in (tmp_path / "out").iterdir()} == FILES | {"render.png"}
    summary = json.loads((tmp_path / "out" / "result.json").read_text())
    assert summary["metrics"]["relative L2"] > 0
    assert np.load(tmp_path / "out" / "estimate.npz")["estimate"].ndim == 3


def test_a_config_file_gives_way_to_the_command_line(data, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('method = "pixels-tv"\nseed = 5\nsteps = 2\nlink = "exp"\n')
    words = ["--set", "h=0.25", "--set", "size=16", "--set", "link=softplus"]
    assert eitdip("reconstruct", data["cem"], "--out", tmp_path / "out", "--config", config, *words) == 0
    summary = json.loads((tmp_path / "out" / "result.json").read_text())
    options = summary["options"]
    assert (summary["method"], options["seed"], options["steps"], options["link"]) == (
        "pixels-tv",
        5,
        2,
        "softplus",
    )


def test_several_files_get_a_folder_each(data, tmp_path, capsys):
    assert eitdip("reconstruct", data["dtn"], data["cem"], "--out", tmp_path, *SMALL, "--seeds", "2") == 0
    printed = capsys.readouterr().out
    for name in ("dtn", "cem"):
        assert {item.name for item in (tmp_path / name).iterdir()} == FILES
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
    words = [data["cem"], tmp_path / "missing.h5", "--out", tmp_path / "out", *SMALL]
    assert "missing.h5: no such file" in refused(capsys, "reconstruct", *words)
    assert not (tmp_path / "out").exists()


def hopeless(path: Path) -> Path:
    """Valid data whose loss is infinite from the start."""
    save(path, dataclasses.replace(cem(), deviation=np.full(cem().values.shape, 1e-200)))
    return path


def test_a_data_set_that_fails_does_not_stop_the_others(data, tmp_path, capsys):
    bad = hopeless(tmp_path / "bad.h5")
    assert eitdip("reconstruct", bad, data["cem"], "--out", tmp_path / "out", *SMALL) == 3
    streams = capsys.readouterr()
    assert streams.err.startswith("eitdip: diverged: 1 of 2 data sets failed: bad.h5: the loss became inf")
    assert streams.err.count("\n") == 1
    assert "cem.h5" in streams.out and "bad.h5" not in streams.out
    assert (tmp_path / "out" / "cem" / "result.json").exists()
    assert not (tmp_path / "out" / "bad" / "result.json").exists()


def test_threads_are_set_where_the_environment_does_not(data, tmp_path):
    words = ["reconstruct", str(data["cem"]), "--out", str(tmp_path), *SMALL, "--set", "threads=64"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([*EITDIP, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    used = json.loads((tmp_path / "result.json").read_text())["parallel"]["threads per rank"]
    assert used == min(64, len(os.sched_getaffinity(0)))


def test_info_and_help(capsys):
    assert eitdip("info") == 0
    text = capsys.readouterr().out
    for word in ("eitdip", "torch", "MPI ranks", "direct solver", "GPU", "dip-tv"):
        assert word in text
    for words in (["--help"], ["reconstruct", "-h"], ["simulate", "--help"]):
        assert eitdip(*words) == 0
        assert "Usage:" in capsys.readouterr().out


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
    ("words", "message"),
    [
        (["--method", "magic"], "expected one of: dip-tv, dip, unet-tv"),
        (["--set", "stepps=3"], "expected one of: generator, size"),
        (["--set", "steps=many"], "got 'many', expected int"),
        (["--set", "steps"], "expected KEY=VALUE"),
        (["--set", "link=cubic"], "expected one of: bounded, exp, softplus"),
        (["--set", "steps=0"], "at least 1"),
        (["--set", "background=-1.0"], "background"),
        (["--seed", "x"], "x"),
        (["--seeds", "0"], "option seeds: got 0, expected at least 1"),
        (["--set", "solver=magic"], "expected one of: auto, cholesky"),
        (["--set", "mesh_ranks=-1"], "option mesh_ranks: got -1, expected >= 0"),
        (["--level", "2"], "level"),
        (["--reference", "ref.mat"], "reference"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--config", __file__], "not a TOML file"),
        (["--bogus"], "--bogus"),
    ],
)
def test_bad_words(words, message, data, tmp_path, capsys):
    assert message in refused(capsys, "reconstruct", data["cem"], "--out", tmp_path / "out", *SMALL, *words)
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "message"),
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
def test_bad_words_for_simulate(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = words if "--out" in words else ["--out", "x.h5", *words]
    assert message in refused(capsys, "simulate", *words)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder(data, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "choose another output folder" in refused(capsys, "reconstruct", data["cem"], "--out", out, *SMALL)
    assert snapshot(tmp_path) == {"file": b"mine"}


def test_wrong_checkpoints(data, tmp_path, capsys):
    words = ["reconstruct", data["cem"], "--out", tmp_path, *SMALL]
    assert eitdip(*words) == 0
    capsys.readouterr()
    before = snapshot(tmp_path)
    assert "another run" in refused(capsys, *words, "--resume", "--set", "tv=2")
    assert snapshot(tmp_path) == before
    path = tmp_path / "checkpoint" / "seed-0.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = snapshot(tmp_path)
    assert "damaged or truncated" in refused(capsys, *words, "--resume")
    assert snapshot(tmp_path) == before


def test_divergence(data, tmp_path, capsys):
    words = ["--method", "cells-tv", "--set", "link=exp", "--set", "learning_rate=1e30"]
    line = refused(capsys, "reconstruct", data["cem"], "--out", tmp_path, *SMALL, *words, code=3)
    assert "lower the learning rate" in line
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_stopped_in_mid_run_and_resumed(number, code, data, whole, tmp_path):
    words = ["reconstruct", str(data["cem"]), "--out", str(tmp_path), *LONG]
    child = subprocess.Popen([*EITDIP, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    checkpoint, deadline = tmp_path / "checkpoint" / "seed-0.safetensors", time.monotonic() + 60
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    assert errors == ""
    assert not (tmp_path / "result.json").exists()
    assert eitdip(*words, "--resume") == 0
    assert np.array_equal(sigma(tmp_path), whole)
    assert not list(tmp_path.rglob("*.part"))


def launcher() -> str:
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found or pytest.skip("needs mpiexec")


def on_two_ranks(*arguments) -> subprocess.CompletedProcess:
    command = [launcher(), "-n", "2", *EITDIP, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)


def test_two_ranks_give_the_serial_result(data, tmp_path):
    few = [*SMALL, "--set", "steps=4"]
    assert eitdip("reconstruct", data["cem"], "--out", tmp_path / "one", *few) == 0
    done = on_two_ranks("reconstruct", data["cem"], "--out", tmp_path / "two", *few)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("chi^2/N") == 1  # rank 0 alone speaks
    assert same(sigma(tmp_path / "two"), sigma(tmp_path / "one"), 1e-8)


@pytest.mark.parametrize("kind", ["missing", "diverged"])
def test_bad_input_ends_both_ranks(kind, data, tmp_path):
    words, code = {
        "missing": ([tmp_path / "missing.h5"], 2),
        "diverged": (
            [data["cem"], "--method", "cells-tv", "--set", "link=exp", "--set", "learning_rate=1e30"],
            3,
        ),
    }[kind]
    done = on_two_ranks("reconstruct", "--out", tmp_path / "out", *SMALL, *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("eitdip: ") == 1 and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("result.json"))
