"""The benchmarks run on tiny meshes, agree with each other and write what they say. Never a time."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("gmsh")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The files of a smoke run of everything that needs no peer."""
    from benchmarks.__main__ import main

    folder = tmp_path_factory.mktemp("bench")
    main(["--quick", "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def record(bench) -> dict:
    return json.loads((bench / "bench.json").read_text())


def test_every_part_has_rows(record):
    parts = {check["part"] for check in record["checks"]}
    assert parts == {"peers", "automatic", "limit", "inside", "kernels", "solids", "derivatives", "memory"}
    assert record["machine"]["threads"] == 1


def test_ratios_are_positive_and_ordered(record):
    checks = [check for check in record["checks"] if check["part"] not in ("peers", "automatic", "memory")]
    ratios = [check["figure"] for check in checks if "exponent" not in check["name"]]
    assert (len(checks), len(ratios)) == (17, 16)
    for ratio in ratios:
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]


def test_a_peer_that_does_not_run_has_a_reason_and_no_figure(record):
    from benchmarks.speed.environment import RECIPES

    rows = [check for check in record["checks"] if check["part"] in ("peers", "automatic")]
    names = [row["name"].split(" / ")[0].split(": ")[1] for row in rows]
    # Two plane meshes; pyEIT and dolfinx-adjoint have one kind of work each, the others two.
    assert {name: names.count(name) for name in RECIPES} == {"splu": 4, "CHOLMOD": 4, "pyEIT": 2, "dolfinx-adjoint": 2}
    assert all(row["figure"] is None and row["met"] is None and row["note"] for row in rows)


def test_the_table_has_a_row_per_check(bench, record):
    lines = [line for line in (bench / "bench.md").read_text().splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(record["checks"])
    assert all(line.count("|") == 5 for line in lines)


def test_limits_decide():
    from benchmarks.speed.measure import Figure
    from benchmarks.speed.report import Check

    figure = Figure.of([1.0, 2.0, 4.0])
    assert (figure.low, figure.median, figure.high) == (1.5, 2.0, 3.0)
    assert Check("p", "n", 1, figure, at_least=2.0).met is True
    assert Check("p", "n", 1, figure, at_least=2.1).met is False
    assert Check("p", "n", 1, figure, at_most=1.9).met is False
    assert Check("p", "n", 1, figure).met is None
    assert Check("p", "n", 1, None, at_least=1.0, note="gone").row() == "| n, 1 nodes | >= 1 | not measured: gone | - |"


def test_repetitions_are_interleaved_and_agreement_comes_first():
    from benchmarks.speed.measure import interleave

    calls = []

    def contestant(name):
        def run(number):
            calls.append((name, number))
            return name, 1.0 if name == "a" else 2.0

        return run

    numbers = iter(range(100))
    agreed = []
    codes = {"a": contestant("a"), "b": contestant("b")}
    seconds = interleave(
        codes, lambda: (next(numbers),), 3, lambda results: agreed.append((results, len(calls))), {"b": 1}
    )
    assert agreed == [({"a": "a", "b": "b"}, 2)]
    assert calls[2:] == [("a", 1), ("a", 2), ("b", 2), ("a", 3), ("a", 4)]
    np.testing.assert_array_equal(seconds["a"], [1, 1, 1])
    np.testing.assert_array_equal(seconds["b"], [2])


def test_a_wrong_peer_stops_the_bench(rng):
    from benchmarks.speed.against import _same

    gradient = rng.standard_normal(50)
    wrong = gradient.copy()
    wrong[7] *= 1 + 1e-5
    _same({"eitdip": gradient, "peer": gradient * (1 + 1e-12)}, 1e-9)
    with pytest.raises(AssertionError, match="peer"):
        _same({"eitdip": gradient, "peer": wrong}, 1e-9)


def test_point_electrodes_follow_ohms_law():
    """Four times the conductivity, a quarter of the voltages; currents and voltages may change places."""
    from benchmarks.speed.against import point_potentials
    from benchmarks.speed.problems import plane

    problem = plane(300)
    sigma, _ = problem.draws(problem.electrodes)()
    nodes, currents = problem.domain.boundary_nodes[:9:3], np.array([[0, 1], [1, 2]])
    one, four = (point_potentials(problem, factor * sigma, nodes, currents) for factor in (1, 4))
    drops = one[:, currents[:, 0]] - one[:, currents[:, 1]]
    np.testing.assert_allclose(one, 4 * four, rtol=1e-9)
    np.testing.assert_allclose(drops[0, 1], drops[1, 0], rtol=1e-9)
    assert (np.diag(drops) > 0).all()


def test_every_peer_has_a_script_and_its_packages_are_pinned():
    from benchmarks.speed.environment import PINS, RECIPES

    pinned = {line.split("==")[0] for line in PINS.read_text().splitlines() if "==" in line}
    for recipe in RECIPES.values():
        assert Path(ROOT / "benchmarks" / "speed" / "peers" / f"{recipe.module}.py").is_file()
        assert {*recipe.packages, *recipe.alone} <= pinned


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Peers run in this environment; a module of the given text is one."""
    from benchmarks.speed import environment

    monkeypatch.setattr(environment, "install", lambda name: None)
    monkeypatch.setattr(environment, "PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def peer(text: str, problem=(1, 2)):
        (tmp_path / "small_peer.py").write_text(text)
        monkeypatch.setitem(environment.RECIPES, "small", environment.Recipe("small_peer", ()))
        return environment.Peer("small", problem)

    return peer


def test_a_peer_is_set_up_once_and_answers(here):
    peer = here(
        "print('noise')\n"
        "class Peer:\n"
        "    def __init__(self, problem): self.sum = sum(problem)\n"
        "    def forward(self, x): print('more noise'); return self.sum * x\n"
    )
    for x in (2.0, 5.0):
        result, seconds = peer.ask("forward", x)
        assert result == 3 * x and seconds >= 0
    peer.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_package", "does not start: ModuleNotFoundError: No module named 'no_such_package'"),
        ("class Peer:\n    def __init__(self, problem): raise ValueError('too large')", "ValueError: too large"),
        ("import os\nos._exit(7)", "ended with exit code 7"),
    ],
)
def test_a_peer_that_does_not_start_says_why(here, text, reason):
    from benchmarks.speed.environment import PeerError

    with pytest.raises(PeerError, match=reason):
        here(text)


def test_a_peer_that_fails_at_work_says_why(here):
    from benchmarks.speed.environment import PeerError

    peer = here("class Peer:\n    def __init__(self, problem): pass\n    def forward(self, x): return 1 / x\n")
    with pytest.raises(PeerError, match="ZeroDivisionError"):
        peer.ask("forward", 0)
    peer.close()


def test_a_failed_installation_gives_its_reason():
    from benchmarks.speed.environment import PeerError, _run

    code = "import sys; sys.exit('WARNING: old\\nERROR: no such version\\nERROR: more')"
    with pytest.raises(PeerError, match=r"does not install: ERROR: no such version$"):
        _run([sys.executable, "-c", code])


def test_resident_memory_counts_what_is_kept():
    from benchmarks.speed.measure import resident_bytes

    before = resident_bytes()
    kept = np.ones(8_000_000)  # 64 MB
    assert 0.9 * kept.nbytes < resident_bytes() - before < 1.5 * kept.nbytes


def test_the_protocol_of_methods_keeps_runs_and_makes_its_table(tmp_path, capsys, monkeypatch):
    from benchmarks.quality import five_phantoms as methods
    from eitdip.runs import output

    words = ["--out", str(tmp_path), "--phantoms", "concentric", "--noises", "0.05", "--methods", "one-step"]
    monkeypatch.setattr(output, "write_pictures", lambda *nothing: None)  # they take most of the time
    monkeypatch.setattr(methods, "MESH", {"h": 0.3})
    monkeypatch.setattr(methods, "simulate_dirichlet", partial(methods.simulate_dirichlet, h=0.1))
    methods.main([*words, "--seeds", "2"])
    results = sorted(tmp_path.rglob("result.json"))
    before = [path.stat().st_mtime_ns for path in results]
    methods.main([*words, "--seeds", "2"])
    assert len(results) == 2 and [path.stat().st_mtime_ns for path in results] == before
    errors = [json.loads(path.read_text())["metrics"]["relative L2"] for path in results]
    assert errors[0] != errors[1]  # another noise
    table = (tmp_path / "table.md").read_text()
    assert f"| concentric | 5 % | **{np.median(errors):.3f}** ± {np.ptp(errors) / 2:.3f} |" in table
    assert "| **runs** | | 2 |" in table
    assert table in capsys.readouterr().out


def test_what_tuning_does_to_tanks_is_told_against_the_network_alone():
    from benchmarks.quality.tuned_tanks import table

    common = {"level": 1, "seconds": 2.0, "true": 3, "missed": 1, "invented": 0}
    chi2 = ({"chi2": 4.0, "chi2 with model error": 1.0}, {"chi2": 6.0, "chi2 with model error": 2.0})
    found = {
        "network alone": [common | each | {"thresholds": 0.5, "likeliest": 0.6} for each in chi2],
        "all weights": [
            common | each | {"thresholds": 0.9, "likeliest": s} for each, s in zip(chi2, (0.4, 0.6), strict=True)
        ],
    }
    rows = table(found).splitlines()
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1
    assert rows[3] == (
        "| all weights | 5.00 | 1.50 | 0.900, +0.300 +- 0.000 | 0.500, -0.100 +- 0.071 | 2 of 6 | 0 | 2.0 |"
    )
