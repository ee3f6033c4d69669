"""Files that are complete or not there: written beside their place, then moved to it in one step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eitdip.errors import OutputError


@contextmanager
def atomic_path(path) -> Iterator[Path]:
    """A scratch path in the same folder, with the same ending, that becomes `path` at the end of the block.

    If the block fails, the scratch file is removed and an older file at `path` stays as it is.

    Args:
        path: Where the file goes.

    Raises:
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    scratch = scratch_of(path)
    try:
        yield scratch
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())  # on the disk before the old file goes
        os.replace(scratch, path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{path}: cannot be written ({reason}); choose an existing folder that is writable"
        ) from error
    finally:
        with suppress(OSError):
            scratch.unlink()


def scratch_of(path: Path) -> Path:
    """One fixed name, so that what a killed process left is overwritten by the next and does not pile up."""
    return path.with_name(f".{path.stem}.part{path.suffix}")


def write_atomically(path, content: bytes) -> None:
    """Write a file so that no reader ever sees a part of it.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_path(path) as scratch:
        scratch.write_bytes(content)


def make_folder(folder: Path) -> None:
    """Create a folder for results, and those above it, if they are not there.

    Raises:
        OutputError: If that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created ({error.strerror}); choose another --out") from error


def check_folder(out: Path) -> None:
    """Make sure, before any work, that results can be written.

    Raises:
        OutputError: If the folder cannot be created or written.
    """
    probe = out / ".writable"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{out}: cannot write there ({error.strerror}); choose another output folder") from error
