"""eitdip train, and what is done with its weights: reconstructions and comparisons."""

import json
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import eitdip as package
from eitdip.cli import app
from eitdip.pretraining.training import Network, Training
from eitdip.pretraining.weights import Weights
from eitdip.problems import simulate_transfer
from eitdip.runs import educate
from tests.cases.commands import eitdip, refused, words
from tests.cases.files import Files

pytestmark = pytest.mark.usefixtures("_own_cache")

DATA = {"size": 16, "views": 8}
SMALL = {"channels": 4, "levels": 1, "skips": 2, "held_pairs": 3}
SHORT = {"steps": 12, "batch": 2, "look": 4}


@pytest.fixture(scope="module", autouse=True)
def _unseen():
    """Without pictures, which take most of the time; tests/runs/test_training.py has them."""
    with pytest.MonkeyPatch.context() as patch:
        nothing = SimpleNamespace(pictures=lambda *_: None, curves=lambda *_: None)
        patch.setattr(educate, "plot", nothing)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights for small sinograms of pictures, and what the command said."""
    pytest.importorskip("astra")
    out = tmp_path_factory.mktemp("trained") / "ct.safetensors"
    assert eitdip("train", "ct", "--out", out, *words(**DATA, **SMALL, **SHORT)) == 0
    return out


def test_the_settings_decide_network_pairs_and_training(trained, tmp_path, capsys):
    weights = Weights.load(trained)
    assert weights.architecture == Network(**SMALL).architecture(1, 1, 2)
    assert weights.provenance["training"]["steps"] == 12 == weights.provenance["steps"]
    assert weights.provenance["training"] | SHORT == weights.provenance["training"]
    assert weights.task["shape"] == [16, 16] and weights.task["data"][0] == 8
    others = [
        ["--seed", 1],
        ["--set", "family=shapes"],
        ["--set", "pairs_seed=1"],
        ["--set", "spread=2.5"],
        ["--set", "learning_rate=0.01"],
    ]
    hashes = {weights.hash}
    for number, more in enumerate(([], *others)):
        out = tmp_path / f"{number}.safetensors"
        assert eitdip("train", "ct", "--out", out, *words(**DATA, **SMALL, **SHORT), *more) == 0
        said = capsys.readouterr().out
        held = Weights.load(out).provenance["held-out loss"]
        assert said.startswith(f"wrote {out}: held-out loss {held:.4g} after 12 steps, ") and said.count("\n") == 1
        hashes.add(Weights.load(out).hash)
    assert len(hashes) == 1 + len(others)  # the first one is the same again


def test_a_configuration_file_says_the_same(trained, tmp_path):
    text = "\n".join(f"{name} = {value}" for name, value in (DATA | SMALL | SHORT).items())
    (tmp_path / "c.toml").write_text(text)
    out = tmp_path / "w.safetensors"
    assert (
        eitdip("train", "skimage:shepp_logan_phantom", "--task", "ct", "--config", tmp_path / "c.toml", "--out", out)
        == 0
    )
    assert Weights.load(out).hash == Weights.load(trained).hash


def test_a_cone_beam_is_trained_for_and_reconstructed(tmp_path, capsys):
    """In three dimensions the same; the other volumes are of another family."""
    out, data = tmp_path / "cone.safetensors", {"size": 8, "views": 4}
    assert eitdip("train", "cone-beam", "--out", out, *words(**data, **SMALL, **SHORT, patch=2)) == 0
    weights = Weights.load(out)
    assert weights.architecture == Network(**SMALL, patch=2).architecture(1, 1, 3)
    assert weights.task["shape"] == [8, 8, 8] and weights.task["data"][0] == 4
    command = ["reconstruct", "phantom:shapes-1", "--method", "educated"]
    assert eitdip(*command, *words(**data, weights=out, steps=1), "--out", tmp_path / "r") == 0
    with np.load(tmp_path / "r" / "estimate.npz") as file:
        first = file["estimate" if "estimate" in file.files else file.files[0]]
    problem = package.load("phantom:shapes-1", **data)
    np.testing.assert_allclose(first, answer(out, problem), rtol=1e-5, atol=1e-6)
    capsys.readouterr()
    line = refused(capsys, *command, *words(**data | {"views": 5}, weights=out), "--out", tmp_path / "other")
    assert "trained for data 4, " in line and "eitdip train" in line


def answer(path, problem) -> np.ndarray:
    unknown, network = problem.unknown, Weights.load(path).network()
    first = torch.from_numpy(np.asarray(problem.model.pinv(problem.data.values)))
    with torch.no_grad():
        return unknown.bounded(None, None)(network(unknown.network_input(first[None]))[0].double()).numpy()


def test_a_reconstruction_starts_at_the_networks_answer(trained, tmp_path):
    """Of another picture than the one that the training was started with."""
    command = ["reconstruct", "skimage:camera", "--task", "ct", "--method", "educated", *words(**DATA, weights=trained)]
    assert eitdip(*command, *words(steps=1), "--out", tmp_path / "one") == 0
    with np.load(tmp_path / "one" / "estimate.npz") as file:
        first = file["estimate" if "estimate" in file.files else file.files[0]]
    problem = package.load("skimage:camera", task="ct", **DATA)
    expected = answer(trained, problem)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-6)
    assert np.std(expected) > 1e-3
    assert eitdip(*command, *words(steps=30, learning_rate=0.003), "--out", tmp_path / "more") == 0
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "more")]
    assert results[1]["misfit"] < results[0]["misfit"]
    assert results[0]["settings"]["weights"] == str(trained) if "settings" in results[0] else True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 24}, "trained for shape 16, 16, expected 24, 24"),
        ({"views": 9}, "trained for data 8, "),
    ],
)
def test_data_of_another_geometry_are_refused(change, message, trained, tmp_path, capsys):
    command = ["reconstruct", "skimage:camera", "--task", "ct", "--method", "educated", "--out", tmp_path]
    line = refused(capsys, *command, *words(**DATA | change, weights=trained))
    assert message in line and "eitdip train" in line


def test_a_comparison_with_two_ways_of_tuning(trained, tmp_path):
    (tmp_path / "c.toml").write_text(
        f'[methods.educated]\nmethod = "educated"\nweights = "{trained}"\nsteps = 3\n'
        f'[methods.last]\nmethod = "educated"\nweights = "{trained}"\ntuned = "last"\nsteps = 3\n'
        "[methods.pinv]\n"
    )
    command = ["compare", "skimage:camera", "--task", "ct", *words(**DATA)]
    assert eitdip(*command, "--config", tmp_path / "c.toml", "--out", tmp_path / "out") == 0
    results = [
        json.loads((tmp_path / "out" / label / "seed-0" / "result.json").read_text()) for label in ("educated", "last")
    ]
    assert [result["iterations"] for result in results] == [[3], [3]]
    assert results[0]["misfit"] != results[1]["misfit"]
    assert (tmp_path / "out" / "report.html").exists()


def test_weights_are_named_where_they_are_missing(tmp_path, capsys):
    command = ["reconstruct", "skimage:camera", "--task", "denoise", "--method", "educated", "--out", tmp_path]
    assert "option weights: got None" in refused(capsys, *command, *words(size=16))
    line = refused(capsys, *command, *words(size=16, weights=tmp_path / "none.safetensors"))
    assert "none.safetensors: no weights there; make them with `eitdip train`" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ct", "--out", "w.pt"], "out: got 'w.pt', expected a file name ending in .safetensors"),
        (["ct", "--out", "w.safetensors", "--set", "stepps=3"], "unknown option: got 'stepps', expected one of: steps"),
        (["ct", "--out", "w.safetensors", "--set", "steps=0"], "option steps: got 0, expected at least 1"),
        (
            ["ct", "--out", "w.safetensors", "--set", "family=cats"],
            "unknown family: got 'cats', expected one of: ellip",
        ),
        (["ct", "--out", "w.safetensors", "--set", "rise=1"], "option rise: got 1"),
        (["ct", "--out", "w.safetensors", "--set", "spread=0.5"], "option spread: got 0.5, expected at least 1"),
        (["ct", "--out", "w.safetensors", "--set", "tv=1"], "unknown option: got 'tv'"),
        (["nothing.h5", "--out", "w.safetensors"], "nothing.h5"),
        (
            ["skimage:camera", "--task", "colourize", "--out", "w.safetensors"],
            "task: got 'colourize' for skimage:camera",
        ),
        (["skimage:camera", "--out", "w.safetensors"], "task: got none"),
        (["ct", "--level", "3", "--out", "w.safetensors"], "level: got 3"),
        (["ct", "--out", "w.safetensors", "--set", "levels=4", "--set", "size=16", "--set", "batch=0"], "batch: got 0"),
    ],
)
def test_errors_are_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "train", *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, pixels, driven, h",
    [
        ("cylinder", [11, 32, 32], {"electrodes": 8}, 0.45),
        ("dtn", [64, 64], {"functions": 8}, 0.3),
        ("ball", [32, 32, 32], {"functions": 8}, 0.45),
    ],
)
def test_other_bodies_are_trained_for_and_reconstructed(name, pixels, driven, h, gmsh, tmp_path, capsys, monkeypatch):
    """Solids with electrodes, and bodies whose whole boundary is driven, by the same commands."""
    monkeypatch.setattr(simulate_transfer, "PER_MESH", 4)
    monkeypatch.setattr(simulate_transfer, "EDGES", {2: (0.2, 0.25), 3: (0.4, 0.5)})
    data, out = Files(tmp_path)[name], tmp_path / "body.safetensors"
    settings = words(**SMALL, **SHORT, h=h, tanks=8, patch=2)
    assert eitdip("train", data, "--out", out, *settings) == 0
    weights = Weights.load(out)
    assert weights.architecture == Network(**SMALL, patch=2).architecture(8, 3, len(pixels))
    assert weights.task["pixels"] == pixels and weights.task | driven == weights.task
    assert "wrote" in capsys.readouterr().out
    command = ["reconstruct", data, "--method", "educated", *words(weights=out, h=h, steps=3)]
    assert eitdip(*command, "--out", tmp_path / "r") == 0
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    assert result["iterations"] == [3] and result["misfit"] > 0


def test_help_names_all_settings(capsys):
    assert eitdip("train", "--help") == 0
    said = capsys.readouterr().out
    for owner in (Network, Training):
        assert all(f"{name} [" in said for name in owner.__dataclass_fields__)
    assert "train" in app.commands


def test_a_training_is_interrupted_and_resumed(trained, tmp_path, capsys, monkeypatch):
    class Examples(educate._Examples):
        def __call__(self, progress):
            if progress.step.iteration == 5:
                os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "w.safetensors"
    command = ["train", "ct", "--out", out, *words(**DATA, **SMALL, **SHORT)]
    with monkeypatch.context() as patch:
        patch.setattr(educate, "_Examples", Examples)
        assert eitdip(*command) == 130
    said = capsys.readouterr().out
    assert said.startswith("interrupted: held-out loss ") and "after 6 steps; go on with --resume" in said
    assert not out.exists()
    assert "pairs" in refused(capsys, *command, "--resume", "--set", "pairs_seed=2")
    assert eitdip(*command, "--resume") == 0
    assert Weights.load(out).hash == Weights.load(trained).hash


def test_a_training_that_diverges_says_so(tmp_path, capsys):
    out = tmp_path / "w.safetensors"
    settings = words(size=16, **SMALL, **SHORT | {"steps": 100}, learning_rate=1e30)
    line = refused(capsys, "train", "denoise", "--out", out, *settings, code=3)
    assert "lower the learning rate" in line and "has the best weights so far" in line
    assert all(torch.isfinite(value).all() for value in Weights.load(out).parameters.values())
