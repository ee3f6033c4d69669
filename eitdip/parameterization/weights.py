"""Weights of networks and generators in a file of their own: safetensors, written atomically, without pickle."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from eitdip.errors import CheckpointError
from eitdip.writing import write_atomically

VERSION = 1
_KEY = "eitdip weights"


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all parameters, persistent buffers and other tensors of a module's state, by name, on their device."""
    state = module.state_dict().items()
    return {name: value.detach().clone() for name, value in state if isinstance(value, torch.Tensor)}


def save_weights(path, module: nn.Module) -> None:
    """Write the `snapshot` of a module, with the name of its class.

    Raises:
        OutputError: If the file cannot be written.
    """
    header = json.dumps({"version": VERSION, "class": type(module).__name__})
    tensors = {name: value.cpu().contiguous() for name, value in snapshot(module).items()}
    write_atomically(Path(path), save(tensors, metadata={_KEY: header}))


def load_weights(path, module: nn.Module) -> None:
    """Give a module the weights of a file, or leave it as it is.

    Args:
        path: A file of `save_weights`.
        module: Of the same class and sizes; numbers are converted to its precision.

    Raises:
        CheckpointError: If the file is missing, damaged, of another version, or of another architecture.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no weights there, expected a file of `save_weights`")
    header, tensors = read_tensors(path, _KEY, "weights; save them anew")
    version, name = (header.get("version"), header.get("class")) if isinstance(header, dict) else (None, None)
    if version != VERSION:
        raise CheckpointError(f"{path}: got weights of format version {version}, expected {VERSION}; save them anew")
    wanted = snapshot(module)
    if name != type(module).__name__ or tensors.keys() != wanted.keys():
        differing = sorted(tensors.keys() ^ wanted.keys())
        raise CheckpointError(
            f"{path}: got weights of {name}, expected {type(module).__name__} with the same layers; "
            f"only one of them has: {', '.join(differing[:3]) or 'another name'}"
        )
    for key, value in tensors.items():
        if value.shape != wanted[key].shape:
            raise CheckpointError(
                f"{path}: got {key} of shape {tuple(value.shape)}, expected {tuple(wanted[key].shape)}; "
                "build the network with the sizes of the saved one"
            )
    module.load_state_dict(tensors, strict=False)  # what is no tensor was not saved


def read_tensors(path: Path, key: str, what: str) -> tuple[object, dict[str, torch.Tensor]]:
    """The header and copies of the tensors of a safetensors file.

    Args:
        path: The file.
        key: Entry of its metadata that holds the header, as JSON.
        what: What it should hold, and what to do if it is damaged: "checkpoint; delete it and start anew".

    Raises:
        CheckpointError: If it is damaged or has no such entry.
    """
    kind, _, remedy = what.partition("; ")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = (file.metadata() or {}).get(key)
            # Copies, for tensors in the file may start at any byte, and sums depend on where vectors start.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        header = None if metadata is None else json.loads(metadata)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or truncated {kind} ({error}); {remedy}") from error
    if metadata is None:
        raise CheckpointError(f"{path}: got a safetensors file of other origin, expected {kind} of eitdip")
    return header, tensors
