"""Checkpoints: one safetensors file, written atomically, without pickle.

The tensors lie in the file by name; everything else (numbers, lists, names, and where each tensor
belongs) is JSON in its header.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from eitdip.errors import CheckpointError
from eitdip.parameterization.weights import read_tensors
from eitdip.writing import write_atomically

VERSION = 3


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that is needed to go on bit-identically.

    Args:
        run: Fingerprint of the run: data, method and options. Only the same run can be resumed.
        iteration: Steps done.
        state: Nested dicts and lists of tensors, arrays, numbers, strings and None.
    """

    run: str
    iteration: int
    state: dict

    def save(self, path) -> None:
        """Write the file; at every moment `path` is a complete checkpoint or not there."""
        path = Path(path)
        tensors: dict[str, torch.Tensor] = {}
        tree = _pack(self.state, tensors)
        header = {"version": VERSION, "run": self.run, "iteration": self.iteration, "state": tree}
        write_atomically(path, save(tensors, metadata={"eitdip": json.dumps(header)}))

    @staticmethod
    def load(path, run: str | None = None) -> "Checkpoint":
        """Read a checkpoint.

        Args:
            path: The file.
            run: Fingerprint that it must have; None accepts any.

        Raises:
            CheckpointError: If the file is missing, truncated, of another version or another run.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no checkpoint there; start without --resume")
        header, tensors = read_tensors(path, "eitdip", "checkpoint; delete it and start anew")
        try:
            version, found, iteration = header["version"], header.get("run"), header.get("iteration")
            state = _unpack(header["state"], tensors) if version == VERSION else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: damaged checkpoint (its header cannot be read); delete it and start anew"
            ) from error
        if version != VERSION:
            raise CheckpointError(
                f"{path}: got checkpoint version {version}, expected {VERSION}; "
                "resume it with the version of eitdip that wrote it"
            )
        if run is not None and found != run:
            raise CheckpointError(
                f"{path}: belongs to another run (other data, method, options or seed); "
                "repeat its command line, or start without --resume"
            )
        return Checkpoint(found, iteration, state)


def _pack(value, tensors: dict):
    if isinstance(value, torch.Tensor) and value.is_complex():  # safetensors knows no complex128
        return {"complex": _pack(torch.view_as_real(value.detach().resolve_conj()), tensors)["tensor"]}
    if isinstance(value, torch.Tensor | np.ndarray):
        name = str(len(tensors))
        array = isinstance(value, np.ndarray)
        # A copy: safetensors refuses tensors that share memory.
        tensors[name] = torch.from_numpy(value.copy()) if array else value.detach().cpu().clone().contiguous()
        return {"array" if array else "tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_pack(k, tensors), _pack(v, tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_pack(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}  # exact, and able to hold infinity
    raise TypeError(f"checkpoint: cannot save a {type(value).__name__}")


def _unpack(value, tensors: dict):
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()  # fmt: skip
    if kind == "tensor":
        return tensors[content]
    if kind == "complex":
        return torch.view_as_complex(tensors[content])
    if kind == "array":
        return tensors[content].numpy()
    if kind == "dict":
        return {_unpack(k, tensors): _unpack(v, tensors) for k, v in content}
    if kind == "list":
        return [_unpack(item, tensors) for item in content]
    return float.fromhex(content)
