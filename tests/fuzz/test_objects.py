"""Whatever is given for data, problems and settings: a result, or an error that says what is wrong."""

import os
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eitdip
from eitdip.data import Data, Gaussian, Measurements, Poisson, thin
from eitdip.errors import EitdipError, InvalidDataError, NotPositiveError, OptionError, ShapeError, choose
from eitdip.mesh import Tank
from eitdip.methods.names import METHODS
from eitdip.methods.options import Method, Running, method
from eitdip.problems.images import image_problem
from eitdip.problems.load import Reading
from eitdip.problems.meshing import Meshing
from eitdip.settings import configured, divided
from tests.cases.images import IMAGES, block, identity
from tests.fuzz import strategies

BLOCK = Data(block())
OWNERS = (Method, Running, Meshing, Reading)
# How many times as many inputs: 1 in `make test`; `make test-slow` runs the same tests once more with more.
TIMES = int(os.environ.get("EITDIP_FUZZ", "1"))


def often(count: int):
    return settings(
        derandomize=True, database=None, deadline=10_000, max_examples=count * TIMES,
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip


@often(125)
@given(strategies.of_data(), strategies.junk, strategies.junk)
def test_data(arguments, share, seed):
    noise, given = arguments
    try:
        data = Data(noise=noise(), **given)
    except EitdipError:
        return
    assert np.isfinite(data.values).all() and data.values.dtype in (float, complex)
    assert data.mask.dtype == bool and data.mask.any() and (data.values[~data.mask] == 0).all()
    assert (data.deviation > 0).all() and np.isfinite(data.deviation).all()
    assert 0 < data.count <= 2 * data.values.size and len(data.hash) == 16
    assert (
        Data(data.values, data.noise, None if data.noise.name == "poisson" else data.mask, data.tied).hash == data.hash
    )
    for chosen in (0.3, share):
        try:
            held = data.held_out(chosen, 0)
        except EitdipError:
            continue
        assert held.any() and not (held & ~data.mask).any() and (data.mask & ~held).any()


@often(40)
@given(strategies.arrays(), strategies.junk, st.one_of(strategies.arrays(), strategies.junk))
def test_counts_and_noise(values, share, background):
    rng = np.random.default_rng(0)
    for attempt, shape in (
        (lambda: sum(thin(values, rng, 0.5)), np.shape(values)),
        (lambda: sum(thin([3, 4], rng, share)), (2,)),
        (lambda: Poisson(background).sample(values, rng), np.shape(values)),
        (lambda: Gaussian(background).sample(values, rng), np.shape(values)),
    ):
        try:
            found = attempt()
        except EitdipError:
            continue
        assert np.shape(found) == shape and np.asarray(found).dtype.kind in "ifc"


@often(75)
@given(st.data())
def test_measurements(data):
    around = np.eye(8) - np.roll(np.eye(8), 1, axis=1)
    good = {
        "model": "electrodes", "geometry": Tank(0.14, 8, 0.03), "sources": around, "moments": around,
        "values": np.ones((8, 8)), "deviation": np.full((8, 8), 0.1), "contact_impedance": np.full(8, 1e-3),
    }  # fmt: skip
    names = [known.name for known in fields(Measurements) if known.init]
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)):
        good[name] = data.draw(st.one_of(strategies.arrays((8, 8)), strategies.arrays(), strategies.junk))
    try:
        made = Measurements(**good)
    except EitdipError:
        return
    assert made.values.shape == (len(made.sources), len(made.moments)) and np.isfinite(made.data.values).all()


@often(125)
@given(st.data())
def test_settings(data):
    owner = data.draw(st.sampled_from(OWNERS))
    chosen = data.draw(st.one_of(strategies.settings_of(owner), strategies.settings_of(owner), strategies.junk))
    for make in (lambda: configured(owner(), chosen), lambda: owner(**configured_names(owner, chosen))):
        try:
            made = make()
        except EitdipError:
            continue
        for known in fields(owner):
            value = getattr(made, known.name)
            assert isinstance(value, known.type) and not isinstance(value, np.generic)
            assert not isinstance(value, float) or np.isfinite(value)
            assert configured(made, {known.name: value}) == made
    try:
        parts = divided(chosen, *OWNERS)
    except EitdipError:
        return
    assert {name: value for part in parts for name, value in part.items()} == chosen


def configured_names(owner, chosen) -> dict:
    known = {each.name for each in fields(owner)}
    return {name: value for name, value in chosen.items() if name in known} if isinstance(chosen, dict) else {}


@often(40)
@given(strategies.junk, strategies.junk)
def test_names_of_methods(name, chosen):
    try:
        made = method(name, chosen)
    except EitdipError:
        return
    assert name in METHODS and made == method(name)


@often(40)
@given(st.data())
def test_problems(data):
    model, shape = data.draw(strategies.models())
    noise, given = data.draw(strategies.of_data())
    if data.draw(st.integers(0, 3)):
        given = {
            "values": data.draw(strategies.arrays(shape)),
            "mask": data.draw(st.one_of(st.none(), strategies.masks(shape))),
        }
        noise = data.draw(strategies.noises(shape))
    bounds = {
        name: data.draw(st.one_of(st.none(), st.sampled_from([0.0, 1.0]), strategies.junk)) for name in ("low", "high")
    }
    truth = data.draw(st.one_of(st.none(), strategies.arrays(shape), strategies.junk))
    name = data.draw(st.sampled_from(["tv", "pinv", "tikhonov", "em"]))
    try:
        measured = Data(noise=noise(), **given) if data.draw(st.integers(0, 9)) else data.draw(strategies.junk)
        problem = image_problem("made", model, measured, truth=truth, **bounds)
        solution = eitdip.solve(problem, name, quiet=True, **({} if name == "pinv" else {"steps": 1}))
    except EitdipError:
        return
    assert len(problem.hash) == 16 and solution.x.shape == shape and np.isfinite(solution.x).all()


PROBLEMS = {name: make() for name, make in IMAGES.items()}


@often(40)
@given(st.data())
def test_one_step(data):
    """Any settings, of few steps and little work: a finite image, or an error."""
    problem = PROBLEMS[data.draw(st.sampled_from(sorted(PROBLEMS)))]
    chosen = data.draw(strategies.settings_of(Method, count=4))
    little = {"steps": 1, "seeds": 1, "channels": 4, "levels": 1}
    name = data.draw(st.sampled_from(sorted(METHODS)))
    used = {key: value for key, value in little.items() if key in method(name).used("image")}
    try:
        solution = eitdip.solve(problem, name, quiet=True, **(chosen | used))
    except EitdipError:
        return
    assert solution.x.shape == problem.model.domain.shape and np.isfinite(solution.x).all()


# What was found, one by one.


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_the_unit_of_data_of_any_size(size):
    """Squares of 1e200 are infinite, those of 1e-200 zero."""
    assert Data(np.full((2, 2), 3 * size)).deviation == pytest.approx(np.full((2, 2), 0.15 * size), rel=1e-12)


def test_a_masked_array_is_not_taken_without_its_mask():
    values = np.ma.masked_array([1.0, 999.0], mask=[False, True])
    with pytest.raises(InvalidDataError, match="got a masked array, whose mask would be lost"):
        Data(values)
    assert Data(np.ma.masked_array([1.0, 2.0])).values.tolist() == [1.0, 2.0]


def test_tensors_of_sixteen_bits():
    assert Data(torch.tensor([1.0, 2.5], dtype=torch.bfloat16)).values.tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Data([[1, 2], [3]]), InvalidDataError, "data: got list, expected an array of numbers"),
        (lambda: Data([1.0], noise=0.1), OptionError, r"noise: got 0.1, expected Gaussian\(deviation\)"),
        (lambda: Data([1.0], tied=0), OptionError, "tied: got 0, expected the numbers of axes"),
        (lambda: Data([1.0], provenance=[1]), InvalidDataError, "provenance: got list, expected a dictionary"),
        (lambda: Data([1.0, 2.0]).held_out(float("nan"), 0), OptionError, "held_out: got nan of 2"),
        (lambda: Data([1.0], Gaussian("a")), InvalidDataError, "sigma: got values of type <U1"),
        (lambda: Data([1j], Poisson()), InvalidDataError, "counts: got values of type complex128, expected real"),
        (lambda: Data([1e300], Poisson()), InvalidDataError, r"counts: entry \(0,\) is 1e\+300"),
        (lambda: Poisson().sample([1e300], np.random.default_rng(0)), InvalidDataError, r"got 1e\+300, expected less"),
        (lambda: Gaussian(np.array([np.inf])).sample([1.0], None), NotPositiveError, "sigma: got an entry"),
        (lambda: Gaussian(np.ones(2)).sample(np.ones(3), None), ShapeError, r"sigma: got shape \(2,\)"),
        (lambda: Measurements("electrodes", Tank(1, 2, 0.1), None, *[[[1, -1]]] * 3), InvalidDataError, "sources"),
        (lambda: Measurements("electrodes", "tank", *[[[1, -1]]] * 4), OptionError, "geometry: got 'tank'"),
        (lambda: image_problem("x", None, Data([1.0])), ShapeError, "got NoneType and Data, expected a ForwardModel"),
        (lambda: image_problem("x", identity(), [1.0]), ShapeError, "got SparseOperator and list, expected"),
        (lambda: image_problem("x", identity(), BLOCK, low="0"), InvalidDataError, "bounds of the image: got values"),
        (lambda: image_problem("x", identity(), BLOCK, high=np.inf), OptionError, "bounds of the image: got inf"),
        (lambda: image_problem("x", identity(), BLOCK, truth="x"), InvalidDataError, "truth: got values of type"),
        (lambda: Method(steps="many"), OptionError, "option steps: got 'many', expected int"),
        (lambda: Method(steps=0), OptionError, "option steps: got 0, expected at least 1"),
        (lambda: Running(device=[1]), OptionError, r"option device: got \[1\], expected str"),
        (lambda: Meshing(h=1e-9), OptionError, "option h: got 1e-09, expected at least 0.001"),
        (lambda: configured(Method(), {"size": 10**6}), OptionError, "expected at least 1 and at most 4096"),
        (lambda: configured(Method(), {"tv": 10**400}), OptionError, "an integer of more than 308 digits"),
        (lambda: configured(Method(), 3), OptionError, "settings: got 3, expected a dictionary"),
        (lambda: method(["dip"]), OptionError, r"unknown method: got \['dip'\]"),
        (lambda: choose("letter", {}, {"a": 1}), OptionError, "unknown letter"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_numbers_of_numpy_are_settings():
    made = Method(steps=np.int64(3), tv=np.float32(0.5), fit_drift=np.bool_(False))
    assert made == Method(steps=3, tv=0.5, fit_drift=False) and type(made.steps) is int


def test_a_deviation_that_is_not_positive():
    with pytest.raises(NotPositiveError, match="sigma: got 0"):
        Gaussian(0)
