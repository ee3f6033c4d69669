"""Conductivities from parameters: starting point, positivity, gradients, state."""

import io
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from eitdip.errors import NotPositiveError, OptionError, ShapeError
from eitdip.fem import Discretization, pixel_map
from eitdip.networks import Decoder, UNet
from eitdip.operator import Matrix
from eitdip.parameterization import Bounded, DeepImagePrior, Exp, FreeField, Parameterization, Softplus, draw_prior
from tests.cases.meshes import ring_disk

DOMAIN = ring_disk(3)
SHAPE = (8, 8)


def pixels() -> Matrix:
    return pixel_map(Discretization(DOMAIN), SHAPE)


def decoder(seed: int = 0) -> DeepImagePrior:
    return draw_prior(Decoder(latent_channels=3, channels=8, levels=2), SHAPE, seed)


def unet(seed: int = 0) -> DeepImagePrior:
    return draw_prior(UNet(latent_channels=3, channels=8, levels=2, skips=2), SHAPE, seed)


GENERATORS = {
    "cells": lambda: (FreeField((len(DOMAIN.cells),)), None),
    "pixels": lambda: (FreeField(SHAPE), pixels()),
    "decoder": lambda: (decoder(), pixels()),
    "unet": lambda: (unet(), pixels()),
}
LINKS = {
    "exp": lambda: Exp(0.3),
    "softplus": lambda: Softplus(0.3),
    "bounded": lambda: Bounded(0.3, 0.01, 20.0),
}
every_pair = pytest.mark.parametrize(
    ("generator", "link"),
    list(itertools.product(GENERATORS.values(), LINKS.values())),
    ids=["-".join(names) for names in itertools.product(GENERATORS, LINKS)],
)
every_generator = pytest.mark.parametrize("generator", list(GENERATORS.values()), ids=list(GENERATORS))
every_link = pytest.mark.parametrize("make", list(LINKS.values()), ids=list(LINKS))


def build(generator, link) -> Parameterization:
    field, field_map = generator()
    return Parameterization(field, link(), field_map)


def disturb(module: nn.Module, seed: int = 11, size: float = 0.3) -> None:
    """Move all parameters at random."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += size * torch.randn(parameter.shape, generator=source, dtype=parameter.dtype)


@every_pair
def test_it_starts_at_the_background(generator, link):
    parameterization = build(generator, link)
    sigma = parameterization()
    assert sigma.shape == (len(DOMAIN.cells),)
    assert sigma.dtype == torch.float64
    np.testing.assert_allclose(sigma.detach(), 0.3, rtol=2e-15)
    np.testing.assert_allclose(parameterization.field().detach(), 0.3, rtol=1e-15)


@every_pair
def test_it_stays_positive_wherever_the_parameters_go(generator, link):
    parameterization = build(generator, link)
    disturb(parameterization, size=3.0)
    sigma = parameterization()
    assert sigma.min() > 0 and torch.isfinite(sigma).all()
    assert sigma.max() > 1.1 * sigma.min()


@every_pair
def test_gradient_against_finite_differences(generator, link):
    """The directional derivative of a random functional of sigma, in double precision."""
    parameterization = build(generator, link).double()
    disturb(parameterization)
    source = torch.Generator().manual_seed(1)
    weights = torch.randn(len(DOMAIN.cells), generator=source, dtype=torch.float64)
    parameters = list(parameterization.parameters())
    direction = [torch.randn(p.shape, generator=source, dtype=torch.float64) for p in parameters]

    def value(step: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p += step * d
            result = float(weights @ parameterization())
            for p, d in zip(parameters, direction, strict=True):
                p -= step * d
        return result

    gradients = torch.autograd.grad(weights @ parameterization(), parameters)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    h = 1e-7  # so small that no leaky unit crosses its kink
    assert (value(h) - value(-h)) / (2 * h) == pytest.approx(slope, rel=1e-5)
    assert all(g.abs().max() > 0 for g in gradients)


@every_link
def test_links_pass_gradcheck(make):
    x = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(make(), x)


@every_link
def test_links_increase_from_zero_to_large(make):
    values = make()(torch.linspace(-20, 20, 401, dtype=torch.float64))
    assert (values.diff() >= 0).all() and (values > 0).all()
    assert values[0] < 0.1 * 0.3 and values[-1] > 10 * 0.3


@pytest.mark.parametrize(
    ("make", "slope"), [(LINKS["exp"], 1), (LINKS["softplus"], 1 - 1 / np.e), (LINKS["bounded"], 1)]
)
def test_slope_in_the_logarithm_at_the_start(make, slope):
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    make()(x).log().sum().backward()
    assert x.grad.item() == pytest.approx(slope, rel=1e-12)


def test_bounds_are_kept():
    values = Bounded(1.0, 0.5, 4.0)(torch.tensor([-1e6, -50.0, 50.0, 1e6], dtype=torch.float64))
    np.testing.assert_allclose(values, [0.5, 0.5, 4.0, 4.0], rtol=1e-12)


@pytest.mark.parametrize("start", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("link", [Exp, Softplus, lambda b: Bounded(b, 0.1, 10.0)], ids=list(LINKS))
def test_a_start_that_is_not_positive_is_refused(link, start):
    with pytest.raises(NotPositiveError, match=r"start: got .*expected > 0 and finite"):
        link(start)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 2.0), (1.0, 2.0), (0.5, 1.0), (2.0, 0.5), (0.5, np.inf), (np.nan, 2.0)]
)
def test_bounds_out_of_order_are_refused(low, high):
    with pytest.raises(OptionError, match=r"bounds: got .*expected 0 < low < start \(1\) < high"):
        Bounded(1.0, low, high)


@every_generator
def test_field_and_unknowns_are_related_by_the_map(generator):
    field, field_map = generator()
    parameterization = Parameterization(field, Exp(0.3), field_map)
    disturb(parameterization)
    values = parameterization.field().detach()
    assert tuple(values.shape) == field.shape
    expected = values.numpy() if field_map is None else field_map(values.numpy())
    np.testing.assert_allclose(parameterization().detach(), expected, rtol=1e-14)
    np.testing.assert_allclose(parameterization.to_unknowns(values), expected, rtol=1e-14)


@pytest.mark.parametrize("make", [decoder, unet])
def test_same_seed_same_result(make):
    one, same, other = make(4), make(4), make(5)
    for prior in (one, same, other):
        disturb(prior)
    assert torch.equal(one(), same())
    assert not torch.allclose(one(), other())
    assert one().dtype == torch.float64


@pytest.mark.parametrize("make", [decoder, unet])
def test_the_global_generator_is_neither_read_nor_moved(make):
    with torch.random.fork_rng(devices=[]):
        latents = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            prior = make(3)
            prior()
            assert torch.equal(torch.get_rng_state(), before)
            latents.append(prior.latent)
        assert torch.equal(*latents)


@every_pair
def test_state_is_complete(generator, link):
    """Weights and latent: another seed's module continues identically after loading."""
    one, other = build(generator, link), build(generator, link)
    if isinstance(other.generator, DeepImagePrior):
        other.generator.latent.zero_()
    disturb(one)
    assert not torch.equal(one(), other())
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(one(), other())


def test_the_map_is_no_part_of_the_state():
    """It is rebuilt from the mesh, which the checkpoint names by its hash."""
    assert not any("_map" in name for name in build(GENERATORS["pixels"], LINKS["exp"]).state_dict())


def test_only_the_network_is_trained():
    prior = decoder()
    assert not prior.latent.requires_grad
    assert {id(p) for p in prior.parameters()} == {id(p) for p in prior.network.parameters()}


def test_a_map_of_another_image_is_refused():
    with pytest.raises(ShapeError, match=r"field_map: takes \(8, 8\), but the generator gives \(6, 8\)"):
        Parameterization(FreeField((6, 8)), Exp(1.0), pixels())
    with pytest.raises(ShapeError, match="expected multiples of 4"):
        draw_prior(Decoder(levels=2), (9, 8))


def test_a_fitted_drift_scales_everything_and_costs_no_contrast():
    cells = FreeField((len(DOMAIN.cells),))
    with torch.no_grad():
        cells.values.copy_(torch.linspace(-1, 1, len(DOMAIN.cells), dtype=torch.float64))
    fixed, fitted = Parameterization(cells, Exp(0.7)), Parameterization(cells, Exp(0.7), fit_drift=True)
    assert "drift" not in dict(fixed.named_parameters()) and "drift" in dict(fitted.named_parameters())
    with torch.no_grad():
        fitted.drift += 0.08
    torch.testing.assert_close(fitted(), fixed() * np.exp(0.08))
    torch.testing.assert_close(fitted.contrast(fitted.field()), fixed.contrast(fixed.field()))
    fitted().sum().backward()
    torch.testing.assert_close(fitted.drift.grad, fitted().sum().detach())
