"""Several methods beside each other, on data of any kind: what is written, what fails, kill and resume."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eitdip import plot
from eitdip.cli.compare import _contenders
from eitdip.errors import InvalidDataError, OptionError
from eitdip.methods.options import LOOP, Running, method
from eitdip.metrics.truth import BETTER
from eitdip.problems import bodies
from eitdip.problems.load import read
from eitdip.ranks.collectives import alone
from eitdip.runs import compare as comparison
from eitdip.runs import session
from eitdip.runs.compare import COLUMNS, Contender, Entry, compare
from tests.cases.commands import COARSE, SMALL, SMALL_IMAGE, SMALL_SOLID, eitdip, interrupted, words
from tests.cases.kills import killed
from tests.cases.measurements import MESH, SETTINGS

PIXELS = [*COARSE, *words(size=SETTINGS["size"])]
METHODS = "cells-tikhonov,pixels-tv"
# Data to the words of a comparison, the two methods of which are the first.
KINDS = {
    "cem": ["cells-tikhonov,dip-tv", *SMALL],
    "dtn": ["pinn,gn-tv", *COARSE, *words(points=256, channels=8)],
    "ball": ["cells-tv,dip-tv", *SMALL_SOLID],
    "disc": ["tv,dip-tv", *SMALL_IMAGE, *words(size=16, views=10)],
    "kspace": ["tikhonov,dip", *SMALL_IMAGE, *words(calibration=16, tikhonov=0.5)],
    "scan": ["em,dip", *SMALL_IMAGE, *words(size=16)],
    "photo": ["dip-tv,tv", "--task", "inpaint", *SMALL_IMAGE, *words(size=32, tv=1)],
    "drawing": ["tv,pinv", "--task", "denoise", *words(size=40, colour="true", noise=0, steps=3)],
}
BODIES = {"cem": "plane", "dtn": "plane", "ball": "solid"}


def of(kind: str, data, *, steps: int | None = None) -> list:
    """The words of a comparison."""
    methods, *more = KINDS[kind]
    more += [] if steps is None else words(steps=steps, checkpoint_seconds=0)
    return ["compare", data[kind], "--methods", methods, *more]


@pytest.fixture(scope="module")
def compared(data, tmp_path_factory) -> Path:
    """Two seeds of three methods."""
    out = tmp_path_factory.mktemp("compared")
    more = [*SMALL, *words(points=256), "--seeds", "2"]
    assert eitdip("compare", data["dtn"], "--methods", f"{METHODS},pinn", *more, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> dict[str, list[dict]]:
    """The tables of comparisons that nothing interrupts."""
    found = {}
    for kind in ("cem", "disc"):
        out = tmp_path_factory.mktemp(kind)
        assert eitdip(*of(kind, data, steps=12), "--out", out) == 0
        found[kind] = steady(out)
    return found


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
    of_posteriors = {name for name, (part, *_) in COLUMNS.items() if part == "uncertainty"}
    assert all(
        (value == "") == (name in of_posteriors) for row in rows for name, value in row.items() if name != "note"
    )
    errors = [float(row["relative L2"]) for row in rows]
    assert errors[0] == errors[1] and errors[4] != errors[5]  # cells start the same, networks do not
    assert {path.name for path in compared.iterdir() if path.is_file()} == {
        "comparison.csv", "comparison.json", "curves.png", "pictures.png", "report.html"
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_data_of_every_kind_are_compared(kind, data, tmp_path, monkeypatch, capsys):
    """Columns and pictures are those of the problem; settings go to the methods that use them."""
    if kind in BODIES:
        pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
    drawn, shown = [], {}
    for name in ("images", "pictures"):
        inner = getattr(plot, name)
        monkeypatch.setattr(plot, name, lambda path, panels, *a, i=inner, n=name, **k: (
            drawn.append(n), shown.update(panels), i(path, panels, *a, **k)
        ))  # fmt: skip
    assert eitdip(*of(kind, data), "--out", tmp_path) == 0
    labels = KINDS[kind][0].split(",")
    results = [json.loads((tmp_path / label / "seed-0" / "result.json").read_text()) for label in labels]
    true = kind in BODIES or kind == "photo"
    errors = list(BETTER) if kind in BODIES else ["relative L2", "PSNR"] * (kind == "photo")
    steps = ["steps"] * any(result["iterations"] for result in results)
    heading = ["method", *errors, "misfit", "seconds", *steps, "memory", "MiB"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == " ".join(heading).split()
    assert [line.split()[0] for line in printed[1:3]] == labels
    page = (tmp_path / "report.html").read_text()
    assert all(f"<th>{name}</th>" in page for name in [*errors, "misfit", "seconds", "memory MiB"])
    assert page.count("<th>") == 1 + len(errors) + 3 + len(steps)
    assert drawn == (["images"] if kind in BODIES else ["pictures"])
    assert list(shown) == ["truth"] * true + labels
    assert {np.ndim(panel) for panel in shown.values()} == {3 if kind == "drawing" else 2}
    assert (tmp_path / "curves.png").exists() == bool(steps)
    for label, result, row in zip(labels, results, steady(tmp_path), strict=True):
        assert result["kind"] == BODIES.get(kind, "image") and np.isfinite(float(row["misfit"]))
        assert (result["metrics"] is None) == (not true) and all(row[name] != "" for name in errors)
        assert bool(result["iterations"]) == (method(label).optimizer in LOOP)


def test_histories_tell_errors_and_growing_seconds(compared):
    entry = Entry("pinn", "pinn", ({},), (compared / "pinn" / "seed-0",))
    history = entry.history()
    assert (np.diff(history["seconds"]) > 0).all()
    result = json.loads((compared / "pinn" / "seed-0" / "result.json").read_text())
    assert history["relative L2"][-1] == pytest.approx(result["metrics"]["relative L2"])
    image = entry.picture()
    assert image.shape == (192, 192) and np.isnan(image[0, 0]) and image[96, 96] > 0


def test_a_method_that_fails_does_not_stop_the_others(data, tmp_path, capsys):
    assert eitdip("compare", data["cem"], "--methods", "pinn,cells-tikhonov", "--out", tmp_path, *COARSE) == 0
    assert "pinn: option objective: got 'pinn'" in capsys.readouterr().out
    rows = steady(tmp_path)
    assert "expected Dirichlet data of a disk" in rows[0]["note"] and rows[0]["status"] == "failed"
    assert float(rows[1]["misfit"]) > 0 and rows[1]["note"] == ""
    assert "expected Dirichlet data of a disk" in (tmp_path / "report.html").read_text()


def test_the_exit_code_if_all_fail(data, tmp_path, capsys):
    more = ["--methods", "pinn,cells-tikhonov", *COARSE]
    assert eitdip("compare", data["hopeless"], *more, "--out", tmp_path / "out") == 3
    assert "eitdip: diverged: all 2 methods failed: option objective: got 'pinn'" in capsys.readouterr().err
    assert [row["status"] for row in steady(tmp_path / "out")] == ["failed", "diverged"]
    assert eitdip("compare", data["cem"], "--methods", "pinn", *COARSE, "--out", tmp_path / "none") == 2
    assert "all 1 methods failed" in capsys.readouterr().err


def test_a_method_on_a_mesh_of_its_own_that_cannot_be_made(data, tmp_path, monkeypatch, capsys):
    """It comes first, and the others are compared all the same."""
    make = bodies.prepare
    fail = lambda measured, meshing, comm: make(measured, meshing, comm) if meshing.h > 0.2 else refuse()  # noqa: E731

    def refuse():
        raise InvalidDataError("no such mesh")

    monkeypatch.setattr(bodies, "prepare", fail)
    config = tmp_path / "c.toml"
    config.write_text('h = 0.25\nsteps = 3\n[methods.fine]\nmethod = "gn-tv"\nh = 0.1\n[methods.gn-tv]\n')
    assert eitdip("compare", data["cem"], "--config", config, "--out", tmp_path / "out") == 0
    assert "fine: no such mesh" in capsys.readouterr().out
    assert [row["status"] for row in steady(tmp_path / "out")] == ["failed", "budget"]
    assert (tmp_path / "out" / "report.html").exists()


def test_labels_of_the_configuration(data, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('seed = 3\n[methods.weak]\nmethod = "cells-tikhonov"\ntikhonov = 0.01\n')
    more = ["--methods", "cells-tikhonov", "--config", config, "--out", tmp_path / "out", *COARSE]
    assert eitdip("compare", data["dtn"], *more) == 0
    record = json.loads((tmp_path / "out" / "comparison.json").read_text())["methods"]
    assert [(e["label"], e["method"], e["folders"]) for e in record] == [
        ("cells-tikhonov", "cells-tikhonov", ["cells-tikhonov/seed-3"]), ("weak", "cells-tikhonov", ["weak/seed-3"])
    ]  # fmt: skip
    assert [e["results"][0]["options"]["tikhonov"] for e in record] == [0.1, 0.01]
    assert record[0]["results"][0]["metrics"] != record[1]["results"][0]["metrics"]


READING = {"task": None, "reference": None, "level": None}


def test_tables_win_over_the_common_part_and_the_command_line_over_both(data):
    common = {"seed": 5, "seeds": 2, "tv": 1.0, "link": "exp", "steps": 9, "h": 0.3}
    tables = {"mine": {"method": "pixels-tv", "tv": 2.0, "steps": 8, "h": 0.4}}
    given = {"steps": 7, "seconds": 4}
    contenders, running = _contenders(data["cem"], ["gn-tv"], common | {"methods": tables}, given, READING)
    assert [(c.label, c.name) for c in contenders] == [("gn-tv", "gn-tv"), ("mine", "pixels-tv")]
    named, mine = (c.method for c in contenders)
    assert running == {"seconds": 4} and named.seeds == mine.seeds == 2
    assert (named.tv, named.steps, named.seed, named.link) == (1.0, 7, 5, "exp")
    assert (mine.tv, mine.steps, mine.seed, mine.generator) == (2.0, 7, 5, "pixels")
    meshes = [len(c.source.make(alone()).unknown.domain.cells) for c in contenders]
    assert meshes[0] > meshes[1]
    finer, _ = _contenders(data["cem"], [], {"methods": tables}, {"h": 0.25}, READING)
    assert len(finer[0].source.make(alone()).unknown.domain.cells) > meshes[0]


def test_settings_of_all_methods_go_to_those_that_use_them(data):
    given = {"tv": 2.0, "channels": 8, "steps": 3, "size": 16, "seconds": 1.0, "stop": "budget", "seed": 4}
    contenders, running = _contenders(data["disc"], ["dip-tv", "tv", "pinv"], {}, given, READING)
    network, variation, inverse = (c.method for c in contenders)
    seeded = {"seed": 4, "steps": 3, "tv": 2.0}
    assert network == method("dip-tv", seeded | {"channels": 8, "stop": "budget"})
    assert variation == method("tv", seeded) and inverse == method("pinv", {"seed": 4})
    assert running == {"seconds": 1.0}
    assert len({id(c.source) for c in contenders}) == 1 and contenders[0].source.kind == "image"
    potentials, _ = _contenders(data["dtn"], ["pinn", "bar-sochen"], {}, {"preset": "paper", "tv": 3.0}, READING)
    assert [(c.method.preset, c.method.tv) for c in potentials] == [("balanced", 3.0), ("paper", None)]


@pytest.mark.parametrize(
    ("common", "given", "message"),
    [
        ({}, {"window": 20}, "options: got window, which none of these methods uses; leave them out"),
        ({"points": 9}, {"channels": 3}, "options: got channels, points, which none"),
        ({}, {"stepps": 3}, "unknown option: got 'stepps', expected one of: steps"),
        ({}, {"views": 3}, "unknown option: got 'views', expected one of: "),
        ({"methods": {"mine": {"method": "gn-tv", "stepps": 3}}}, {}, "unknown option: got 'stepps'"),
        ({"methods": {"mine": {"threads": 2}}}, {}, r"\[methods.mine\]: got 'threads', which is the same for all"),
        ({"methods": 3}, {}, "got 'methods' that are no tables"),
    ],
)
def test_settings_that_no_method_uses_are_refused(common, given, message, data):
    with pytest.raises(OptionError, match=message):
        _contenders(data["cem"], ["gn-tv", "cells-tikhonov"], common, given, READING)


def test_a_setting_of_one_method_that_it_does_not_use_is_its_failure(data, tmp_path):
    config = tmp_path / "c.toml"
    more = ["--methods", "pinv", "--config", config, *words(size=16)]
    config.write_text('[methods.mine]\nmethod = "tv"\nchannels = 8\n[methods.other]\nmethod = "tv"\n')
    assert eitdip("compare", data["disc"], *more, "--out", tmp_path / "out") == 0
    rows = steady(tmp_path / "out")
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert "option channels: got 8 for ct, but the method uses only" in rows[1]["note"]


def test_a_time_budget_on_a_solid(data, tmp_path):
    more = ["--methods", "cells-tikhonov", *words(h=0.45, steps=1000), "--out", tmp_path, "--seconds", "0.3"]
    assert eitdip("compare", data["ball"], *more) == 0
    result = json.loads((tmp_path / "cells-tikhonov" / "seed-0" / "result.json").read_text())
    assert result["reason"] == "all 0.3 seconds used" and result["iterations"][0] < 1000
    assert result["step seconds"][0] >= 0.3
    assert (tmp_path / "pictures.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (["--methods", "gn-tv,nothing"], "unknown method: got 'nothing'"),
        ([], "methods: got none"),
        (["--methods", "gn-tv", "--config", "c.toml"], "got gn-tv both by --methods and in the configuration"),
        (["--methods", "../x", "--set", "steps=2"], "label of a method: got '../x'"),
        (["--methods", "gn-tv,one-step, gn-tv"], "methods: got 'gn-tv' twice"),
        (["--config", "seed.toml"], "[methods.mine]: got 'seed', which is the same for all"),
        (["--methods", "gn-tv", "--seeds", "0"], "option seeds: got 0, expected at least 1"),
        (["--methods", "gn-tv", "--seconds", "-1"], "option seconds: got -1.0, expected at least 0"),
        (["--methods", "gn-tv", "--task", "ct"], "task: got 'ct' for "),
    ],
)
def test_bad_words_are_refused_before_any_work(data, bad, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text("[methods.gn-tv]\nsteps = 2\n")
    Path("seed.toml").write_text('[methods.mine]\nmethod = "gn-tv"\nseed = 2\n')
    assert eitdip("compare", data["dtn"], "--out", "out", *bad) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_other_settings_are_refused_before_any_work(compared, data, capsys, monkeypatch):
    """Though only the second method's folder is of another run."""
    monkeypatch.setattr(comparison.batch, "reconstruct", lambda *a, **k: pytest.fail("it has begun"))
    more = ["--methods", "gn-tv,pixels-tv", *PIXELS, "--out", compared, "--resume"]
    assert eitdip("compare", data["dtn"], *more, "--set", "tv=3") == 2
    assert f"{compared / 'pixels-tv' / 'seed-0'} holds a run of other settings; " in capsys.readouterr().err
    for other in ([data["cem"], *more], [data["dtn"], *more, *words(h=0.3)]):
        assert eitdip("compare", *other) == 2
        assert "holds a run of other data or mesh; choose another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", b'{"method": ', "result.json: damaged"),
        ("result.json", b"\xff\xfe", "result.json: damaged"),
        ("history.csv", b"loss,chi2\n1,none\n", "history.csv: damaged"),
        ("history.csv", b"loss,chi2\n1\n", "history.csv: damaged"),
        ("history.csv", b"", "history.csv: damaged"),
        ("estimate.npz", b"PK", "estimate.npz: "),
    ],
)
def test_a_damaged_result_is_refused_before_any_work(
    name, content, message, compared, data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(comparison.batch, "reconstruct", lambda *a, **k: pytest.fail("it has begun"))
    shutil.copytree(compared / "pixels-tv", tmp_path / "pixels-tv")
    (tmp_path / "pixels-tv" / "seed-0" / name).write_bytes(content)
    assert eitdip("compare", data["dtn"], "--methods", "pixels-tv", *PIXELS, "--out", tmp_path, "--resume") == 2
    assert message in capsys.readouterr().err


def test_without_resume_nothing_of_an_earlier_run_is_taken(compared, data, tmp_path, monkeypatch):
    """If it is killed before its first checkpoint, checkpoint and result there would be those of other settings."""
    shutil.copytree(compared / "pixels-tv", tmp_path / "pixels-tv")
    small = {"size": SETTINGS["size"], "steps": SETTINGS["steps"]}
    chosen = method("pixels-tv", small | {"tv": 3})
    contender = Contender("pixels-tv", "pixels-tv", chosen, read(data["dtn"], settings=MESH))
    how = {"seeds": 1, "running": Running(), "comm": alone()}
    with monkeypatch.context() as patch:
        patch.setattr(comparison.batch, "reconstruct", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(compare([contender], tmp_path, **how))
    (entry,) = compare([contender], tmp_path, **how, resume=True)
    assert entry.error == "" and entry.results[0]["options"]["tv"] == 3
    assert (tmp_path / "pixels-tv" / "seed-1" / "result.json").exists()  # not asked for, not touched


def test_what_becomes_of_earlier_runs_is_told(data, tmp_path, capsys):
    command = ["compare", data["dtn"], "--methods", METHODS, *PIXELS, "--out", tmp_path]

    def told(*more) -> list[str]:
        assert eitdip(*command, *more) == 0
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{tmp_path}: ")]

    assert told("--resume") == [f"{tmp_path}: nothing to resume, so all runs start at their beginning"]
    assert told("--resume") == []
    held = (
        "holds cells-tikhonov/seed-0, pixels-tv/seed-0, removed when their turn comes; --resume keeps what is finished"
    )
    assert told() == [f"{tmp_path}: {held}"]


def test_a_run_of_another_time_limit_goes_on_or_stays(data, tmp_path):
    """One that had used up its time goes on with a larger one; it would not be compared with the others otherwise."""
    command = ["compare", data["dtn"], "--methods", METHODS, *PIXELS, "--out", tmp_path]
    assert eitdip(*command, "--seconds", "1e-9") == 0
    assert [row["steps"] for row in steady(tmp_path)] == ["1", "1"]
    assert eitdip(*command, "--resume") == 0
    assert [row["steps"] for row in steady(tmp_path)] == [str(SETTINGS["steps"])] * 2
    for name in METHODS.split(","):
        result = json.loads((tmp_path / name / "seed-0" / "result.json").read_text())
        assert [session["seconds"] for session in result["sessions"][0]] == [1e-9, 0.0]


def test_seconds_before_an_interruption_count(data, tmp_path, monkeypatch):
    """Each step is said to have taken a second."""
    loop = session.reconstruct.__globals__
    monkeypatch.setitem(
        loop, "Step", lambda number, terms, seconds, *rest, step=loop["Step"]: step(number, terms, 1.0, *rest)
    )
    command = ["compare", data["dtn"], "--methods", "pixels-tv", *PIXELS, "--out", tmp_path]
    assert interrupted(*command) == 130
    result = tmp_path / "pixels-tv" / "seed-0" / "result.json"
    assert not result.exists()
    assert eitdip(*command, "--resume") == 0
    assert json.loads(result.read_text())["step seconds"] == [3.0]


@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        ("cem", ["cells-tikhonov/seed-0/estimate.npz", "dip-tv/seed-0/result.json"]),
        ("disc", ["dip-tv/seed-0/checkpoint/seed-0.safetensors"]),
    ],
)
def test_killed_at_several_moments_and_resumed(kind, moments, data, whole, tmp_path):
    command = [*of(kind, data, steps=12), "--out", tmp_path, "--resume"]
    first = tmp_path / KINDS[kind][0].split(",")[0] / "seed-0" / "result.json"
    for moment in moments:
        killed(*command, when=tmp_path / moment)
        later = "dip-tv" in moment
        assert first.exists() == later
        assert (tmp_path / "dip-tv" / "seed-0" / "result.json").exists() == ("result" in moment)
        assert not (tmp_path / "report.html").exists()
    before = first.read_bytes()
    assert eitdip(*command) == 0
    assert first.read_bytes() == before  # not run again
    assert steady(tmp_path) == whole[kind]


@pytest.mark.parametrize("kind", ["cem", "disc"])
def test_interrupted_by_the_user_and_resumed(kind, data, whole, tmp_path, capsys):
    command = [*of(kind, data, steps=12), "--out", tmp_path]
    network = tmp_path / "dip-tv" / "seed-0"
    first = 12 if kind == "cem" else 0  # steps of the method before it
    assert interrupted(*command, step=first + 6) == 130
    assert "dip-tv: interrupted after 6 steps; go on with --resume" in capsys.readouterr().out
    assert not (network / "result.json").exists() and not (tmp_path / "report.html").exists()
    assert eitdip(*command, "--resume") == 0
    assert steady(tmp_path) == whole[kind]
