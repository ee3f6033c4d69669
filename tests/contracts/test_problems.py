"""What holds for every problem and its unknown, and every method on every problem: it runs, or says what it needs."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import eitdip
from eitdip.errors import OptionError
from eitdip.methods.names import CLASSICAL, METHODS
from eitdip.methods.options import Method, method
from eitdip.methods.parameterizations import GENERATORS, LINKS, parameterization
from eitdip.problems.bodies import Body
from eitdip.problems.images import Image
from eitdip.problems.unknown import Unknown
from tests.cases.pretrained import weights_file
from tests.contracts.problem_registry import PROBLEMS

pytestmark = pytest.mark.usefixtures("gmsh")

every = pytest.mark.parametrize("name", PROBLEMS)


@cache
def problem(name: str):
    return PROBLEMS[name]()


def small(name: str, **wanted) -> Method:
    """A named method with the smallest settings that it uses."""
    label = wanted.pop("label", "dip-tv")
    sizes = {"size": 16, "channels": 4, "levels": 1, "steps": 3, "points": 256, "patience": 20} | wanted
    deciding = {key: value for key, value in sizes.items() if key in ("generator", "link", "optimizer", "stop")}
    used = method(label, deciding).used(problem(name).unknown.kind)
    return method(label, {key: value for key, value in sizes.items() if key in used})


def pretrained(name: str, label: str, folder) -> dict:
    """The file that a pretrained generator, or the method of this name, needs."""
    return {"weights": weights_file(folder, problem(name))} if label == "educated" else {}


def test_every_unknown_is_in_a_problem():
    found = {type(problem(name).unknown) for name in PROBLEMS}
    assert found == {Body, Image} == set(Unknown.__subclasses__())
    assert {problem(name).unknown.kind for name in PROBLEMS} == {"plane", "solid", "image"}


@every
def test_a_problem_is_consistent(name):
    given = problem(name)
    assert given.data.shape == given.model.range.shape and given.unknown.space == given.model.domain
    assert np.isfinite(given.data.values).all() and (given.data.deviation > 0).all()
    assert (given.data.values[~given.data.mask] == 0).all()
    assert given.hash == given.hash and len(given.hash) == 16
    other = replace(given, data=replace(given.data, values=given.data.values + 1))
    assert other.hash != given.hash


@every
def test_an_unknown_makes_means_pictures_and_errors(name):
    given = problem(name)
    unknown, shape = given.unknown, given.model.domain.shape
    one, four = (np.full(shape, value, given.model.domain.dtype) for value in (1, 4))
    middle = 2.5 if unknown.kind == "image" else 2.0  # of conductivities the geometric one
    assert np.allclose(unknown.mean([one, four]), middle)
    picture = unknown.picture(one)
    assert picture.ndim == 2 and np.isrealobj(picture) and np.nanmax(picture) == 1
    assert unknown.truth_picture(given.truth).ndim == 2
    judge = unknown.judge(given.truth)
    errors = judge.metrics(four)
    assert set(judge.headline(four)) <= set(errors) and errors["relative L2"] > 0


@every
@pytest.mark.parametrize("generator", GENERATORS)
def test_every_generator_starts_where_its_link_does(name, generator, tmp_path):
    given = problem(name)
    try:
        chosen = small(name, generator=generator, **pretrained(name, generator, tmp_path))
        chosen.check(given)
    except OptionError as error:
        refused = "option generator: got" if given.unknown.kind == "image" else "for pretrained networks"
        assert refused in str(error) and (given.unknown.kind == "image" or generator == "educated")
        return
    made, grid = parameterization(given, chosen.completed(given.unknown.kind), seed=0)
    field = made.field().detach()
    assert made.to_unknowns(field).shape == given.model.domain.shape
    start = made.link(torch.zeros((), dtype=torch.float64))
    start = torch.complex(start, start) if given.unknown.complex else start
    assert torch.allclose(field, start.expand(field.shape), rtol=1e-5)
    d, weights = grid.differences(made.contrast(field))
    assert torch.isfinite(d).all() and (weights > 0).all()


@every
@pytest.mark.parametrize("link", LINKS)
def test_every_link_keeps_the_bounds_or_is_refused(name, link):
    given = problem(name)
    unknown, chosen = given.unknown, small(name, generator="pixels", link=link, size=8)
    try:
        chosen.check(given)
    except OptionError as error:
        assert "option link: got" in str(error)
        return
    made = LINKS[link](unknown, chosen.completed(unknown.kind))
    values = made(torch.linspace(-3, 3, 13, dtype=torch.float64))
    assert (torch.diff(values) > 0).all()
    if link != "free" and unknown.low is not None:
        assert (values >= unknown.low).all()


@every
@pytest.mark.parametrize("label", METHODS)
def test_every_method_runs_or_says_what_it_needs(name, label, tmp_path):
    given = problem(name)
    try:
        chosen = small(name, label=label, **pretrained(name, label, tmp_path))
        chosen.check(given)
    except OptionError as error:
        assert ("for pretrained networks" if label == "educated" else f" for {given.name}, expected ") in str(error)
        return
    found = eitdip.solve(given, chosen, quiet=True)
    assert found.x.shape == given.model.domain.shape and np.isfinite(found.x).all()
    assert np.isfinite(found.misfit) and found.prediction.shape == given.data.shape
    assert (chosen.optimizer in CLASSICAL) == (not found.results)
    again = eitdip.solve(given, chosen, quiet=True)
    assert np.array_equal(again.x, found.x)
