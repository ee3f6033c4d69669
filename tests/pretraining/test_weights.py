"""Files of trained networks: what goes in comes out, and a network is used for what it was trained for."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load as tensors_of
from safetensors.torch import save

from eitdip.errors import CheckpointError
from eitdip.networks import initialize
from eitdip.pretraining import weights as module
from eitdip.pretraining.weights import ARCHITECTURES, Weights, build

UNET = {"class": "unet", "latent_channels": 2, "channels": [4, 6], "levels": 1, "skips": 2, "scaled": True}
TASK = {"problem": "image", "shape": [16, 16], "lowest value": 0.0, "highest value": None, "operator": [1.5, 0.25]}


def trained(seed: int = 0, architecture: dict = UNET, **parts) -> Weights:
    network = build(architecture)
    generator = torch.Generator().manual_seed(seed)
    initialize(network, generator)
    state = {name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in
             network.state_dict().items()}  # fmt: skip
    return Weights(architecture, **({"parameters": state, "task": TASK, "provenance": {"steps": 3}} | parts))


def changed(weights: Weights, name: str, change) -> dict:
    return weights.parameters | {name: change(weights.parameters[name])}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "w.safetensors"
    trained().save(path)
    return path


def test_what_goes_in_comes_out(path):
    one, found = trained(), Weights.load(path)
    assert (found.architecture, found.task, found.provenance) == (one.architecture, one.task, one.provenance)
    assert found.parameters.keys() == one.parameters.keys() and found.hash == one.hash
    assert all(torch.equal(found.parameters[name], value) for name, value in one.parameters.items())
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    network = found.network()
    assert torch.equal(network(x), one.network()(x)) and network(x).abs().max() > 0 and not network.training
    assert found.network() is not network
    assert all(torch.equal(network.state_dict()[name], value) for name, value in one.parameters.items())


def test_half_the_bits_half_the_size(path, tmp_path):
    wide = {**UNET, "channels": [32, 48]}
    for half in (False, True):
        trained(architecture=wide).save(tmp_path / str(half), half=half)
    sizes = [(tmp_path / str(half)).stat().st_size for half in (False, True)]
    assert 0.45 < sizes[1] / sizes[0] < 0.6
    found, one = Weights.load(tmp_path / "True"), trained(architecture=wide)
    for name, value in one.parameters.items():
        assert found.parameters[name].dtype == torch.float32
        torch.testing.assert_close(found.parameters[name], value, rtol=2**-11, atol=1e-7)
    assert any(not torch.equal(found.parameters[name], value) for name, value in one.parameters.items())
    found.save(tmp_path / "again", half=True)
    assert Weights.load(tmp_path / "again").hash == found.hash


def test_the_hash_is_that_of_what_decides_the_answers():
    one = trained()
    assert one.hash == trained().hash == trained(provenance={"steps": 9}).hash and len(one.hash) == 16
    double = {name: value.double() for name, value in one.parameters.items()}
    assert trained(parameters=double).hash == one.hash
    others = [
        trained(1),
        trained(parameters=changed(one, "output.bias", lambda value: value + 1e-5)),
        trained(task=TASK | {"shape": [16, 17]}),
        replace(one, architecture=UNET | {"dimension": 2}),
    ]
    assert len({one.hash, *(other.hash for other in others)}) == 5


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_built_by_name(name):
    assert isinstance(build({"class": name, "channels": 4, "levels": 1}), ARCHITECTURES[name])


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"channels": 4}, "unknown architecture: got None, expected one of: unet, skip, decoder"),
        ({"class": "gan"}, "unknown architecture: got 'gan'"),
        ({"class": "unet", "depth": 3}, r"architecture {.*}: cannot be built \(.*depth"),
        ({"class": "unet", "dimension": 5}, "cannot be built"),
        ({"class": "unet", "channels": [4, 4], "levels": 2}, r"got \(4, 4\) for 2 levels, expected 3 numbers"),
    ],
)
def test_what_cannot_be_built_is_refused(architecture, message):
    with pytest.raises(CheckpointError, match=message):
        build(architecture)


def test_other_parameters_are_refused():
    one = trained()
    name = "output.bias"
    missing = {key: value for key, value in one.parameters.items() if key != name}
    for parameters, got, expected in (
        (missing, "nothing", r"\(1,\)"),
        (one.parameters | {"more": torch.zeros(2)}, r"\(2,\)", "nothing"),
        (changed(one, name, lambda value: value.expand(3)), r"\(3,\)", r"\(1,\)"),
    ):
        with pytest.raises(CheckpointError, match=rf"got .* of shape {got}, expected {expected} for the architecture"):
            trained(parameters=parameters)
    with pytest.raises(CheckpointError, match=r"got down\.0\.0\.bias of shape \(6,\), expected \(8,\)"):
        replace(one, architecture=UNET | {"channels": [4, 8]})
    for bad in (torch.nan, torch.inf):
        with pytest.raises(CheckpointError, match=r"output\.bias has NaN or infinity; the training diverged"):
            trained(parameters=changed(one, name, lambda value, bad=bad: value * 0 + bad))


def test_files_that_hold_none_are_refused(path, tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: no weights there; make them with `eitdip train`"):
        Weights.load(tmp_path / "nowhere")
    content = path.read_bytes()
    for cut in (b"", content[:5], content[:200], content[:-3]):
        path.write_bytes(cut)
        with pytest.raises(CheckpointError, match=r"w\.safetensors: damaged or truncated weights"):
            Weights.load(path)
    path.write_bytes(save({"x": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match="got a safetensors file of other origin"):
        Weights.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header | {"version": 2}, "got weights of format version 2, expected 1; train them anew"),
        (lambda header: [], "got weights of format version None"),
        (lambda header: header | {"task": 3}, "damaged weights"),
        (lambda header: {"version": 1}, "damaged weights"),
        (lambda header: header | {"architecture": UNET | {"skips": 3}}, r"w\.safetensors: weights: got skip\.0"),
    ],
)
def test_files_with_another_header_are_refused(path, change, message):
    one = trained()
    header = {"version": 1, "architecture": UNET, "task": TASK, "provenance": {}}
    words = {module._KEY: json.dumps(change(header))}
    path.write_bytes(save({name: value.contiguous() for name, value in one.parameters.items()}, metadata=words))
    with pytest.raises(CheckpointError, match=message):
        Weights.load(path)


def test_a_file_with_nan_is_refused(path):
    tensors = tensors_of(path.read_bytes())
    tensors["output.bias"] = tensors["output.bias"] * torch.nan
    header = {"version": 1, "architecture": UNET, "task": TASK, "provenance": {}}
    path.write_bytes(save(tensors, metadata={module._KEY: json.dumps(header)}))
    with pytest.raises(CheckpointError, match=r"w\.safetensors: weights: output\.bias has NaN"):
        Weights.load(path)


def test_numbers_too_large_for_half_are_refused_when_they_are_saved(tmp_path):
    one = trained()
    large = trained(parameters=changed(one, "output.bias", lambda value: value + 1e6))
    large.save(tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"output\.bias has numbers beyond 65504, expected half=False"):
        large.save(tmp_path / "half", half=True)
    assert not (tmp_path / "half").exists()


def test_a_failed_save_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):

        def cut(*nothing, **more):
            raise RuntimeError("power cut")

        patch.setattr("os.replace", cut)
        trained(1).save(path)
    assert path.read_bytes() == before
    trained(1).save(path)
    assert Weights.load(path).hash == trained(1).hash and [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_same_task_is_accepted_within_rounding():
    one = trained()
    for task in (TASK, json.loads(json.dumps(TASK)), TASK | {"shape": (16, 16)}, TASK | {"lowest value": 0}):
        one.check(task)
    one.check(TASK | {"operator": [1.5 * (1 + 5e-4), 0.25 - 5e-4]})
    for size in (1e-6, 1e6):  # rounding is relative to the largest
        large = trained(task={"operator": [size, size / 2]})
        large.check({"operator": [1.0005 * size, size / 2]})
        with pytest.raises(CheckpointError, match="operator"):
            large.check({"operator": [1.002 * size, size / 2]})
    mixed = trained(task={"mixed": [None, 1.5, "a", [True]]})
    mixed.check({"mixed": [None, 1.5, "a", [True]]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operator": [1.5 * 1.002, 0.25]}, "operator 1.5, 0.25, expected 1.503, 0.25 for this problem"),
        ({"operator": [1.5, 0.25 + 0.002]}, "1.5, 0.25, expected 1.5, 0.252"),
        ({"operator": [1.5, 0.25, 1.0]}, "1.5, 0.25, expected 1.5, 0.25, 1 for"),
        ({"operator": [1.5, -0.25]}, "operator 1.5, 0.25, expected 1.5, -0.25"),
        ({"shape": [16, 32]}, "shape 16, 16, expected 16, 32"),
        ({"shape": [16]}, "shape 16, 16, expected 16 "),
        ({"lowest value": None}, "lowest value 0.0, expected None"),
        ({"lowest value": 0.5}, "lowest value 0.0, expected 0.5"),
        ({"highest value": 1.0}, "highest value None, expected 1"),
        ({"problem": "tank"}, "problem image, expected tank"),
        ({"electrodes": 32}, "electrodes nothing, expected 32"),
    ],
)
def test_another_task_is_refused_by_name(change, message):
    with pytest.raises(CheckpointError, match=rf"^w\.st: trained for .*{re.escape(message)}"):
        trained().check(TASK | change, "w.st")


def test_what_is_missing_in_the_task_counts_too():
    with pytest.raises(CheckpointError, match="weights: trained for shape 16, 16, expected nothing"):
        trained().check({name: value for name, value in TASK.items() if name != "shape"})
    with pytest.raises(CheckpointError, match=r"trained for operator .*\.\.\., expected 1, 1"):
        trained(task={"operator": np.linspace(0, 1, 40).tolist()}).check({"operator": [1, 1]})
