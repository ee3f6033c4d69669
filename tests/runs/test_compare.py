"""Several methods beside each other: what is written, what fails, kill and resume, ranks."""

import csv
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from eitdip.cli.compare import _contenders
from eitdip.data import save
from eitdip.methods.options import options_for
from eitdip.ranks.collectives import alone
from eitdip.runs import compare as comparison
from eitdip.runs import output
from eitdip.runs.compare import Contender, Entry, compare
from tests.cases.measurements import SETTINGS, ball, cem, dtn
from tests.cli.test_cli import EITDIP, LONG, SMALL, eitdip, gmsh_module, hopeless, on_two_ranks
from tests.conftest import ROOT

METHODS = "cells-tikhonov,pixels-tv"


@pytest.fixture
def plain(monkeypatch):
    """Runs without their own pictures, which take most of the time."""
    monkeypatch.setattr(output, "_write_pictures", lambda *arguments: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory, gmsh_module) -> dict[str, Path]:  # noqa: F811
    folder = tmp_path_factory.mktemp("data")
    files = {name: folder / f"{name}.h5" for name in ("dtn", "cem", "ball")}
    for name, make in (("dtn", dtn), ("cem", cem), ("ball", ball)):
        save(files[name], make())
    return files


@pytest.fixture(scope="module")
def compared(data, tmp_path_factory) -> Path:
    """Two seeds of three methods."""
    out = tmp_path_factory.mktemp("compared")
    words = ["compare", data["dtn"], "--methods", f"{METHODS},pinn", *SMALL, "--set", "points=256", "--seeds", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "_write_pictures", lambda *arguments: None)
        assert eitdip(*words, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> list[dict]:
    """The table of a comparison that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole")
    assert eitdip("compare", data["cem"], "--methods", METHODS, *LONG, "--out", out) == 0
    return steady(out)


def steady(out: Path) -> list[dict]:
    """All runs' figures without what differs from time to time."""
    with (out / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in ("seconds", "memory MiB")} for row in rows]


def test_the_files_of_a_comparison(compared):
    for label in ("cells-tikhonov", "pixels-tv", "pinn"):
        for seed in (0, 1):
            result = json.loads((compared / label / f"seed-{seed}" / "result.json").read_text())
            assert (result["method"], result["seed"]) == (label, seed)
    record = json.loads((compared / "comparison.json").read_text())
    assert [len(entry["results"]) for entry in record["methods"]] == [2, 2, 2]
    rows = steady(compared)
    assert [(row["label"], row["seed"]) for row in rows] == [
        (label, seed) for label in ("cells-tikhonov", "pixels-tv", "pinn") for seed in "01"
    ]
    assert all(value != "" for row in rows for name, value in row.items() if name != "note")
    errors = [float(row["relative L2"]) for row in rows]
    assert errors[0] == errors[1] and errors[4] != errors[5]  # cells start the same, networks do not
    assert {path.name for path in compared.iterdir() if path.is_file()} == {
        "comparison.csv", "comparison.json", "curves.png", "pictures.png", "report.html"
    }  # fmt: skip


def test_histories_tell_errors_and_growing_seconds(compared):
    entry = Entry("pinn", "pinn", ({},), (compared / "pinn" / "seed-0",))
    history = entry.history()
    assert (np.diff(history["seconds"]) > 0).all()
    result = json.loads((compared / "pinn" / "seed-0" / "result.json").read_text())
    assert history["relative L2"][-1] == pytest.approx(result["metrics"]["relative L2"])
    image = entry.image()
    assert image.shape == (192, 192) and np.isnan(image[0, 0]) and image[96, 96] > 0


def test_a_method_that_fails_does_not_stop_the_others(data, tmp_path, capsys, plain):
    words = ["compare", data["cem"], "--methods", "pinn,cells-tikhonov", "--out", tmp_path, *SMALL]
    assert eitdip(*words) == 0
    assert "pinn: option objective: got 'pinn'" in capsys.readouterr().out
    rows = steady(tmp_path)
    assert "expected Dirichlet data of a disk" in rows[0]["note"] and rows[0]["status"] == "failed"
    assert float(rows[1]["FEM chi2/N"]) > 0 and rows[1]["note"] == ""
    assert "expected Dirichlet data of a disk" in (tmp_path / "report.html").read_text()


def test_the_exit_code_if_all_fail(data, tmp_path, capsys):
    words = ["--methods", "pinn,cells-tikhonov", *SMALL]
    assert eitdip("compare", hopeless(tmp_path / "bad.h5"), *words, "--out", tmp_path / "out") == 3
    assert "eitdip: diverged: all 2 methods failed: option objective: got 'pinn'" in capsys.readouterr().err
    assert [row["status"] for row in steady(tmp_path / "out")] == ["failed", "diverged"]
    assert eitdip("compare", data["cem"], "--methods", "pinn", *SMALL, "--out", tmp_path / "none") == 2
    assert "all 1 methods failed" in capsys.readouterr().err


def test_labels_of_the_configuration(data, tmp_path, plain):
    config = tmp_path / "c.toml"
    config.write_text('seed = 3\n[methods.weak]\nmethod = "cells-tikhonov"\ntikhonov = 0.01\n')
    words = ["--methods", "cells-tikhonov", "--config", config, "--out", tmp_path / "out", *SMALL]
    assert eitdip("compare", data["dtn"], *words) == 0
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())["methods"]
    assert [(e["label"], e["method"], e["folders"]) for e in record] == [
        ("cells-tikhonov", "cells-tikhonov", ["cells-tikhonov/seed-3"]), ("weak", "cells-tikhonov", ["weak/seed-3"])
    ]  # fmt: skip
    assert [e["results"][0]["options"]["tikhonov"] for e in record] == [0.1, 0.01]
    assert record[0]["results"][0]["metrics"] != record[1]["results"][0]["metrics"]


def test_tables_win_over_the_common_part_and_the_command_line_over_both():
    common = {"seed": 5, "seeds": 2, "tv": 1.0, "link": "exp", "steps": 9}
    tables = {"mine": {"method": "pixels-tv", "tv": 2.0, "steps": 8}}
    contenders, seeds = _contenders(["gn-tv"], common | {"methods": tables}, {"steps": 7, "seconds": 4})
    assert [(c.label, c.method) for c in contenders] == [("gn-tv", "gn-tv"), ("mine", "pixels-tv")]
    named, mine = (c.options for c in contenders)
    assert seeds == 2 and (named.tv, named.steps, named.seed, named.link) == (1.0, 7, 5, "exp")
    assert (mine.tv, mine.steps, mine.seed, mine.seconds, mine.generator) == (2.0, 7, 5, 4.0, "pixels")


def test_a_time_budget_on_a_solid(data, tmp_path, plain):
    words = ["compare", data["ball"], "--methods", "cells-tikhonov", "--set", "h=0.45", "--set", "steps=1000"]
    assert eitdip(*words, "--out", tmp_path, "--seconds", "0.3") == 0
    result = json.loads((tmp_path / "cells-tikhonov" / "seed-0" / "result.json").read_text())
    assert result["reason"] == "all 0.3 seconds used" and result["iterations"][0] < 1000
    assert result["step seconds"][0] >= 0.3
    assert (tmp_path / "pictures.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "gn-tv,nothing"], "unknown method: got 'nothing'"),
        ([], "methods: got none"),
        (["--methods", "gn-tv", "--config", "c.toml"], "got gn-tv both by --methods and in the configuration"),
        (["--methods", "../x", "--set", "steps=2"], "label of a method: got '../x'"),
        (["--methods", "gn-tv,one-step, gn-tv"], "methods: got 'gn-tv' twice"),
        (["--config", "seed.toml"], "[methods.mine]: got 'seed', which is the same for all"),
        (["--methods", "gn-tv", "--seeds", "0"], "option seeds: got 0, expected at least 1"),
        (["--methods", "gn-tv", "--seconds", "-1"], "option seconds: got -1.0, expected >= 0"),
    ],
)
def test_bad_words_are_refused_before_any_work(data, words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text("[methods.gn-tv]\nsteps = 2\n")
    Path("seed.toml").write_text('[methods.mine]\nmethod = "gn-tv"\nseed = 2\n')
    assert eitdip("compare", data["dtn"], "--out", "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_other_settings_are_refused_before_any_work(compared, data, capsys, monkeypatch):
    """Though only the second method's folder is of another run."""
    monkeypatch.setattr(comparison.batch, "reconstruct", lambda *a, **k: pytest.fail("it has begun"))
    words = ["compare", data["dtn"], "--methods", "gn-tv,pixels-tv", *SMALL, "--out", compared, "--resume"]
    assert eitdip(*words, "--set", "tv=3") == 2
    assert f"{compared / 'pixels-tv' / 'seed-0'} holds a run of other data or settings" in capsys.readouterr().err
    assert eitdip("compare", data["cem"], *words[2:]) == 2
    assert "other data" in capsys.readouterr().err


def test_a_damaged_result_is_refused(compared, data, tmp_path, capsys):
    shutil.copytree(compared / "pixels-tv", tmp_path / "pixels-tv")
    (tmp_path / "pixels-tv" / "seed-0" / "result.json").write_text('{"method": ')
    words = ["compare", data["dtn"], "--methods", "pixels-tv", *SMALL, "--out", tmp_path, "--resume"]
    assert eitdip(*words) == 2
    assert "result.json: damaged" in capsys.readouterr().err


def test_without_resume_nothing_of_an_earlier_run_is_taken(compared, data, tmp_path, capsys, monkeypatch, plain):
    """If it is killed before its first checkpoint, checkpoint and result there would be those of other settings."""
    shutil.copytree(compared / "pixels-tv", tmp_path / "pixels-tv")
    contender = Contender("pixels-tv", "pixels-tv", options_for("pixels-tv", SETTINGS | {"tv": 3}))
    monkeypatch.setattr(comparison.batch, "reconstruct", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(compare(dtn(), [contender], tmp_path, seeds=1, comm=alone()))
    monkeypatch.undo()
    (entry,) = compare(dtn(), [contender], tmp_path, seeds=1, comm=alone(), resume=True)
    assert entry.error == "" and entry.results[0]["options"]["tv"] == 3
    assert (tmp_path / "pixels-tv" / "seed-1" / "result.json").exists()  # not asked for, not touched


def test_seconds_before_an_interruption_count(data, tmp_path, plain, monkeypatch):
    """Each step is said to have taken a second."""
    step = comparison.batch.session.reconstruct.__globals__["Step"]
    monkeypatch.setitem(
        comparison.batch.session.reconstruct.__globals__,
        "Step",
        lambda number, terms, seconds: step(number, terms, 1.0),
    )
    words = ["compare", data["dtn"], "--methods", "pixels-tv", *SMALL, "--out", tmp_path]
    with monkeypatch.context() as patch:
        patch.setattr(comparison.batch.session, "_show", lambda bar: lambda p: signal.raise_signal(signal.SIGINT))
        assert eitdip(*words) == 130
    result = tmp_path / "pixels-tv" / "seed-0" / "result.json"
    assert not result.exists()
    assert eitdip(*words, "--resume") == 0
    assert json.loads(result.read_text())["step seconds"] == [3.0]


def stopped(words, out: Path, awaited: Path, number: int) -> int:
    """Starts or resumes a comparison, sends a signal when a file appears; the exit code."""
    child = subprocess.Popen([*EITDIP, *words, "--out", str(out), "--resume"], cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not awaited.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(number)
    return child.wait(timeout=60)


def test_killed_at_several_moments_and_resumed(data, whole, tmp_path):
    words = ["compare", str(data["cem"]), "--methods", METHODS, *LONG]
    first, second = (tmp_path / label / "seed-0" for label in METHODS.split(","))
    for moment in (first / "estimate.npz", second / "checkpoint" / "seed-0.safetensors", second / "result.json"):
        assert stopped(words, tmp_path, moment, signal.SIGKILL) == -signal.SIGKILL, moment
        assert (first / "result.json").exists() == (moment.parent != first)
        assert not (tmp_path / "report.html").exists()
        before = (first / "result.json").read_bytes() if moment.parent != first else b""
    assert eitdip(*words, "--out", tmp_path, "--resume") == 0
    assert (first / "result.json").read_bytes() == before  # not run again
    assert steady(tmp_path) == whole


def test_interrupted_by_the_user_and_resumed(data, whole, tmp_path):
    words = ["compare", str(data["cem"]), "--methods", METHODS, *LONG]
    second = tmp_path / "pixels-tv" / "seed-0"
    assert stopped(words, tmp_path, second / "checkpoint" / "seed-0.safetensors", signal.SIGINT) == 130
    assert not (second / "result.json").exists() and not (tmp_path / "report.html").exists()
    assert eitdip(*words, "--out", tmp_path, "--resume") == 0
    assert steady(tmp_path) == whole


def test_two_ranks_give_the_serial_table(compared, data, tmp_path):
    words = ["compare", data["dtn"], "--methods", "cells-tikhonov,pinn", *SMALL, "--set", "points=256"]
    done = on_two_ranks(*words, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    serial = [row for row in steady(compared) if row["label"] != "pixels-tv" and row["seed"] == "0"]
    for one, two in zip(serial, steady(tmp_path), strict=True):
        for name, value in one.items():
            assert two[name] == value or float(two[name]) == pytest.approx(float(value), rel=1e-6), name
