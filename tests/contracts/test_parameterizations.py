"""One list of promises that every generator of `eitdip.methods` keeps, in two and three dimensions."""

import io

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.errors import CheckpointError, OptionError
from eitdip.methods.build import start
from eitdip.methods.parameterizations import GENERATORS
from eitdip.networks import (
    ConvolutionalDecoder,
    CoordinateNetwork,
    Decoder,
    DeepDecoder,
    SkipNetwork,
    UNet,
    initialize,
)
from eitdip.objective import Averaged, Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.operator import Matrix, Space
from eitdip.parameterization import (
    Bounded,
    CoordinateField,
    Cropped,
    DeepImagePrior,
    Exp,
    FreeField,
    LevelSets,
    Parameterization,
    Softplus,
    draw_prior,
    draw_two_layer,
    load_weights,
    save_weights,
)
from eitdip.reconstruction import Checkpoint, Decision, Step, StoppingRule, reconstruct
from tests.cases.measurements import fitting, problem
from tests.cases.pretrained import weights_file

SHAPES = {2: (8, 12), 3: (4, 8, 6)}


def prior(kind):
    return lambda shape, seed: draw_prior(kind(channels=6, levels=1, dimension=len(shape)), shape, seed)


def coordinates(kind):
    def make(shape, seed):
        network = CoordinateNetwork(kind, 6, 2, dimension=len(shape))
        return CoordinateField(initialize(network, torch.Generator().manual_seed(seed)), shape)

    return make


def pretrained(shape, seed):
    """With an input instead of a latent tensor, and factors of its own for this."""
    network = UNet(latent_channels=1, channels=6, levels=1, dimension=len(shape), patch=2, scaled=True)
    generator = torch.Generator().manual_seed(seed)
    return DeepImagePrior(initialize(network, generator), torch.randn(1, 1, *shape, generator=generator))


CASES = {
    "decoder": prior(Decoder),
    "educated": pretrained,
    "unet": prior(UNet),
    "convolutional-decoder": prior(ConvolutionalDecoder),
    "skip": prior(SkipNetwork),
    "deep-decoder": prior(DeepDecoder),
    "two-layer": lambda shape, seed: draw_two_layer(shape, 6, 2, seed),
    "fourier": coordinates("fourier"),
    "sine": coordinates("sine"),
    "level-set": lambda shape, seed: LevelSets(shape, 2),
    "pixels": lambda shape, seed: FreeField(shape),
    "vertices": lambda shape, seed: FreeField((7,)),
    "cells": lambda shape, seed: FreeField((9,)),
}
WITHOUT_SEED = {"level-set", "pixels", "vertices", "cells"}
LINKS = {"exp": Exp(0.3), "softplus": Softplus(0.3), "bounded": Bounded(0.3, 0.01, 20.0)}
every_case = pytest.mark.parametrize("name", CASES)
every_dimension = pytest.mark.parametrize("dimension", SHAPES)


def make(name: str, dimension: int, seed: int = 0):
    return CASES[name](SHAPES[dimension], seed)


def weights(shape) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def disturb(module, size: float = 0.3) -> None:
    source = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += size * torch.randn(parameter.shape, generator=source, dtype=parameter.dtype)


def test_every_generator_has_a_case():
    assert set(GENERATORS) == set(CASES)


@every_dimension
@every_case
def test_shape_and_background_at_the_start(name, dimension):
    generator = make(name, dimension)
    for link in LINKS.values():
        sigma = Parameterization(generator, link)()
        assert sigma.shape == generator.shape and sigma.dtype == torch.float64
        np.testing.assert_allclose(sigma.detach(), 0.3, rtol=2e-15)


@every_dimension
@every_case
def test_positive_wherever_the_parameters_go(name, dimension):
    generator = make(name, dimension)
    disturb(generator, 2.0)
    for link in LINKS.values():
        sigma = Parameterization(generator, link)()
        assert sigma.min() > 0 and torch.isfinite(sigma).all() and sigma.max() > 1.01 * sigma.min()


@every_dimension
@every_case
def test_gradient_against_finite_differences(name, dimension):
    generator = make(name, dimension).double()
    disturb(generator)
    parameters, functional = list(generator.parameters()), weights(generator.shape)
    source = torch.Generator().manual_seed(3)
    direction = [torch.randn(p.shape, generator=source, dtype=torch.float64) for p in parameters]
    gradients = torch.autograd.grad((functional * generator()).sum(), parameters)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    values, h = [], 1e-7  # so small that hardly a unit crosses its kink
    for step in (h, -2 * h):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p += step * d
            values.append(float((functional * generator()).sum()))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(slope, rel=1e-4, abs=1e-6)


@every_dimension
@every_case
def test_every_parameter_has_a_gradient_after_the_first_step(name, dimension):
    generator = make(name, dimension)
    functional = weights(generator.shape)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.01)
    (functional * generator()).sum().backward()
    optimizer.step()
    assert generator().abs().max() > 0
    optimizer.zero_grad()
    (functional * generator()).sum().backward()
    for label, parameter in generator.named_parameters():
        assert parameter.grad.abs().max() > 0, label


@every_dimension
@every_case
def test_state_reproduces_bits(name, dimension):
    one, other = make(name, dimension, 0), make(name, dimension, 1)
    disturb(one)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    assert not torch.equal(one(), other())
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(one(), other())


@every_dimension
@every_case
def test_the_seed_decides_and_no_global_state(name, dimension):
    with torch.random.fork_rng(devices=[]):
        fields = []
        for step, seed in enumerate((4, 4, 5)):
            torch.manual_seed(step)
            before = torch.get_rng_state()
            generator = make(name, dimension, seed)
            assert torch.equal(torch.get_rng_state(), before)
            disturb(generator)
            fields.append(generator())
    assert torch.equal(fields[0], fields[1])
    assert torch.equal(fields[0], fields[2]) == (name in WITHOUT_SEED)


@every_dimension
@every_case
def test_everything_moves_to_another_device(name, dimension):
    field = Parameterization(make(name, dimension), Exp(1.0)).to("meta")()
    assert field.device.type == "meta" and field.shape == make(name, dimension).shape


@pytest.mark.parametrize("width", [-2, 0, 1, 7])
def test_an_odd_width_of_the_two_layer_generator_is_refused(width):
    with pytest.raises(OptionError, match=f"width of the two-layer generator: got {width}, expected an even number"):
        draw_two_layer((8, 8), width)


@pytest.mark.parametrize(("pairs", "sharpness"), [(0, 10.0), (1, 0.0), (1, -1.0), (2, np.inf), (2, np.nan)])
def test_level_sets_out_of_range_are_refused(pairs, sharpness):
    with pytest.raises(OptionError, match=f"pairs, sharpness: got {pairs}, {sharpness}, expected at least 1, and > 0"):
        LevelSets((8, 8), pairs, sharpness)


def test_level_sets_are_piecewise_constant_with_sharp_transitions():
    """Two functions make four phases: nothing, one value, the other, and both."""
    field = LevelSets((8, 8), sharpness=1e4)
    with torch.no_grad():
        field.values.copy_(torch.tensor([0.5, -2.0]))
        field.functions.fill_(-1.0)
        field.functions[0, :4] = field.functions[1, :, :3] = 1.0
        phases = field()
    for rows, columns, value in ((0, 0, -1.5), (0, 3, 0.5), (4, 0, -2.0), (4, 3, 0.0)):
        assert (phases[rows : rows + 4, columns:][:, : 3 if columns == 0 else None] == value).all()


def noisy(shape, seed):
    return draw_prior(Decoder(channels=6, levels=1, dimension=len(shape)), shape, seed, input_noise=0.1)


def cropped(shape, seed):
    return Cropped(noisy(shape, seed), tuple(side - 1 for side in shape))


MORE = CASES | {"noisy": noisy, "cropped": cropped}
every_kept = pytest.mark.parametrize("name", MORE)


class KeepOne(StoppingRule):
    """Keeps the third of six iterates."""

    def update(self, step: Step) -> Decision:
        return Decision(step.iteration == 2, step.iteration == 5)


def objective(name: str, dimension: int, seed: int) -> Variational:
    """The field itself is measured."""
    generator = MORE[name](SHAPES[dimension], seed)
    space = Space(generator.shape)
    model = Matrix(sparse.eye_array(space.size, format="csr"), space, space)
    parameterization = Parameterization(generator, LINKS["bounded"], fit_drift=True)
    return Variational(model, parameterization, LeastSquares(weights(space.shape).exp().numpy(), 1.0))


def by_adam(parameters):
    return torch.optim.Adam(parameters, lr=0.02)


def by_lbfgs(parameters):
    return torch.optim.LBFGS(parameters, lr=0.01, max_iter=3, history_size=4)


@every_dimension
@every_kept
@pytest.mark.parametrize("optimizer", [by_adam, by_lbfgs])
def test_the_state_of_a_result_makes_its_estimate(name, dimension, optimizer, tmp_path):
    """Bit by bit, with weights of another seed before, and by way of a checkpoint too."""
    latest, one = [], objective(name, dimension, 0)
    result = reconstruct(one, optimizer(one.parameters()), KeepOne(), callbacks=[latest.append])
    latest[-1].checkpoint().save(tmp_path / "c")
    other = objective(name, dimension, 1)
    resumed = reconstruct(other, optimizer(other.parameters()), KeepOne(), resume=Checkpoint.load(tmp_path / "c"))
    for kept in (result, resumed):
        assert kept.kept == 2 and all(value.device.type == "cpu" for value in kept.state.values())
        again = objective(name, dimension, 1).parameterization
        again.load_state_dict(kept.state)
        with torch.no_grad():
            field = again.field()
            assert np.array_equal(again.to_unknowns(field), kept.x) and np.array_equal(field, kept.estimate)
    assert not np.array_equal(one.parameterization.field().detach(), result.estimate), "it went on"


def test_the_state_of_an_average_is_that_of_the_iterate():
    plain, averaged = objective("noisy", 2, 0), Averaged(objective("noisy", 2, 0), 0.5)
    # The average looks at one field when it is made, which takes one draw of the input noise.
    plain.parameterization.field()
    results = [reconstruct(each, by_adam(each.parameters()), KeepOne()) for each in (plain, averaged)]
    assert all(torch.equal(value, results[1].state[name]) for name, value in results[0].state.items())
    assert not np.array_equal(results[0].estimate, results[1].estimate)


@every_dimension
@every_kept
def test_weights_go_through_a_file(name, dimension, tmp_path):
    one, other = (MORE[name](SHAPES[dimension], seed) for seed in (0, 1))
    disturb(one)
    save_weights(tmp_path / "w", one)
    load_weights(tmp_path / "w", other)
    assert torch.equal(one(), other())
    with pytest.raises(CheckpointError, match=r"got weights of .*, expected Parameterization with the same layers"):
        load_weights(tmp_path / "w", Parameterization(other, LINKS["exp"]))


@pytest.mark.usefixtures("gmsh")
@every_dimension
@every_case
def test_the_misfit_falls(name, dimension, tmp_path):
    if name == "educated" and dimension == 3:
        pytest.skip("there are pretrained networks for plane bodies only")
    body = problem("cem" if dimension == 2 else "cylinder")
    channels = 1 if name == "level-set" else 8
    more = {"weights": weights_file(tmp_path, body)} if name == "educated" else {}
    method = fitting("dip-tv", body.unknown.kind, generator=name, channels=channels, steps=4, tv=0.1, **more)
    run = start(body, method, seed=0)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    assert min(result.history["misfit"][1:]) < result.history["misfit"][0]
    assert (result.x > 0).all()
