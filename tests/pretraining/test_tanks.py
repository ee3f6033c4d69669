"""Pairs for tanks, the loss of classes, the second network, and what weights refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from eitdip.data.streams import stream
from eitdip.data.transfers import Transfers
from eitdip.errors import CheckpointError, InvalidDataError, OptionError, ShapeError
from eitdip.fem import CompleteElectrodeModel
from eitdip.mesh import Cylinder, Tank
from eitdip.metrics import ktc_score
from eitdip.phantoms import Ellipsoid, Inclusion, Phantom
from eitdip.pretraining.refined import Kept, RefinedPairs, widened
from eitdip.pretraining.segmentation import Classes
from eitdip.pretraining.segmenter import Segmenter
from eitdip.pretraining.source import Batch, PairSource
from eitdip.pretraining.tanks import Layout, TankErrors, TankPairs
from eitdip.pretraining.training import Training
from eitdip.pretraining.weights import Weights, build
from eitdip.problems import simulate_transfer
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.one_step import OneStep
from eitdip.problems.physical_step import PhysicalStep
from eitdip.problems.simulate_bodies import simulate_electrodes
from eitdip.problems.simulate_transfer import TankFamily, simulate_tanks
from eitdip.runs.training import train

TANK = Tank(radius=0.1, electrodes=8, width=0.02)
DISC = Phantom("disc", (Inclusion((0.3, 0.4), (0.3, 0.3), 0.0, 30.0),))
NONE = TankErrors(size=0.0)
SMALL = {"class": "unet", "latent_channels": 8, "channels": [8, 8, 8], "levels": 2, "skips": 8, "outputs": 3}


def layout(missing: int = 0, noise: float = 1e-2, h: float = 0.12) -> Layout:
    tables = simulate_electrodes(DISC, TANK, background=0.8, noise=noise, h=h / 2)
    gone = [(np.abs(patterns[:, :missing]) > 0).any(axis=1) for patterns in (tables.sources, tables.moments)]
    problem = prepare(replace(tables, mask=~gone[0][:, None] & ~gone[1]), Meshing(h=h))
    return Layout(problem, OneStep(problem, size=16))


@pytest.fixture(scope="module", autouse=True)
def mesher():
    pytest.importorskip("gmsh", exc_type=ImportError)


@pytest.fixture(scope="module")
def layouts():
    return [layout(0), layout(2)]


@pytest.fixture(scope="module")
def tanks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_transfer, "PER_MESH", 12)
        family = TankFamily(TANK, edges=(0.14, 0.18))
        parts = [simulate_tanks(family, 0, number) for number in range(2)]
    return Transfers(*(np.concatenate(each) for each in zip(*parts, strict=True)), {})


@pytest.fixture(scope="module")
def pairs(layouts, tanks):
    return TankPairs(layouts, tanks, held=4)


def test_the_transfer_matrix_gives_what_was_measured():
    """The same disc by another way: its matrix, the patterns and the background, against simulated voltages."""
    quiet = layout(noise=1e-4, h=0.04)
    perfect = TankFamily(TANK, edges=(0.04, 0.04), electrode_error=0.0, wall_error=0.0, contact_spread=0.0,
                         contact_change=0.0, contact=(0.01, 0.01), water=0.0)  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_transfer, "PER_MESH", 1)
        patch.setattr(simulate_transfer, "_objects", lambda family, rng: DISC)
        matrix = simulate_tanks(perfect, 0, 0)[0][0]
    measured, found = quiet.images.difference(quiet.problem), quiet.measured(matrix)
    assert np.linalg.norm(found - measured) < 0.04 * np.linalg.norm(measured)  # cells at the rim have other means


def test_a_pair_depends_on_its_number_alone(pairs):
    whole = pairs.pairs(10, 6)
    assert whole.inputs.shape == (6, 8, 16, 16) and whole.targets.shape == (6, 3, 16, 16)
    assert torch.equal(pairs.pairs(12, 1).targets[0], whole.targets[2])
    # A product of matrices rounds by their sizes; nothing else may differ.
    assert_allclose(pairs.pairs(12, 1).inputs[0], whole.inputs[2], atol=1e-5)
    assert torch.equal(torch.cat([pairs.batch(5, 4, (r, 2)).targets for r in range(2)]), pairs.batch(5, 4).targets)
    held = pairs.held_out()
    assert len(held.inputs) == 4 and torch.equal(held.inputs, pairs.held_out().inputs)
    assert_allclose(whole.targets.sum(dim=1), 1)


def test_held_out_tanks_are_never_trained_on(layouts, tanks):
    """With all classes of the held-out tanks 2, no pair for training has any."""
    marked = np.where(np.arange(len(tanks))[:, None, None] < 20, 0, 2).astype(np.uint8) + 0 * tanks.classes
    source = TankPairs(layouts, Transfers(tanks.transfer, marked.astype(np.uint8), {}), held=4)
    assert source.pairs(0, 60).targets[:, 2].max() == 0
    assert source.held_out().targets[:, 2].amax(dim=(1, 2)).min() == 1


def test_everything_that_decides_pairs_is_in_the_hash(layouts, tanks):
    sources = [
        TankPairs(layouts, tanks, held=4),
        TankPairs(layouts, tanks, held=5),
        TankPairs(layouts[:1], tanks, held=4),
        TankPairs(layouts, tanks, held=4, seed=1),
        TankPairs(layouts, tanks, held=4, errors=NONE),
        TankPairs(layouts, tanks.part(slice(0, 20)), held=4),
    ]
    assert len({source.hash for source in sources}) == len(sources)


@pytest.mark.parametrize("kind", ["white", "gain", "channel", "common", "offset", "contact"])
def test_each_error_is_as_large_as_it_says(layouts, kind):
    """One kind at a time, over many draws, on data of ones."""
    one, rng = layouts[1], np.random.default_rng(0)
    none = dict.fromkeys(("white", "gain", "channel", "common", "offset", "contact"), 0.0)
    errors = TankErrors(**(none | {"size": 2.0, "spread": 0.0, kind: 0.1}))
    data = np.ones(one.images.mask.shape)
    drawn = np.array([one.disturbed(data, errors, rng) - data for _ in range(2000)])
    deviation, unit = one.problem.data.deviation, np.median(one.problem.data.deviation[one.images.mask])
    sources, moments = (getattr(one.problem.measurements, name) for name in ("sources", "moments"))
    expected = {
        "white": 0.2 * deviation,
        "offset": np.full(data.shape, 0.2 * unit),
        "contact": 0.2 * unit * np.sqrt(np.square(sources) @ np.square(moments).T) / np.abs(sources).max(),
    }.get(kind, np.full(data.shape, 0.2))
    there = one.images.mask
    assert_allclose(drawn.std(axis=0)[there], expected[there], rtol=0.08, atol=1e-12)
    assert not TankErrors(size=0.0).size and np.array_equal(one.disturbed(data, NONE, rng), data)
    spread = {"gain": 1, "channel": 0}.get(kind)
    if spread is not None:  # the same along the other axis
        assert_allclose(np.ptp(drawn[0], axis=spread), 0, atol=1e-12)
        assert np.ptp(drawn[0], axis=1 - spread).min() > 0


def test_the_score_is_that_of_the_challenge():
    rng = np.random.default_rng(0)
    truth, found = (np.kron(rng.integers(0, 3, (8, 8)), np.ones((32, 32), int)) for _ in range(2))
    loss = Classes(256, 80)
    hot = [torch.nn.functional.one_hot(torch.tensor(each), 3).permute(2, 0, 1)[None].float() for each in (truth, found)]
    assert_allclose(float(loss.score(hot[1], hot[0])), ktc_score(truth, found), atol=1e-5)
    assert_allclose(float(loss.score(hot[0], hot[0])), 1, atol=1e-5)
    terms = loss(torch.log(hot[1].clamp(min=1e-3)), hot[0])
    assert_allclose(float(terms["score"]), 1 - ktc_score(truth, found), atol=0.01)
    share = (truth == found).mean()
    entropy = -(1 - share) * np.log(1e-3 / 1.002) - share * np.log(1 / 1.002)
    assert_allclose(float(terms["cross-entropy"]), 2 * entropy, rtol=1e-4)
    assert_allclose(loss.images(torch.zeros(1, 3, 4, 4)), 1 / 3)


class Numbers(PairSource):
    task, hash, asked = {"problem": "numbers"}, "0", 0

    def pairs(self, first, count):
        self.asked += count
        images = torch.arange(first, first + count)[:, None, None, None] + torch.arange(4.0).reshape(1, 1, 2, 2) / 10
        return Batch(images, images)

    def held_out(self):
        return self.pairs(0, 1)


def test_kept_pairs_are_made_once_and_turned():
    source = Numbers()
    kept = Kept(source, 3)
    first = kept.pairs(2, 3)  # the last one, then the first and second once more
    assert source.asked == 3
    assert_allclose(first.inputs[:, 0, 0, 0], [2, 0.1, 1.1], atol=1e-3)
    turned = torch.cat([kept.pairs(3 * turn, 1).inputs[0] for turn in range(8)])
    assert len({tuple(image.ravel().tolist()) for image in turned}) == 8 and source.asked == 3
    assert torch.equal(kept.pairs(6, 2).inputs, kept.pairs(6, 2).targets)
    with pytest.raises(OptionError, match="count: got 0"):
        Kept(source, 0)


@pytest.fixture(scope="module")
def trained(pairs):
    """Both networks, trained for a moment."""
    short = Training(steps=6, batch=4, look=3)
    first, _ = train(SMALL, pairs, Classes(16, 4.8), short, quiet=True)
    refined = Kept(RefinedPairs(pairs, first.network(), first.hash), 8)
    second, _ = train(widened(first, PhysicalStep.channels), refined, Classes(16, 4.8), short, quiet=True)
    return first, second


def test_a_wider_network_answers_as_before(trained):
    wide = widened(trained[0], 7)
    x, more = torch.randn(2, 8, 16, 16), torch.randn(2, 7, 16, 16)
    assert wide.architecture["latent_channels"] == 15
    with torch.no_grad():
        assert_allclose(wide.network()(torch.cat([x, more], 1)), trained[0].network()(x), atol=1e-5)


@pytest.mark.parametrize("patch", [1, 2])
def test_a_wider_network_of_patches_answers_as_before(patch):
    architecture = SMALL | {"patch": patch, "latent_channels": 2}
    narrow = Weights(architecture, build(architecture).state_dict(), {})
    x, more = torch.randn(2, 2, 16, 16), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        wide = widened(narrow, 3).network()(torch.cat([x, more], 1))
        assert_allclose(wide, narrow.network()(x), atol=1e-5)


def test_the_second_network_sees_the_first_ones_answers(pairs, trained):
    first, _ = trained
    source = RefinedPairs(pairs, first.network(), first.hash)
    batch = source.pairs(3, 2)
    assert batch.inputs.shape == (2, 15, 16, 16) and len(source.held_out().inputs) == 4
    which, data, shares = pairs.drawn(stream(0, "errors of tanks", 2, 4))
    image = torch.from_numpy(pairs.layouts[which].images(data[None]))
    answer = first.network()(image).softmax(dim=1)[0].detach().numpy()
    layout = pairs.layouts[which]
    assert_allclose(batch.inputs[1, 8:], PhysicalStep(layout.problem, layout.images)(answer, data), atol=1e-4)
    assert_allclose(batch.targets[1], shares)


def test_segmenter(layouts, trained):
    first, second = trained
    problem = layouts[1].problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eitdip.pretraining.segmenter.OneStep", lambda problem: layouts[1].images)
        alone, both = (Segmenter(problem, first, *more)(problem) for more in ((), (second,)))
        assert alone.shape == both.shape == (3, 16, 16) and not np.allclose(alone, both)
        image = torch.from_numpy(layouts[1].images(layouts[1].images.difference(problem)[None]))
        with torch.no_grad():
            assert_allclose(alone, first.network()(image)[0], atol=1e-5)
        wrong = replace(second, task=second.task | {"first": "another"})
        with pytest.raises(CheckpointError, match="second network: trained for first another"):
            Segmenter(problem, first, wrong)
        with pytest.raises(CheckpointError, match="first network: trained for electrodes 9, expected 8"):
            Segmenter(problem, replace(first, task=first.task | {"electrodes": 9}))
        with pytest.raises(CheckpointError, match=r"first network: trained for 1 levels .*train others for it"):
            Segmenter(problem, replace(first, task=first.task | {"masks": first.task["masks"][:1]}))


def test_bad_pairs(layouts, tanks):
    with pytest.raises(OptionError, match="held: got 24 of 24 tanks"):
        TankPairs(layouts, tanks, held=24)
    with pytest.raises(ShapeError, match="tanks: got 6 electrodes"):
        TankPairs(layouts, Transfers(np.zeros((9, 6, 6), np.float32), np.zeros((9, 8, 8), np.uint8), {}), held=1)
    with pytest.raises(OptionError, match="gain: got -1"):
        TankErrors(gain=-1)
    with pytest.raises(InvalidDataError, match="tank 1 has NaN"):
        Transfers(np.stack([np.zeros((8, 8)), np.full((8, 8), np.nan)]), np.zeros((2, 8, 8), np.uint8), {})


SOLID = Cylinder(0.1, 0.1, rings=2, electrodes=4, width=0.08, electrode_height=0.03)
BALL = Phantom("ball", (Ellipsoid((0.3, 0.3, 0.1), (0.3, 0.3, 0.3), 4.0),))


@pytest.fixture(scope="module")
def solid():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_transfer, "PER_MESH", 6)
        transfer, classes = simulate_tanks(TankFamily(SOLID, edges=(0.35, 0.45), contact=(0.01, 0.01)), 0, 0)
    problem = prepare(simulate_electrodes(BALL, SOLID, background=0.8, noise=1e-3, h=0.3), Meshing(h=0.4))
    return TankPairs([Layout(problem, OneStep(problem, size=12))], Transfers(transfer, classes, {}), held=2)


class TestSolids:
    """The same classes in three dimensions."""

    def test_the_transfer_matrix_gives_what_was_measured(self, solid):
        """In metres and ohms: the matrix of another mesh, the patterns and the background."""
        layout = solid.layouts[0]
        domain = SOLID.mesh(0.2 * SOLID.radius)
        model = CompleteElectrodeModel(domain, np.eye(8)[:1] - np.eye(8)[1:2], 0.01 * SOLID.radius)
        full, empty = model.transfer(np.stack([BALL.on_domain(domain, 1.0), np.ones(len(domain.cells))]))
        measured = layout.images.difference(layout.problem)
        assert np.linalg.norm(layout.measured(full - empty) - measured) < 0.15 * np.linalg.norm(measured)

    def test_pairs(self, solid):
        whole = solid.pairs(4, 5)
        assert whole.inputs.shape == (5, 8, 6, 12, 12) and whole.targets.shape == (5, 3, 6, 12, 12)
        assert_allclose(whole.targets.sum(dim=1), 1)
        assert torch.equal(solid.pairs(6, 1).targets[0], whole.targets[2])
        assert len(solid.symmetries) == 16 and len(solid.held_out().inputs) == 2
        assert solid.picture(whole.targets[0].numpy()).shape == (12, 12)
        assert np.array_equal(solid.picture(whole.targets[0].numpy()), whole.targets[0].numpy().argmax(axis=0)[3])

    def test_a_network_learns_from_them(self, solid):
        architecture = SMALL | {"dimension": 3, "levels": 1, "channels": [8, 8]}
        loss = Classes(solid.layouts[0].images.shape, 3.6)
        weights, result = train(architecture, solid, loss, Training(steps=12, batch=4, look=6), quiet=True)
        assert weights.task["pixels"] == [6, 12, 12] and result.history["held_out"][-1] < result.history["held_out"][0]

    def test_the_score_averages_along_all_axes(self):
        """Of volumes that are constant along one axis it is that of the image, whichever axis that is."""
        rng = np.random.default_rng(0)
        answer, target = (torch.from_numpy(rng.dirichlet(np.ones(3), (1, 6, 8))).permute(0, 3, 1, 2) for _ in range(2))
        plane = float(Classes((6, 8), 2.0).double().score(answer, target))
        for axis in (2, 3, 4):
            volumes = [each.unsqueeze(axis).repeat_interleave(5, axis) for each in (answer, target)]
            shape = tuple(volumes[0].shape[2:])
            assert_allclose(float(Classes(shape, 2.0).double().score(*volumes)), plane, rtol=1e-6)
