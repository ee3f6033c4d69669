"""What every imaging operator promises, tested on all of `imaging_registry`."""

import inspect
import io
import typing

import numpy as np
import pytest
import torch

import eitdip.imaging
from eitdip.errors import ShapeError
from eitdip.imaging import ImagingOperator
from eitdip.verify import adjoint_error
from tests.contracts.imaging_registry import CASES, ImagingCase

# Forward derivatives under vmap make torch compile some of its own code by what it deprecates itself.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.dtype}")
every_double = pytest.mark.parametrize(
    "case", [case for case in CASES if case.double], ids=lambda case: f"{case.name}-{case.dtype}"
)


def tolerance(case: ImagingCase) -> float:
    return 1e-10 if case.double else 1e-5


def images(operator: ImagingOperator, *batch: int, seed: int = 3) -> torch.Tensor:
    return _normal((*batch, *operator.domain.shape), operator.domain.dtype, seed)


def data(operator: ImagingOperator, *batch: int, seed: int = 4) -> torch.Tensor:
    return _normal((*batch, *operator.range.shape), operator.range.dtype, seed)


def _normal(shape: tuple[int, ...], dtype: str, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=getattr(torch, dtype))


def distance(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative to the expected one."""
    assert got.shape == expected.shape and got.dtype == expected.dtype
    return float(torch.linalg.vector_norm(got - expected) / torch.linalg.vector_norm(expected))


@every_case
def test_the_adjoint_is_the_transpose(case, rng):
    operator = case.build()
    if not operator.domain.dtype.startswith("complex") and operator.range.dtype.startswith("complex"):
        x, y = operator.domain.random(rng), operator.range.random(rng)
        image, back = operator(x), operator.adjoint(y)  # of real images: Re <A x, y> = <x, A* y>
        gap = abs(np.vdot(image, y).real - np.vdot(x, back)) / (np.linalg.norm(image) * np.linalg.norm(y))
        assert gap <= tolerance(case)
    else:
        assert max(adjoint_error(operator, rng) for _ in range(3)) <= tolerance(case)


@every_case
def test_it_is_linear(case):
    operator = case.build()
    x, y = images(operator), images(operator, seed=5)
    factor = 0.7 - 1.3j if x.is_complex() else -1.3
    assert distance(operator(x + factor * y), operator(x) + factor * operator(y)) <= tolerance(case)
    u, v = data(operator), data(operator, seed=6)
    assert distance(operator.adjoint(u - 1.3 * v), operator.adjoint(u) - 1.3 * operator.adjoint(v)) <= tolerance(case)
    assert not operator(torch.zeros_like(x)).any()


@every_case
def test_jvp_is_the_operator_and_the_finite_difference(case):
    operator = case.build()
    x, direction = images(operator), images(operator, seed=5)
    value, slope = torch.func.jvp(operator, (x,), (direction,))
    assert torch.equal(value, operator(x)) and torch.equal(slope, operator(direction))
    # Of a linear map a difference is exact at any step.
    assert distance((operator(x + direction) - operator(x - direction)) / 2, slope) <= tolerance(case)


@every_case
def test_the_gradient_is_the_adjoint(case):
    operator = case.build()
    x, weight = images(operator).requires_grad_(), data(operator)
    (torch.linalg.vector_norm(operator(x) - weight) ** 2 / 2).backward()
    expected = operator.adjoint(operator(x.detach()) - weight)
    assert distance(x.grad, expected) <= tolerance(case)
    (gradient,) = torch.autograd.grad(
        operator.adjoint(weight.requires_grad_()), weight, grad_outputs=direction(operator)
    )
    assert distance(gradient, operator(direction(operator))) <= tolerance(case)


def direction(operator: ImagingOperator) -> torch.Tensor:
    return images(operator, seed=9)


@every_double
def test_gradcheck(case):
    operator = case.build()
    scale = operator.norm(steps=5)  # as the check has absolute tolerances
    for apply, x in ((operator, images(operator)), (operator.adjoint, data(operator))):
        normalized = lambda t, apply=apply: apply(t) / scale  # noqa: E731
        x = x.requires_grad_()
        # Forward mode within forward mode is for `torch.func` only: `test_jvp_is_the_operator_...` has it.
        forward = "jacobian" not in case.name
        assert torch.autograd.gradcheck(normalized, x, fast_mode=True, check_forward_ad=forward)
        assert torch.autograd.gradgradcheck(lambda t, f=normalized: f(t).abs().square().sum(), x, fast_mode=True)


@every_case
def test_a_batch_is_a_loop(case):
    operator = case.build()
    for apply, x in ((operator, images(operator, 2, 3)), (operator.adjoint, data(operator, 2, 3))):
        together = apply(x)
        alone = torch.stack([torch.stack([apply(item) for item in row]) for row in x])
        assert distance(together, alone) <= tolerance(case)


@every_case
def test_vmap(case):
    operator = case.build()
    for apply, x in ((operator, images(operator, 3)), (operator.adjoint, data(operator, 3))):
        assert distance(torch.vmap(apply)(x), apply(x)) <= tolerance(case)
        assert distance(torch.vmap(apply, in_dims=-1)(x.movedim(0, -1)), apply(x)) <= tolerance(case)
    x, directions = images(operator), images(operator, 3, seed=5)
    slopes = torch.vmap(lambda v: torch.func.jvp(operator, (x,), (v,))[1])(directions)
    assert distance(slopes, operator(directions)) <= tolerance(case)
    back = torch.vmap(torch.func.vjp(operator, x)[1])(data(operator, 3))[0]
    assert distance(back, operator.adjoint(data(operator, 3))) <= tolerance(case)


@every_case
def test_all_arrays_move_with_it(case):
    operator = case.build()
    for module in operator.modules():
        strays = [name for name, value in vars(module).items() if isinstance(value, torch.Tensor)]
        assert not strays, f"{strays} would stay behind; make them buffers"
    before = operator(images(operator))
    assert torch.equal(operator.to("cpu")(images(operator)), before) and operator.device.type == "cpu"
    if list(operator.buffers()):
        operator.to("meta")
        assert operator.device.type == "meta" and all(buffer.is_meta for buffer in operator.buffers())


@every_case
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_it_computes_on_a_gpu(case):
    operator = case.build()
    x, y = images(operator), data(operator)
    image, back = operator(x), operator.adjoint(y)
    operator.to("cuda")
    x, y = x.to("cuda"), y.to("cuda")
    assert operator(x).device.type == operator.adjoint(y).device.type == "cuda"
    bound = 100 * tolerance(case)
    assert distance(operator(x).cpu(), image) <= bound and distance(operator.adjoint(y).cpu(), back) <= bound


@every_case
def test_its_state_is_what_it_computes_with(case):
    operator, other = case.build(seed=0), case.build(seed=1)
    x, y = images(operator), data(operator)
    state = operator.state_dict()
    if any(not torch.equal(value, other.state_dict()[name]) for name, value in state.items()):
        assert not torch.equal(other(x), operator(x))
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), operator(x)) and torch.equal(other.adjoint(y), operator.adjoint(y))


@every_case
def test_arrays_in_arrays_out(case):
    operator = case.build()
    x, y = images(operator, 2), data(operator, 2)
    for apply, item, space in ((operator, x, operator.range), (operator.adjoint, y, operator.domain)):
        got = apply(item.numpy())
        assert isinstance(got, np.ndarray) and got.dtype == space.dtype and got.shape == (2, *space.shape)
        assert np.array_equal(got, apply(item).numpy())
    assert isinstance(operator.pinv(y[0].numpy()), np.ndarray)


@every_case
def test_what_does_not_fit_is_refused(case):
    operator = case.build()
    for apply, space in ((operator, operator.domain), (operator.adjoint, operator.range)):
        wrong = torch.zeros(*space.shape[:-1], space.shape[-1] + 1)
        with pytest.raises(ShapeError, match="expected"):
            apply(wrong)
        with pytest.raises(ShapeError, match="expected"):
            apply(torch.zeros(()))
        if not space.dtype.startswith("complex"):
            with pytest.raises(ShapeError, match="complex"):
                apply(torch.zeros(space.shape, dtype=torch.complex64))


@every_case
def test_pinv_explains_the_data(case):
    operator = case.build()
    y = operator(images(operator, 2))
    x = operator.pinv(y)
    assert x.shape == (2, *operator.domain.shape) and x.dtype == images(operator).dtype
    assert distance(operator(x), y) < 0.8, "no better than x = 0"


@every_double
def test_norm_is_the_largest_singular_value(case):
    operator = case.build()
    matrix = operator.dense()
    if matrix.dtype.kind == "c" and not operator.domain.dtype.startswith("complex"):
        matrix = np.concatenate([matrix.real, matrix.imag])
    largest = np.linalg.norm(matrix, 2)
    assert 0.98 * largest <= operator.norm() <= (1 + 1e-10) * largest


def test_every_operator_and_factory_has_a_case():
    known = {name: getattr(eitdip.imaging, name) for name in eitdip.imaging.__all__}
    names = {case.name.partition("-")[0] for case in CASES}
    for name, item in known.items():
        made = typing.get_type_hints(item).get("return") if inspect.isfunction(item) else item
        if inspect.isclass(made) and issubclass(made, ImagingOperator) and not inspect.isabstract(made):
            covered = any(_makes(case, item) for case in CASES) if inspect.isclass(item) else name in names
            assert covered, f"add a case named {name} to imaging_registry.py"


def _makes(case: ImagingCase, kind: type) -> bool:
    try:
        return isinstance(case.build(), kind)
    except pytest.skip.Exception:
        return case.name.partition("-")[0] == kind.__name__


def test_names_are_unique():
    names = [(case.name, case.dtype) for case in CASES]
    assert len(set(names)) == len(names)
