"""Killed by kill -9 at any moment, in the middle of writing a checkpoint too, and resumed: the same bits."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from eitdip.reconstruction import Checkpoint
from tests.cases.commands import eitdip, words
from tests.cases.kills import STAGES, Writing, killed
from tests.cases.measurements import MESH

pytestmark = pytest.mark.usefixtures("gmsh")

NETWORK, TANK, IMAGE = {"channels": 4, "levels": 1}, {**MESH, "size": 16}, {"size": 16, "views": 10}
SAMPLES = {**MESH, "points": 256, "channels": 8}
# Name to data, method and settings: all optimizers, both kinds of problem, all that has a state of its own.
RUNS = {
    "adam": ("cem", "dip-tv", {**TANK, **NETWORK, "input_noise": 0.1, "average": 0.5, "held_out": 0.1}),
    "adam of an image": ("disc", "dip-tv", {**IMAGE, **NETWORK, "input_noise": 0.1}),
    "held-out and averaged": ("cem", "dip", {**TANK, **NETWORK, "average": 0.9, "input_noise": 0.05, "seeds": 2}),
    "variance": ("cem", "dip-tv", {**TANK, **NETWORK, "stop": "variance", "window": 5}),
    "unet": ("cem", "unet-tv", {**TANK, "channels": 4}),
    "coordinates": ("cem", "dip-tv", {**TANK, "generator": "fourier", "channels": 4}),
    "level set": ("cem", "dip-tv", {**TANK, "generator": "level-set", "channels": 4}),
    "last factor": ("cem", "dip-tv", {**TANK, **NETWORK, "solver": "last-factor", "learning_rate": 0.05}),
    "lbfgs": ("cem", "cells-tikhonov", MESH),
    "lbfgs of a network": ("disc", "dip-tv", {**IMAGE, **NETWORK, "optimizer": "lbfgs", "stop": "budget"}),
    "lbfgs of a network of a tank": ("cem", "dip-tv", {**TANK, **NETWORK, "optimizer": "lbfgs"}),
    "kohn-vogelius": ("dtn", "cells-kv", MESH),
    "gauss-newton": ("cem", "gn-tv", MESH),
    "discrepancy": ("cem", "gn-l1", {**MESH, "stop": "discrepancy"}),
    "linearized": ("cem", "one-step", MESH),
    "pinn": ("dtn", "pinn", SAMPLES),
    "pinn by lbfgs": ("dtn", "pinn", {**SAMPLES, "optimizer": "lbfgs"}),
    "bar-sochen": ("dtn", "bar-sochen", SAMPLES),
    "deep-galerkin": ("dtn", "deep-galerkin", SAMPLES),
    "deep-ritz": ("dtn", "deep-ritz", {**SAMPLES, "optimizer": "lbfgs"}),
    "complex": ("kspace", "dip", {**NETWORK, "calibration": 16}),
    "counts": ("scan", "dip", {**NETWORK, "size": 16}),
    "primal-dual": ("disc", "tv", IMAGE),
    "cgls": ("disc", "tikhonov", IMAGE),
    "em": ("scan", "em", {"size": 16}),
}
WITHOUT_A_LOOP = ("primal-dual", "cgls", "em")


def command(name: str, data, out: Path, steps: int, *more) -> list:
    kind, method, settings = RUNS[name]
    chosen = {"steps": steps, "checkpoint_seconds": 0} | settings
    return ["reconstruct", data[kind], "--out", out, "--method", method, *words(**chosen), *more]


def checkpoints(out: Path) -> list[Path]:
    return sorted((out / "checkpoint").glob("seed-*.safetensors"))


def bits(out: Path) -> dict[str, object]:
    """All that a finished run left, to the last bit, but for times: its arrays, and the state of each seed's end."""
    found = {}
    with np.load(out / "estimate.npz") as arrays:
        found |= {name: arrays[name].tobytes() for name in arrays.files}
    for path in checkpoints(out):
        checkpoint = Checkpoint.load(path)
        _flatten(f"{path.stem}/", checkpoint.state, found)
        found[f"{path.stem}/iteration"] = checkpoint.iteration
    summary = json.loads((out / "result.json").read_text())
    return found | {name: summary[name] for name in ("status", "reason", "iterations", "kept", "misfit", "metrics")}


def _flatten(prefix: str, value, found: dict) -> None:
    if prefix.endswith(("history/seconds/", "sessions/")):
        return
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            _flatten(f"{prefix}{name}/", part, found)
    elif isinstance(value, torch.Tensor):
        found[prefix] = torch.view_as_real(value).numpy().tobytes() if value.is_complex() else value.numpy().tobytes()
    else:
        found[prefix] = value.tobytes() if isinstance(value, np.ndarray) else value


def assert_same_bits(one: dict, other: dict, name: str) -> None:
    assert one.keys() == other.keys(), name
    assert [key for key in one if one[key] != other[key] and one[key] == one[key]] == [], name


SHORT = {
    "adam": (4, 2, "half"), "adam of an image": (5, 4, "written"), "lbfgs of a network": (5, 3, "moved"),
    "gauss-newton": (3, 3, "half"), "linearized": (2, 2, "written"), "pinn": (4, 2, "moved"),
    "primal-dual": (20, 1, "half"), "cgls": (5, 1, "written"), "em": (5, 1, "half"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_killed_while_writing_and_resumed(name, data, tmp_path):
    """Every optimizer once; without a loop the result is what is written."""
    steps, count, stage = SHORT[name]
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert eitdip(*command(name, data, whole, steps)) == 0
    file = "estimate.npz" if name in WITHOUT_A_LOOP else "seed-0.safetensors"
    assert killed(*command(name, data, torn, steps), when=Writing(file, count, stage), pictures=False)
    assert len(list(torn.rglob(".*.part.*"))) == (stage != "moved")
    assert not (torn / "result.json").exists()
    found = [Checkpoint.load(path).iteration for path in checkpoints(torn)]
    assert found == ([] if name in WITHOUT_A_LOOP else [count - (stage != "moved")])
    assert eitdip(*command(name, data, torn, steps, "--resume")) == 0
    assert not list(torn.rglob(".*.part.*"))
    assert_same_bits(bits(whole), bits(torn), name)


STEPS = {"gauss-newton": 8, "discrepancy": 8, "linearized": 2, "primal-dual": 400, "cgls": 100, "em": 200}
MOMENTS = 4  # of each run: 100 in all


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_killed_at_random_moments_and_resumed(name, data, tmp_path, python, capsys):
    """While a checkpoint is written, by the clock from the first checkpoint on, and by the clock from the start.

    What they must agree with comes from an interpreter of its own, with other hashes of strings. Two of four are
    killed a second time, when they have been resumed.
    """
    steps = STEPS.get(name, 30)
    whole, timed = tmp_path / "whole", tmp_path / "timed"
    code = "import sys; from tests.cases.commands import eitdip; sys.exit(eitdip(*sys.argv[1:]))"
    python(code, *map(str, command(name, data, whole, steps)), timeout=300)
    expected = bits(whole)
    rng = np.random.default_rng(list(RUNS).index(name))
    began = time.monotonic()
    assert not killed(*command(name, data, timed, steps), when=600.0, pictures=False)
    duration = time.monotonic() - began
    of_steps = json.loads((timed / "result.json").read_text())["seconds"]["total"]
    looping = name not in WITHOUT_A_LOOP
    file = "seed-0.safetensors" if looping else "estimate.npz"
    written = int(expected["iterations"][0]) if looping else 1

    def kill(out: Path, moment: int, *more) -> bool:
        words = command(name, data, out, steps, *more)
        if moment == 0:
            when = Writing(file, int(rng.integers(1, written + 1)), STAGES[int(rng.integers(3))])
            return killed(*words, when=when, pictures=False)
        if looping and moment < 3:
            first, later = out / "checkpoint" / file, float(rng.uniform(0, of_steps))
            return killed(*words, when=first, later=later, pictures=False)
        return killed(*words, when=float(rng.uniform(0, duration)), pictures=False)

    where = []
    for moment in range(MOMENTS):
        out = tmp_path / str(moment)
        while not kill(out, moment):  # it has come to its end before
            shutil.rmtree(out)
            duration, of_steps = 0.8 * duration, 0.8 * of_steps
        where.append(_place(out))
        if moment % 2:
            kill(out, 3, "--resume")
        assert eitdip(*command(name, data, out, steps, "--resume")) == 0
        assert not list(out.rglob(".*.part.*"))
        assert_same_bits(expected, bits(out), f"{name}, killed with {where[-1]}")
    with capsys.disabled():
        print(f"\n{name}: killed {', '.join(where)}; {len(where)} of {len(where)} the same bits")


def _place(out: Path) -> str:
    """Where a kill has hit."""
    torn = sorted(path.name for path in out.rglob(".*.part.*"))
    steps = [Checkpoint.load(path).iteration for path in checkpoints(out)]
    if torn:
        return f"while writing {torn[0]} after steps {steps}"
    return "after its result" if (out / "result.json").exists() else f"at steps {steps}" if steps else "at the start"
