"""The files of a comparison, from runs that are made up; the page in a browser."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from eitdip import fem, plot
from eitdip.mesh import Domain
from eitdip.operator import Space
from eitdip.problems.bodies import Body
from eitdip.problems.images import Image
from eitdip.problems.unknown import Unknown
from eitdip.runs import report
from eitdip.runs.compare import COLUMNS, Entry, best, table
from tests.cases.meshes import ring_disk
from tests.cases.solids import box

FILES = {"comparison.csv", "comparison.json", "curves.png", "pictures.png", "report.html"}


def result(seed: int = 0, *, l2=0.2, dice=0.5, seconds=3.0, truth: bool = True, memory_of: str = "session") -> dict:
    scores = {"relative L2": l2, "contrast error": None, "dice conductive": dice, "dice resistive": None, "PSNR": 10.0}
    return {
        "seed": seed, "status": "budget", "metrics": scores if truth else None, "misfit": 1.25, "background": 1.0,
        "step seconds": [seconds], "iterations": [3], "memory": [100.0], "memory of": memory_of,
        "options": {"steps": 3, "tv": 0.5},
    }  # fmt: skip


def entry(label: str, *results: dict, error: str = "", folders=(), diverged: bool = False) -> Entry:
    return Entry(label, "dip-tv", results, tuple(folders), error, diverged)


def body(domain: Domain) -> Body:
    return Body(fem.Discretization(domain), 1.0)


def finished(folder: Path, unknown: Unknown, factor: float, **numbers) -> tuple[dict, Path]:
    """A run's result and its folder with the files that a comparison reads; the right half is higher by a factor."""
    folder.mkdir(parents=True)
    x = np.ones(unknown.space.shape)
    if unknown.kind == "image":
        x[..., x.shape[-1] // 2 :] = factor
    else:
        x[unknown.domain.centroids[:, 0] > unknown.domain.center[0]] = factor
    np.savez(folder / "estimate.npz", x=x, picture=unknown.picture(x))
    error = "PSNR" if unknown.kind == "image" else "relative L2"
    error = error if numbers["truth"] else "loss"
    rows = [f"0,{step},{0.5 + step},{20 / factor / (1 + step)},{0.9 / (1 + step)}" for step in range(3)]
    (folder / "history.csv").write_text("\n".join([f"seed,step,seconds,chi2,{error}", *rows]))
    return result(**numbers), folder


def posed(unknown: Unknown, truth=None, provenance=None, known: bool = True) -> SimpleNamespace:
    """What a report asks of a problem."""
    data = SimpleNamespace(count=7, provenance=provenance or {"kind": "made up"}, noise=SimpleNamespace(known=known))
    measurements = None if unknown.kind == "image" else SimpleNamespace(unit="mS per square")
    return SimpleNamespace(name="made up", unknown=unknown, data=data, truth=truth, measurements=measurements)


def written(out: Path, unknown: Unknown, truth, provenance=None, **numbers) -> list[Entry]:
    """Two methods, one of them with two seeds, and one that failed."""
    numbers = {"truth": truth is not None} | numbers
    runs = {
        "gn-tv": [finished(out / "gn-tv" / "seed-0", unknown, 3.0, l2=0.31, **numbers)],
        "dip <b>": [finished(out / "dip" / f"seed-{s}", unknown, 0.4, seed=s, l2=0.1 + s, **numbers) for s in (0, 1)],
    }
    entries = [
        entry(label, *(r for r, _ in done), folders=[folder for _, folder in done]) for label, done in runs.items()
    ]
    entries.append(entry("pinn", error="it does not <i>suit</i> the data"))
    report.write(out, entries, posed(unknown, truth, provenance), "eitdip compare x.h5 --set 'a=<b>'")
    return entries


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    written(out, body(ring_disk(8)), np.ones((8, 8)), {"kind": "<script>alert(1)</script>"})
    return out / "report.html"


def test_all_files_are_written(page):
    assert {item.name for item in page.parent.iterdir() if item.is_file()} == FILES
    record = json.loads((page.parent / "comparison.json").read_text())
    assert [e["folders"] for e in record["methods"]] == [["gn-tv/seed-0"], ["dip/seed-0", "dip/seed-1"], []]
    assert record["table"][1]["relative L2"] == "0.6 (0.1 to 1.1)" and record["table"][2]["relative L2"] == "-"


def test_the_csv_has_a_row_per_run_and_per_failure(page):
    with (page.parent / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["seed"], row["status"]) for row in rows] == [
        ("gn-tv", "0", "budget"), ("dip <b>", "0", "budget"), ("dip <b>", "1", "budget"), ("pinn", "", "failed")
    ]  # fmt: skip
    assert [row["relative L2"] for row in rows] == ["0.31", "0.1", "1.1", ""]
    assert rows[0]["contrast error"] == "" and rows[0]["misfit"] == "1.25" and rows[0]["seconds"] == "3.0"
    assert rows[3]["note"] == "it does not <i>suit</i> the data"


def test_the_best_of_each_column():
    failed = entry("c", error="the loss became inf", diverged=True)
    entries = [entry("a", result(dice=0.5)), entry("b", result(l2=0.1, seconds=9.0)), failed]
    marked = best(entries)
    assert marked["relative L2"] == {"b"} and marked["dice conductive"] == {"a", "b"} and marked["seconds"] == {"a"}
    assert not {"misfit", "memory MiB", "steps"} & marked.keys() and "contrast error" not in marked
    rows = table(entries)
    assert rows[2] == {"method": "c", "note": "the loss became inf"} | dict.fromkeys(COLUMNS, "-")
    assert rows[0]["contrast error"] == "-" and rows[0]["relative L2"] == "0.2"
    lines = report.as_text(entries).splitlines()
    assert len({len(line) for line in lines[:4]}) == 1 and lines[4] == "c: the loss became inf"


def test_a_result_without_a_column_shows_a_dash():
    old = result()
    del old["step seconds"]
    assert table([entry("a", old)])[0]["seconds"] == "-"


def test_names_and_words_cannot_become_markup(page):
    text = page.read_text()
    assert "dip &lt;b&gt;" in text and "dip <b>" not in text
    assert "&lt;script&gt;alert(1)" in text and text.count("<script>") == 1
    assert "<i>suit" not in text and "a=&lt;b&gt;" in text


def test_the_page_needs_nothing_but_itself(page):
    assert_alone(page.read_text())


def assert_alone(text: str) -> None:
    sources = re.findall(r"""(?:src|href|srcset|action|data)\s*=\s*["']([^"']*)""", text)
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    without = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", text)  # base64 has slashes
    assert not re.search(r"https?:|[\"'(=]\s*//|@import|url\(|<link", without)


@pytest.mark.parametrize("memory_of", ["session", "process"])
def test_memory_says_what_it_counts(memory_of, tmp_path):
    written(tmp_path, body(ring_disk(8)), None, memory_of=memory_of)
    text = (tmp_path / "report.html").read_text()
    assert ("while the method ran" in text) == (memory_of == "session")
    assert ("compare it with care" in text) == (memory_of == "process")


@pytest.fixture
def drawn(monkeypatch) -> dict:
    """What is drawn: the quantity of the curves, and the panels of pictures."""
    seen = {}
    curves, images, pictures = plot.against_time, plot.images, plot.pictures
    monkeypatch.setattr(plot, "against_time", lambda *a: seen.update(quantity=a[2]) or curves(*a))
    monkeypatch.setattr(plot, "images", lambda *a, **k: seen.update(images=a[1], **k) or images(*a, **k))
    monkeypatch.setattr(plot, "pictures", lambda *a, **k: seen.update(pictures=a[1:]) or pictures(*a, **k))
    return seen


def test_without_a_truth_the_curves_are_of_the_misfit(tmp_path, drawn):
    entries = written(tmp_path, body(ring_disk(8)), None)
    assert drawn["quantity"] == "chi2" and list(drawn["images"]) == ["gn-tv", "dip <b>"]
    assert drawn["unit"] == "mS per square"
    assert 'found, conductivities in mS per square"' in (tmp_path / "report.html").read_text()
    headings = re.findall(r"<th>([^<]*)</th>", (tmp_path / "report.html").read_text())
    assert headings == ["method", "misfit", "seconds", "steps", "memory MiB"]
    assert entries[0].values("relative L2") == [] and entries[0].values("misfit") == [1.25]


def test_solids_show_the_middle_section_with_the_truth_first(tmp_path, drawn):
    truth = np.ones((5, 6, 6)) * np.arange(1, 6)[:, None, None]
    written(tmp_path, body(box(4, 4, 4, (2.0, 2.0, 2.0))), truth)
    assert list(drawn["images"]) == ["truth", "gn-tv", "dip <b>"]
    assert (drawn["images"]["truth"] == 3).all()
    image = drawn["images"]["gn-tv"]
    assert image.shape == (192, 192) and np.nanmean(image[:, 150]) == 3 and np.nanmean(image[:, 40]) == 1
    assert "the middle horizontal section" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("shape", "dtype"), [((8, 10), "float64"), ((3, 8, 10), "float64"), ((8, 10), "complex128")])
def test_images_are_gray_or_in_colours_and_have_decibels(shape, dtype, tmp_path, drawn):
    unknown = Image(Space(shape, dtype), 0.5, 1.0, 0.0, 3.0)
    truth = np.full(shape, 1j if dtype == "complex128" else 0.5)
    written(tmp_path, unknown, truth)
    panels, low, high = drawn["pictures"]
    assert drawn["quantity"] == "PSNR" and "images" not in drawn and (low, high) == (0.0, 3.0)
    assert list(panels) == ["truth", "gn-tv", "dip <b>"]
    assert {panel.shape for panel in panels.values()} == {shape}
    assert panels["gn-tv"][..., 7].max() == 3 and panels["truth"].max() == abs(truth).max()
    text = (tmp_path / "report.html").read_text()
    assert "Dice scores" not in text and "finite elements" not in text and "section" not in text


def test_an_unknown_noise_level_is_said(tmp_path):
    for known in (True, False):
        report.write(tmp_path, [entry("pinn", error="no")], posed(body(ring_disk(2)), known=known))
        assert ("noise level is unknown here" in (tmp_path / "report.html").read_text()) == (not known)


def test_without_steps_there_are_no_curves(tmp_path):
    done, folder = finished(tmp_path / "tv", body(ring_disk(8)), 3.0, truth=True)
    (folder / "history.csv").unlink()
    report.write(tmp_path, [entry("tv", done | {"iterations": []}, folders=[folder])], posed(body(ring_disk(8))))
    assert {item.name for item in tmp_path.iterdir() if item.is_file()} == FILES - {"curves.png"}
    assert (tmp_path / "report.html").read_text().count("<img") == 1


def test_nothing_but_failures_is_a_page_too(tmp_path):
    report.write(tmp_path, [entry("pinn", error="no")], posed(body(ring_disk(2))))
    assert {item.name for item in tmp_path.iterdir()} == FILES - {"curves.png", "pictures.png"}
    assert "<img" not in (tmp_path / "report.html").read_text()


@pytest.fixture
def browser(tmp_path):
    """Calls a headless browser with further words."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(names)} on the PATH")
    quiet = ("disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update")
    command = [
        program, "--headless", "--no-sandbox", *(f"--{flag}" for flag in quiet), "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1600",
    ]  # fmt: skip

    def call(*words: str) -> str:
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=True).stdout

    return call


def labels(dom: str) -> list[str]:
    return re.findall(r"<tr><td>([^<]*)</td>", dom)


def test_the_page_in_a_browser(page, browser, tmp_path):
    dom = browser("--dump-dom", page.as_uri())
    assert 'data-ready="yes"' in dom  # the script ran to its end
    assert labels(dom) == ["gn-tv", "dip &lt;b&gt;", "pinn"]
    assert_alone(dom)
    shot = tmp_path / "page.png"
    browser(f"--screenshot={shot}", page.as_uri())
    from matplotlib.image import imread

    pixels = imread(shot)[..., :3]
    assert pixels.shape == (1600, 1200, 3)
    coloured = (np.ptp(pixels, axis=2) > 0.2).mean()  # the pictures are red and blue; the text is grey
    assert coloured > 0.02


@pytest.mark.parametrize(
    ("clicks", "column", "order"),
    [
        (1, 9, ["gn-tv", "dip &lt;b&gt;", "pinn"]),  # memory: all the same, and a dash goes last
        (1, 1, ["gn-tv", "dip &lt;b&gt;", "pinn"]),  # relative L2: 0.31 before 0.6
        (2, 1, ["dip &lt;b&gt;", "gn-tv", "pinn"]),
        (1, 0, ["dip &lt;b&gt;", "gn-tv", "pinn"]),
    ],
)
def test_a_click_on_a_title_sorts(clicks, column, order, page, browser, tmp_path):
    click = f"<script>document.querySelectorAll('th')[{column}].click();</script>"
    clicked = tmp_path / "clicked.html"
    clicked.write_text(page.read_text().replace("</body>", clicks * click + "</body>"))
    assert labels(browser("--dump-dom", clicked.as_uri())) == order


def test_a_method_that_lost_seeds_is_not_the_best():
    """What is left of it may be its lucky ones."""
    good = Entry("a", "a", ({"misfit": 1.0, "metrics": {"PSNR": 20.0}},) * 3, (Path(),) * 3)
    lucky = Entry("b", "b", ({"misfit": 1.0, "metrics": {"PSNR": 30.0}},), (Path(),), error="the loss became nan")
    other = Entry("c", "c", ({"misfit": 1.0, "metrics": {"PSNR": 19.0}},) * 3, (Path(),) * 3)
    assert best([good, lucky, other])["PSNR"] == {"a"}
