"""What every forward model promises."""

import json

import numpy as np
import pytest

from eitdip.errors import NotPositiveError, ShapeError
from eitdip.fem import CompleteElectrodeModel, DirichletModel, NeumannModel, trigonometric
from eitdip.fem.patterns import adjacent, trigonometric_currents
from eitdip.verify import adjoint_error, taylor_orders
from tests.cases.meshes import ring_disk
from tests.contracts.registry import (
    MODELS,
    ModelCase,
    dirichlet,
    dirichlet_moments,
    domain,
    electrode_differences,
    electrodes,
    neumann,
    neumann_moments,
)

every_model = pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
every_kind = pytest.mark.parametrize("make", [dirichlet, neumann, electrodes], ids=lambda make: make.__name__)


@every_model
def test_taylor_remainder_is_of_second_order(case: ModelCase, rng):
    model = case.make()
    x = case.point(model, rng)
    orders = taylor_orders(model, x, rng.uniform(-1, 1, x.shape), steps=(0.04, 0.02, 0.01, 0.005))
    assert orders.min() >= 1.95
    assert orders.max() < 2.2  # a larger order would mean that the remainder is rounding, not curvature


@every_model
def test_adjoint_is_the_transpose(case: ModelCase, rng):
    model = case.make()
    _, derivative = model.linearize(case.point(model, rng))
    assert max(adjoint_error(derivative, rng) for _ in range(3)) <= 1e-10


@every_model
def test_linearize_returns_the_value_in_the_range(case: ModelCase, rng):
    model = case.make()
    x = case.point(model, rng)
    value, derivative = model.linearize(x)
    np.testing.assert_array_equal(value, model(x))
    assert value.shape == model.range.shape
    assert (derivative.domain, derivative.range) == (model.domain, model.range)


@every_model
def test_a_derivative_stays_valid_after_another_linearization(case: ModelCase, rng):
    model = case.make()
    dx, dy = model.domain.random(rng), model.range.random(rng)
    _, first = model.linearize(case.point(model, rng))
    before = first(dx), first.adjoint(dy)
    _, second = model.linearize(case.point(model, rng))
    np.testing.assert_allclose(first(dx), before[0], rtol=1e-12)
    np.testing.assert_allclose(first.adjoint(dy), before[1], rtol=1e-12, atol=1e-12 * np.abs(before[1]).max())
    assert np.linalg.norm(second(dx) - before[0]) > 1e-3 * np.linalg.norm(before[0])


@every_model
def test_input_is_not_changed_nor_remembered(case: ModelCase, rng):
    model = case.make()
    x = case.point(model, rng)
    copy = x.copy()
    value, derivative = model.linearize(x)
    pulled = derivative.adjoint(np.ones(model.range.shape))
    np.testing.assert_array_equal(x, copy)
    x *= 3
    np.testing.assert_array_equal(model(copy), value)
    np.testing.assert_array_equal(derivative.adjoint(np.ones(model.range.shape)), pulled)


@every_model
def test_a_restored_state_goes_on_with_the_same_bits(case: ModelCase, rng):
    """Some solvers lean on what they did before; a checkpoint keeps that."""
    one, other = case.make(), case.make()
    x = case.point(one, rng)
    for factor in (1.0, 1.01, 1.02):
        one(factor * x)
    other.restore(one.state())
    np.testing.assert_array_equal(one(1.03 * x), other(1.03 * x))


@every_model
def test_it_says_where_and_how_it_computes(case: ModelCase):
    model = case.make()
    assert model.arrays == ("torch" if case.name in ("transmission", "transmission_of_tensors") else "numpy")
    assert str(model.device) == "cpu" and model.to("cpu") is model
    assert bool(json.loads(json.dumps(model.solver_report()))) == ("transmission" not in case.name)


@every_kind
def test_reciprocity(make, rng):
    """Exchanging sources and measurements transposes the data."""
    sigma = rng.uniform(0.5, 2.0, len(domain(1).cells))
    if make is electrodes:
        currents, measured = trigonometric_currents(8)[:3], adjacent(8)
        here = CompleteElectrodeModel(domain(1), currents, 0.1, measured)
        there = CompleteElectrodeModel(domain(1), measured, 0.1, currents)
    else:
        model = DirichletModel if make is dirichlet else NeumannModel
        waves = trigonometric(domain(1), 3)
        here, there = model(domain(1), waves[:2], waves[2:]), model(domain(1), waves[2:], waves[:2])
    scale = np.abs(here(sigma)).max()
    assert scale > 1e-3
    np.testing.assert_allclose(here(sigma), there(sigma).T, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("make", [dirichlet, neumann], ids=lambda make: make.__name__)
def test_moments_against_the_sources_are_a_symmetric_positive_definite_matrix(make, rng):
    model = make(1, "cells")
    data = model(rng.uniform(0.5, 2.0, model.domain.shape))
    np.testing.assert_allclose(data, data.T, rtol=0, atol=1e-14 * np.abs(data).max())
    assert np.linalg.eigvalsh(data).min() > 1e-2 * np.abs(data).max()


def test_flux_grows_and_voltages_fall_with_the_conductivity(rng):
    low = rng.uniform(0.5, 1.0, len(domain(1).cells))
    high = low + rng.uniform(0.0, 1.0, low.shape)
    rise = dirichlet(1, "cells")(high) - dirichlet(1, "cells")(low)
    fall = neumann(1, "cells")(low) - neumann(1, "cells")(high)
    assert np.linalg.eigvalsh(rise).min() > 0
    assert np.linalg.eigvalsh(fall).min() > 0


def test_models_scale_with_the_conductivity(rng):
    """D(3 sigma) = 3 D(sigma) for the flux, a third for the voltages."""
    sigma = rng.uniform(0.5, 2.0, len(domain(1).cells))
    np.testing.assert_allclose(
        dirichlet(1, "cells")(3 * sigma), 3 * dirichlet(1, "cells")(sigma), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(neumann(1, "cells")(3 * sigma), neumann(1, "cells")(sigma) / 3, rtol=1e-11, atol=1e-12)
    ohmic = [
        CompleteElectrodeModel(domain(1), trigonometric_currents(8), z)(s) for s, z in ((sigma, 0.3), (3 * sigma, 0.1))
    ]
    np.testing.assert_allclose(ohmic[1], ohmic[0] / 3, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2])
def test_electrode_voltages_have_zero_mean(degree, rng):
    model = electrodes(degree, "cells")
    voltages, derivative = model.linearize(rng.uniform(0.5, 2.0, model.domain.shape))
    scale = np.abs(voltages).max()
    assert np.abs(voltages.sum(axis=1)).max() <= 1e-13 * scale
    change = derivative(rng.standard_normal(model.domain.shape))
    assert np.abs(change.sum(axis=1)).max() <= 1e-12 * np.abs(change).max()


def test_moments_outside_the_span_of_the_sources_agree_with_the_full_matrix(rng):
    sigma = rng.uniform(0.5, 2.0, len(domain(1).cells))
    waves = trigonometric(domain(1), 3)
    for model, make in ((DirichletModel, dirichlet_moments), (NeumannModel, neumann_moments)):
        full = model(domain(1), waves)(sigma)
        np.testing.assert_allclose(make()(sigma), full[:2, 1:], rtol=0, atol=1e-12 * np.abs(full).max())


def test_measurement_patterns_combine_the_electrode_voltages(rng):
    model = electrode_differences()
    sigma = rng.uniform(0.5, 2.0, model.domain.shape)
    voltages = CompleteElectrodeModel(domain(1), trigonometric_currents(8)[:3], 0.1)(sigma)
    np.testing.assert_allclose(model(sigma), voltages @ adjacent(8).T, rtol=0, atol=1e-12)


@every_kind
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_conductivity_that_is_not_positive_is_refused_by_entry(make, bad):
    model = make(1, "cells")
    sigma = np.ones(model.domain.shape)
    sigma[[5, 9]] = bad
    with pytest.raises(NotPositiveError, match=r"entry 5 is .*expected > 0 and finite \(2 such entries\)"):
        model.linearize(sigma)
    assert np.isfinite(model(np.ones(model.domain.shape))).all()  # and the model is as good as before


@every_kind
@pytest.mark.parametrize("shape", [(95,), (97,), (96, 1), ()])
def test_a_conductivity_of_another_shape_is_refused(make, shape):
    with pytest.raises(ShapeError, match=r"conductivity on cells, S/m: got shape .*expected \(96,\)"):
        make(1, "cells")(np.ones(shape))


@every_kind
def test_weights_of_another_shape_are_refused(make):
    model = make(1, "cells")
    _, derivative = model.linearize(np.ones(model.domain.shape))
    with pytest.raises(ShapeError, match=r"expected \(96,\)"):
        derivative(np.ones(95))
    with pytest.raises(ShapeError, match="expected"):
        derivative.adjoint(np.ones(model.range.shape).ravel())


class TestCounts:
    """Solves, not seconds: the cost that a docstring promises."""

    def test_dirichlet_moments_in_the_span_of_the_sources(self, rng):
        mesh = ring_disk(24)
        assert 1700 < len(mesh.points) < 1900
        sources = trigonometric(mesh, 8)
        moments = rng.standard_normal((32, 16)) @ sources
        model = DirichletModel(mesh, sources, moments)
        solver = model.system.solver
        assert (solver.factorizations, solver.solves) == (0, 0)
        _, derivative = model.linearize(np.ones(model.domain.shape))
        derivative(np.ones(model.domain.shape))
        derivative.adjoint(np.ones(model.range.shape))
        derivative.dense()
        assert (solver.factorizations, solver.solves) == (1, 16)

    def test_dirichlet_moments_outside_the_span(self):
        mesh = domain(1)
        model = DirichletModel(mesh, trigonometric(mesh, 2), trigonometric(mesh, 3)[4:])
        model(np.ones(model.domain.shape))
        assert (model.system.solver.factorizations, model.system.solver.solves) == (1, 4 + 2)

    def test_neumann_currents_that_are_dependent(self):
        mesh = domain(1)
        waves = trigonometric(mesh, 2)
        model = NeumannModel(mesh, np.concatenate([waves, waves[:1] + waves[3:]]), waves)
        _, derivative = model.linearize(np.ones(model.domain.shape))
        derivative.adjoint(np.ones(model.range.shape))
        assert (model.system.solver.factorizations, model.system.solver.solves) == (1, 4)

    def test_electrodes_with_76_patterns(self, rng):
        patterns = np.concatenate([adjacent(16, skip) for skip in range(5)])[:76]
        model = CompleteElectrodeModel(ring_disk(8, 16, covered=2 / 3), patterns, 0.1, adjacent(16))
        solver = model.system.solver
        for calls in (1, 2):
            _, derivative = model.linearize(rng.uniform(0.5, 2.0, model.domain.shape))
            derivative(np.ones(model.domain.shape))
            derivative.adjoint(np.ones(model.range.shape))
            derivative.dense()
            assert (solver.factorizations, solver.solves) == (calls, 16 * calls)
