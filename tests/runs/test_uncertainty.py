"""Posteriors in sessions, of tanks and of images alike: what is written, resumed, compared and refused."""

import json
from functools import cache

import numpy as np
import pytest

import eitdip
from eitdip.errors import OptionError
from eitdip.methods.options import method
from eitdip.runs.compare import value_of
from eitdip.runs.fingerprint import fingerprint
from tests.cases import images, measurements

pytestmark = pytest.mark.usefixtures("gmsh")
NAMES = {"laplace": {}, "ensemble": {"seeds": 3}, "dropout": {}, "langevin": {}}


@cache
def problem(kind: str):
    return images.IMAGES[kind]() if kind in images.IMAGES else measurements.problem(kind)


def settings(kind: str) -> dict:
    small = {"channels": 4, "steps": 20, "stop": "budget"}
    return small | ({"levels": 2} if kind in images.IMAGES else {"size": 16})


@cache
def known(kind: str, **changes):
    """A solution that several tests look at."""
    return solve(kind, **changes)


def solve(kind: str, uncertainty: str | None = "laplace", name="dip-tv", **changes):
    return eitdip.solve(problem(kind), name, quiet=True, uncertainty=uncertainty, **settings(kind) | changes)


both = pytest.mark.parametrize("kind", ["cem", "sinogram"])


@both
@pytest.mark.parametrize("name", NAMES)
def test_every_posterior_is_written_for_a_tank_and_for_a_sinogram(kind, name, tmp_path, monkeypatch):
    monkeypatch.setattr("eitdip.methods.uncertainty._PATH", 100)
    solution = solve(kind, name, **NAMES[name])
    told = solution.save(tmp_path)["uncertainty"]
    assert json.loads((tmp_path / "result.json").read_text())["uncertainty"] == told
    assert told["method"] == name and set(told["coverage"]) == {"50", "90", "95"}
    assert told["seconds"] == round(solution.cost.seconds["uncertainty"], 3) > 0
    assert (tmp_path / "uncertainty.png").stat().st_size > 5000
    with np.load(tmp_path / "estimate.npz") as arrays:
        low, high, deviation = (arrays[name] for name in ("quantile_5", "quantile_95", "deviation"))
        seen = np.isfinite(deviation)
        assert seen.any() and (deviation[seen] >= 0).all() and deviation[seen].max() > 0
        assert (low[seen] <= high[seen]).all() and "samples" not in arrays
        assert deviation.shape == solution.field.shape == low.shape


@both
def test_the_interval_is_about_the_estimate(kind):
    solution = known(kind)
    low, high = solution.posterior.interval(0.9)
    seen = solution.posterior.seen
    assert (low[seen] < solution.field[seen]).all() and (solution.field[seen] < high[seen]).all()


@both
def test_samples_are_written_on_request_and_no_answer_changes(kind, tmp_path):
    plain, asked = known(kind, uncertainty=None), solve(kind, samples=3)
    assert np.array_equal(plain.x, asked.x) and plain.posterior is None
    asked.save(tmp_path)
    with np.load(tmp_path / "estimate.npz") as arrays:
        assert arrays["samples"].shape == (3, *asked.field.shape)


@both
def test_a_finished_run_is_asked_later_without_being_repeated(kind, tmp_path):
    once = known(kind)
    solve(kind, None, folder=tmp_path)
    later = solve(kind, folder=tmp_path, resume=True)
    assert later.results[0].iterations == once.results[0].iterations
    assert (
        sum(later.results[0].sessions[-1].values()) >= 0
        and later.cost.seconds["network"] < 0.5 * (once.cost.seconds["network"])
    )
    np.testing.assert_array_equal(later.posterior.deviation(), once.posterior.deviation())


def test_the_name_of_a_run_does_not_know_of_its_posterior():
    asked = method("dip-tv", {"uncertainty": "laplace", "prior_factor": 3.0, "calibration": 2.0, "samples": 4})
    assert fingerprint(problem("cem"), asked, 0) == fingerprint(problem("cem"), method("dip-tv"), 0)


@both
def test_calibration_and_prior_factor_widen(kind):
    plain = known(kind).posterior
    wide, prior = (solve(kind, **each).posterior for each in ({"calibration": 2.0}, {"prior_factor": 10.0}))
    np.testing.assert_allclose(wide.raw_deviation, 2 * plain.raw_deviation)
    assert (prior.raw_deviation >= plain.raw_deviation * (1 - 1e-9)).all()
    assert prior.raw_deviation.mean() > 1.2 * plain.raw_deviation.mean()


def test_what_was_held_out_is_predicted():
    told = solve("sinogram", stop="held-out", held_out=0.2).posterior.facts()
    assert np.isfinite(told["held_out_log_likelihood"]) and 0 <= told["held_out_coverage"]["95"] <= 1


def test_paraview_shows_deviations_per_cell(tmp_path):
    import meshio

    solution = known("cem")
    solution.save(tmp_path)
    fields = meshio.read(tmp_path / "conductivity.vtu").cell_data
    assert {"conductivity", "deviation", "quantile 5", "quantile 95"} <= set(fields)
    low, value, high = (np.concatenate(fields[name]) for name in ("quantile 5", "conductivity", "quantile 95"))
    inside = np.isfinite(value)  # facets have no numbers
    assert (low[inside] <= value[inside]).all() and (value[inside] <= high[inside]).all()


def test_columns_of_a_comparison_read_nested_numbers():
    told = {"uncertainty": {"coverage": {"95": 0.9}, "log_density": 1.5}}
    assert value_of(told, "95 % coverage") == 0.9 and value_of(told, "log density") == 1.5
    assert (
        value_of(told, "held-out log-likelihood") is None and value_of({"uncertainty": None}, "95 % coverage") is None
    )


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("dip-tv", {"uncertainty": "laplace", "seeds": 2}, "seeds: got 2 .* expected 1 for uncertainty=laplace"),
        ("dip-tv", {"uncertainty": "ensemble"}, "seeds: got 1 .* expected at least 2 for uncertainty=ensemble"),
        ("pixels-tv", {"uncertainty": "laplace"}, "expected cells or ensemble for a field of pixels"),
        ("tikhonov", {"uncertainty": "laplace"}, "uncertainty: got 'laplace' .* expected none: there is no field"),
        ("dip-tv", {"uncertainty": "bootstrap"}, "uncertainty: got 'bootstrap', expected one of"),
        ("dip-tv", {"prior_factor": 2.0}, "option prior_factor: got 2.0"),
        ("dip-tv", {"uncertainty": "laplace", "calibration": 0.0}, "calibration: got 0"),
    ],
)
def test_what_has_no_posterior_is_refused_before_any_work(name, changes, words):
    with pytest.raises(OptionError, match=words):
        eitdip.solve(problem("sinogram"), name, quiet=True, **changes)
