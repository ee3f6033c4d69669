"""What a solution says of itself, by hand: the misfit over what was measured, prediction, errors, status."""

import dataclasses
import json

import numpy as np
import pytest

import eitdip
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian, Poisson
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.images import image_problem
from eitdip.reconstruction import Status
from eitdip.runs.output import summarize
from tests.cases.images import identity
from tests.cases.measurements import MESH, TANK, cem

START = {"steps": 1, "stop": "budget", "tv": 0.0, "quiet": True}  # the first step's terms are those of the start
MASK = np.array([[True, False], [True, False]])


def started(data: Data, **known):
    """Pixels before any update: half way between the bounds 0 and 1."""
    return eitdip.solve(
        image_problem("denoise", identity(data.shape), data, low=0.0, high=1.0, **known), "pixels-tv", **START
    )


def test_the_misfit_is_over_what_was_measured():
    """1/2 against 3/4 and 1, deviation 1/4: (1 + 4) / 2. Where nothing was measured there is 0, which would add 4."""
    found = started(Data([[0.75, np.nan], [1.0, 77.0]], Gaussian(0.25), MASK))
    np.testing.assert_allclose(found.prediction, 0.5, rtol=1e-12)
    assert found.misfit == pytest.approx(2.5, rel=1e-12) and found.expected == 1
    assert found.results[0].chi2 == pytest.approx(2.5, rel=1e-12)


def test_the_misfit_weighs_each_entry_by_its_own_deviation():
    found = started(Data([[0.75, 1.0]], Gaussian(np.array([[0.25, 0.1]]))))
    assert found.misfit == pytest.approx((1 + 25) / 2, rel=1e-12)


def test_the_misfit_of_a_solution_is_over_held_out_measurements_too():
    data = Data([[0.75, 0.75, 0.75, 1.0]], Gaussian(0.25))
    problem = image_problem("denoise", identity((1, 4)), data, low=0.0, high=1.0)
    found = eitdip.solve(problem, "pixels-tv", **START, held_out=0.25)
    assert found.misfit == pytest.approx((3 + 4) / 4, rel=1e-12)


def test_of_complex_data_both_parts_count():
    """A complex image starts at 0: |3 + 4 i|^2 / 4 over two numbers."""
    problem = image_problem("mri", identity((1, 2), "complex128"), Data([[3 + 4j, 0]], Gaussian(2.0)))
    found = eitdip.solve(problem, "pixels-tv", **START)
    assert found.misfit == pytest.approx(25 / 4 / 4, rel=1e-12)


def test_of_counts_it_is_the_deviance():
    """Counts 3 and 1 without background: the start is their mean, 2; 2 (2 - 3 + 3 log 3/2 + 2 - 1 + log 1/2) / 2."""
    problem = image_problem("pet", identity((1, 2)), Data([[3, 1]], Poisson()), low=0.0)
    found = eitdip.solve(problem, "pixels-tv", **START)
    np.testing.assert_allclose(found.x, 2.0, rtol=1e-12)
    assert found.misfit == pytest.approx(3 * np.log(1.5) + np.log(0.5), rel=1e-12)
    # E of the deviance of a Poisson variable of mean 2, by its sum over counts: 2 (E y log y - 2 log 2).
    chances, logs = np.exp(-2.0), 0.0
    for y in range(1, 60):
        chances *= 2 / y
        logs += chances * y * np.log(y)
    assert found.expected == pytest.approx(2 * (logs - 2 * np.log(2)), rel=1e-3)


@pytest.mark.usefixtures("gmsh")
def test_of_a_body_it_is_over_what_was_measured():
    mask = np.random.default_rng(0).random(cem().values.shape) < 0.6
    given = dataclasses.replace(cem(), mask=mask, values=np.where(mask, cem().values, 1e3))
    problem = prepare(given, Meshing(**MESH, background=0.7))
    found = eitdip.solve(problem, "one-step", steps=1, quiet=True)
    np.testing.assert_allclose(found.x, 0.7, rtol=1e-12)
    values = problem.calibration.difference_data(cem().values, cem().reference)
    z = (found.prediction - values) / problem.data.deviation
    assert found.misfit == pytest.approx(np.mean(z[mask] ** 2), rel=1e-9)
    assert found.misfit != pytest.approx(np.mean(z**2), rel=1e-2)


def test_errors_are_distances_to_the_truth():
    truth = np.array([[0.5, 0.7], [0.5, 0.1]])
    found = started(Data(np.full((2, 2), 0.5), Gaussian(0.1)), truth=truth)
    assert found.errors == pytest.approx({"relative L2": np.sqrt(0.2), "PSNR": 10 * np.log10(1 / 0.05)})
    assert found.results[0].history["PSNR"][0] == pytest.approx(found.errors["PSNR"])
    assert started(Data(np.full((2, 2), 0.5), Gaussian(0.1))).errors == {}


def test_the_status_is_interrupted_if_any_seed_was():
    found = started(Data([[0.75, 1.0]], Gaussian(0.25)))
    assert found.status == Status.BUDGET

    def of(*statuses):
        results = tuple(dataclasses.replace(found.results[0], status=status) for status in statuses)
        return dataclasses.replace(found, results=results).status

    assert of(Status.INTERRUPTED, Status.DONE) == Status.INTERRUPTED
    assert of(Status.BUDGET, Status.DONE) == Status.DONE
    assert of() == Status.DONE  # a method without a loop


def test_saving_replaces_what_is_there_and_says_so(tmp_path):
    """Nothing of the earlier run is left beside the new one."""
    data = Data([[0.75, 1.0]], Gaussian(0.25))
    first = started(data).save(tmp_path)
    assert (tmp_path / "history.csv").exists() and json.loads((tmp_path / "result.json").read_text()) == first
    problem = image_problem("denoise", identity(data.shape), data, low=0.0, high=1.0)
    direct = eitdip.solve(problem, "tv", steps=2, quiet=True)
    with pytest.warns(UserWarning, match="held results of pixels-tv, seed 0, which are replaced"):
        second = direct.save(tmp_path)
    assert second["method"] == "tv" and json.loads((tmp_path / "result.json").read_text()) == second
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "estimate.npz", "image.png"}


def test_a_save_that_ends_early_leaves_no_result(tmp_path, monkeypatch):
    """The old one would stand beside the new estimate."""
    found = started(Data([[0.75, 1.0]], Gaussian(0.25)))
    found.save(tmp_path)
    monkeypatch.setattr("eitdip.runs.output.write_pictures", lambda *nothing: 1 / 0)
    with pytest.warns(UserWarning, match="held results"), pytest.raises(ZeroDivisionError):
        found.save(tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_all_settings_that_decide_are_in_the_record(tmp_path):
    """Those of the method, of running, and of how the data were read."""
    from PIL import Image

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    settings = {"size": 8, "noise": 0.2, "noise_seed": 3, "white": None, "colour": False}
    problem = eitdip.load(tmp_path / "a.png", task="denoise", **settings)
    told = summarize(eitdip.solve(problem, "pixels-tv", **START, seconds=7.0))
    assert told["data settings"] == {"task": "denoise"} | settings
    assert told["running"] == {
        "seconds": 7.0,
        "threads": 1,
        "device": "cpu",
        "checkpoint_seconds": 20.0,
        "scratch": None,
    }
    assert told["options"]["stop"] == "budget"
    assert told["sessions"] == [[{"from step": 0, "steps": 1, "seconds": 7.0}]]


@pytest.mark.usefixtures("gmsh")
def test_the_settings_of_a_mesh_are_in_the_record():
    told = prepare(cem(), Meshing(**MESH, background=0.7, solver="last-factor")).settings
    assert told == {
        "h": 0.25, "degree": 1, "background": 0.7, "calibrate": True, "solver": "last-factor", "mesh_ranks": 0,
        "model_error": None,
    }  # fmt: skip
    usual = prepare(cem(), Meshing()).settings
    assert usual["h"] == 0.052 and usual["background"] is None
    given = dataclasses.replace(cem(), geometry=TANK.mesh(0.25 * TANK.radius), provenance={})
    assert prepare(given, Meshing()).settings["h"] is None
