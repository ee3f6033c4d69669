"""A trained network in one file: what it is built of, its numbers, what they were trained for and how well."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from eitdip.errors import CheckpointError, choose
from eitdip.networks import ConvolutionalDecoder, Decoder, SkipNetwork, UNet
from eitdip.parameterization.weights import read_tensors, snapshot
from eitdip.writing import write_atomically

VERSION = 1
_KEY = "eitdip trained network"
_CLOSE = 1e-3  # of numbers that tell two tasks apart; other machines sum in another order
ARCHITECTURES = {
    "unet": UNet,
    "skip": SkipNetwork,
    "decoder": Decoder,
    "convolutional-decoder": ConvolutionalDecoder,
}


@dataclass(frozen=True, eq=False)
class Weights:
    """A trained network.

    Args:
        architecture: "class", one of `ARCHITECTURES`, and the keywords of its constructor, as JSON values.
        parameters: Tensors by the names of that network's state.
        task: What it was trained for, as JSON values: `check` compares it with what it is to be used for.
        provenance: How it was trained, and how well, as JSON values.

    Raises:
        CheckpointError: If there is no such architecture, the parameters are not its, or one is not finite.
    """

    architecture: dict
    parameters: dict[str, torch.Tensor]
    task: dict
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        wanted = snapshot(build(self.architecture))
        for name in sorted(wanted.keys() | self.parameters.keys()):
            got, expected = (
                tuple(each[name].shape) if name in each else "nothing" for each in (self.parameters, wanted)
            )
            if got != expected:
                raise CheckpointError(
                    f"weights: got {name} of shape {got}, expected {expected} for the architecture {self.architecture}"
                )
        for name, value in self.parameters.items():
            if not torch.isfinite(value).all():
                raise CheckpointError(f"weights: {name} has NaN or infinity; the training diverged, train anew")

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of architecture, task and all numbers; provenance decides nothing."""
        digest = hashlib.sha256(json.dumps([self.architecture, self.task], sort_keys=True).encode())
        for name, value in sorted(self.parameters.items()):
            digest.update(name.encode() + np.ascontiguousarray(value.cpu().float().numpy()).tobytes())
        return digest.hexdigest()[:16]

    def network(self) -> nn.Module:
        """The network with these weights, a new one each time, ready to be used or trained further."""
        network = build(self.architecture)
        network.load_state_dict(self.parameters)
        return network.eval()

    def check(self, task: dict, source: str = "weights") -> None:
        """Make sure that they were trained for a task.

        Args:
            task: As the one that they were trained for.
            source: What the error begins with, such as the file's name.

        Raises:
            CheckpointError: If something differs; it says what.
        """
        for name in [*task, *(name for name in self.task if name not in task)]:
            got, expected = (_plain(each.get(name, "nothing")) for each in (self.task, task))
            if not _same(got, expected):
                raise CheckpointError(
                    f"{source}: trained for {name} {_short(got)}, expected {_short(expected)} for this problem; train "
                    "others with `eitdip train`"
                )

    def save(self, path, half: bool = False) -> None:
        """Write a safetensors file, atomically.

        Args:
            path: The file.
            half: Keep numbers with 11 bits instead of 24: half the size.

        Raises:
            CheckpointError: If a number is too large for that.
            OutputError: If the file cannot be written.
        """
        for name, value in self.parameters.items() if half else ():
            if value.abs().max() > torch.finfo(torch.float16).max:
                raise CheckpointError(f"{path}: {name} has numbers beyond 65504, expected half=False for these weights")
        kept = {name: value.half() if half else value.float() for name, value in self.parameters.items()}
        header = {"version": VERSION, "architecture": self.architecture, "task": self.task}
        header |= {"provenance": self.provenance}
        tensors = {name: value.detach().cpu().contiguous() for name, value in kept.items()}
        write_atomically(Path(path), save(tensors, metadata={_KEY: json.dumps(header)}))

    @staticmethod
    def load(path) -> "Weights":
        """Read a file of `save`.

        Raises:
            CheckpointError: If it is missing, damaged, of another version or no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no weights there; make them with `eitdip train`")
        header, tensors = read_tensors(path, _KEY, "weights; train them anew, or fetch them again")
        if not isinstance(header, dict) or header.get("version") != VERSION:
            got = header.get("version") if isinstance(header, dict) else None
            raise CheckpointError(f"{path}: got weights of format version {got}, expected {VERSION}; train them anew")
        parts = [header.get(name) for name in ("architecture", "task", "provenance")]
        if not all(isinstance(part, dict) for part in parts):
            raise CheckpointError(f"{path}: damaged weights (its header cannot be read); train them anew")
        architecture, task, provenance = parts
        try:
            return Weights(architecture, {name: value.float() for name, value in tensors.items()}, task, provenance)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error


def build(architecture: dict) -> nn.Module:
    """A network of an architecture, with torch's own random weights.

    Raises:
        CheckpointError: If there is no such class, or it does not take these keywords.
    """
    keywords = {name: tuple(value) if isinstance(value, list) else value for name, value in architecture.items()}
    try:
        return choose("architecture", keywords.pop("class", None), ARCHITECTURES)(**keywords)
    except (TypeError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"architecture {architecture}: cannot be built ({error})") from error


def _plain(value):
    return json.loads(json.dumps(value))


def _same(got, expected) -> bool:
    """Equal, but for the rounding of numbers with a fraction."""
    got, expected = ([each] if not isinstance(each, list) else each for each in (got, expected))
    if got == expected or len(got) != len(expected) or not any(isinstance(value, float) for value in (*got, *expected)):
        return got == expected
    if any(not isinstance(value, int | float) for value in (*got, *expected)):
        return False
    scale = max(abs(value) for value in expected)
    return all(abs(a - b) <= _CLOSE * scale for a, b in zip(got, expected, strict=True))


def _short(value) -> str:
    shown = (
        [f"{item:.4g}" if isinstance(item, float) else str(item) for item in value]
        if isinstance(value, list)
        else [str(value)]
    )
    words = ", ".join(shown)
    return words if len(words) <= 60 else f"{words[:57]}..."
