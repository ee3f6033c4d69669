"""Misfit plus penalties."""

import math

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.fem.patterns import trigonometric_currents
from eitdip.networks import Decoder
from eitdip.objective import Averaged, Objective, Variational
from eitdip.objective.differences import MeshJumps, PixelDifferences
from eitdip.objective.misfit import LeastSquares
from eitdip.objective.penalty import Tikhonov, TotalVariation
from eitdip.operator import ForwardModel
from eitdip.parameterization import Exp, FreeField, Parameterization, draw_prior
from tests.cases.meshes import ring_disk

DOMAIN = ring_disk(3, 6)
MODEL = CompleteElectrodeModel(DOMAIN, trigonometric_currents(6)[:3], 0.1)
SHAPE = (8, 8)


def truth() -> np.ndarray:
    return np.random.default_rng(2).uniform(0.5, 2.0, len(DOMAIN.cells))


def misfit(**options) -> LeastSquares:
    return LeastSquares(MODEL(truth()), 0.05, **options)


def on_cells() -> Parameterization:
    return Parameterization(FreeField((len(DOMAIN.cells),)), Exp(0.8))


def on_pixels() -> Parameterization:
    return Parameterization(FreeField(SHAPE), Exp(0.8), pixel_map(MODEL.discretization, SHAPE))


def by_network() -> Parameterization:
    prior = draw_prior(Decoder(latent_channels=3, channels=8, levels=2), SHAPE)
    return Parameterization(prior, Exp(0.8), pixel_map(MODEL.discretization, SHAPE))


def penalties(parameterization: Parameterization) -> dict:
    on_mesh = len(parameterization.generator.shape) == 1
    differences = MeshJumps(*DOMAIN.jumps) if on_mesh else PixelDifferences()
    return {"tv": (0.7, TotalVariation(differences, 0.01)), "tikhonov": (0.2, Tikhonov())}


def disturbed(parameterization: Parameterization) -> Parameterization:
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in parameterization.parameters():
            p += 0.2 * torch.randn(p.shape, generator=source, dtype=p.dtype)
    return parameterization


every_kind = pytest.mark.parametrize("make", [on_cells, on_pixels, by_network], ids=lambda make: make.__name__)


@every_kind
def test_terms_are_named_and_add_up(make):
    parameterization = disturbed(make())
    objective = Variational(MODEL, parameterization, misfit(), penalties(parameterization))
    terms = objective()
    assert list(terms.losses) == ["misfit", "tv", "tikhonov"]
    assert terms.total.item() == pytest.approx(sum(loss.item() for loss in terms.losses.values()), rel=1e-15)
    x, field = parameterization().detach(), parameterization.field().detach()
    residual = (MODEL(x.numpy()) - MODEL(truth())) / 0.05
    assert terms.chi2 == pytest.approx((residual**2).mean(), rel=1e-12)
    assert terms.losses["misfit"].item() == terms.chi2
    assert terms.losses["tikhonov"].item() == pytest.approx(0.2 * torch.log(field / 0.8).square().mean().item())
    np.testing.assert_array_equal(terms.x, x)
    np.testing.assert_array_equal(terms.estimate, field)
    assert not terms.x.requires_grad and not terms.estimate.requires_grad
    assert math.isnan(terms.held_out)


@every_kind
def test_gradient_against_finite_differences(make):
    """Through network, link, map, model, misfit and penalties at once."""
    parameterization = disturbed(make().double())
    objective = Variational(MODEL, parameterization, misfit(), penalties(parameterization))
    parameters = list(objective.parameters())
    source = torch.Generator().manual_seed(4)
    direction = [torch.randn(p.shape, generator=source, dtype=torch.float64) for p in parameters]

    def value(step: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p += step * d
            result = objective().total.item()
            for p, d in zip(parameters, direction, strict=True):
                p -= step * d
        return result

    objective().total.backward()
    slope = sum((p.grad * d).sum().item() for p, d in zip(parameters, direction, strict=True))
    h = 1e-7
    assert (value(h) - value(-h)) / (2 * h) == pytest.approx(slope, rel=1e-5)


def test_the_truth_has_no_misfit():
    parameterization = on_cells()
    with torch.no_grad():
        parameterization.generator.values.copy_(torch.from_numpy(np.log(truth() / 0.8)))
    objective = Variational(MODEL, parameterization, misfit())
    terms = objective()
    assert terms.chi2 < 1e-20
    terms.total.backward()
    assert parameterization.generator.values.grad.abs().max() < 1e-6


def test_penalties_vanish_at_the_background():
    parameterization = on_pixels()
    terms = Variational(MODEL, parameterization, misfit(), penalties(parameterization))()
    assert terms.losses["tv"].item() == pytest.approx(0, abs=1e-15)
    assert terms.losses["tikhonov"].item() == pytest.approx(0, abs=1e-15)
    assert terms.total.item() == pytest.approx(terms.chi2)


def test_weights_scale_their_terms():
    parameterization = disturbed(on_pixels())
    losses = [
        Variational(MODEL, parameterization, misfit(), {"tv": (w, TotalVariation(PixelDifferences()))})().losses["tv"]
        for w in (1.0, 2.5, 0.0)
    ]
    assert losses[0] > 0
    assert losses[1].item() == pytest.approx(2.5 * losses[0].item())
    assert losses[2] == 0


def test_held_out_measurements_do_not_pull():
    held = np.zeros(MODEL.range.shape, bool)
    held[1] = True
    parameterization = disturbed(on_cells())
    terms = Variational(MODEL, parameterization, misfit(held_out=held))()
    residual = (MODEL(parameterization().detach().numpy()) - MODEL(truth())) / 0.05
    assert terms.chi2 == pytest.approx((residual[[0, 2]] ** 2).mean(), rel=1e-12)
    assert terms.held_out == pytest.approx((residual[1] ** 2).mean(), rel=1e-12)


def test_estimate_is_the_present_field():
    parameterization = disturbed(on_pixels())
    objective = Variational(MODEL, parameterization, misfit())
    np.testing.assert_array_equal(objective.estimate(), parameterization.field().detach())
    assert objective.estimate().shape == SHAPE


@pytest.mark.parametrize("make", [on_cells, on_pixels])
def test_the_average_of_conductivities(make):
    """Of fields, and of what the model takes of them, which is the same; held out is what it predicts."""
    held = np.zeros(MODEL.range.shape, bool)
    held[1] = True
    parameterization = make()
    averaged, fields = Averaged(Variational(MODEL, parameterization, misfit(held_out=held)), 0.5), []
    for _ in range(2):
        disturbed(parameterization)
        terms = averaged()
        fields.append(parameterization.field().detach())
    expected = (0.25 * fields[0] + 0.5 * fields[1]) / 0.75
    torch.testing.assert_close(terms.estimate, expected)
    x = parameterization.to_unknowns(expected)
    torch.testing.assert_close(terms.x, x)
    residual = (MODEL(x.numpy()) - MODEL(truth())) / 0.05
    assert terms.held_out == pytest.approx((residual[1] ** 2).mean(), rel=1e-9)
    assert averaged.state().keys() == parameterization.state_dict().keys()


def test_an_average_without_a_memory_is_the_iterate():
    parameterization = on_pixels()
    averaged = Averaged(Variational(MODEL, parameterization, misfit()), 0.0)
    for _ in range(2):
        disturbed(parameterization)
        torch.testing.assert_close(averaged().estimate, parameterization.field().detach())
    with pytest.raises(OptionError, match=r"average: got a decay of 1\.0, expected 0 <= decay < 1"):
        Averaged(Variational(MODEL, parameterization, misfit()), 1.0)


def test_only_the_parameterization_is_trained():
    objective = Variational(MODEL, by_network(), misfit(), penalties(by_network()))
    assert {id(p) for p in objective.parameters()} == {id(p) for p in objective.parameterization.parameters()}


class Remembering(ForwardModel):
    """A model with a state of its own."""

    def __init__(self):
        self.domain, self.range = MODEL.domain, MODEL.range
        self.past = np.zeros(2)

    def linearize(self, x):
        self.past = self.past + 1
        return MODEL.linearize(x)

    def state(self):
        return {"past": self.past.copy()}

    def restore(self, state):
        self.past = state["past"]


def test_the_models_state_travels_with_the_objective():
    one, other = (Variational(Remembering(), on_cells(), misfit()) for _ in range(2))
    one()
    one()
    other.load_state_dict(one.state_dict())
    assert other.model.past.tolist() == [2, 2]


def test_every_part_is_timed():
    objective = Variational(MODEL, by_network(), misfit(), penalties(by_network()))
    objective()
    assert set(objective.stopwatch.seconds) == {"network", "model", "data movement", "penalties"}


def test_another_kind_of_objective_is_a_subclass_away():
    with pytest.raises(TypeError, match="abstract"):
        Objective()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (LeastSquares(np.zeros((3, 5)), 1.0),),
            ShapeError,
            r"data: got shape \(3, 5\), expected \(3, 6\) for this model",
        ),
        ((misfit(), {"tv": (-1.0, Tikhonov())}), OptionError, r"weight of tv: got -1\.0, expected >= 0"),
        ((misfit(), {"tv": (np.nan, Tikhonov())}), OptionError, "weight of tv: got nan"),
        ((misfit(), {"misfit": (1.0, Tikhonov())}), OptionError, "name of the data term; rename it"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Variational(MODEL, on_cells(), *arguments)


def test_a_field_that_does_not_fit_the_model():
    objective = Variational(MODEL, Parameterization(FreeField((7,)), Exp(1.0)), misfit())
    with pytest.raises(ShapeError, match=r"conductivity on cells, S/m: got shape \(7,\), expected"):
        objective()
