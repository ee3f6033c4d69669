"""Trainings: what they give, and that one that was interrupted or killed goes on bit-identically."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from eitdip.errors import CheckpointError, DivergenceError
from eitdip.methods.options import Running
from eitdip.networks import initialize
from eitdip.pretraining.snapshots import differences
from eitdip.pretraining.training import Network, Training
from eitdip.pretraining.weights import Weights, build
from eitdip.problems.images import image_problem
from eitdip.ranks.collectives import alone
from eitdip.reconstruction import Status
from eitdip.runs import educate as module
from eitdip.runs.educate import educate
from eitdip.runs.session import solve
from eitdip.runs.training import train
from tests.cases.commands import eitdip, words
from tests.cases.images import IMAGES, noisy
from tests.cases.kills import Writing, killed
from tests.cases.lessons import UNET, Waves, squared

SHORT = Training(steps=20, batch=2, learning_rate=0.01, look=6, average=0.6)
EAGER = Running(checkpoint_seconds=0.0)
NETWORK = Network(channels=4, levels=1, skips=2, held_pairs=3)


@pytest.fixture
def unseen(monkeypatch):
    """Without pictures, which take most of the time."""
    for name in ("pictures", "curves"):
        monkeypatch.setattr(module.plot, name, lambda *nothing, **more: None)


def trained(training=SHORT, source=None, architecture=UNET, stop_at: int | None = None, **how):
    """Weights and result; with Ctrl-C after some steps."""
    count = []

    def stop(progress):
        count.append(1)
        if len(count) == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    return train(
        architecture, source or Waves(), squared(), training, running=EAGER, quiet=True, comm=alone(),
        callbacks=[stop], **how,
    )  # fmt: skip


def assert_same(one, other) -> None:
    """Weights and results to the last bit, but for times."""
    assert one[0].hash == other[0].hash and one[1].kept == other[1].kept
    assert all(torch.equal(other[1].state[name], value) for name, value in one[1].state.items())
    assert one[1].history.keys() == other[1].history.keys()
    for name, values in one[1].history.items():
        if name != "seconds":
            np.testing.assert_array_equal(other[1].history[name], values, err_msg=name)
    np.testing.assert_array_equal(one[1].estimate, other[1].estimate)


def test_a_training_gives_the_weights_that_it_kept():
    weights, result = trained(seed=3)
    assert result.status == Status.BUDGET and result.iterations == 20 and weights.task == Waves().task
    assert weights.architecture == UNET and weights.provenance["seed"] == 3
    assert weights.provenance["held-out loss"] == result.history["held_out"].min() < result.history["held_out"][0]
    assert all(torch.equal(weights.parameters[name], value) for name, value in result.state.items())
    held, network = Waves().held_out(), weights.network()
    found = (network(held.inputs) - held.targets).square().mean()
    assert found.item() == pytest.approx(weights.provenance["held-out loss"], rel=1e-5)
    again, _ = trained(seed=3)
    assert again.hash == weights.hash != trained(seed=4)[0].hash


def test_the_first_weights_are_drawn_from_the_seed_alone():
    with torch.random.fork_rng():
        torch.manual_seed(9)
        one, _ = trained(replace(SHORT, steps=1))
    other, _ = trained(replace(SHORT, steps=1))
    assert one.hash == other.hash and not one.parameters["output.weight"].any()


def test_weights_can_be_trained_further():
    weights, _ = trained()
    before = weights.hash
    more, result = trained(architecture=weights, source=Waves(seed=1))
    held = Waves(seed=1).held_out()
    first = (weights.network()(held.inputs) - held.targets).square().mean().item()
    assert result.history["held_out"][0] == pytest.approx(first, rel=1e-5)
    assert more.architecture == weights.architecture and more.hash != before == weights.hash


def test_interrupted_and_resumed_is_the_same(tmp_path):
    whole = trained()
    path = tmp_path / "c.safetensors"
    first = trained(checkpoint=path, stop_at=10)
    assert first[1].status == Status.INTERRUPTED and first[1].iterations == 10
    second = trained(checkpoint=path, resume=True)
    assert second[1].iterations == 20 and [each["from step"] for each in second[1].sessions] == [0, 10]
    assert_same(whole, second)
    assert_same(whole, trained(checkpoint=path, resume=True))  # nothing is left to do
    assert_same(whole, trained(checkpoint=tmp_path / "other.safetensors", resume=True))  # from the start


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"seed": 1}, "network"),
        ({"architecture": UNET | {"skips": 3}}, "network"),
        ({"source": Waves(seed=1)}, "pairs"),
        ({"source": Waves(held=6)}, "pairs"),
        ({"training": replace(SHORT, batch=4)}, "settings"),
        ({"training": replace(SHORT, learning_rate=0.02)}, "settings"),
        ({"training": replace(SHORT, steps=21)}, "settings"),
        ({"training": replace(SHORT, look=5)}, "settings"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(change, part, tmp_path):
    path = tmp_path / "c.safetensors"
    trained(checkpoint=path, stop_at=2)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=rf"c\.safetensors: .*{part}"):
        trained(checkpoint=path, resume=True, **change)
    assert path.read_bytes() == before


def test_another_limit_in_seconds_is_no_other_training(tmp_path):
    path = tmp_path / "c.safetensors"
    short = trained(replace(SHORT, seconds=1e-9), checkpoint=path)
    assert short[1].iterations == 1 and short[1].status == Status.BUDGET
    assert_same(trained(), trained(checkpoint=path, resume=True))


def test_patience_ends_a_training():
    """The first weights are the best ones if the rate is too small to change a number."""
    still = replace(SHORT, steps=100, look=2, patience=3, learning_rate=1e-30, decay=0.0)
    assert trained(still)[1].iterations == 1 + 6 and trained(still)[1].status == Status.DONE


def test_educate_writes_weights_and_what_one_looks_at(tmp_path):
    out = tmp_path / "net.safetensors"
    weights, result = educate(noisy(), NETWORK, SHORT, out=out, quiet=True, comm=alone())
    assert Weights.load(out).hash == weights.hash
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"net.safetensors", "net-checkpoint.safetensors", "net-curves.png", "net-examples.png"}
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith("png"))
    assert result.estimate.shape == (3, 16, 16)


def test_snapshots_lie_beside_the_weights_and_are_the_same_after_an_interruption(tmp_path, monkeypatch, unseen):
    """Of the averaged weights, which the network is tuned from; and the method that uses them takes them."""
    training, folders = replace(SHORT, snapshots=3), []

    class Examples(module._Examples):
        def __call__(self, progress):
            if progress.step.iteration == 7:
                os.kill(os.getpid(), signal.SIGINT)

    for name, stopped in (("whole", False), ("torn", True)):
        out = tmp_path / f"{name}.safetensors"
        with monkeypatch.context() as patch:
            if stopped:
                patch.setattr(module, "_Examples", Examples)
            educate(noisy(), NETWORK, training, out=out, quiet=True, comm=alone())
        educate(noisy(), NETWORK, training, out=out, resume=True, quiet=True, comm=alone())
        folders.append(sorted((tmp_path / f"{name}-snapshots").iterdir()))
    whole, torn = ([Weights.load(file) for file in files] for files in folders)
    assert [file.stem for file in folders[0]] == ["000005", "000010", "000015"]
    assert [each.hash for each in whole] == [each.hash for each in torn] and len({each.hash for each in whole}) == 3
    weights = Weights.load(tmp_path / "whole.safetensors")
    sizes = differences(weights, tmp_path / "whole-snapshots").norm(dim=1)
    assert (sizes[1:] < sizes[:-1]).all() and sizes[-1] > 0
    settings = {"weights": str(tmp_path / "whole.safetensors"), "tuned": "snapshots", "rank": 3, "steps": 3}
    assert np.isfinite(solve(noisy(), "educated", **settings, quiet=True).x).all()


@pytest.mark.parametrize("kind", IMAGES)
def test_the_loss_is_in_the_unit_of_the_problem(kind):
    """An untrained network answers with the link's start everywhere."""
    problem = IMAGES[kind]()
    architecture, source, loss = module.lesson(problem, NETWORK, None)
    network = initialize(build(architecture), torch.Generator().manual_seed(0))
    held, unknown = source.held_out(), problem.unknown
    found = loss(network(held.inputs), held.targets)["squared"].item()
    start = unknown.bounded(None, None).start
    start = start * (1 + 1j) if unknown.complex else start
    expected = ((held.targets - start).abs() / unknown.unit).square().mean().item()
    assert found == pytest.approx(expected, rel=1e-5) and 1e-3 < expected < 10


def test_colours_and_volumes_are_trained_too(tmp_path):
    from tests.pretraining.test_image_pairs import PROBLEMS

    for kind in ("colour", "volume", "kspace"):
        problem = PROBLEMS[kind]()
        weights, result = educate(
            problem, NETWORK, replace(SHORT, steps=3), out=tmp_path / f"{kind}.safetensors", quiet=True, comm=alone()
        )
        assert weights.architecture["outputs"] == problem.unknown.channels
        assert result.estimate.shape == (3, *problem.unknown.space.shape)
        assert weights.architecture["dimension"] == problem.unknown.dimension


def test_a_training_that_diverges_leaves_its_best_weights(tmp_path, monkeypatch, unseen):
    out, inner = tmp_path / "net.safetensors", module.lesson

    def exploding(*arguments):
        architecture, source, loss = inner(*arguments)
        pairs, calls = source.pairs, []

        def huge(first, count):
            calls.append(1)
            batch = pairs(first, count)
            return replace(batch, targets=batch.targets * (1.0 if len(calls) <= 8 else 1e200))

        source.pairs = huge
        return architecture, source, loss

    monkeypatch.setattr(module, "lesson", exploding)
    with pytest.raises(DivergenceError, match=r"loss became inf at step 8: .*net\.safetensors has the best weights"):
        educate(noisy(), NETWORK, SHORT, out=out, quiet=True, comm=alone())
    kept = Weights.load(out)
    assert kept.provenance["kept"] == 4 and kept.provenance["steps"] == 8
    assert all(torch.isfinite(value).all() for value in kept.parameters.values())


def test_an_interrupted_training_writes_no_weights(tmp_path, monkeypatch, unseen):
    out = tmp_path / "net.safetensors"

    class Examples(module._Examples):
        def __call__(self, progress):
            if progress.step.iteration == 4:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_Examples", Examples)
        _, result = educate(noisy(), NETWORK, SHORT, out=out, quiet=True, comm=alone())
    assert result.status == Status.INTERRUPTED and result.iterations == 5 and not out.exists()
    resumed, result = educate(noisy(), NETWORK, SHORT, out=out, resume=True, quiet=True, comm=alone())
    assert result.iterations == 20 and out.exists()
    whole, _ = educate(noisy(), NETWORK, SHORT, out=tmp_path / "whole.safetensors", quiet=True, comm=alone())
    assert resumed.hash == whole.hash


def test_pictures_are_drawn_anew_while_a_training_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BETWEEN", 0.0)
    drawn = []
    monkeypatch.setattr(module.plot, "pictures", lambda path, panels: drawn.append(panels))
    monkeypatch.setattr(module.plot, "curves", lambda *nothing: None)
    educate(noisy(), NETWORK, replace(SHORT, steps=3), out=tmp_path / "net.safetensors", quiet=True, comm=alone())
    assert len(drawn) == 4 and list(drawn[0]) == [f"{word} {n}" for n in (1, 2, 3) for word in ("answer", "truth")]


def test_pairs_of_another_range_are_no_resumption(tmp_path, unseen):
    """Without a largest value the pictures fill the range of the problem's data."""
    problem = IMAGES["sinogram"]()
    out = tmp_path / "net.safetensors"
    educate(problem, NETWORK, replace(SHORT, steps=2), out=out, quiet=True, comm=alone())
    data = replace(problem.data, values=3 * problem.data.values)
    other = image_problem("ct", problem.model, data, low=0.0)
    with pytest.raises(CheckpointError, match="pairs"):
        educate(other, NETWORK, replace(SHORT, steps=2), out=out, resume=True, quiet=True, comm=alone())


def test_killed_and_resumed_is_the_same(tmp_path, data):
    """By kill -9 in the middle of writing a checkpoint."""
    pytest.importorskip("astra")
    small = {"size": 16, "views": 8, "channels": 4, "levels": 1, "held_pairs": 3, "steps": 12, "look": 4, "batch": 2}
    whole, torn = tmp_path / "whole.safetensors", tmp_path / "torn.safetensors"

    def command(out, *more):
        return ["train", "ct", "--out", out, *words(**small, checkpoint_seconds=0), *more]

    assert eitdip(*command(whole)) == 0
    assert killed(*command(torn), when=Writing("torn-checkpoint.safetensors", 7, "half"))
    assert not torn.exists() and (tmp_path / "torn-checkpoint.safetensors").exists()
    assert eitdip(*command(torn, "--resume")) == 0
    one, other = Weights.load(whole), Weights.load(torn)
    assert one.hash == other.hash and one.provenance["kept"] == other.provenance["kept"] > 0
    assert not list(tmp_path.glob(".*part*"))
