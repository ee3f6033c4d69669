"""Pairs of an image and what a classical method makes of its data: by number alone, in the problem's geometry."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian, Poisson
from eitdip.errors import InvalidDataError, OptionError, ShapeError
from eitdip.imaging import CartesianMRI, SparseOperator
from eitdip.operator import Space
from eitdip.phantoms import random_picture
from eitdip.pretraining.image_pairs import ImagePairs, image_task
from eitdip.pretraining.source import Batch
from eitdip.problems.images import image_problem
from tests.cases.images import IMAGES, block, identity, noisy


def colour():
    data = Data(np.zeros((3, 12, 12)), Gaussian(0.05))
    return image_problem("denoise", identity((3, 12, 12)), data, low=0.0, high=1.0)


def volume():
    """Means of two neighbours along the first axis."""
    space = Space((6, 8, 8))
    matrix = sparse.kron((sparse.eye_array(6) + sparse.eye_array(6, k=1)) / 2, sparse.eye_array(64), format="csr")
    model = SparseOperator(matrix, space, space)
    return image_problem("deblur", model, Data(np.ones((6, 8, 8)), Gaussian(0.02)), low=0.0, high=2.0, volume=True)


def coils():
    mask = np.zeros((12, 12), bool)
    mask[:, ::2] = True
    rows, columns = np.indices((12, 12)) / 11
    maps = np.stack([rows + 0.2, 1j * columns + 0.3])
    data = Data(np.ones((2, 12, 12), complex), Gaussian(0.01), np.broadcast_to(mask, (2, 12, 12)), (0,))
    return image_problem("mri", CartesianMRI(mask, maps), data)


PROBLEMS = IMAGES | {"colour": colour, "volume": volume, "coils": coils}
every = pytest.mark.parametrize("name", PROBLEMS)


def pairs(name: str, **how) -> ImagePairs:
    return ImagePairs(PROBLEMS[name](), **({"held_out": 3} | how))


def same(one: Batch, other: Batch) -> bool:
    """To rounding: sums over a batch may be in another order."""
    return all(
        torch.allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6) for name in ("inputs", "targets")
    )


def parts(batch: Batch, chosen: slice) -> Batch:
    return Batch(batch.inputs[chosen], batch.targets[chosen])


@every
def test_a_pair_depends_on_its_number_alone(name):
    source = pairs(name)
    whole = source.batch(step=3, size=4)
    assert torch.equal(whole.targets, source.pairs(12, 4).targets)
    for number in range(4):
        alone = source.pairs(12 + number, 1)
        assert same(alone, parts(whole, slice(number, number + 1)))
        assert torch.equal(alone.targets[0], whole.targets[number])
    shares = [source.batch(3, 4, (rank, 2)) for rank in range(2)]
    assert same(shares[0], parts(whole, slice(2))) and same(shares[1], parts(whole, slice(2, 4)))
    again = pairs(name).batch(3, 4)
    assert torch.equal(again.inputs, whole.inputs) and torch.equal(again.targets, whole.targets)
    targets = [whole.targets[i].numpy().tobytes() for i in range(4)]
    assert len(set(targets)) == 4


@every
def test_shapes_and_the_first_image_of_held_out_pairs(name):
    source, unknown = pairs(name), PROBLEMS[name]().unknown
    held = source.held_out()
    assert held.inputs.shape == (3, unknown.channels, *unknown.space.shape[-unknown.dimension :])
    assert held.targets.shape == (3, *unknown.space.shape) and held.inputs.dtype == torch.float32
    assert torch.equal(source.held_out().inputs, held.inputs)
    assert source.picture(held.targets[0].numpy()).ndim == (3 if name == "colour" else 2)
    training = source.pairs(0, 12).targets
    assert not any(torch.equal(one, other) for one in held.targets for other in training)


@every
def test_the_input_is_the_pseudo_inverse_of_noisy_data(name):
    """Less the start, over the unit: what is left of noise that is almost nothing is A^+ A x."""
    problem = PROBLEMS[name]()
    unknown, data = problem.unknown, problem.data
    poisson = data.noise.name == "poisson"
    noise = data.noise if poisson else Gaussian(1e-9)
    source = ImagePairs(replace(problem, data=replace(data, noise=noise)), spread=1.0)
    batch = source.pairs(0, 2)
    x = batch.targets.numpy()
    mean = np.where(data.mask, np.asarray(problem.model(x)), 0)
    expected = (np.asarray(problem.model.pinv(mean)) - unknown.start) / unknown.unit
    if unknown.complex:
        expected = np.stack([expected.real, expected.imag], axis=1)
    found = batch.inputs.numpy().reshape(expected.shape)
    # Counts have noise of their own, of 10 of 100, and a background of 2.
    tolerance = 0.2 if poisson else 1e-4
    assert np.abs(found - expected).max() < tolerance * (4 if poisson else 1) * np.abs(expected).max()
    assert abs((found - expected).mean()) < 0.1 * tolerance * np.abs(expected).max() + 0.01 * poisson
    assert np.abs(expected).max() > 0.2 and unknown.start != 0


def test_start_and_unit_are_those_of_the_problem():
    """By hand, of an image of 3 between 1 and 5."""
    problem = image_problem("denoise", identity((4, 4)), Data(np.full((4, 4), 2.0)), low=1.0, high=5.0)
    found = problem.unknown.network_input(torch.full((1, 4, 4), 4.0))
    assert (problem.unknown.start, problem.unknown.unit) == (2.0, 4.0)
    assert torch.equal(found, torch.full((1, 1, 4, 4), 0.5))
    targets = ImagePairs(problem).pairs(0, 30).targets
    assert targets.min() == 1 and 4.5 < targets.max() <= 5


def test_pictures_fill_the_range_or_some_of_a_guessed_one():
    known, guessed = (pairs(name).pairs(0, 40).targets for name in ("picture", "sinogram"))
    assert known.min() == 0 and known.max() <= 1
    unit = PROBLEMS["sinogram"]().unknown.unit
    largest = guessed.flatten(1).max(dim=1).values / unit
    assert guessed.min() == 0 and 1.1 < largest.max() <= 1.5 and largest.min() < 0.8


@pytest.mark.parametrize(("complex", "spread"), [(False, 1.0), (False, 3.0), (True, 2.0)])
def test_noise_has_the_deviation_of_the_data_times_a_factor_for_each_pair(complex, spread):
    dtype, shape = ("complex128", (40, 40)) if complex else ("float64", (40, 40))
    sigma = np.full(shape, 0.1)
    sigma[:20] = 0.3
    problem = image_problem("denoise", identity(shape, dtype), Data(np.ones(shape, dtype), Gaussian(sigma)))
    batch = ImagePairs(problem, spread=spread).pairs(0, 40)
    seen = batch.inputs.double() * problem.unknown.unit + problem.unknown.start
    parts = torch.view_as_real(batch.targets).movedim(-1, 1) if complex else batch.targets[:, None]
    if complex:  # the start is taken from the real part only
        seen[:, 1] -= problem.unknown.start
    noise = ((seen - parts) / torch.from_numpy(sigma)).numpy()
    for half in (noise[..., :20, :], noise[..., 20:, :]):
        factors = half.std(axis=(1, 2, 3))
        assert factors.min() > 0.93 / spread and factors.max() < 1.07 * spread
        if spread > 1:
            assert factors.min() < 1.25 / spread and factors.max() > 0.8 * spread
            assert abs(np.log(factors).mean()) < 0.4 * np.log(spread)
    upper, lower = (part.std(axis=(1, 2, 3)) for part in (noise[..., :20, :], noise[..., 20:, :]))
    assert np.allclose(upper, lower, rtol=0.12)  # one factor for all of a pair
    assert np.allclose(noise.mean(axis=(1, 2, 3)), 0, atol=0.2 * spread)


def test_an_unknown_deviation_is_replaced_by_a_unit():
    problem = noisy(sigma=None)
    noise = pairs("picture", spread=1.0).pairs(0, 20)
    seen = noise.inputs[:, 0].double() * problem.unknown.unit + problem.unknown.start
    deviation = float((seen - noise.targets).std())
    assert deviation == pytest.approx(float(problem.data.deviation.flat[0]), rel=0.05)


def test_what_is_not_measured_is_not_seen():
    known = np.ones((16, 16), bool)
    known[5:9] = False
    data = Data(block(), Gaussian(0.1), known)
    problem = image_problem("inpaint", identity(), data, low=0.0, high=1.0)
    inputs = ImagePairs(problem).pairs(0, 3).inputs
    assert (inputs[:, :, 5:9] == -problem.unknown.start / problem.unknown.unit).all()
    assert (inputs[:, :, :5] != inputs[:, :, 5:6]).any()


def test_counts_are_drawn_from_their_mean_with_its_background():
    shape = (16, 16)
    background = np.full(shape, 30.0)
    data = Data(np.full(shape, 130.0), Poisson(background))
    problem = image_problem("pet", identity(scale=100.0), data, low=0.0)
    batch = ImagePairs(problem).pairs(0, 20)
    seen = (batch.inputs[:, 0].double() * problem.unknown.unit + problem.unknown.start) * 100
    assert torch.allclose(seen, seen.round(), atol=0.01) and (seen >= -0.01).all()
    excess = seen - 100 * batch.targets
    assert float(excess.mean()) == pytest.approx(30, abs=1)
    assert float((excess - 30).square().mean()) == pytest.approx(float(30 + 100 * batch.targets.mean()), rel=0.1)


def test_a_complex_picture_has_a_smooth_phase_and_the_magnitude_of_a_picture():
    source = pairs("kspace")
    targets, size = source.pairs(0, 20).targets.numpy(), source.problem.unknown.unit
    first = targets / size
    assert np.abs(first).max() <= 1.5 and np.abs(first).reshape(20, -1).max(axis=1).min() > 0.02
    inside = (np.abs(first[:, 1:]) > 0.05) & (np.abs(first[:, :-1]) > 0.05)
    turned = np.angle(first[:, 1:] * first[:, :-1].conj())[inside]
    assert 0.02 < np.abs(turned).mean() < 0.4 and np.abs(turned).max() < 1
    phases = np.angle(first[np.abs(first) > 0.05])
    assert np.histogram(phases, 6, (-np.pi, np.pi))[0].min() > 0


def test_the_channels_of_colours_are_pictures_of_their_own():
    red, green, _ = pairs("colour").pairs(0, 1).targets[0]
    assert not torch.equal(red, green)


def test_the_hash_is_that_of_all_that_decides_the_pairs():
    problem = noisy(sigma=0.1)
    other = replace(problem, data=replace(problem.data, noise=Gaussian(0.2)))
    masked = replace(problem, data=replace(problem.data, mask=np.arange(256).reshape(16, 16) % 2 == 0))
    sources = [
        ImagePairs(problem), ImagePairs(problem, seed=1), ImagePairs(problem, family="shapes"),
        ImagePairs(problem, held_out=5), ImagePairs(problem, spread=2.0), ImagePairs(other), ImagePairs(masked),
        pairs("sinogram"), pairs("counts"),
    ]  # fmt: skip
    # Without a largest value the unit is that of the data.
    bright = IMAGES["sinogram"]()
    bright = image_problem("ct", bright.model, replace(bright.data, values=2 * bright.data.values), low=0.0)
    sources.append(ImagePairs(bright, held_out=3))
    assert len({source.hash for source in sources}) == len(sources)
    assert ImagePairs(noisy(sigma=0.1, seed=9)).hash == sources[0].hash and len(sources[0].hash) == 16


def test_seeds_and_families_decide_the_pictures():
    one = pairs("picture").pairs(0, 2).targets
    assert not torch.equal(pairs("picture", seed=1).pairs(0, 2).targets, one)
    source = pairs("picture", family="shapes")
    from eitdip.data.streams import stream

    expected = random_picture(stream(0, "training pairs", 1), (16, 16), "shapes")
    assert np.array_equal(source.pairs(1, 1).targets[0].numpy(), expected)


def test_the_task_is_that_of_operator_and_values_not_of_the_data():
    task = image_task(noisy())
    assert image_task(noisy(seed=8)) == task == ImagePairs(noisy()).task
    assert (task["problem"], task["shape"], task["data"]) == ("image", [16, 16], [16, 16])
    assert (task["lowest value"], task["highest value"]) == (0.0, 1.0) and len(task["operator"]) == 8
    x = 1 + np.cos(np.arange(256) * 0.7)
    assert task["operator"][0] == pytest.approx(np.sqrt(np.mean(x[:32] ** 2)))
    twice = image_problem("denoise", identity(scale=2.0), noisy().data, low=0.0, high=1.0)
    assert np.allclose(image_task(twice)["operator"], 2 * np.array(task["operator"]))
    assert image_task(image_problem("denoise", identity(), noisy().data, low=0.0))["highest value"] is None


def test_mirrored_and_turned_operators_are_other_tasks():
    data = noisy().data
    eye = np.arange(256).reshape(16, 16)
    seen = []
    for order in (eye, eye[::-1], eye[:, ::-1], eye.T, np.roll(eye, 1, axis=1)):
        matrix = sparse.eye_array(256, format="csr")[order.ravel()]
        matrix[:100] *= 0.5
        seen.append(image_task(image_problem("d", SparseOperator(matrix, Space((16, 16)), Space((16, 16))), data)))
    probes = np.array([task["operator"] for task in seen])
    for i in range(5):
        for j in range(i):
            assert np.abs(probes[i] - probes[j]).max() > 2e-3 * probes.max()


def test_settings_out_of_range_are_refused():
    for wrong in ({"held_out": 0}, {"spread": 0.5}, {"spread": float("inf")}, {"spread": float("nan")}):
        with pytest.raises(OptionError, match="held_out, spread: got"):
            pairs("picture", **wrong)
    with pytest.raises(OptionError, match="unknown family: got 'cats'"):
        pairs("picture", family="cats")


def test_batches_that_cannot_be():
    with pytest.raises(ShapeError, match="pairs: got 2 inputs and 3 targets"):
        Batch(torch.zeros(2, 1), torch.zeros(3))
    with pytest.raises(ShapeError, match="got 0 inputs and 0"):
        Batch(torch.zeros(0, 1), torch.zeros(0))
    for bad in (torch.nan, torch.inf):
        with pytest.raises(InvalidDataError, match="pairs: inputs contain NaN or infinity"):
            Batch(torch.full((1, 2), bad), torch.zeros(1))
        with pytest.raises(InvalidDataError, match="pairs: targets contain NaN or infinity"):
            Batch(torch.zeros(1, 2), torch.full((1,), 1j * bad))
    whole = Batch(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
    assert whole.to(torch.device("cpu")) is whole


def test_the_model_computes_pairs_where_it_is_told_to(monkeypatch):
    source, moved = pairs("sinogram"), []
    monkeypatch.setattr(type(source.problem.model), "to", lambda self, device: moved.append(device))
    assert source.to(torch.device("cpu")) is source and moved == [torch.device("cpu")]


def test_a_body_has_no_pairs_of_images(gmsh):
    from tests.cases.measurements import problem

    with pytest.raises(OptionError, match="expected one whose unknown is an image"):
        ImagePairs(problem("cem"))
