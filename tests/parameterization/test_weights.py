"""Files of weights: what goes in comes out, and nothing else is taken for them."""

import json

import pytest
import torch
from safetensors.torch import save
from torch import nn

from eitdip.errors import CheckpointError
from eitdip.networks import Decoder, UNet
from eitdip.parameterization import load_weights, save_weights
from eitdip.parameterization.weights import snapshot


def network(seed: int = 0, channels: int = 6) -> Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Decoder(channels=channels, levels=1)


@pytest.fixture
def path(tmp_path):
    save_weights(tmp_path / "decoder.safetensors", network())
    return tmp_path / "decoder.safetensors"


def test_what_goes_in_comes_out(path):
    other = network(1)
    load_weights(path, other)
    assert all(torch.equal(a, b) for a, b in zip(network().parameters(), other.parameters(), strict=True))
    assert [item.name for item in path.parent.iterdir()] == [path.name], "and no scratch file is left"


def test_another_precision_is_converted(path):
    double = network(1).double()
    load_weights(path, double)
    assert all(torch.equal(a.double(), b) for a, b in zip(network().parameters(), double.parameters(), strict=True))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (UNet(channels=6, levels=1), r"got weights of Decoder, expected UNet with the same layers; only one"),
        (network(0, 8), r"got .* of shape \(.*\), expected \(.*\); build the network with the sizes"),
        (Decoder(channels=6, levels=2), r"expected Decoder with the same layers; only one of them has: body"),
    ],
    ids=["class", "shape", "depth"],
)
def test_another_architecture_is_refused_and_left_alone(path, module, message):
    before = snapshot(module)
    with pytest.raises(CheckpointError, match=message):
        load_weights(path, module)
    assert all(torch.equal(value, before[name]) for name, value in snapshot(module).items())


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_damage(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"damaged or truncated weights .*; save them anew"):
        load_weights(path, network())


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "other origin, expected weights of eitdip"),
        ({"eitdip": "{}"}, "other origin"),
        ({"eitdip weights": "{"}, "damaged"),
        ({"eitdip weights": "[1]"}, "format version None, expected 1"),
        ({"eitdip weights": json.dumps({"version": 9, "class": "Decoder"})}, "format version 9, expected 1"),
    ],
)
def test_other_files(path, metadata, message):
    path.write_bytes(save({"x": torch.zeros(3)}, metadata=metadata))
    with pytest.raises(CheckpointError, match=message):
        load_weights(path, network())


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match="no weights there"):
        load_weights(tmp_path / "none", nn.Linear(1, 1))
