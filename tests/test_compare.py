"""Several methods beside each other: what is written, what fails, kill and resume, ranks, the page in a browser."""

import csv
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from eitdip.compare import COLUMNS, Entry, best, table
from eitdip.data import save
from tests.conftest import ROOT
from tests.reconstruction.small import ball, cem, dtn
from tests.test_cli import EITDIP, LONG, SMALL, eitdip, gmsh_module, on_two_ranks  # noqa: F401 (a fixture)

METHODS = "cells-tikhonov,pixels-tv"


@pytest.fixture(scope="module")
def data(tmp_path_factory, gmsh_module) -> dict[str, Path]:  # noqa: F811
    folder = tmp_path_factory.mktemp("data")
    files = {name: folder / f"{name}.h5" for name in ("dtn", "cem", "ball")}
    for name, make in (("dtn", dtn), ("cem", cem), ("ball", ball)):
        save(files[name], make())
    return files


@pytest.fixture(scope="module")
def compared(data, tmp_path_factory) -> Path:
    """Three runs of two methods; a third does not suit the data."""
    out = tmp_path_factory.mktemp("compared")
    words = ["compare", data["dtn"], "--methods", f"{METHODS},pinn", *SMALL, "--set", "points=256", "--seeds", "2"]
    assert eitdip(*words, "--out", out) == 0
    return out


def steady(out: Path) -> list[dict]:
    """The table without what differs from run to run."""
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
    assert [row["method"] for row in rows] == ["cells-tikhonov", "pixels-tv", "pinn"]
    for row in rows:
        assert all(row[name] not in ("", "-") for name in row if name != "note")
    assert {path.name for path in compared.iterdir() if path.is_file()} == {
        "comparison.csv", "comparison.json", "curves.png", "pictures.png", "report.html"
    }  # fmt: skip


def test_rows_are_medians_and_ranges(compared):
    record = json.loads((compared / "comparison.json").read_text())
    values = [result["metrics"]["relative L2"] for result in record["methods"][2]["results"]]
    assert values[0] != values[1]
    text = steady(compared)[2]["relative L2"]
    median, low, high = (float(number) for number in re.findall(r"[\d.]+", text))
    assert median == pytest.approx(np.mean(values), rel=1e-3)
    assert (low, high) == (pytest.approx(min(values), rel=1e-2), pytest.approx(max(values), rel=1e-2))


def test_histories_tell_errors_and_growing_seconds(compared):
    entry = Entry("pinn", "pinn", ({},), (compared / "pinn" / "seed-0",))
    history = entry.history()
    assert (np.diff(history["seconds"]) > 0).all()
    result = json.loads((compared / "pinn" / "seed-0" / "result.json").read_text())
    assert history["relative L2"][-1] == pytest.approx(result["metrics"]["relative L2"])
    image = entry.image()
    assert image.shape == (192, 192) and np.isnan(image[0, 0]) and image[96, 96] > 0


def fake(label: str, error: str = "", **numbers) -> Entry:
    result = {
        "metrics": {"relative L2": numbers["l2"], "contrast error": None, "dice conductive": numbers["dice"],
                    "dice resistive": None, "PSNR": 10.0},
        "chi2": 1.0, "seconds": {"total": numbers["seconds"]}, "iterations": [3], "memory": [100.0],
    }  # fmt: skip
    return Entry(label, label, () if error else (result,), (), error)


def test_the_best_of_each_column():
    entries = [fake("a", l2=0.2, dice=0.5, seconds=3.0), fake("b", l2=0.1, dice=0.5, seconds=9.0)]
    marked = best([*entries, fake("c", "diverged", l2=0, dice=0, seconds=0)])
    assert marked["relative L2"] == {"b"} and marked["Dice +"] == {"a", "b"} and marked["seconds"] == {"a"}
    assert "FEM chi2/N" not in marked and "contrast error" not in marked
    rows = table([*entries, fake("c", "diverged", l2=0, dice=0, seconds=0)])
    assert rows[2] == {"method": "c", "note": "diverged"} | dict.fromkeys(COLUMNS, "-")
    assert rows[0]["contrast error"] == "-" and rows[0]["relative L2"] == "0.2"


def test_a_method_that_fails_does_not_stop_the_others(data, tmp_path, capsys):
    words = ["compare", data["cem"], "--methods", "pinn,cells-tikhonov", "--out", tmp_path, *SMALL]
    assert eitdip(*words) == 0
    assert "pinn: option objective: got 'pinn'" in capsys.readouterr().out
    rows = steady(tmp_path)
    assert "expected Dirichlet data of a disk" in rows[0]["note"] and rows[0]["FEM chi2/N"] == "-"
    assert float(rows[1]["FEM chi2/N"]) > 0 and rows[1]["note"] == ""
    assert "expected Dirichlet data of a disk" in (tmp_path / "report.html").read_text()
    assert eitdip("compare", data["cem"], "--methods", "pinn", "--out", tmp_path / "none", *SMALL) == 2
    assert "all 1 methods failed" in capsys.readouterr().err


def test_labels_of_the_configuration(data, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(
        'tikhonov = 0.2\n[methods.weak]\nmethod = "cells-tikhonov"\ntikhonov = 0.01\n'
        '[methods.strong]\nmethod = "cells-tikhonov"\n'
    )
    assert eitdip("compare", data["dtn"], "--config", config, "--out", tmp_path / "out", *SMALL) == 0
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [(e["label"], e["method"]) for e in record["methods"]] == [
        ("weak", "cells-tikhonov"), ("strong", "cells-tikhonov")
    ]  # fmt: skip
    assert [e["results"][0]["options"]["tikhonov"] for e in record["methods"]] == [0.01, 0.2]


def test_solids_without_a_time_budget_and_with_one(data, tmp_path):
    words = ["compare", data["ball"], "--methods", "cells-tikhonov", "--set", "h=0.45", "--set", "steps=1000"]
    assert eitdip(*words, "--out", tmp_path, "--seconds", "0.3") == 0
    result = json.loads((tmp_path / "cells-tikhonov" / "seed-0" / "result.json").read_text())
    assert result["reason"] == "all 0.3 seconds used" and result["iterations"][0] < 1000
    assert (tmp_path / "pictures.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "gn-tv,nothing"], "unknown method: got 'nothing'"),
        ([], "methods: got none"),
        (["--methods", "gn-tv", "--config", "c.toml"], "got gn-tv both by --methods and in the configuration"),
        (["--methods", "../x", "--set", "steps=2"], "label of a method: got '../x'"),
        (["--methods", "gn-tv", "--seconds", "-1"], "option seconds: got -1.0, expected >= 0"),
    ],
)
def test_bad_words_are_refused_before_any_work(data, words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text("[methods.gn-tv]\nsteps = 2\n")
    assert eitdip("compare", data["dtn"], "--out", "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_other_settings_do_not_mix_with_finished_runs(compared, data, capsys):
    words = ["compare", data["dtn"], "--methods", "pixels-tv", *SMALL, "--out", compared, "--resume"]
    assert eitdip(*words, "--set", "tv=3") == 2
    assert "holds a run of other data or settings" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_stopped_in_the_second_method_and_resumed(number, code, data, tmp_path):
    words = ["compare", str(data["cem"]), "--methods", METHODS, *LONG]
    assert eitdip(*words, "--out", tmp_path / "whole") == 0
    out = tmp_path / "out"
    child = subprocess.Popen([*EITDIP, *words, "--out", str(out)], cwd=ROOT, stdout=subprocess.DEVNULL)
    checkpoint, deadline = out / "pixels-tv" / "seed-0" / "checkpoint" / "seed-0.safetensors", time.monotonic() + 90
    while not checkpoint.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(number)
    assert child.wait(timeout=60) == code
    first = out / "cells-tikhonov" / "seed-0" / "result.json"
    before = first.read_bytes()
    assert not (out / "pixels-tv" / "seed-0" / "result.json").exists() and not (out / "report.html").exists()
    assert eitdip(*words, "--out", out, "--resume") == 0
    assert first.read_bytes() == before  # not run again
    assert steady(out) == steady(tmp_path / "whole")


def test_two_ranks_give_the_serial_table(data, tmp_path):
    words = ["compare", data["dtn"], "--methods", f"{METHODS},pinn", *SMALL, "--set", "points=256"]
    assert eitdip(*words, "--out", tmp_path / "one") == 0
    done = on_two_ranks(*words, "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    for one, two in zip(steady(tmp_path / "one"), steady(tmp_path / "two"), strict=True):
        for name, value in one.items():
            assert two[name] == value or float(two[name]) == pytest.approx(float(value), rel=1e-3), name


def test_the_page_needs_nothing_but_itself(compared):
    page = (compared / "report.html").read_text()
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_in_a_browser(compared, tmp_path):
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"needs one of {', '.join(names)} on the PATH")
    quiet = ("disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update")
    command = [
        browser, "--headless", "--no-sandbox", *(f"--{flag}" for flag in quiet), "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1600",
    ]  # fmt: skip
    page = (compared / "report.html").as_uri()
    dom = subprocess.run([*command, "--dump-dom", page], capture_output=True, text=True, timeout=60, check=True).stdout
    assert 'data-ready="yes"' in dom  # the script ran to its end
    assert dom.count("<tr>") == 4 and "pixels-tv" in dom
    shot = tmp_path / "page.png"
    subprocess.run([*command, f"--screenshot={shot}", page], capture_output=True, timeout=60, check=True)
    from matplotlib.image import imread

    pixels = imread(shot)[..., :3]
    assert pixels.shape == (1600, 1200, 3)
    coloured = (np.ptp(pixels, axis=2) > 0.2).mean()  # the pictures are red and blue; the text is grey
    assert coloured > 0.004
