"""Derivatives with respect to weights, against dense ones and differences."""

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.errors import OptionError, ShapeError
from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.fem.patterns import trigonometric_currents
from eitdip.imaging import DenseOperator, SparseOperator, Transmission
from eitdip.networks import ConvolutionalDecoder, CoordinateNetwork, Decoder, DeepDecoder, SkipNetwork, UNet, initialize
from eitdip.objective.bridge import apply
from eitdip.objective.jacobian import data_jacobian, field_jacobian, unknowns_jacobian
from eitdip.operator import Space
from eitdip.parameterization import (
    Affine,
    Bounded,
    CoordinateField,
    Exp,
    FreeField,
    LevelSets,
    Parameterization,
    draw_prior,
    draw_two_layer,
)
from eitdip.verify import adjoint_error, convergence_order
from tests.cases.meshes import ring_disk

SIDE = 8
SHAPE = (SIDE, SIDE)
NETWORKS = {
    "decoder": lambda outputs=1: Decoder(latent_channels=3, channels=4, levels=2, convolutions=1, outputs=outputs),
    "deep-decoder": lambda: DeepDecoder(channels=4, levels=2),
    "convolutional": lambda: ConvolutionalDecoder(channels=4, levels=2),
    "skip": lambda: SkipNetwork(latent_channels=3, channels=4, skips=2, levels=2),
    "unet": lambda: UNet(latent_channels=3, channels=4, skips=2, levels=2),
}
GENERATORS = {name: lambda make=make: draw_prior(make(), SHAPE) for name, make in NETWORKS.items()} | {
    "free": lambda: FreeField(SHAPE),
    "two-layer": lambda: draw_two_layer(SHAPE, width=4),
    "level-sets": lambda: LevelSets(SHAPE),
    "coordinates": lambda: CoordinateField(
        initialize(CoordinateNetwork(channels=6, depth=2), torch.Generator().manual_seed(0)), SHAPE
    ),
}
every_generator = pytest.mark.parametrize("name", GENERATORS)


def moved(parameterization: Parameterization, seed: int = 0, size: float = 0.3) -> Parameterization:
    """Weights away from where the field is constant."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in parameterization.parameters():
            weight += size * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return parameterization


def smooth(name: str, field_map=None) -> Parameterization:
    return moved(Parameterization(GENERATORS[name](), Bounded(1.0, 0.2, 5.0), field_map, fit_drift=True))


def complex_image() -> Parameterization:
    generator = draw_prior(NETWORKS["decoder"](2), SHAPE)
    return moved(Parameterization(generator, Affine(0.5), unit=1.0, complex=True))


def double(parameterization: Parameterization) -> Parameterization:
    """Its own weights in the precision of the operators, for references."""
    return parameterization.double()


def dense(parameterization: Parameterization, function) -> torch.Tensor:
    """The Jacobian of function(parameterization) by torch, shape (*values, P)."""
    names, weights = zip(*parameterization.named_parameters(), strict=True)

    class Function(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = parameterization

        def forward(self):
            return function(self.inner)

    module = Function()

    def values(*weights):
        named = {f"inner.{name}": weight for name, weight in zip(names, weights, strict=True)}
        return torch.func.functional_call(module, named, ())

    parts = torch.autograd.functional.jacobian(values, weights)
    return torch.cat([part.flatten(part.ndim - weight.ndim) if weight.ndim else part[..., None]
                      for part, weight in zip(parts, weights, strict=True)], dim=-1)  # fmt: skip


def flat(parameterization: Parameterization) -> torch.Tensor:
    return torch.cat([weight.detach().double().flatten() for weight in parameterization.parameters()])


@every_generator
def test_the_field_jacobian_is_that_of_torch(name, rng):
    parameterization = smooth(name)
    jacobian = field_jacobian(parameterization)
    assert jacobian.domain.shape == (sum(w.numel() for w in parameterization.parameters()),)
    assert (jacobian.range.shape, jacobian.range.dtype, jacobian.domain.dtype) == (SHAPE, "float64", "float64")
    expected = dense(double(parameterization), lambda p: p.field()).numpy().reshape(SIDE**2, -1)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(jacobian.H.dense().T, expected, rtol=0, atol=1e-11 * scale)
    directions = rng.standard_normal((3, *jacobian.domain.shape))
    np.testing.assert_allclose(jacobian(directions).reshape(3, -1), directions @ expected.T, rtol=0, atol=1e-9 * scale)
    assert max(adjoint_error(jacobian, rng) for _ in range(3)) <= 1e-12


def test_a_small_jacobian_by_columns_and_by_rows():
    jacobian = field_jacobian(smooth("two-layer"))
    np.testing.assert_allclose(jacobian.dense(), jacobian.H.dense().T, rtol=0, atol=1e-13)


def test_a_complex_field_is_its_two_parts(rng):
    parameterization = complex_image()
    parts, image = field_jacobian(parameterization), unknowns_jacobian(parameterization)
    assert (parts.range.shape, parts.range.dtype) == ((*SHAPE, 2), "float64")
    assert (image.range.shape, image.range.dtype) == (SHAPE, "complex128")
    direction = rng.standard_normal(parts.domain.shape)
    two = parts(direction)
    np.testing.assert_allclose(image(direction), two[..., 0] + 1j * two[..., 1], rtol=1e-13)
    expected = dense(double(parameterization), lambda p: torch.view_as_real(p.field())).numpy()
    np.testing.assert_allclose(two, expected @ direction, rtol=0, atol=1e-11 * np.abs(two).max())
    y = image.range.random(rng)
    np.testing.assert_allclose(image.adjoint(y), parts.adjoint(np.stack([y.real, y.imag], axis=-1)), rtol=1e-12)


def electrodes() -> CompleteElectrodeModel:
    return CompleteElectrodeModel(ring_disk(3, 6), trigonometric_currents(6)[:3], 0.2)


def eit(name: str):
    model = electrodes()
    return model, smooth(name, pixel_map(model.discretization, SHAPE))


def sinogram(name: str, dtype: str = "float64"):
    matrix = sparse.random_array((15, SIDE**2), density=0.3, rng=np.random.default_rng(3), format="csr")
    return SparseOperator(matrix, Space(SHAPE, dtype), Space((5, 3), dtype)), smooth(name)


def transmission(name: str):
    projector, parameterization = sinogram(name)
    return Transmission(projector, np.full((5, 3), 50.0)), parameterization


CASES = {"eit": eit, "sinogram": sinogram, "transmission": transmission}
every_case = pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in CASES for name in ("decoder", "free", "unet")]
)


@every_case
def test_the_data_jacobian_is_that_of_torch_and_of_the_gradient(kind, name, rng):
    model, parameterization = CASES[kind](name)
    jacobian = data_jacobian(model, parameterization)
    assert (jacobian.range, jacobian.arrays) == (model.range, model.arrays)
    double(parameterization)
    inner = dense(parameterization, lambda p: p.field()).numpy().reshape(SIDE**2, -1)
    x = parameterization().detach()
    outer = model.linearize(x.numpy())[1].dense()
    expected = outer @ (inner if parameterization.matrix() is None else parameterization.matrix() @ inner)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(jacobian.H.dense().T, expected, rtol=0, atol=1e-11 * scale)
    assert max(adjoint_error(jacobian, rng) for _ in range(3)) <= 1e-11
    weight = torch.from_numpy(rng.standard_normal(model.range.shape))
    (weight * apply(model, parameterization())).sum().backward()
    gradient = torch.cat([w.grad.flatten() for w in parameterization.parameters()]).numpy()
    np.testing.assert_allclose(jacobian.adjoint(weight.numpy()), gradient, rtol=0, atol=1e-11 * np.abs(gradient).max())


@every_case
def test_the_taylor_remainder_is_of_second_order(kind, name, rng):
    model, parameterization = CASES[kind](name)
    jacobian = data_jacobian(model, parameterization)
    double(parameterization)
    direction = torch.from_numpy(rng.standard_normal(jacobian.domain.shape))
    start, sizes, remainders = flat(parameterization), 2e-5 * 0.5 ** np.arange(4), []
    value = apply(model, parameterization()).detach()
    slope = torch.as_tensor(jacobian(direction if jacobian.arrays == "torch" else direction.numpy()))
    for size in sizes:
        torch.nn.utils.vector_to_parameters(start + size * direction, parameterization.parameters())
        with torch.no_grad():
            remainders.append(float((apply(model, parameterization()) - value - size * slope).norm()))
    orders = convergence_order(sizes, remainders)
    assert np.abs(orders - 2).max() < 0.1, orders


def test_it_stays_valid_while_the_parameterization_is_trained_on(rng):
    model, parameterization = eit("decoder")
    operators = field_jacobian(parameterization), data_jacobian(model, parameterization)
    direction = rng.standard_normal(operators[0].domain.shape)
    before = [(J(direction), J.adjoint(np.ones(J.range.shape))) for J in operators]
    moved(parameterization, seed=1)
    model(np.full(model.domain.shape, 3.0))
    for J, (image, back) in zip(operators, before, strict=True):
        np.testing.assert_array_equal(J(direction), image)
        np.testing.assert_array_equal(J.adjoint(np.ones(J.range.shape)), back)
    assert np.abs(field_jacobian(parameterization)(direction) - before[0][0]).max() > 1e-3


def test_making_and_applying_it_leaves_the_parameterization_alone(rng):
    parameterization = smooth("unet")
    kinds = [(weight.dtype, weight.requires_grad, weight.grad) for weight in parameterization.parameters()]
    start, state = flat(parameterization), torch.random.get_rng_state()
    jacobian = field_jacobian(parameterization)
    jacobian.adjoint(jacobian(rng.standard_normal(jacobian.domain.shape)))
    assert torch.equal(flat(parameterization), start) and parameterization.training
    assert [(w.dtype, w.requires_grad, w.grad) for w in parameterization.parameters()] == kinds
    assert torch.equal(torch.random.get_rng_state(), state)


def test_networks_of_single_precision_are_differentiated_in_double_precision(rng):
    parameterization = smooth("decoder")
    assert {weight.dtype for weight in parameterization.parameters()} == {torch.float32, torch.float64}
    jacobian = field_jacobian(parameterization)
    assert adjoint_error(jacobian, rng) <= 1e-13
    direction = rng.standard_normal(jacobian.domain.shape)
    single = dense(parameterization, lambda p: p.field()).numpy() @ direction
    np.testing.assert_allclose(jacobian(direction), single, rtol=0, atol=1e-4 * np.abs(single).max())


def test_operators_of_single_precision_keep_it(rng):
    model, parameterization = sinogram("decoder", "float32")
    jacobian = data_jacobian(model, parameterization)
    direction = torch.from_numpy(rng.standard_normal((2, *jacobian.domain.shape)))
    image = jacobian(direction)
    assert image.dtype == torch.float32 and image.shape == (2, 5, 3)
    exact = data_jacobian(sinogram("decoder")[0], parameterization)(direction)
    torch.testing.assert_close(image.double(), exact, rtol=1e-4, atol=1e-5)
    assert adjoint_error(jacobian, rng) <= 1e-5
    matrix = rng.standard_normal((7, SIDE**2)) + 1j * rng.standard_normal((7, SIDE**2))
    echoes = DenseOperator(matrix, Space(SHAPE, "complex64"), Space((7,), "complex64"))
    jacobian = data_jacobian(echoes, complex_image())
    x = jacobian(rng.standard_normal((2, *jacobian.domain.shape)))
    assert x.shape == (2, 7) and x.dtype == "complex64"


def test_only_weights_that_are_trained_count(rng):
    parameterization = smooth("decoder")
    whole = field_jacobian(parameterization)
    for weight in parameterization.generator.network.body.parameters():
        weight.requires_grad_(False)
    part = field_jacobian(parameterization)
    free = [weight.requires_grad for weight in parameterization.parameters()]
    chosen = np.concatenate(
        [np.full(weight.numel(), kept) for weight, kept in zip(parameterization.parameters(), free, strict=True)]
    )
    y = rng.standard_normal(SHAPE)
    assert part.domain.size == chosen.sum() < whole.domain.size
    np.testing.assert_allclose(part.adjoint(y), whole.adjoint(y)[chosen], rtol=1e-12)
    parameterization.requires_grad_(False)
    with pytest.raises(OptionError, match="no parameter requires gradients"):
        field_jacobian(parameterization)


def test_unknowns_that_are_not_the_models_are_refused():
    with pytest.raises(ShapeError, match="unknowns: got shape"):
        data_jacobian(electrodes(), smooth("free"))
    model, _ = sinogram("free")
    with pytest.raises(ShapeError, match="unknowns: got shape"):
        data_jacobian(model, complex_image())


def test_the_jacobian_of_a_linear_parameterization_is_its_map(rng):
    """d (P exp(theta)) = P exp(theta) d theta."""
    model = electrodes()
    P = pixel_map(model.discretization, SHAPE)
    parameterization = moved(Parameterization(FreeField(SHAPE), Exp(2.0), P))
    field = parameterization.field().detach().numpy().ravel()
    jacobian = unknowns_jacobian(parameterization)
    np.testing.assert_allclose(jacobian.dense(), P.matrix.toarray() * field, rtol=1e-13, atol=1e-16)
