"""What a folder holds of an earlier run, and, in words, what becomes of it."""

import json
from pathlib import Path

from eitdip.errors import OutputError
from eitdip.ranks.collectives import from_root, together

# All that a run writes: a folder never shows the result of one beside the picture of another.
FILES = (
    "result.json", "estimate.npz", "history.csv", "curves.png", "conductivity.png", "render.png", "data_fit.png",
    "conductivity.vtu", "image.png", "uncertainty.png",
)  # fmt: skip


def checkpoints(folder: Path) -> list[Path]:
    """Those of all seeds."""
    return sorted(folder.glob("seed-*.safetensors"))


def resumable(folder: Path, comm) -> bool:
    """Whether there is a checkpoint, the same answer on all ranks."""
    found = False
    with together(comm):
        if comm.rank == 0:
            found = bool(checkpoints(folder))
    return from_root(found, comm)


def results(folder: Path) -> str:
    """Of which run there are results, or empty."""
    path = folder / "result.json"
    if not path.exists():
        return ""
    try:
        found = json.loads(path.read_text())
        return f"results of {found['method']}, seed {found['seed']}"
    except (OSError, ValueError, KeyError, TypeError):  # damaged or of somebody else; it is replaced all the same
        return "results"


def words(folder: Path, resume: bool) -> list[str]:
    """What to tell before a run writes into a folder; nothing if it is empty, or holds what is resumed."""
    found, begun = results(folder), bool(checkpoints(folder / "checkpoint"))
    if resume and begun:
        return []
    told = [f"{folder}: nothing to resume, so the run starts at its beginning"] if resume else []
    if found:
        told.append(f"{folder}: holds {found}, which are replaced when this run is done")
    elif begun:
        told.append(
            f"{folder}: holds the checkpoint of a run without result, which is replaced; --resume goes on with it"
        )
    return told


def remove(folder: Path, *, with_checkpoints: bool = False) -> None:
    """Remove the results of an earlier run.

    Raises:
        OutputError: If one cannot be removed.
    """
    begun = checkpoints(folder / "checkpoint") if with_checkpoints else []
    try:
        for path in (*(folder / name for name in FILES), *begun):
            path.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{folder}: cannot replace what is there ({reason}); choose another output folder") from error
