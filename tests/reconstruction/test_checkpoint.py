"""Checkpoints: what goes in comes out, and nothing but a checkpoint is taken for one."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

import eitdip
from eitdip.errors import CheckpointError
from eitdip.reconstruction import Checkpoint

STATE = {
    "tensor": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "array": np.linspace(0, 1, 5),
    "nested": {"list": [1, 2.5, None, True, "word", [float("inf")]], 3: {"x": torch.tensor(1.5)}},
    "empty": {},
}


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "seed-0.safetensors"
    Checkpoint("run", 7, STATE).save(path)
    return path


def test_what_goes_in_comes_out(path):
    found = Checkpoint.load(path, "run")
    assert (found.run, found.iteration) == ("run", 7)
    assert torch.equal(found.state["tensor"], STATE["tensor"]) and found.state["tensor"].dtype == torch.float32
    assert isinstance(found.state["array"], np.ndarray) and np.array_equal(found.state["array"], STATE["array"])
    assert found.state["nested"]["list"] == STATE["nested"]["list"]
    assert found.state["nested"][3]["x"] == 1.5  # a number as key stays a number
    assert found.state["empty"] == {}


def test_shared_memory_and_later_changes_do_no_harm(tmp_path):
    base = torch.zeros(4)
    checkpoint = Checkpoint("run", 0, {"a": base, "b": base[1:], "c": base.expand(2, 4)})
    checkpoint.save(tmp_path / "c")
    base += 1
    assert not any(value.any() for value in Checkpoint.load(tmp_path / "c").state.values())


def test_nothing_but_the_file_is_left(path):
    Checkpoint("run", 8, STATE).save(path)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert Checkpoint.load(path).iteration == 8


def test_a_failed_save_leaves_the_old_one(path):
    with pytest.raises(TypeError, match="cannot save a object"):
        Checkpoint("run", 8, {"what": object()}).save(path)
    assert Checkpoint.load(path).iteration == 7


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint there; start without --resume"):
        Checkpoint.load(tmp_path / "none")


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        Checkpoint.load(path)


@pytest.mark.parametrize("garbage", [b"garbage", bytes(5000), b"\xff" * 300, b"PK\x03\x04" + bytes(100)])
def test_garbage(path, garbage):
    path.write_bytes(garbage)
    with pytest.raises(CheckpointError, match=r"seed-0\.safetensors: damaged"):
        Checkpoint.load(path)


def test_of_other_origin(path):
    path.write_bytes(save({"weight": torch.zeros(3)}))
    with pytest.raises(CheckpointError, match="other origin"):
        Checkpoint.load(path)


HEADERS = {
    "no JSON": "{",
    "no table": "[1]",
    "nothing in it": json.dumps({"version": 3}),
    "state of no kind": json.dumps({"version": 3, "run": "r", "iteration": 1, "state": {"tensor": "9"}}),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_broken_header_is_damage(path, header):
    path.write_bytes(save({"0": torch.zeros(3)}, metadata={"eitdip": header}))
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint.load(path)


def test_other_version(path):
    header = {"version": 99, "run": "run", "iteration": 1, "state": {"dict": []}}
    path.write_bytes(save({"0": torch.zeros(3)}, metadata={"eitdip": json.dumps(header)}))
    with pytest.raises(CheckpointError, match="got checkpoint version 99, expected 3"):
        Checkpoint.load(path)


def test_older_versions_are_named(path):
    header = {"version": 2, "run": "run", "iteration": 1, "state": {"dict": []}}
    path.write_bytes(save({"0": torch.zeros(3)}, metadata={"eitdip": json.dumps(header)}))
    with pytest.raises(CheckpointError, match="got checkpoint version 2, expected 3; resume it with the version of"):
        Checkpoint.load(path)


def test_tensors_are_aligned(tmp_path):
    """In the file they lie at any byte; sums of floats depend on where vectors start in memory."""
    Checkpoint("run", 0, {"flag": torch.ones(3, dtype=torch.uint8), "x": torch.ones(7), "y": np.ones(5)}).save(
        tmp_path / "c"
    )
    state = Checkpoint.load(tmp_path / "c").state
    assert state["x"].data_ptr() % 64 == 0 and state["y"].ctypes.data % 64 == 0


def test_other_run(path):
    with pytest.raises(CheckpointError, match="belongs to another run"):
        Checkpoint.load(path, "another")


def test_no_pickle_anywhere():
    """A checkpoint from a stranger must not be able to run code. Between ranks of one run, MPI may."""
    package = Path(eitdip.__file__).parent
    for source in package.rglob("*.py"):
        if source == package / "ranks" / "collectives.py":
            continue
        found = re.findall(
            r"import pickle|torch\.(?:save|load)\b|pickle\.(?:load|dump)|allow_pickle=True",
            source.read_text(),
        )
        assert not found, f"{source}: {found}"
