"""Gains, offsets and background from a homogeneous measurement."""

from functools import cache

import numpy as np
import pytest

from eitdip.errors import InvalidDataError
from eitdip.fem import CompleteElectrodeModel, DirichletModel, trigonometric
from eitdip.fem.patterns import adjacent
from eitdip.problems.instrument import calibrate
from tests.cases.meshes import ring_disk


@cache
def model() -> CompleteElectrodeModel:
    return CompleteElectrodeModel(ring_disk(4, 8), adjacent(8), 1e-3, adjacent(8))


def homogeneous(background: float) -> np.ndarray:
    return model()(np.full(model().domain.shape, background))


@pytest.fixture
def instrument(rng):
    """Gains with mean one and offsets."""
    gain = 1 + 0.05 * rng.standard_normal(8)
    return gain / gain.mean(), 0.02 * rng.standard_normal(8)


@pytest.mark.parametrize("background", [0.3, 4.0])
def test_gains_and_offsets_are_recovered(background, instrument):
    gain, offset = instrument
    reference = gain[:, None] * homogeneous(background) + offset
    found = calibrate(model(), reference, np.ones((8, 8), bool))
    assert found.background == pytest.approx(background, rel=1e-6)
    assert np.allclose(found.gain, gain, rtol=1e-6)
    assert np.allclose(found.offset, offset, atol=1e-6)
    assert found.error < 1e-6


def test_difference_data_are_free_of_the_instrument(instrument, rng):
    gain, offset = instrument
    sigma = rng.uniform(0.5, 2, model().domain.shape)
    measure = lambda clean: gain[:, None] * clean + offset  # noqa: E731
    reference = measure(homogeneous(1.0))
    found = calibrate(model(), reference, np.ones((8, 8), bool))
    data = found.difference_data(measure(model()(sigma)), reference)
    assert np.allclose(data, model()(sigma), rtol=1e-5, atol=1e-6)


def test_what_the_mask_leaves_out_does_not_count(instrument):
    gain, offset = instrument
    mask = np.ones((8, 8), bool)
    mask[:, 3] = mask[2, 5] = False
    reference = gain[:, None] * homogeneous(2.0) + offset
    found = calibrate(model(), np.where(mask, reference, np.nan), mask)
    assert found.background == pytest.approx(2, rel=1e-6)
    assert np.allclose(found.gain, gain, rtol=1e-5)
    assert found.offset[3] == 0


def test_without_instrument_only_the_background_is_fitted():
    found = calibrate(model(), homogeneous(2.0), np.ones((8, 8), bool), instrument=False)
    assert found.background == pytest.approx(2, rel=1e-6)
    assert (found.gain == 1).all() and (found.offset == 0).all()


def test_fluxes_grow_with_the_conductivity():
    domain = ring_disk(4)
    waves = trigonometric(domain, 2)
    dirichlet = DirichletModel(domain, waves)
    reference = dirichlet(np.full(dirichlet.domain.shape, 3.0))
    mask = np.ones(reference.shape, bool)
    found = calibrate(dirichlet, reference, mask, instrument=False, voltages=False)
    assert found.background == pytest.approx(3, rel=1e-9)


@pytest.mark.parametrize("wrong", ["shifted", "shuffled", "other sign"])
def test_another_order_of_electrodes_is_refused(wrong, rng):
    reference = homogeneous(1.0)
    reference = {
        "shifted": np.roll(reference, 3, axis=1),
        "shuffled": reference[:, rng.permutation(8)],
        "other sign": -reference,
    }[wrong]
    with pytest.raises(InvalidDataError, match=r"reference: .* check (the order of electrodes|units)"):
        calibrate(model(), reference, np.ones((8, 8), bool))
