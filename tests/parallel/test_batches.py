"""Data sets and seeds over ranks: the same numbers on any number of them, and no failure spreads."""

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from eitdip.runs import output
from tests.cases.commands import launcher
from tests.cases.files import Files
from tests.cases.measurements import same
from tests.conftest import ROOT
from tests.parallel.run_batches import run_all

pytestmark = pytest.mark.usefixtures("gmsh")

HERE = Path(__file__).parent
ASTRA = find_spec("astra") is not None
CODES = {"batch": 0, "seeds": 0, "failing": 3, "failing seeds": 3, "interrupted": 130, "resumed": 0}
MORE = {"one": 0, "missing": 2, "diverged": 3, "compared": 0}  # on up to two ranks
OF_IMAGES = {"image seeds": 0, "image": 0, "failing with images": 3, "images compared": 0}


@pytest.fixture(scope="module")
def said(mpiexec, tmp_path_factory) -> tuple[Path, dict, subprocess.CompletedProcess]:
    """A folder with results on 1, 2 and 3 ranks, and what all ranks said; two ranks end by a bug on one of them."""
    pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
    folder = tmp_path_factory.mktemp("batches")
    files = Files(tmp_path_factory.mktemp("data"))
    for name, kind in {"a": "cem", "b": "dtn", "bad": "hopeless"}.items():
        shutil.copy(files[kind], folder / f"{name}.h5")
    if ASTRA:
        shutil.copy(files["disc"], folder / "disc.mat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "write_pictures", lambda *arguments: None)
        found = {1: run_all(folder)}
    found[3] = json.loads(mpiexec(3, HERE / "run_batches.py", str(folder), timeout=240).splitlines()[-1])
    command = [launcher(), "-n", "2", sys.executable, "-W", "error", str(HERE / "run_batches.py"), str(folder), "bug"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.stdout, done.stderr
    found[2] = json.loads(done.stdout.splitlines()[-1])
    return folder, found, done


@pytest.fixture(scope="module")
def runs(said) -> dict[int, Path]:
    """Results on 1, 2 and 3 ranks, after a look at the exit codes of all ranks."""
    folder, found, _ = said
    for ranks, cases in found.items():
        expected = CODES if ranks == 3 else CODES | MORE | (OF_IMAGES if ASTRA else {})
        assert {case: said["codes"] for case, said in cases.items()} == {
            case: [code] * ranks for case, code in expected.items()
        }
    return {ranks: folder / f"on-{ranks}" for ranks in found}


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "estimate.npz") as file:
        return dict(file)


def summary(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def assert_same(one: Path, other: Path, tolerance: float) -> None:
    """Two runs found the same."""
    expected, found = arrays(one), arrays(other)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        seen = ~np.isnan(array)
        assert np.array_equal(~np.isnan(found[name]), seen), name
        assert same(found[name][seen].astype(float), array[seen].astype(float), tolerance), name
    first, second = summary(one), summary(other)
    for name in ("options", "status", "iterations", "kept", "data", "hash"):
        assert first[name] == second[name]
    assert first.get("mesh") == second.get("mesh")
    assert second["misfit"] == pytest.approx(first["misfit"], rel=tolerance)


PLACES = ["batch/a", "batch/b", "seeds", "failing/a", "failing/b"]
IMAGES = ["image seeds", "image", "failing images/disc", "images/dip-tv/seed-0", "images/tv/seed-0"]


@pytest.mark.parametrize(("place", "ranks"), [("one", 2), *((place, ranks) for place in PLACES for ranks in (2, 3))])
def test_the_numbers_do_not_depend_on_the_ranks(place, ranks, runs):
    assert_same(runs[1] / place, runs[ranks] / place, 1e-8)


@pytest.mark.skipif(not ASTRA, reason="needs ASTRA")
@pytest.mark.parametrize(("place", "ranks"), [("batch/disc", 3), *((place, 2) for place in ["batch/disc", *IMAGES])])
def test_images_do_not_depend_on_the_ranks(place, ranks, runs):
    assert_same(runs[1] / place, runs[ranks] / place, 1e-12)


def test_rank_0_alone_speaks(said, runs):
    for cases in said[1].values():
        for case, words in cases.items():
            errors = int(words["codes"][0] not in (0, 130))
            assert "".join(words["err"]).count("eitdip: ") == words["err"][0].count("eitdip: ") == errors, case
            assert "Traceback" not in "".join(words["err"]) and not any(words["out"][1:]), case
    for ranks in (1, 2):
        assert said[1][ranks]["one"]["out"][0].count("misfit") == 1
        assert "missing.h5: no such file" in said[1][ranks]["missing"]["err"][0]
        assert not (runs[ranks] / "missing").exists() and not list((runs[ranks] / "diverged").rglob("result.json"))


@pytest.mark.parametrize("place", ["compared", pytest.param("images", marks=pytest.mark.skipif(not ASTRA, reason=""))])
def test_comparisons_do_not_depend_on_the_ranks(place, runs):
    tables = [csv.DictReader((runs[ranks] / place / "comparison.csv").read_text().splitlines()) for ranks in (1, 2)]
    for first, second in zip(*map(list, tables), strict=True):
        for name in first.keys() - {"seconds", "memory MiB"}:
            assert second[name] == first[name] or float(second[name]) == pytest.approx(float(first[name]), rel=1e-6)


def test_seeds_differ_and_keep_their_order(runs):
    def geometric(each):
        return np.exp(np.mean(np.log(each), axis=0))

    means = {"seeds": geometric} | ({"image seeds": lambda each: np.mean(each, axis=0)} if ASTRA else {})
    for ranks, folder in runs.items():
        for case, mean in means.items() if ranks < 3 else [("seeds", geometric)]:
            found = arrays(folder / case)
            each = [found[f"x_seed{i}"] for i in range(2)]
            assert not np.allclose(each[0], each[1], rtol=1e-3)
            assert np.allclose(found["x"], mean(each), rtol=1e-12)


def test_ranks_are_divided_by_data_sets_then_by_seeds(runs):
    def parallel(ranks: int, place: str) -> tuple[int, int]:
        found = summary(runs[ranks] / place)
        assert len(found["memory"]) == found["parallel"]["ranks"]
        return found["parallel"]["ranks"], found["parallel"]["teams"]

    assert parallel(1, "seeds") == (1, 1) and parallel(2, "seeds") == (2, 2)
    assert parallel(3, "seeds") == (3, 2)  # two ranks share the finite elements of one seed
    assert parallel(2, "batch/a") == (1, 1) and parallel(3, "batch/b") == ((1, 1) if ASTRA else (2, 2))
    assert parallel(3, "failing/a") == (1, 1)


def test_a_failing_data_set_has_no_result(runs):
    for folder in runs.values():
        assert (folder / "failing" / "b" / "result.json").exists()
        assert not (folder / "failing" / "bad" / "result.json").exists()
        assert not (folder / "bad" / "result.json").exists()
    for ranks in (1, 2):
        assert (runs[ranks] / "failing images" / "disc" / "result.json").exists() == ASTRA


def test_a_batch_interrupted_on_one_rank_resumes_to_the_same_bits(runs):
    for folder in runs.values():
        for name in ("a", "b", "disc") if ASTRA else ("a", "b"):
            whole, resumed = arrays(folder / "batch" / name), arrays(folder / "half" / name)
            assert np.array_equal(whole["x"], resumed["x"])
            assert len(list((folder / "half" / name / "checkpoint").iterdir())) == 2


def test_an_unforeseen_error_in_one_team_ends_all(said):
    """The other team has work for hours."""
    done = said[2]
    assert done.returncode != 0
    assert "a bug on one rank" in done.stderr
