"""Rows of a table that are computed once: an interrupted benchmark goes on where it was.

Rows are known by their file's name alone: other settings need another --out.
"""

import json
from collections.abc import Callable
from pathlib import Path

from eitdip.reconstruction import Status
from eitdip.writing import write_atomically


def kept(path: Path, compute: Callable[[], dict]) -> dict:
    """The row in this file, computed and written if it is not there."""
    if not path.exists():
        write_atomically(path, json.dumps(compute()).encode())
    return json.loads(path.read_text())


def finished(solution):
    """The same solution, unless the user has interrupted it: then the program ends, and nothing is kept."""
    if solution.status == Status.INTERRUPTED:
        raise SystemExit("interrupted; the same command goes on")
    return solution


def show(folder: Path, table: str) -> None:
    """Write the table to table.md and print it."""
    write_atomically(folder / "table.md", table.encode())
    print(table)
