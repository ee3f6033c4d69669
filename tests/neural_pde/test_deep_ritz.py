"""Deep Ritz: energies and gaps against exact fields, exact projection, the forward part, and why joint energy fails."""

import numpy as np
import pytest
import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.collocation import Sampling
from eitdip.neural_pde.deep_ritz import (
    ConjugatePairs,
    DeepRitzKV,
    NaiveDeepRitz,
    curl,
    energies,
    energy_gaps,
    primitive,
)
from eitdip.neural_pde.disk import DirichletDisk
from eitdip.neural_pde.fields import Conductivity, HardPotentials, drawn
from eitdip.objective.misfit import LeastSquares
from eitdip.parameterization import Exp

RIM, CONTRAST = 0.5, 3.0


class Concentric(nn.Module):
    """A circle of contrast 3 within radius 1/2, with its true jump, and its exact fields."""

    def values(self, points: torch.Tensor) -> torch.Tensor:
        return torch.where(points.norm(dim=1) < RIM, CONTRAST, 1.0).to(points)

    def forward(self, points: torch.Tensor) -> Jet:
        value = self.values(points)
        return Jet(torch.stack([value, *torch.zeros_like(points).T])[..., None], 2)

    @staticmethod
    def eigenvalues(orders: int) -> np.ndarray:
        """Flux over potential of cos t, sin t, cos 2 t, ..."""
        n = np.repeat(np.arange(1, orders + 1), 2)
        mu = (CONTRAST - 1) / (CONTRAST + 1) * RIM ** (2 * n)
        return n * (1 + mu) / (1 - mu)

    @staticmethod
    def pairs(points: torch.Tensor, orders: int) -> tuple[Jet, Jet]:
        """u with boundary values cos t, sin t, cos 2 t, ... over sqrt(pi), and psi."""
        u, psi = [], []
        z = points.detach().requires_grad_()
        r, t, inside = z.norm(dim=1), torch.atan2(z[:, 1], z[:, 0]), z.norm(dim=1) < RIM
        for n in range(1, orders + 1):
            jump = (CONTRAST - 1) / (CONTRAST + 1)
            mu = jump * RIM ** (2 * n)
            radial = torch.where(inside, (1 - jump) * r**n, r**n - mu * r**-n) / (1 - mu)
            dual = torch.where(inside, CONTRAST * (1 - jump) * r**n, r**n + mu * r**-n) / (1 - mu)
            u += [radial * torch.cos(n * t), radial * torch.sin(n * t)]
            psi += [dual * torch.sin(n * t), -dual * torch.cos(n * t)]
        return tuple(_jet(torch.stack(f, dim=1) / np.sqrt(np.pi), z) for f in (u, psi))


def _jet(values: torch.Tensor, points: torch.Tensor) -> Jet:
    slopes = [torch.autograd.grad(column.sum(), points, retain_graph=True)[0].T for column in values.T]
    return Jet(torch.cat([values.detach()[None], torch.stack(slopes, dim=-1)]), 2)


def even_points(rings: int, angles: int = 32) -> torch.Tensor:
    """Of rings of equal areas."""
    r = ((torch.arange(rings, dtype=torch.float64) + 0.5) / rings).sqrt()[:, None]
    t = torch.arange(angles, dtype=torch.float64) * (2 * torch.pi / angles)
    return torch.stack([r * t.cos(), r * t.sin()], dim=-1).flatten(0, 1)


def make(orders=2, widths=(12, 16), sigma=None, noise=0.01, points=200, dtype=torch.float64, kind="kv", **options):
    """An objective for the exact data of `Concentric`, with noise if there is some to find."""
    generator = torch.Generator().manual_seed(0)
    disk = DirichletDisk(np.eye(2 * orders), np.eye(2 * orders), dtype=dtype)
    data = np.diag(Concentric.eigenvalues(orders))
    deviation = np.broadcast_to(noise * np.linalg.norm(data, axis=1, keepdims=True), data.shape)
    if sigma is None:
        sigma = Conductivity(drawn(SmoothNetwork(1, (16, 16), features=8), generator, dtype), Exp(1.0))
    network = drawn(SmoothNetwork((4 if kind == "kv" else 2) * orders, widths, features=8), generator, dtype)
    common = {
        "disk": disk,
        "conductivity": sigma,
        "misfit": LeastSquares(data, deviation),
        "cells": even_points(10),
        "sampling": Sampling(points, 32, every=options.pop("every", 0)),
    }
    if kind == "kv":
        return DeepRitzKV(ConjugatePairs(disk, network), **options, **common)
    return NaiveDeepRitz(HardPotentials(disk, network), **options, **common)


def train(objective, steps: int, rate: float):
    """Terms at the first and at the last step."""
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, 0.05 * rate)
    every = []
    for _ in range(steps):
        optimizer.zero_grad()
        every.append(objective())
        every[-1].total.backward()
        optimizer.step()
        schedule.step()
    return every[0], every[-1]


def error(terms) -> float:
    """Relative L2 error of the conductivity; the cells are even."""
    truth = Concentric().values(even_points(10)).numpy()
    return np.linalg.norm(terms.x.numpy() - truth) / np.linalg.norm(truth)


def test_gaps_are_zero_at_exact_fields_only():
    points = even_points(40)
    u, psi = Concentric.pairs(points, 3)
    sigma = Concentric().values(points)[:, None]
    assert float(energy_gaps(u, psi, sigma).max()) < 1e-20
    assert float(energy_gaps(u, psi, sigma.sqrt()).min()) > 1e-3
    assert float(energy_gaps(u, Jet(-psi.parts, 2), sigma).min()) > 1


def test_gaps_are_the_energies_of_both_minus_the_power_through_the_boundary():
    generator = torch.Generator().manual_seed(1)
    disk = DirichletDisk(np.eye(4), np.eye(4), dtype=torch.float64)
    f, g = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    points = even_points(400)
    x, sigma = Jet.coordinates(points, laplacian=False), torch.exp(points[:, :1] * points[:, 1:])
    u, psi = disk.harmonic(x, f), disk.harmonic(x, primitive(g))
    power = torch.pi * (f * g).sum(dim=1)
    both = energies(u, sigma) + energies(psi, 1 / sigma)
    torch.testing.assert_close(energy_gaps(u, psi, sigma), both - power, rtol=1e-5, atol=1e-5)


def test_the_slope_of_the_gaps_is_that_of_finite_differences():
    points = even_points(4, 8)
    u, psi = Concentric.pairs(points, 2)
    sigma = (1 + points[:, :1].square()).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: energy_gaps(u, psi, s), (sigma,))
    # The best sigma for given fields is known: |curl psi| over |grad u|, in mean squares over the patterns.
    best = (curl(psi).square().sum(dim=(0, 2)) / u.gradient.square().sum(dim=(0, 2))).sqrt()[:, None]
    torch.testing.assert_close(best, Concentric().values(points)[:, None])
    wrong = Jet(psi.parts * torch.linspace(0.5, 2, psi.parts.shape[-1], dtype=torch.float64), 2)
    best = (curl(wrong).square().sum(dim=(0, 2)) / u.gradient.square().sum(dim=(0, 2))).sqrt()[:, None]
    best.requires_grad_()
    (slope,) = torch.autograd.grad(energy_gaps(u, wrong, best).sum(), best)
    assert float(slope.abs().max()) < 1e-12


def test_the_flux_is_the_tangential_derivative_of_the_stream_functions():
    generator = torch.Generator().manual_seed(0)
    disk = DirichletDisk(np.eye(6)[:4], np.eye(6), dtype=torch.float64)
    pairs = ConjugatePairs(disk, drawn(SmoothNetwork(8, (8,)), generator, torch.float64), background=2.0)
    with torch.no_grad():
        pairs.flux += torch.randn(pairs.flux.shape, generator=generator, dtype=torch.float64)
        pairs.network.output.bias.normal_(generator=generator)
    points = disk.boundary(32)
    x = Jet.coordinates(points, laplacian=False)
    u, psi = pairs(x)
    torch.testing.assert_close(u.value, disk.harmonic(x, disk.sources).value)
    tangential = torch.einsum("dp,dpk->pk", torch.stack([-points[:, 1], points[:, 0]]), psi.gradient)
    # The network adds nothing along the boundary, where 1 - |x|^2 = 0.
    torch.testing.assert_close(tangential, disk.waves(points) @ pairs.flux.T)
    torch.testing.assert_close(disk.flux_moments(points, tangential), pairs.moments())


def test_a_homogeneous_disk_solves_its_own_data():
    objective = make()
    with torch.no_grad():
        objective.misfit.data.copy_(torch.diag(torch.tensor([1.0, 1.0, 2.0, 2.0])))
    terms = objective()
    assert all(abs(float(loss.detach())) < 1e-12 for loss in terms.losses.values())
    assert terms.chi2 == pytest.approx(0, abs=1e-12)


def test_output_layer_and_flux_are_solved_for():
    objective = make(equation=3.0, tv=0.0)
    with torch.no_grad():
        objective.conductivity.network.output.weight.normal_(generator=torch.Generator().manual_seed(1))
    solved = (objective.pairs.flux, *objective.pairs.network.output.parameters())
    assert not any(parameter.requires_grad for parameter in solved)
    terms = objective()
    assert terms.chi2 == pytest.approx(float(terms.losses["misfit"].detach()))
    objective.project = False
    for parameter in solved:
        parameter.requires_grad_(True)
    total = objective().total
    slopes, before = torch.autograd.grad(total, solved), float(total.detach())
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-5 * before
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in solved:
            parameter += 1e-3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        assert float(objective().total) > before


def test_slopes_are_those_of_the_solved_loss():
    objective = make(tv=10.0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        objective.conductivity.network.output.weight.normal_(generator=generator)
    trained = [p for p in objective.parameters() if p.requires_grad]
    assert len(trained) == 10  # weights and biases of two hidden layers of the pairs, of three layers of sigma
    slopes = torch.autograd.grad(objective().total, trained)
    directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in trained]
    step, values = 1e-5, []
    for shift in (step, -2 * step):
        with torch.no_grad():
            for parameter, direction in zip(trained, directions, strict=True):
                parameter += shift * direction
            values.append(float(objective().total))
    expected = sum(float((slope * direction).sum()) for slope, direction in zip(slopes, directions, strict=True))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=1e-4)


def test_the_forward_part_finds_the_potentials_of_a_disk_with_a_jump():
    """With sigma known, the networks find u and psi to 1 % although both have a kink."""
    orders = 3
    objective = make(orders, (48, 48, 64), Concentric(), points=2048, every=1, dtype=torch.float32, tv=0.0)
    train(objective, 60, 1e-2)
    points = even_points(60)
    with torch.no_grad():
        u, psi = objective.pairs(Jet.coordinates(points.float(), laplacian=False))
    for found, exact in zip((u, psi), Concentric.pairs(points, orders), strict=True):
        relative = (found.value.double() - exact.value).norm(dim=0) / exact.value.norm(dim=0)
        assert float(relative.max()) < 0.01
    assert objective().chi2 < 0.01


def test_gaps_find_the_inclusion_and_energy_alone_leaves_it():
    first, last = train(make(orders=4, points=400, every=1, dtype=torch.float32, tv=5.0), 80, 1e-2)
    assert error(last) < 0.6 * error(first)
    assert last.chi2 < 0.05 * first.chi2
    naive = make(orders=4, points=400, every=1, dtype=torch.float32, kind="naive")
    first, last = train(naive, 80, 1e-2)
    assert float(last.losses["energy"].detach()) < 0.5 * float(first.losses["energy"].detach())
    assert error(last) > 1.5 * error(first)
    assert last.chi2 < 2, "the flux at the rim hides it"


def test_energy_is_linear_in_the_conductivity():
    points = even_points(20)
    u, _ = Concentric.pairs(points, 2)
    sigma = Concentric().values(points)[:, None]
    torch.testing.assert_close(energies(u, 0.01 * sigma), 0.01 * energies(u, sigma))
    # At the solution it is half the power through the boundary.
    fine = even_points(4000)
    u, _ = Concentric.pairs(fine, 2)
    power = torch.from_numpy(Concentric.eigenvalues(2))
    torch.testing.assert_close(energies(u, Concentric().values(fine)[:, None]), power / 2, rtol=1e-3, atol=0)


def test_patterns_that_were_not_measured_keep_their_equation():
    objective = make()
    mask = np.ones((4, 4), bool)
    mask[2] = False
    data = objective.misfit
    objective.misfit = LeastSquares(data.data.numpy(), 1 / data.weight.numpy(), mask)
    objective._per_gap = objective._noise_units()
    terms = objective()
    assert (objective._per_gap > 0).all() and bool(torch.isfinite(terms.total))
    # Its flux is then free, and becomes that of the present conductivity: of a homogeneous disk.
    torch.testing.assert_close(objective.pairs.moments()[2].detach(), torch.tensor([0.0, 0.0, 2.0, 0.0]).double())


@pytest.mark.parametrize("kind", ["kv", "naive"])
@pytest.mark.parametrize("weights", [{"equation": 0.0}, {"tv": -1.0}])
def test_bad_weights_are_refused(kind, weights):
    with pytest.raises(OptionError, match="expected > 0 and >= 0"):
        make(kind=kind, **weights)
