"""The benchmarks of linear tasks: small runs of all of them, kept rows, and tables."""

import json

import numpy as np
import pytest

pytest.importorskip("astra")

import eitdip
from benchmarks.quality import (
    dip_against_tv,
    early_stopping,
    educated_cone,
    educated_ct,
    unseen_measurements,
    worst_perturbation,
)
from eitdip.data import pet
from eitdip.imaging import CartesianMRI
from eitdip.problems.scans import pet_projector
from eitdip.problems.simulate_images import tomography
from tests.cases.pretrained import weights_for


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_early_stopping_keeps_rows_and_hides_the_noise_level(tmp_path, monkeypatch, capsys):
    shown = []
    whole = eitdip.solve

    def watched(problem, method, **words):
        shown.append(problem.data.noise.sigma)
        return whole(problem, method, **words)

    monkeypatch.setattr(eitdip, "solve", watched, raising=False)
    monkeypatch.setattr(early_stopping, "SIZE", 32)
    words = ["--out", str(tmp_path), "--operators", "denoise", "--pictures", "moon", "--seeds", "1", "--patience", "3"]
    early_stopping.main(words)
    first = (tmp_path / "table.md").read_text()
    early_stopping.main(words)
    assert shown == [None]  # the second time nothing is computed
    assert (tmp_path / "table.md").read_text() == first
    row = json.loads((tmp_path / "denoise-moon-0-3.json").read_text())
    assert row["peak"] >= row["PSNR"] and row["steps"] <= row["kept"] + 5


def test_the_table_of_gaps():
    rows = [{"operator": "ct", "peak": 20.0 + gap, "PSNR": 20.0, "last": 18.0} for gap in (0.1, 0.2, 0.6)]
    lines = early_stopping.table(rows).splitlines()
    assert lines[2] == "| ct | 3 | 0.20 dB | 0.52 dB | 0.60 dB | 20.00 dB | 18.00 dB |" and len(lines) == 4


def test_total_variation_gets_its_best_weight(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dip_against_tv, "WEIGHTS", (1.0, 20.0))
    monkeypatch.setattr(dip_against_tv, "SIZE", 32)
    monkeypatch.setattr(dip_against_tv, "PRIOR", {"channels": 4, "levels": 2, "steps": 4})
    dip_against_tv.main(["--out", str(tmp_path), "--pictures", "camera", "--seeds", "1"])
    row = json.loads((tmp_path / "inpaint-camera-0.json").read_text())
    assert row["tv weight"] == 20.0 and len(row["one network"]) == 3 and row["dip-tv"] < row["tv"]
    assert "| inpaint | camera | 1 |" in (tmp_path / "table.md").read_text()


def test_the_instability_experiment(tmp_path, monkeypatch, capsys):
    small = {"channels": 4, "levels": 2}
    monkeypatch.setattr(worst_perturbation, "PRIORS", {"DIP": ("dip", small), "DIP + TV": ("dip-tv", small)})
    monkeypatch.setattr(worst_perturbation, "PRIOR_STEPS", 10)
    monkeypatch.setattr(worst_perturbation, "TV_STEPS", 20)
    words = ["--out", str(tmp_path), "--images", "1", "--pairs", "8", "--epochs", "1", "--steps", "1"]
    worst_perturbation.main(words)
    table = (tmp_path / "table.md").read_text()
    lines = table.splitlines()
    assert len(lines) == 2 + len(worst_perturbation.METHODS)
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in worst_perturbation.METHODS]
    kept = json.loads((tmp_path / "FBP.json").read_text())
    assert kept["amplification"] > 1 and np.isfinite(kept["worst case"])
    worst_perturbation.main(words)
    assert (tmp_path / "table.md").read_text() == table


@pytest.fixture
def scans(tmp_path, rng, monkeypatch):
    """A folder of data sets with small simulated scans."""
    folder = tmp_path / "data"
    (folder / "mri_brain_8ch").mkdir(parents=True)
    (folder / "pet_transmission").mkdir()
    image = np.zeros((40, 40), np.complex64)
    image[8:30, 10:32] = 1 + 0.5j
    kspace = CartesianMRI(np.ones((40, 40), bool))(image)
    np.save(folder / "mri_brain_8ch" / "cartesian_ksp.npy", np.concatenate([kspace, 1j * kspace]))
    mu = pet_projector(pet.ParallelGeometry(), (64, 64))(np.pad(np.full((32, 32), 0.05, np.float32), 16))
    blank = np.full((pet.BINS, pet.ANGLES), 20.0)
    np.savez(
        folder / "pet_transmission" / "pet_transmission_halfA.npz",
        trans=rng.poisson(20 * np.exp(-mu)).T, blank=blank,
    )  # fmt: skip
    monkeypatch.setenv("EITDIP_DATA", str(folder))
    monkeypatch.setattr(unseen_measurements, "CGLS_STEPS", 6)
    monkeypatch.setattr(unseen_measurements, "EM_STEPS", 4)
    monkeypatch.setattr(unseen_measurements, "PIXEL_STEPS", 4)
    monkeypatch.setattr(unseen_measurements, "MRI_WEIGHTS", (2.0, 5.0))
    monkeypatch.setattr(unseen_measurements, "PET_WEIGHTS", (0.2, 0.5))


def test_scans_are_judged_by_what_no_method_saw(scans, tmp_path, capsys):
    small = ["--set", "steps=4", "--set", "channels=4", "--set", "levels=2", "--tv", "5"]
    unseen_measurements.main(["--out", str(tmp_path / "out"), *small])
    rows = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")}
    mri, pet = ("pinv", "cgls", "tv", "dip", "dip-tv-5"), ("em", "pixels-tv", "dip", "dip-tv-5")
    assert set(rows) == {f"mri-{name}-0" for name in mri} | {f"pet-{name}-0" for name in pet}
    assert rows["mri-cgls-0"]["score"] < rows["mri-pinv-0"]["score"] == pytest.approx(1.0)
    assert rows["pet-em-0"]["setting"] == "4 steps" and all(np.isfinite(row["score"]) for row in rows.values())
    assert len((tmp_path / "out" / "table.md").read_text().splitlines()) == 2 + len(rows)


def test_without_data_sets_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EITDIP_DATA", str(tmp_path / "none"))
    with pytest.raises(SystemExit):
        unseen_measurements.main(["--out", str(tmp_path)])
    assert "set EITDIP_DATA" in capsys.readouterr().err


def test_rise_times_are_those_of_the_curves():
    """By hand: EDIP is steady at 20 dB after 1 step, DIP at 22 dB after 4; EDIP never comes there."""
    curves = {"EDIP": [10, 20, 20, 20, 20, 20, 20, 20], "DIP": [0, 5, 10, 15, 22, 22, 22, 22]}
    rows = [
        {"method": method, "picture": "a", "seed": 0, "steady": max(curve), "first": curve[0],
         "rise": next(step for step, value in enumerate(curve) if value >= max(curve) - 0.1), "steps": 8,
         "curve": curve}
        for method, curve in curves.items()
    ]  # fmt: skip
    (row,) = educated_ct.table(rows, {"mine": ("a", "missing")}).splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["mine", "1", "1", "4", "0.250", "8", "20.00 dB", "22.00 dB", "-2.00 dB", "10.00 dB"]


@pytest.mark.parametrize("dimension", [2, 3])
def test_educated_priors_start_at_the_networks_answer(dimension, tmp_path):
    make = educated_ct.picture if dimension == 2 else educated_cone.problem
    problem = tomography(make("shapes-1", 16), views=4) if dimension == 2 else make("shapes-1", 8, 4, 0)
    weights = weights_for(problem, answer=1.0)
    weights.save(tmp_path / "w.safetensors")
    rows = {
        method: educated_ct.run(weights, lambda: problem, method, "shapes-1", 0, 8, 1e-3) for method in ("EDIP", "DIP")
    }
    first = educated_ct.objective(problem, weights, "EDIP", 0)().x.numpy()
    assert rows["EDIP"]["first"] == pytest.approx(
        problem.unknown.judge(problem.truth).headline(first)["PSNR"], abs=1e-3
    )
    assert rows["DIP"]["first"] != pytest.approx(rows["EDIP"]["first"], abs=0.1)
    for row in rows.values():
        assert len(row["curve"]) == 8 and row["steady"] == pytest.approx(np.median(row["curve"][-2:]), abs=1e-3)
    if dimension == 3:
        words = ["--weights", str(tmp_path / "w.safetensors"), "--size", "8", "--views", "4", "--steps", "3"]
        educated_cone.main([*words, "--volumes", "shapes-1", "--out", str(tmp_path)])
        assert (tmp_path / "8" / "table.md").read_text().count("| prisms | 1 |") == 1
