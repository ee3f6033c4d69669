"""Names and options become problems that the loop can solve."""

import dataclasses

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, OptionError
from eitdip.methods import METHODS, Options, options_for, prepare, settings, start
from eitdip.reconstruction import reconstruct
from tests.reconstruction.small import DATA, SETTINGS, cem, dtn

pytestmark = pytest.mark.usefixtures("gmsh")


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_starts_at_the_background_and_goes_down(method, kind):
    options = options_for(method, SETTINGS)
    problem = prepare(DATA[kind](), options)
    run = start(problem, options, seed=0)
    first = run.objective.estimate().numpy()
    assert np.allclose(first, problem.background, rtol=1e-5)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    assert result.iterations == 3 and len(result.history["chi2"]) == 3
    assert np.isfinite(result.sigma).all() and (result.sigma > 0).all()
    assert result.sigma.shape == (len(problem.domain.cells),)
    assert min(result.history["loss"][1:]) < result.history["loss"][0]


def test_the_background_comes_from_the_reference():
    assert prepare(cem(), options_for("dip-tv", SETTINGS)).background == pytest.approx(0.7, rel=0.1)
    assert prepare(cem(), options_for("dip-tv", SETTINGS | {"background": 2.0})).background == 2.0
    assert prepare(dtn(), options_for("dip-tv", SETTINGS)).background == pytest.approx(1, rel=0.1)


def test_without_reference_a_background_must_be_given():
    measurements = dataclasses.replace(cem(), reference=None)
    with pytest.raises(OptionError, match="option background"):
        prepare(measurements, options_for("dip-tv", SETTINGS))
    problem = prepare(measurements, options_for("dip-tv", SETTINGS | {"background": 0.7}))
    assert problem.calibration is None and problem.data is measurements.values


def test_the_mesh_of_the_data_is_refused():
    domain = cem().geometry.mesh(SETTINGS["h"] * cem().geometry.radius)
    crime = dataclasses.replace(cem(), provenance={"mesh_hash": domain.hash})
    with pytest.raises(InvalidDataError, match="inverse crime"):
        prepare(crime, options_for("dip-tv", SETTINGS))


def test_more_ranks_than_cells_are_refused():
    class Many:
        size, rank = 10**6, 0

    with pytest.raises(InvalidDataError, match="more ranks than cells: got 1000000"):
        prepare(cem(), options_for("dip-tv", SETTINGS), Many())


def test_values_get_the_type_of_their_option():
    options = options_for("dip-tv", {"tv": 2, "background": 1, "calibrate": False, "steps": 7})
    assert (options.tv, options.background, options.calibrate, options.steps) == (2.0, 1.0, False, 7)
    assert isinstance(options.tv, float) and isinstance(options.background, float)
    assert settings(options)["steps"] == 7
    assert options_for("dip-tv") == Options()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepps": 3}, "unknown option: got 'stepps', expected one of: generator, size"),
        ({"steps": 2.5}, "option steps: got 2.5, expected int"),
        ({"steps": True}, "option steps: got True, expected int"),
        ({"tv": "much"}, "option tv: got 'much', expected float"),
        ({"calibrate": 1}, "option calibrate: got 1, expected bool"),
        ({"background": "x"}, "option background"),
        ({"link": "cubic"}, "unknown link: got 'cubic', expected one of: bounded, exp, softplus"),
        ({"generator": "gan"}, "unknown generator"),
        ({"optimizer": "sgd"}, "unknown optimizer"),
        ({"stop": "never"}, "unknown stop"),
        ({"stop": "held-out"}, "option held_out"),
        ({"held_out": 1.0}, "option held_out"),
        ({"steps": 0}, "option steps: got 0, expected at least 1"),
        ({"seeds": 0}, "option seeds"),
        ({"tv": -1.0}, "option tv"),
        ({"tv": float("nan")}, "option tv"),
        ({"learning_rate": 0}, "option learning_rate"),
        ({"h": float("nan")}, "option h"),
    ],
)
def test_senseless_options_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        options_for("dip-tv", changes)


def test_an_unknown_method_gets_the_list():
    with pytest.raises(OptionError, match=r"unknown method: got 'magic', expected one of: dip-tv, dip, "):
        options_for("magic")
