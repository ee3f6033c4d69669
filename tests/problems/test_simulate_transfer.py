"""Simulated tanks: what is kept of them, what symmetries do to them, and that no kill changes a bit."""

import os
import signal
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from numpy.testing import assert_allclose

from eitdip.data import transfers
from eitdip.errors import OptionError
from eitdip.fem import CompleteElectrodeModel
from eitdip.mesh import Tank
from eitdip.phantoms import Inclusion, Phantom
from eitdip.problems import simulate_transfer
from eitdip.problems.simulate_transfer import TankFamily, record_tanks, simulate_tanks
from eitdip.problems.symmetries import Symmetries
from eitdip.ranks.collectives import alone

pytestmark = pytest.mark.usefixtures("gmsh")
TANK = Tank(radius=0.1, electrodes=8, width=0.02)
COARSE = TankFamily(TANK, edges=(0.15, 0.2))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(simulate_transfer, "PER_MESH", 5)


def test_tanks_are_what_their_classes_say():
    """The transfer matrix of one disc, on a perfect tank, is that of the electrode model on another mesh."""
    perfect = replace(COARSE, edges=(0.04, 0.04), electrode_error=0.0, wall_error=0.0, contact_spread=0.0,
                      contact_change=0.0, contact=(1e-3, 1e-3), water=0.1)  # fmt: skip
    rng = np.random.default_rng(0)
    found, classes = simulate_tanks(perfect, 3, 0)
    assert found.dtype == np.float32 and found.shape == (5, 8, 8)
    assert classes.dtype == np.uint8 and classes.shape == (5, 128, 128) and classes.max() <= 2
    assert_allclose(found, found.swapaxes(1, 2), rtol=1e-4, atol=1e-6)
    # Signs: what is resistive hinders, what is conductive helps; compared by the power of a random current.
    currents = rng.standard_normal((200, 8))
    currents -= currents.mean(axis=1, keepdims=True)
    water = replace(perfect, water=0.0)
    for kind, sign, low, high in ((1, 1, (0.01, 0.01), (8.0, 8.0)), (2, -1, (0.01, 0.01), (8.0, 8.0))):
        bodies, seen = simulate_tanks(replace(water, most=1, low=low, high=high), 4, 0)
        mine = [b for b, c in zip(bodies, seen, strict=True) if c.max() == kind]
        assert mine
        for body in mine:
            power = np.einsum("ki,ij,kj->k", currents, body, currents)
            assert (sign * power > -1e-6).all()


def test_a_disc_is_what_the_electrode_model_says(monkeypatch):
    disc = Phantom("disc", (Inclusion((0.3, 0.4), (0.3, 0.3), 0.0, 20.0),))
    monkeypatch.setattr(simulate_transfer, "_objects", lambda family, rng: disc)
    perfect = replace(COARSE, edges=(0.03, 0.03), electrode_error=0.0, wall_error=0.0, contact_spread=0.0,
                      contact_change=0.0, contact=(1e-3, 1e-3), water=0.0)  # fmt: skip
    found, classes = simulate_tanks(perfect, 0, 0)
    column, row = np.argwhere(classes[0].T == 2).mean(axis=0)
    assert_allclose([column, row], [127 / 2 + 64 * 0.3, 127 / 2 - 64 * 0.4], atol=0.5)  # row 0 at the top
    assert_allclose((classes[0] == 2).mean() * 4, np.pi * 0.09, rtol=0.02)
    domain = TANK.mesh(0.02 * TANK.radius, degree=2)
    model = CompleteElectrodeModel(domain, np.eye(8)[:1] - np.eye(8)[1:2], 1e-3 * TANK.radius, comm=alone())
    true, empty = model.transfer(np.stack([disc.on_domain(domain, 1.0), np.ones(len(domain.cells))]))
    assert np.linalg.norm(found[0] - (true - empty)) < 0.03 * np.linalg.norm(true - empty)  # 1.2 % measured


@pytest.mark.parametrize("clockwise, first", [(False, 90.0), (True, 20.0)])
def test_symmetries_turn_electrodes_as_they_turn_images(clockwise, first):
    """Seven discs, each a turned or mirrored first one, against the turned matrix of the first."""
    tank = replace(TANK, clockwise=clockwise, first=first)
    symmetries = Symmetries.of(tank, (128, 128), 1.05, (32, 32))
    assert len(symmetries) == 16
    domain = tank.mesh(0.06 * tank.radius)
    model = CompleteElectrodeModel(domain, np.eye(8)[:1] - np.eye(8)[1:2], 1e-3, comm=alone())
    axis = (np.arange(128) + 0.5) / 64 - 1
    points = np.stack(np.meshgrid(axis, -axis), axis=-1)

    def body(center):
        phantom = Phantom("disc", (Inclusion(center, (0.25, 0.25), 0.0, 10.0),))
        return phantom.on_domain(domain, 1.0), 2 * phantom.inclusions[0].contains(points).astype(np.uint8)

    sigma, classes = body((0.5, 0.1))
    matrix, empty = model.transfer(np.stack([sigma, np.ones(len(domain.cells))]))
    window = (np.arange(32) + 0.5) / 16 - 1
    for number in (0, 1, 5, 8, 9, 14):
        shares = symmetries.shares(number, classes)
        assert shares.shape == (3, 32, 32) and shares.dtype == np.float32
        assert_allclose(shares.sum(axis=0), 1)
        mass = shares[2] / shares[2].sum()
        center = 1.05 * float((mass * window).sum()), -1.05 * float((mass * window[:, None]).sum())
        turned = model.transfer(body(center)[0][None])[0] - empty
        expected = symmetries.transfer(number, matrix - empty)
        assert np.linalg.norm(turned - expected) < 0.05 * np.linalg.norm(expected)


def test_a_killed_simulation_goes_on_to_the_same_bits(tmp_path):
    whole = record_tanks(tmp_path / "whole.h5", COARSE, 15, seed=2)
    child = get_context("fork").Process(target=_killed, args=(tmp_path / "killed.h5",))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert not (tmp_path / "killed.h5").exists() and len(list((tmp_path / "killed.h5.parts").glob("0*.h5"))) == 2
    again = record_tanks(tmp_path / "killed.h5", COARSE, 15, seed=2)
    assert again.read_bytes() == whole.read_bytes() and not (tmp_path / "killed.h5.parts").exists()
    tanks = transfers.load(again)
    assert len(tanks) == 15 and tanks.provenance["seed"] == 2 and len(tanks.hash) == 16
    for number in range(3):
        matrices, classes = simulate_tanks(COARSE, 2, number)
        assert np.array_equal(tanks.transfer[5 * number :][:5], matrices)
        assert np.array_equal(tanks.classes[5 * number :][:5], classes)
    with pytest.raises(OptionError, match="is there, made with other settings"):
        record_tanks(tmp_path / "whole.h5", COARSE, 15, seed=3)


def _killed(path) -> None:
    make = simulate_transfer.simulate_tanks

    def simulate(family, seed, number):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return make(family, seed, number)

    simulate_transfer.simulate_tanks = simulate
    record_tanks(path, COARSE, 15, seed=2)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"tank": Tank(0.1)}, "tank: got 0 electrodes and 0 boundary functions, expected at least 2 of either"),
        ({"functions": 4}, "tank: got 8 electrodes and 4 boundary functions"),
        ({"edges": (0.2, 0.1)}, "edges: got 0.2 to 0.1"),
        ({"contact": (0.0, 1.0)}, "contact: got 0.0 to 1.0"),
    ],
)
def test_bad_families(wrong, message):
    with pytest.raises(OptionError, match=message):
        replace(COARSE, **wrong)


def test_no_tanks_at_all(tmp_path):
    with pytest.raises(OptionError, match="parts: got 0"):
        record_tanks(tmp_path / "none.h5", COARSE, 0)
