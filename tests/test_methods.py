"""Names and options become problems that the loop can solve."""

import dataclasses

import numpy as np
import pytest
import torch

from eitdip import methods
from eitdip.errors import InvalidDataError, OptionError
from eitdip.generators import GENERATORS, LINKS, image_shape
from eitdip.methods import METHODS, Options, options_for, prepare, settings, start
from eitdip.options import CHOICES
from eitdip.reconstruction import reconstruct
from tests.reconstruction.small import DATA, SETTINGS, SOLID, SOLIDS, cem, cylinder, dtn
from tests.shapes import rectangle
from tests.solids import box

pytestmark = pytest.mark.usefixtures("gmsh")

# The others, whose potentials are networks, are in test_neural_pde.py.
FINITE_ELEMENTS = [name for name, changes in METHODS.items() if "objective" not in changes]


def pairs(data):
    """Every method with every kind of data that it can take."""
    potentials = [name for name in FINITE_ELEMENTS if options_for(name).misfit == "kohn-vogelius"]
    return [
        (name, kind) for name in FINITE_ELEMENTS for kind in data if kind in ("dtn", "ball") or name not in potentials
    ]


@pytest.mark.parametrize(("method", "kind"), pairs(DATA))
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


@pytest.mark.parametrize(("method", "kind"), pairs(SOLIDS))
def test_every_method_works_on_solids(method, kind):
    measurements = SOLIDS[kind]()
    options = options_for(method, SOLID)
    problem = prepare(measurements, options)
    assert problem.domain.dimension == 3
    run = start(problem, options, seed=0)
    first = run.objective.estimate().numpy()
    assert np.allclose(first, problem.background, rtol=1e-5)
    assert first.ndim == (1 if options.generator == "cells" else 3)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    assert (result.sigma > 0).all() and result.sigma.shape == (len(problem.domain.cells),)
    assert min(result.history["loss"][1:]) < result.history["loss"][0]


@pytest.mark.parametrize("change", [{}, {"held_out": 0.1}])
def test_kohn_vogelius_is_for_complete_boundary_potentials(change):
    measurements = dtn() if change else cem()
    with pytest.raises(OptionError, match="option misfit: got 'kohn-vogelius' for data of the model"):
        prepare(measurements, options_for("cells-kv", SETTINGS | change))


def test_a_solid_is_not_curved():
    with pytest.raises(OptionError, match="degree: got 2, expected 1"):
        prepare(cylinder(), options_for("dip-tv", SOLID | {"degree": 2}))


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

        def allgather(self, value):
            return [value]

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
        ({"solver": "magic"}, "unknown solver: got 'magic', expected one of: auto, cholesky"),
        ({"device": "tpu"}, "unknown device: got 'tpu', expected one of: cpu, cuda"),
        ({"mesh_ranks": -1}, "option mesh_ranks: got -1, expected >= 0"),
        ({"threads": -1}, "option threads: got -1, expected >= 0"),
        ({"size": 2.5}, "option size: got 2.5, expected int"),
        ({"h": "fine"}, "option h: got 'fine', expected float"),
    ],
)
def test_senseless_options_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        options_for("dip-tv", changes)


def test_every_name_has_its_object():
    tables = {
        "generator": GENERATORS,
        "link": LINKS,
        "optimizer": methods._OPTIMIZERS,
        "stop": methods._RULES,
        "misfit": methods._MISFITS,
    }
    for name, table in tables.items():
        assert tuple(table) == CHOICES[name]


def test_the_dimension_decides_what_the_user_does_not():
    assert Options().completed(2) == Options(size=64, channels=48, h=0.052, learning_rate=0.01)
    assert Options().completed(3) == Options(size=32, channels=16, h=0.1, learning_rate=0.002)
    assert Options(generator="unet").completed(2).channels == 32
    assert Options(generator="unet").completed(3).channels == 16
    chosen = Options(size=16, channels=4, h=0.3, learning_rate=0.1)
    assert chosen.completed(2) == chosen.completed(3) == chosen
    assert Options().completed(3).completed(2) == Options().completed(3)


@pytest.mark.parametrize(
    ("widths", "size", "multiple", "shape"),
    [
        ((1.0, 1.0, 1.0), 32, 1, (32, 32, 32)),
        ((1.0, 2.0, 0.5), 32, 4, (8, 32, 16)),
        ((2.0, 2.0, 0.1), 32, 4, (8, 32, 32)),  # at least twice the multiple
        ((1.0, 1.0, 0.6), 32, 4, (20, 32, 32)),
        ((3.0, 1.0, 2.0), 30, 1, (20, 10, 30)),
    ],
)
def test_voxels_are_nearly_cubic(widths, size, multiple, shape):
    assert image_shape(box(2, 2, 2, widths), size, multiple) == shape


def test_pixels_cover_a_square():
    assert image_shape(rectangle(2, 2, 1.0, 0.5), 48, 8) == (48, 48)


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no CUDA device")
def test_a_missing_gpu_is_named():
    with pytest.raises(OptionError, match="torch finds no CUDA device here; use device=cpu"):
        options_for("dip-tv", {"device": "cuda"})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", FINITE_ELEMENTS)
def test_a_gpu_gives_the_numbers_of_the_cpu(method):
    results = []
    for device in ("cpu", "cuda"):
        options = options_for(method, SETTINGS | {"device": device})
        run = start(prepare(cem(), options), options, seed=0)
        assert {p.device.type for p in run.objective.parameters()} == {device}
        results.append(reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule))
    assert np.allclose(results[0].sigma, results[1].sigma, rtol=1e-3)
    assert np.allclose(results[0].history["loss"], results[1].history["loss"], rtol=1e-3)


def test_an_unknown_method_gets_the_list():
    with pytest.raises(OptionError, match=r"unknown method: got 'magic', expected one of: dip-tv, dip, "):
        options_for("magic")
