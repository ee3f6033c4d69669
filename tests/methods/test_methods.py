"""Names and settings become runs that the loop can take; what does not fit is refused."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError
from eitdip.methods import classical, needs, optimizers, stopping
from eitdip.methods.build import device_of, start
from eitdip.methods.names import CLASSICAL, LOOP, METHODS, NEURAL_PDE
from eitdip.methods.options import Method, Running, method
from eitdip.methods.parameterizations import GENERATORS, LINKS
from eitdip.ranks.collectives import alone
from eitdip.reconstruction import reconstruct
from eitdip.settings import configured, divided, table
from tests.cases.measurements import DATA, SOLIDS, fitting, problem

pytestmark = pytest.mark.usefixtures("gmsh")

# The others, whose potentials are networks, are in test_neural_pde.py; those of images in tests/runs; the pretrained
# one, which does not start at the background, in test_educated.py.
FINITE_ELEMENTS = [
    name
    for name in METHODS
    if method(name).objective == "variational"
    and method(name).optimizer in LOOP
    and method(name).generator != "educated"
]


def pairs(data):
    """Every method with every kind of data that it can take."""
    potentials = [name for name in FINITE_ELEMENTS if method(name).misfit == "kohn-vogelius"]
    return [
        (name, kind) for name in FINITE_ELEMENTS for kind in data if kind in ("dtn", "ball") or name not in potentials
    ]


@pytest.mark.parametrize(("name", "kind"), [*pairs(DATA), *pairs(SOLIDS)])
def test_every_method_starts_at_the_background_and_goes_down(name, kind):
    body = problem(kind)
    chosen = fitting(name, body.unknown.kind)
    run = start(body, chosen, seed=0)
    first = run.objective.estimate().numpy()
    assert np.allclose(first, body.unknown.start, rtol=1e-5)
    assert first.ndim == (1 if chosen.generator == "cells" else body.unknown.dimension)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    assert len(result.history["chi2"]) == result.iterations == chosen.steps
    assert np.isfinite(result.x).all() and (result.x > 0).all()
    assert result.x.shape == body.model.domain.shape
    assert min(result.history["loss"][1:]) < result.history["loss"][0]


@pytest.mark.parametrize("held_out", [None, 0.1])
def test_kohn_vogelius_is_for_complete_boundary_potentials(held_out):
    body = problem("dtn" if held_out else "cem")
    with pytest.raises(OptionError, match=r"option misfit: got 'kohn-vogelius' .* needs Dirichlet data, complete"):
        fitting("cells-kv", held_out=held_out).check(body)


def test_values_get_the_type_of_their_option():
    chosen = method("dip-tv", {"tv": 2, "low": 1, "fit_drift": False, "steps": 7})
    assert (chosen.tv, chosen.low, chosen.fit_drift, chosen.steps) == (2.0, 1.0, False, 7)
    assert isinstance(chosen.tv, float) and isinstance(chosen.low, float)
    assert method("dip-tv") == Method()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepps": 3}, "unknown option: got 'stepps', expected one of: steps, "),
        ({"steps": 2.5}, "option steps: got 2.5, expected int"),
        ({"steps": True}, "option steps: got True, expected int"),
        ({"tv": "much"}, "option tv: got 'much', expected float"),
        ({"fit_drift": 1}, "option fit_drift: got 1, expected bool"),
        ({"link": "cubic"}, "unknown link: got 'cubic', expected one of: bounded, exp, softplus"),
        ({"generator": "gan"}, "unknown generator"),
        ({"optimizer": "sgd"}, "unknown optimizer"),
        ({"stop": "never"}, "unknown stop"),
        ({"held_out": 1.0}, "option held_out"),
        ({"steps": 0}, "option steps: got 0, expected at least 1"),
        ({"seeds": 0}, "option seeds"),
        ({"seed": -1}, "option seed: got -1, expected at least 0"),
        ({"tv": -1.0}, "option tv"),
        ({"tv": float("nan")}, "option tv"),
        ({"learning_rate": 0}, "option learning_rate"),
        ({"size": 2.5}, "option size: got 2.5, expected int"),
        ({"average": 1.0}, "option average"),
    ],
)
def test_senseless_settings_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        method("dip-tv", changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "unknown device: got 'tpu', expected one of: cpu, cuda"),
        ({"threads": -1}, "option threads: got -1, expected at least 0"),
        ({"seconds": float("inf")}, "option seconds"),
        ({"checkpoint_seconds": float("nan")}, "option checkpoint_seconds"),
    ],
)
def test_senseless_ways_to_run_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        configured(Running(), changes)


@pytest.mark.parametrize(
    ("name", "changes", "idle"),
    [
        ("gn-tv", {"size": 16}, "size"),
        ("gn-tv", {"learning_rate": 0.1}, "learning_rate"),
        ("cells-tv", {"channels": 8}, "channels"),
        ("dip-tv", {"points": 512}, "points"),
        ("dip-tv", {"link": "exp", "low": 0.1}, "low"),
        ("dip-tv", {"window": 20}, "window"),
        ("dip-tv", {"patience": 20}, "patience"),
        ("dip-tv", {"generator": "level-set", "input_noise": 0.1}, "input_noise"),
        ("pinn", {"l1": 1.0}, "l1"),
        ("pinn", {"tikhonov": 1.0}, "tikhonov"),
        ("pinn", {"misfit": "kohn-vogelius"}, "misfit"),
        ("bar-sochen", {"tv": 1.0}, "tv"),
        ("deep-ritz", {"boundary": "soft"}, "boundary"),
        ("cells-tikhonov", {"schedule": "constant"}, "schedule"),
    ],
)
def test_what_decides_nothing_is_refused(name, changes, idle):
    with pytest.raises(OptionError, match=rf"option {idle}: got .* the method uses only .*; leave it out"):
        method(name, changes).check(problem("dtn"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop": "held-out", "held_out": 0.0}, "option held_out: got 0.0 .* expected > 0 for the stopping rule"),
        ({"stop": "sure"}, "a model that is the identity"),
        ({"link": "free"}, "values are positive"),
        ({"optimizer": "gauss-newton"}, "one of cells, vertices, pixels for gauss-newton"),
        ({"optimizer": "em"}, "option optimizer: got 'em'"),
        ({"average": 0.9, "optimizer": "lbfgs"}, "option average"),
    ],
)
def test_what_does_not_fit_the_problem_is_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        Method(**changes).check(problem("dtn"))


def test_every_name_has_its_object():
    choices = {known.name: known.metadata["choices"] for known in Method.__dataclass_fields__.values()}
    assert set(GENERATORS) == set(choices["generator"])
    assert set(LINKS) == set(choices["link"])
    assert set(optimizers.OPTIMIZERS) | set(classical.CLASSICAL) == set(choices["optimizer"])
    assert {"budget", *stopping.STOPS} == set(choices["stop"]) == set(needs._OF_STOP)
    assert set(needs._OF_OPTIMIZER) == {*LOOP, *CLASSICAL}
    assert {name for name, _ in needs._OF_OBJECTIVE} == set(NEURAL_PDE)


def test_the_kind_of_problem_decides_what_the_user_does_not():
    plane, solid, image = (Method().completed(kind) for kind in ("plane", "solid", "image"))
    assert (plane.generator, plane.size, plane.channels, plane.learning_rate) == ("decoder", 64, 48, 0.01)
    assert (solid.generator, solid.size, solid.channels, solid.learning_rate) == ("decoder", 32, 16, 0.002)
    assert (image.generator, image.channels, image.stop, image.average) == ("skip", 32, "held-out", 0.99)
    assert Method(generator="unet").completed("plane").channels == 32
    assert Method(generator="unet").completed("solid").channels == 16
    chosen = Method(size=16, channels=4, learning_rate=0.1)
    for kind in ("plane", "solid"):
        done = chosen.completed(kind)
        assert (done.size, done.channels, done.learning_rate) == (16, 4, 0.1)
    assert solid.completed("plane") == solid


def test_every_setting_says_what_it_is():
    rows = table(Method, Running)
    assert {name for name, _, _ in rows} == {*Method.__dataclass_fields__, *Running.__dataclass_fields__}
    assert all(words and default for _, default, words in rows)


def test_settings_are_sorted_by_their_owners():
    of_method, of_running = divided({"tv": 1.0, "threads": 2}, Method, Running)
    assert (of_method, of_running) == ({"tv": 1.0}, {"threads": 2})
    with pytest.raises(OptionError, match="unknown option: got 'thread', expected one of: threads, "):
        divided({"thread": 2}, Method, Running)


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no CUDA device")
def test_a_missing_gpu_is_named():
    with pytest.raises(OptionError, match="torch finds no CUDA device here; use device=cpu"):
        device_of(Running(device="cuda"), alone())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", FINITE_ELEMENTS)
def test_a_gpu_gives_the_numbers_of_the_cpu(name):
    results = []
    for device in ("cpu", "cuda"):
        run = start(problem("cem"), fitting(name), 0, Running(device=device))
        assert {p.device.type for p in run.objective.parameters()} == {device}
        results.append(reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule))
    assert np.allclose(results[0].x, results[1].x, rtol=1e-3)
    assert np.allclose(results[0].history["loss"], results[1].history["loss"], rtol=1e-3)


def test_an_unknown_method_gets_the_list():
    with pytest.raises(OptionError, match=r"unknown method: got 'magic', expected one of: dip-tv, dip, "):
        method("magic")
