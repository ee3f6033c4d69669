"""Sparse matrices kept on the disk between runs."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from scipy import sparse

from eitdip.errors import OutputError
from eitdip.writing import atomic_path

LARGEST = 4 << 30  # bytes of all files together; beyond it the oldest go


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/eitdip, by default ~/.cache/eitdip."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "eitdip"


def cached(key: str, build: Callable[[], sparse.csr_array], folder: Path | None = None) -> sparse.csr_array:
    """The matrix that `build` makes, from the disk if it was made before.

    A file that is damaged is made again, and a folder that cannot be written to is no error: the matrix is built then.

    Args:
        key: Text that tells everything the matrix depends on.
        build: Makes it.
        folder: By default `cache_folder()`.
    """
    folder = cache_folder() if folder is None else folder
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    with suppress(Exception):  # none there, or one whose damage surfaces as many types
        matrix = _read(path)
        os.utime(path)  # the oldest are those not used for long
        return matrix
    matrix = build()
    with suppress(OSError, OutputError):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as scratch:
            np.savez(
                scratch, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=np.array(matrix.shape)
            )
        _forget_oldest(folder, keep=path)
    return matrix


def _read(path: Path) -> sparse.csr_array:
    # NumPy would leave the file open if it is damaged.
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        parts = file["data"], file["indices"], file["indptr"]
        return sparse.csr_array(parts, shape=tuple(file["shape"].tolist()))


def _forget_oldest(folder: Path, keep: Path) -> None:
    files = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= LARGEST or path == keep:
            continue
        total -= path.stat().st_size
        path.unlink()
