"""Checkpoints of a running seed: written now and then on rank 0, read by all."""

import time
from contextlib import suppress
from pathlib import Path

from eitdip.ranks.collectives import from_root, raise_together, together
from eitdip.reconstruction import Checkpoint, Progress, StoppingRule
from eitdip.runs.fingerprint import check_fingerprint
from eitdip.writing import make_folder, scratch_of


class OfRoot(StoppingRule):
    """Rank 0's decisions on all ranks: nothing else may part them, be it the last bit of a sum."""

    def __init__(self, rule: StoppingRule, comm):
        self._rule, self._comm = rule, comm

    def update(self, step):
        return from_root(self._rule.update(step), self._comm)

    def state_dict(self):
        return self._rule.state_dict()

    def load_state_dict(self, state):
        self._rule.load_state_dict(state)

    def spent(self, iterations):
        return from_root(self._rule.spent(iterations), self._comm)


class Checkpointer:
    """Saves now and then by the clock, on rank 0; saving changes nothing, so the clock does no harm."""

    def __init__(self, path: Path | None, seconds: float, comm):
        self._path, self._seconds, self._comm = path, seconds, comm
        self._writes = path is not None and comm.rank == 0
        self._last = time.monotonic()
        self._latest = self._error = None
        with together(comm):
            if self._writes:
                make_folder(path.parent)
                with suppress(OSError):  # of a killed run; this one may have nothing left to save
                    scratch_of(path).unlink()

    def __call__(self, progress: Progress) -> None:
        self._latest = progress
        if self._writes and time.monotonic() - self._last > self._seconds:
            try:
                self._save()
            except Exception as error:  # the other ranks hear of it in `check`
                self._error = error

    def _save(self) -> None:
        self._latest.checkpoint().save(self._path)
        self._last = time.monotonic()

    def check(self) -> None:
        """Raise on all ranks if the last save failed."""
        raise_together(self._error, self._comm)

    def finish(self) -> None:
        """Save the latest state; if that fails on rank 0, it fails on all."""
        with together(self._comm):
            if self._writes and self._latest is not None:
                self._save()


def resumed(path: Path, run: str, comm) -> Checkpoint | None:
    """The checkpoint of a run on all ranks, None if there is none.

    Raises:
        CheckpointError: If it is damaged or of another run.
    """
    checkpoint = None
    with together(comm):
        if comm.rank == 0 and path.exists():
            checkpoint = Checkpoint.load(path)
            check_fingerprint(checkpoint.run, run, path)
    return from_root(checkpoint, comm)
