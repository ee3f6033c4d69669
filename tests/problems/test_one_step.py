"""One-step images and the physical step, on a small tank with electrodes missing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from eitdip.errors import OptionError, ShapeError
from eitdip.mesh import Tank
from eitdip.phantoms import Inclusion, Phantom
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.one_step import OneStep
from eitdip.problems.physical_step import PhysicalStep
from eitdip.problems.simulate_bodies import simulate_electrodes

pytestmark = pytest.mark.usefixtures("gmsh")
TANK = Tank(radius=0.1, electrodes=16, width=0.01)
BODY = Phantom("two", (Inclusion((0.4, 0.3), (0.3, 0.3), 0.0, 30.0), Inclusion((-0.4, -0.3), (0.3, 0.3), 0.0, 0.01)))
SIZE = 40


def measured(phantom=BODY, missing: int = 0, **more):
    tables = simulate_electrodes(phantom, TANK, background=0.8, noise=1e-3, h=0.05, **more)
    gone = [(np.abs(patterns[:, :missing]) > 0).any(axis=1) for patterns in (tables.sources, tables.moments)]
    return replace(tables, mask=~gone[0][:, None] & ~gone[1])


@pytest.fixture(scope="module")
def problem():
    return prepare(measured(missing=3), Meshing(h=0.09))


@pytest.fixture(scope="module")
def images(problem):
    return OneStep(problem, size=SIZE, rank=500)


def test_images_solve_the_tikhonov_problem(problem, images):
    """(S J^T C^-1 J S + lambda) w = S J^T C^-1 d, m = S w, by a dense solve."""
    background = problem.unknown.start
    grid = problem.unknown.grid("pixels", SIZE)
    _, derivative = problem.model.linearize(np.full(problem.model.domain.shape, background))
    mask, deviation = images.mask.ravel(), problem.data.deviation.ravel()
    jacobian = background * (derivative.dense() @ grid.field_map.matrix)
    smoothing = gaussian_filter(np.eye(SIZE**2).reshape(-1, SIZE, SIZE), (0, 1.5, 1.5), mode="constant")
    smoothing = smoothing.reshape(SIZE**2, SIZE**2)
    whitened = (jacobian / deviation[:, None])[mask] @ smoothing
    data = images.difference(problem)
    right = whitened.T @ (data.ravel() / deviation)[mask]
    found = images.images(data[None])[0]
    for weight, image in zip((1.0, 10.0, 100.0, 1000.0), found, strict=True):
        dense = smoothing @ np.linalg.solve(whitened.T @ whitened + weight * np.eye(SIZE**2), right)
        expected = dense.reshape(SIZE, SIZE) * images.inside
        assert np.linalg.norm(image - expected) < 1e-3 * np.linalg.norm(expected)


def test_channels(problem, images):
    data = images.difference(problem)
    channels = images(np.stack([data, 2 * data]))
    assert channels.shape == (2, images.channels, SIZE, SIZE) and channels.dtype == np.float32
    assert_allclose(np.sinh(channels[1, :4]), 2 * np.sinh(channels[0, :4]), rtol=1e-3, atol=1e-5)
    assert np.array_equal(channels[0, 4:], channels[1, 4:])  # what does not depend on the data
    assert (channels[:, :, ~images.inside] == 0).all()
    # Objects are where they are, row 0 at the top; the right upper one conducts.
    axis = ((np.arange(SIZE) + 0.5) * 2 / SIZE - 1) * images.window
    x, y = np.meshgrid(axis, -axis)
    image = channels[0, 2]
    assert image[np.hypot(x - 0.4, y - 0.3) < 0.2].mean() > 0.1 > -0.1 > image[np.hypot(x + 0.4, y + 0.3) < 0.2].mean()
    # Electrodes 1 to 3 are missing, from the top to the left: less is seen there than at the opposite side.
    seen = channels[0, 4]
    assert (
        seen[(x < -0.3) & (y > 0.6) & images.inside].mean() < 0.8 * seen[(x > 0.3) & (y < -0.6) & images.inside].mean()
    )


def test_another_mask_is_refused(images):
    with pytest.raises(ShapeError, match="got another mask"):
        images.difference(prepare(measured(missing=5), Meshing(h=0.09)))
    with pytest.raises(ShapeError, match="differences: got shape"):
        images.images(np.zeros((2, 3)))


def shares_of(images, phantom=BODY):
    fine = np.zeros((4 * SIZE, 4 * SIZE))
    axis = ((np.arange(4 * SIZE) + 0.5) / (2 * SIZE) - 1) * images.window
    points = np.stack(np.meshgrid(axis, -axis), axis=-1)
    for inclusion in phantom.inclusions:
        fine[inclusion.contains(points)] = 1 if inclusion.contrast < 1 else 2
    classes = np.stack([fine == value for value in range(3)]).reshape(3, SIZE, 4, SIZE, 4)
    return classes.mean(axis=(2, 4))


def test_the_truth_leaves_less_than_other_answers(problem, images):
    step, data = PhysicalStep(problem, images), images.difference(problem)
    true = shares_of(images)
    nothing = np.stack([np.ones((SIZE, SIZE)), *np.zeros((2, SIZE, SIZE))])
    one = shares_of(images, Phantom("one", BODY.inclusions[:1]))
    misfits = [step.misfit(shares, data) for shares in (true, one, nothing)]
    assert 3 * misfits[0] < misfits[1] < misfits[2]
    channels = step(one, data)
    assert channels.shape == (7, SIZE, SIZE) and channels.dtype == np.float32
    assert np.array_equal(channels[:2], one[1:].astype(np.float32))
    # The forgotten object, resistive, at the lower left.
    row, column = np.unravel_index(channels[4].argmin(), (SIZE, SIZE))
    assert row > SIZE / 2 > column


def test_the_water_is_fitted(problem, images):
    """Data of a tank whose water conducts 5 % better: nothing of it is left."""
    step = PhysicalStep(problem, images)
    better = problem.model(np.full(problem.model.domain.shape, 1.05 * problem.unknown.start))
    nothing = np.stack([np.ones((SIZE, SIZE)), *np.zeros((2, SIZE, SIZE))])
    residual, _ = step.residual(nothing, np.where(images.mask, better - images.reference, 0.0))
    assert np.abs(residual).max() < 0.02 * np.abs((better - images.reference)[images.mask]).max()
    assert (residual[~images.mask] == 0).all()


def test_the_gradient_is_that_of_the_misfit(problem, images):
    """Half of the weighted squares at the best water, by differences of the shares of one pixel."""
    step, data, true = PhysicalStep(problem, images), images.difference(problem), shares_of(images)
    rng = np.random.default_rng(0)
    shares = 0.7 * true + 0.3 / 3
    _, downhill = step.residual(shares, data)
    change = np.zeros((3, SIZE, SIZE))
    change[2] = rng.random((SIZE, SIZE)) * images.inside
    change[0] = -change[2]

    def half(t):
        return 0.5 * images.mask.sum() * step.misfit(shares + t * change, data)

    slope = (half(1e-4) - half(-1e-4)) / 2e-4
    assert_allclose(slope, -np.log(30.0) * (downhill * change[2]).sum(), rtol=1e-4)


def test_bad_input(problem, images):
    with pytest.raises(OptionError, match=r"low, high: got 2\.0 and 30\.0"):
        PhysicalStep(problem, images, low=2.0)
    with pytest.raises(ShapeError, match="shares: got shape"):
        PhysicalStep(problem, images)(np.zeros((2, SIZE, SIZE)), images.reference)
