"""Solids and bodies without electrodes: simulation, symmetries, one-step images, by the classes of plane tanks."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from eitdip.errors import OptionError
from eitdip.fem import CompleteElectrodeModel, DirichletModel
from eitdip.mesh import Ball, Cylinder, Tank
from eitdip.phantoms import Ellipsoid, Inclusion, Phantom
from eitdip.pretraining.tanks import Layout
from eitdip.problems import simulate_transfer
from eitdip.problems.bodies import Meshing, boundary_functions, prepare
from eitdip.problems.one_step import OneStep
from eitdip.problems.physical_step import PhysicalStep
from eitdip.problems.simulate_bodies import simulate_dirichlet, simulate_electrodes
from eitdip.problems.simulate_transfer import TankFamily, simulate_tanks
from eitdip.problems.symmetries import Symmetries
from eitdip.ranks.collectives import alone

pytestmark = pytest.mark.usefixtures("gmsh")
TANK = Cylinder(0.1, 0.12, rings=2, electrodes=6, width=0.05, electrode_height=0.03)
BALL = Ball(0.1, rings=(-30.0, 40.0), electrodes=5, electrode_radius=0.025)
PERFECT = {"electrode_error": 0.0, "wall_error": 0.0, "contact_spread": 0.0, "contact_change": 0.0, "water": 0.0,
           "contact": (1e-2, 1e-2)}  # fmt: skip
# Nothing about it is symmetric.
CENTER, RADIUS = (0.4, 0.25, 0.2), 0.3
DISC = Phantom("disc", (Inclusion((0.4, 0.25), (0.3, 0.3), 0.0, 5.0),))
BODY = Phantom("ball", (Ellipsoid(CENTER, (RADIUS,) * 3, 5.0),))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(simulate_transfer, "PER_MESH", 3)


def transfers(tank, bodies, h: float = 0.15) -> np.ndarray:
    """Transfer matrices minus that of the empty tank, on a perfect mesh."""
    domain = tank.mesh(h * tank.radius)
    count = tank.electrode_count
    model = CompleteElectrodeModel(domain, np.eye(count)[:1] - np.eye(count)[1:2], 1e-2 * tank.radius, comm=alone())
    sigmas = [body.on_domain(domain, 1.0) for body in bodies]
    *full, empty = model.transfer(np.stack([*sigmas, np.ones(len(domain.cells))]))
    return np.array(full) - empty


@pytest.mark.parametrize("tank", [TANK, BALL])
def test_a_ball_is_what_the_electrode_model_says(tank, monkeypatch):
    """Of a simulated tank without imperfections: its place, its size, and its matrix on another mesh."""
    monkeypatch.setattr(simulate_transfer, "_objects", lambda family, rng: BODY)
    family = TankFamily(tank, edges=(0.15, 0.15), **PERFECT)
    found, classes = simulate_tanks(family, 0, 0)
    shape = {TANK: (29, 48, 48), BALL: (48, 48, 48)}[tank]
    assert found.shape == (3, tank.electrode_count, tank.electrode_count)
    assert classes.shape == (3, *shape) and classes.dtype == np.uint8 and family.pixels == shape
    slices, rows, columns = np.moveaxis(np.argwhere(classes[0] == 2), 1, 0)
    half_height = 0.5 * tank.widths[2] / tank.radius
    middle = [(columns.mean() + 0.5) / 24 - 1, 1 - (rows.mean() + 0.5) / 24,
              ((slices.mean() + 0.5) * 2 / shape[0] - 1) * half_height]  # fmt: skip
    assert_allclose(middle, CENTER, atol=0.02)  # row 0 at the top, slice 0 at the bottom
    voxel = (2 / 48) ** 2 * 2 * half_height / shape[0]
    assert (classes[0] == 2).sum() * voxel == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.03)
    true = transfers(tank, [BODY], 0.1)[0]
    assert np.linalg.norm(found[0] - true) < 0.12 * np.linalg.norm(true)  # 6 % and 7 % measured


def test_imperfect_solids(monkeypatch):
    """Ends of electrodes move around the wall, of each ring on their own; the wall is dented; the lids stay flat."""
    family = TankFamily(TANK, edges=(0.3, 0.3), electrode_error=0.05, wall_error=0.0)
    perfect = TANK.mesh(0.3 * TANK.radius)
    moved = simulate_transfer._imperfect(family, np.random.default_rng(1))
    assert np.array_equal(moved.cells, perfect.cells)
    assert_allclose(np.hypot(*moved.points[:, :2].T), np.hypot(*perfect.points[:, :2].T), atol=1e-12)
    shift = np.angle(np.exp(1j * (moved.electrode_angles() - perfect.electrode_angles())))
    assert 0.01 < shift.std() < 0.08 and np.abs(shift[:6] - shift[6:]).min() > 1e-4
    inner = np.hypot(*perfect.points[:, :2].T) < 0.7 * TANK.radius
    assert np.abs((moved.points - perfect.points)[inner]).max() < 1e-3 * TANK.radius
    dented = simulate_transfer._imperfect(
        replace(family, electrode_error=0.0, wall_error=0.02), np.random.default_rng(1)
    )
    change = np.hypot(*dented.points[:, :2].T) / TANK.radius - np.hypot(*perfect.points[:, :2].T) / TANK.radius
    wall = np.hypot(*perfect.points[:, :2].T) > 0.999 * TANK.radius
    assert 0.008 < change[wall].std() < 0.04 and np.array_equal(dented.points[:, 2], perfect.points[:, 2])
    ball = simulate_transfer._imperfect(TankFamily(BALL, edges=(0.3, 0.3)), np.random.default_rng(0))
    assert ball.cell_sizes.min() > 0 and ball.electrode_count == 10


@pytest.mark.parametrize(
    "tank", [TANK, replace(TANK, clockwise=True, first=20.0), replace(TANK, rings=(0.02, 0.05)), BALL]
)
def test_symmetries_turn_electrodes_as_they_turn_volumes(tank):
    """One ball, turned and mirrored and put upside down, against the turned matrix of the first."""
    upside_down = tank.heights[0] == pytest.approx(-tank.heights[1])
    shape = (10, 16, 16)
    symmetries = Symmetries.of(tank, TankFamily(tank).pixels, 1.05, shape)
    assert len(symmetries) == 2 * tank.electrodes * (2 if upside_down else 1)
    classes = simulate_transfer._classes_and_contrasts(TankFamily(tank), BODY)[0]
    axes = [1.05 * ((np.arange(n) + 0.5) * 2 / n - 1) * w / 2 / tank.radius
            for n, w in zip(shape, tank.widths[::-1], strict=True)]  # fmt: skip
    numbers = [0, 1, tank.electrodes + 2, len(symmetries) - 2]
    shares = [symmetries.shares(number, classes) for number in numbers]
    places = []
    for each in shares:
        assert each.shape == (3, *shape) and each.dtype == np.float32
        assert_allclose(each.sum(axis=0), 1)
        mass = each[2] / each[2].sum()
        z, y, x = (float((mass.sum(axis=tuple({0, 1, 2} - {i})) * axis).sum()) for i, axis in enumerate(axes))
        places.append((x, -y, z))
    assert_allclose(np.linalg.norm(places, axis=1), np.linalg.norm(CENTER), atol=0.03)
    assert_allclose([place[2] for place in places], [CENTER[2]] * 3 + [-CENTER[2] if upside_down else CENTER[2]],
                    atol=0.03)  # fmt: skip
    first, *turned = transfers(tank, [BODY] + [
        Phantom("turned", (replace(BODY.inclusions[0], center=place),)) for place in places
    ])  # fmt: skip
    for number, matrix in zip(numbers, turned, strict=True):
        expected = symmetries.transfer(number, first)
        assert np.linalg.norm(matrix - expected) < 0.2 * np.linalg.norm(expected)  # 0.38 and more of another one


def test_symmetries_need_volumes():
    with pytest.raises(OptionError, match=r"images: got shapes \(8, 8\) and \(4, 4\) for a tank of 3 dimensions"):
        Symmetries.of(TANK, (8, 8), 1.05, (4, 4))


@pytest.fixture(scope="module")
def problem():
    data = simulate_electrodes(BODY, TANK, background=0.8, noise=1e-3, h=0.2)
    return prepare(data, Meshing(h=0.3), alone())


@pytest.fixture(scope="module")
def images(problem):
    return OneStep(problem, size=16)


def test_one_step_volumes(problem, images):
    """The ball is where it is."""
    assert images.shape == (10, 16, 16) and images.window == 1.05
    data = images.difference(problem)
    channels = images(data[None])
    assert channels.shape == (1, images.channels, 10, 16, 16) and (channels[:, :, ~images.inside] == 0).all()
    slices, rows, columns = np.unravel_index(channels[0, 2].argmax(), images.shape)
    place = 1.05 * np.array([(columns + 0.5) / 8 - 1, 1 - (rows + 0.5) / 8, 0.6 * ((slices + 0.5) / 5 - 1)])
    assert np.linalg.norm(place - CENTER) < RADIUS
    assert OneStep(problem).shape == (19, 32, 32)
    fields = images.images(np.stack([data, 3 * data]))
    assert_allclose(fields[1], 3 * fields[0], rtol=1e-3, atol=1e-5)
    sums = np.abs(fields[0]).sum(axis=(1, 2, 3))
    assert (np.diff(sums) < 0).all()  # more regularization, less image


def test_the_step_knows_the_truth(problem, images):
    """The right ball leaves less of the data than none does, and much less than one on the other side."""
    axes = [1.05 * ((np.arange(n) + 0.5) * 2 / n - 1) * w / 2 / TANK.radius
            for n, w in zip(images.shape, TANK.widths[::-1], strict=True)]  # fmt: skip
    z, y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, -y, z], axis=-1)
    step, data = PhysicalStep(problem, images, low=0.2, high=5.0), images.difference(problem)

    def misfit(body):
        inside = np.any([each.contains(points) for each in body.inclusions], axis=0) if body.inclusions else z > 9
        return step.misfit(np.stack([~inside, 0 * inside, inside]).astype(float), data)

    other = Phantom("mirrored", (replace(BODY.inclusions[0], center=(0.4, 0.25, -0.2)),))
    right, none, wrong = misfit(BODY), misfit(Phantom("none", ())), misfit(other)
    assert 5 * right < none and 5 * right < wrong


class TestBoundaryPotentials:
    """Bodies whose whole boundary is driven: the matrix of flux moments in place of that of voltages."""

    @pytest.mark.parametrize("body, count", [(Tank(1.0), 6), (Ball(1.0), 15)])
    def test_symmetries_turn_functions_as_they_turn_images(self, body, count):
        shape = (16,) * body.dimension
        symmetries = Symmetries.of(body, TankFamily(body, functions=count).pixels, 1.05, shape, count)
        assert len(symmetries) == 32 * (body.dimension - 1)
        products = symmetries.turns @ symmetries.turns.swapaxes(1, 2)
        assert_allclose(products, np.broadcast_to(np.eye(count), products.shape), atol=1e-12)
        first = DISC if body.dimension == 2 else BODY
        classes = simulate_transfer._classes_and_contrasts(TankFamily(body, functions=count), first)[0]
        axis = 1.05 * ((np.arange(16) + 0.5) / 8 - 1)
        numbers, bodies = [1, 5, 17, 30, len(symmetries) - 3], [first]
        for number in numbers:
            mass = symmetries.shares(number, classes)[2].astype(float)
            middle = [(mass.sum(axis=tuple({*range(body.dimension)} - {i})) @ axis) / mass.sum()
                      for i in reversed(range(body.dimension))]  # fmt: skip
            middle[1] *= -1
            bodies.append(Phantom("turned", (replace(first.inclusions[0], center=tuple(middle)),)))
        domain = body.mesh(0.1 if body.dimension == 2 else 0.14)
        model = DirichletModel(domain, boundary_functions(domain, count), comm=alone())
        empty = model(np.ones(len(domain.cells)))
        original, *turned = (model(each.on_domain(domain, 1.0)) - empty for each in bodies)
        for number, matrix in zip(numbers, turned, strict=True):
            expected = symmetries.transfer(number, original)
            assert np.linalg.norm(matrix - expected) < 0.12 * np.linalg.norm(expected)

    @pytest.mark.parametrize("body", [Tank(1.0), Ball(1.0)])
    def test_what_is_simulated_is_what_is_measured(self, body, monkeypatch):
        """Flux moments of another mesh, and the one-step image of them."""
        phantom = DISC if body.dimension == 2 else BODY
        sizes = {"h": 0.06} if body.dimension == 2 else {"h": 0.15}
        data = simulate_dirichlet(phantom, body, order=3, moments=4, background=0.7, noise=1e-4, **sizes)
        problem = prepare(data, Meshing(h=0.08 if body.dimension == 2 else 0.3), alone())
        images = OneStep(problem, size=20)
        monkeypatch.setattr(simulate_transfer, "_objects", lambda family, rng: phantom)
        edges = (0.07, 0.07) if body.dimension == 2 else (0.14, 0.14)
        family = TankFamily(body, edges=edges, functions=data.sources.shape[1], **PERFECT)
        found = Layout(problem, images).measured(simulate_tanks(family, 0, 0)[0][0])
        measured = images.difference(problem)
        assert np.linalg.norm(found - measured) < 0.2 * np.linalg.norm(measured)
        place = np.unravel_index(images(measured[None])[0, 2].argmax(), images.shape)
        place = 1.05 * ((np.array(place[::-1]) + 0.5) / 10 - 1) * np.array([1, -1, 1])[: body.dimension]
        assert np.linalg.norm(place - phantom.inclusions[0].center) < 0.3
