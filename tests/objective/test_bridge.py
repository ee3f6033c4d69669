"""From numpy models to torch and back: exact gradients, batches, and no shared state."""

import numpy as np
import pytest
import torch

from eitdip.cost import Stopwatch
from eitdip.errors import ShapeError
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import trigonometric_currents
from eitdip.objective.bridge import apply
from eitdip.operator import ForwardModel, Matrix, Space
from tests.cases.meshes import ring_disk
from tests.contracts.registry import transmission_of_arrays, transmission_of_tensors


class Saturation(ForwardModel):
    """y = tanh(A x), and a count of what it was asked."""

    def __init__(self, matrix: np.ndarray, shape: tuple[int, ...]):
        self.matrix = matrix
        self.domain = Space((matrix.shape[1],), label="input")
        self.range = Space(shape)
        self.calls = 0

    def linearize(self, x):
        self.calls += 1
        y = np.tanh(self.matrix @ self.domain.check(x))
        return y.reshape(self.range.shape), Matrix((1 - y**2)[:, None] * self.matrix, range=self.range)


@pytest.fixture
def saturation(rng) -> Saturation:
    return Saturation(rng.standard_normal((6, 4)), (2, 3))


@pytest.fixture(scope="module")
def electrodes() -> CompleteElectrodeModel:
    return CompleteElectrodeModel(ring_disk(2, 6), trigonometric_currents(6)[:3], 0.2)


def positive(rng, *shape: int, **options) -> torch.Tensor:
    return torch.tensor(rng.uniform(0.5, 2.0, shape), requires_grad=True, **options)


def test_gradcheck_of_a_numpy_model(saturation, rng):
    assert torch.autograd.gradcheck(lambda x: apply(saturation, x), positive(rng, 4), atol=1e-8)


def test_gradcheck_of_the_electrode_model(electrodes, rng):
    sigma = positive(rng, *electrodes.domain.shape)
    assert torch.autograd.gradcheck(lambda x: apply(electrodes, x), sigma, atol=1e-8)


def test_gradcheck_of_a_batch(saturation, rng):
    assert torch.autograd.gradcheck(lambda x: apply(saturation, x), positive(rng, 2, 4), atol=1e-8)


def test_value_is_the_model(saturation, rng):
    x = positive(rng, 4)
    y = apply(saturation, x)
    assert y.shape == (2, 3) and y.requires_grad
    np.testing.assert_array_equal(y.detach().numpy(), saturation(x.detach().numpy()))


def test_gradient_is_the_adjoint_without_any_scaling(electrodes, rng):
    """No Riesz map, no cell areas, no mean over patterns."""
    sigma, weights = positive(rng, *electrodes.domain.shape), rng.standard_normal(electrodes.range.shape)
    (torch.tensor(weights) * apply(electrodes, sigma)).sum().backward()
    _, derivative = electrodes.linearize(sigma.detach().numpy())
    np.testing.assert_array_equal(sigma.grad.numpy(), derivative.adjoint(weights))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1)])
def test_a_batch_is_its_items(electrodes, rng, shape):
    batch = positive(rng, *shape, *electrodes.domain.shape)
    weights = torch.tensor(rng.standard_normal((*shape, *electrodes.range.shape)))
    value = apply(electrodes, batch)
    assert value.shape == weights.shape
    (weights * value).sum().backward()
    for index in np.ndindex(*shape):
        item = batch.detach()[index].clone().requires_grad_()
        alone = apply(electrodes, item)
        (weights[index] * alone).sum().backward()
        np.testing.assert_allclose(value.detach()[index], alone.detach(), rtol=1e-12)
        np.testing.assert_allclose(batch.grad[index], item.grad, rtol=1e-12)


def test_two_forwards_before_one_backward(electrodes, rng):
    """The first gradient belongs to the first point, although the model has moved on."""
    first, second = positive(rng, *electrodes.domain.shape), positive(rng, *electrodes.domain.shape)
    value = apply(electrodes, first)
    apply(electrodes, second)
    value.square().sum().backward()
    expected = first.detach().clone().requires_grad_()
    apply(electrodes, expected).square().sum().backward()
    np.testing.assert_allclose(first.grad, expected.grad, rtol=1e-12)
    assert second.grad is None


def test_both_uses_of_one_tensor_add_up(saturation, rng):
    x = positive(rng, 4)
    (apply(saturation, x).sum() + apply(saturation, 2 * x).square().sum()).backward()
    one, two = (positive(rng, 4).detach().copy_(x.detach()).requires_grad_() for _ in range(2))
    apply(saturation, one).sum().backward()
    apply(saturation, two * 2).square().sum().backward()
    np.testing.assert_allclose(x.grad, one.grad + two.grad, rtol=1e-12)


def test_backward_twice_is_exact_or_an_error(saturation, rng):
    x = positive(rng, 4)
    loss = apply(saturation, x).square().sum()
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    np.testing.assert_array_equal(x.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_second_derivatives_are_refused(saturation, rng):
    x = positive(rng, 4)
    (gradient,) = torch.autograd.grad(apply(saturation, x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_single_precision_input_gets_a_single_precision_gradient(saturation, rng):
    x = positive(rng, 4, dtype=torch.float32)
    y = apply(saturation, x)
    assert y.dtype == torch.float64
    y.sum().backward()
    assert x.grad.dtype == torch.float32
    double = x.detach().double().requires_grad_()
    apply(saturation, double).sum().backward()
    np.testing.assert_allclose(x.grad, double.grad, rtol=1e-6)


def test_no_gradient_no_graph(saturation, rng):
    assert not apply(saturation, positive(rng, 4).detach()).requires_grad
    with torch.no_grad():
        assert not apply(saturation, positive(rng, 4)).requires_grad


def test_one_linearization_per_item(saturation, rng):
    x = positive(rng, 5, 4)
    apply(saturation, x).sum().backward()
    assert saturation.calls == 5


def test_strided_input(saturation, rng):
    x = positive(rng, 4, 3)
    value = apply(saturation, x.T)
    np.testing.assert_array_equal(value.detach(), apply(saturation, x.T.contiguous()).detach())
    value.sum().backward()
    assert x.grad.shape == (4, 3)


def test_an_error_of_the_model_comes_through(electrodes):
    from eitdip.errors import NotPositiveError

    with pytest.raises(NotPositiveError, match="entry 0 is -1"):
        apply(electrodes, -torch.ones(electrodes.domain.shape, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(), (3,), (4, 3), (4, 1)])
def test_another_shape_is_refused(saturation, shape):
    with pytest.raises(ShapeError, match=r"input: got shape .*expected \(\*batch, \(4,\)\)"):
        apply(saturation, torch.ones(shape))


def test_model_and_copies_are_timed_in_both_directions(saturation, rng):
    stopwatch = Stopwatch()
    x = positive(rng, 4)
    with stopwatch("network"):
        value = apply(saturation, x, stopwatch).sum()
    forward = dict(stopwatch.seconds)
    assert set(forward) == {"network", "model", "data movement"}
    with stopwatch("network"):
        value.backward()
    assert all(stopwatch.seconds[part] > forward[part] > 0 for part in forward)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_tensors_come_back_to_the_gpu(saturation, rng):
    x = positive(rng, 3, 4).detach().cuda().requires_grad_()
    y = apply(saturation, x)
    y.square().sum().backward()
    host = x.detach().cpu().requires_grad_()
    apply(saturation, host).square().sum().backward()
    assert y.device == x.device == x.grad.device
    np.testing.assert_allclose(x.grad.cpu(), host.grad, rtol=1e-12)


def test_a_step_factors_once_and_backward_not_at_all(electrodes, rng):
    """Counted by PETSc: one numeric factorization forward; nothing symbolic after the first conductivity."""
    from eitdip.fem.direct import PETSc

    PETSc.Log.begin()
    events = [PETSc.Log.Event(name) for name in ("MatCholFctrSym", "MatCholFctrNum", "MatMatSolve")]

    def counts() -> np.ndarray:
        return np.array([event.getPerfInfo()["count"] for event in events])

    electrodes(np.ones(electrodes.domain.shape))
    before = counts()
    voltages = apply(electrodes, positive(rng, *electrodes.domain.shape))
    middle = counts()
    voltages.square().sum().backward()
    np.testing.assert_array_equal(middle - before, [0, 1, 1])
    np.testing.assert_array_equal(counts(), middle)


# Forward derivatives make torch compile some of its own code by what it deprecates itself.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
class TestCompositionsOfModelsOnTensors:
    """A nonlinear model after a linear one stays a function of tensors; with an array in between it does not."""

    @pytest.fixture
    def model(self) -> ForwardModel:
        return transmission_of_tensors()

    def test_all_derivatives_are_torchs(self, model, rng):
        x = positive(rng, *model.domain.shape)
        counts = lambda x: apply(model, x) / 100  # noqa: E731
        assert torch.autograd.gradcheck(counts, x, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(counts, x)
        assert torch.autograd.gradgradcheck(lambda x: apply(2 * (A := model.parts[1]).H @ A, x).square().sum(), x)

    def test_batches_jvp_and_vmap(self, model, rng):
        x, direction = positive(rng, 2, 3, *model.domain.shape).detach(), torch.from_numpy(rng.standard_normal((2, 2)))
        alone = torch.stack([torch.stack([apply(model, item) for item in row]) for row in x])
        torch.testing.assert_close(apply(model, x), alone)
        torch.testing.assert_close(torch.vmap(torch.vmap(model))(x), alone)
        value, slope = torch.func.jvp(model, (x[0, 0],), (direction,))
        at, derivative = model.linearize(x[0, 0])
        torch.testing.assert_close(value, at)
        torch.testing.assert_close(slope, derivative(direction))
        assert isinstance(at, torch.Tensor) and derivative.arrays == model.arrays == "torch"

    def test_arrays_in_arrays_out(self, model, rng):
        x = rng.uniform(0.5, 2.0, (2, *model.domain.shape))
        assert isinstance(model(x), np.ndarray)
        np.testing.assert_array_equal(model(x), model(torch.from_numpy(x)).numpy())
        value, derivative = model.linearize(x[0])
        assert isinstance(value, np.ndarray) and isinstance(derivative(x[1]), np.ndarray)

    def test_it_moves_as_a_whole(self, model):
        assert model.device == torch.device("cpu")
        assert model.to("meta") is model and model.device == torch.device("meta")

    def test_a_mixed_one_goes_through_arrays(self, rng):
        model = transmission_of_arrays()
        assert (model.arrays, model.device) == ("numpy", "cpu")
        x = positive(rng, 3, *model.domain.shape)
        value = apply(model, x)
        torch.testing.assert_close(value, apply(transmission_of_tensors(), x))
        assert torch.autograd.gradcheck(lambda x: apply(model, x) / 100, x)
