"""Running a problem: seeds, checkpoints, progress bar, interruption, ranks."""

import hashlib
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from eitdip.errors import OutputError
from eitdip.methods import Options, Problem, settings, start
from eitdip.parallel import from_root, together
from eitdip.reconstruction import Checkpoint, Progress, Result, Status, reconstruct


@dataclass(frozen=True, eq=False)
class Solution:
    """What a session found.

    Args:
        results: One per finished or interrupted seed.
        estimate: Geometric mean over seeds on the parameterization's grid, (H, W) or (N,), S/m.
        sigma: Geometric mean over seeds on the model's unknowns, shape (N,), S/m.
        prediction: F(sigma), shape (K, M).
        chi2: chi^2 / N of that prediction, by the finite-element model.
        seconds: Wall seconds: "total", "finite elements", "network and penalties".
    """

    results: tuple[Result, ...]
    estimate: np.ndarray
    sigma: np.ndarray
    prediction: np.ndarray
    chi2: float
    seconds: dict[str, float]

    @property
    def status(self) -> Status:
        """That of the last seed."""
        return self.results[-1].status


def solve(
    problem: Problem, options: Options, *, comm, folder: Path | None = None, resume: bool = False, quiet: bool = False
) -> Solution:
    """Reconstruct with each seed and average.

    Args:
        problem: From `eitdip.methods.prepare`.
        options: The same options.
        comm: MPI communicator; rank 0 writes and shows progress.
        folder: Where checkpoints go, or None for none.
        resume: Go on from the checkpoints in `folder`.
        quiet: No progress bar.

    Raises:
        CheckpointError: If a checkpoint is damaged or belongs to another run.
        DivergenceError: If the loss becomes infinite or NaN.
    """
    began = time.perf_counter()
    problem.model.seconds = 0.0
    results: list[Result] = []
    with _asked_to_stop() as stop_flag:

        def interrupted() -> bool:
            return bool(max(comm.allgather(bool(stop_flag))))  # all ranks must stop at the same step

        for seed in range(options.seed, options.seed + options.seeds):
            path = None if folder is None else folder / f"seed-{seed}.safetensors"
            results.append(_solve_one(problem, options, seed, comm, path, resume, quiet, interrupted))
            if results[-1].status == Status.INTERRUPTED:
                break
    inside = problem.model.seconds
    total = time.perf_counter() - began
    sigma = np.exp(np.mean([np.log(result.sigma) for result in results], axis=0))
    estimate = np.exp(np.mean([np.log(result.estimate) for result in results], axis=0))
    prediction = problem.model(sigma)
    residual = ((prediction - problem.data) / problem.measurements.deviation)[problem.measurements.mask]
    seconds = {"total": total, "finite elements": inside, "network and penalties": total - inside}
    return Solution(tuple(results), estimate, sigma, prediction, float(np.square(residual).mean()), seconds)


def _solve_one(problem, options, seed, comm, path, resume, quiet, interrupted) -> Result:
    run = fingerprint(problem, options, seed)
    checkpoint = _resumed(path, run, comm) if resume and path is not None else None
    parts = start(problem, options, seed)
    bar = tqdm(
        total=options.steps,
        desc=f"seed {seed}",
        disable=True if quiet or comm.rank > 0 else None,  # None: only on a terminal
        initial=checkpoint.iteration if checkpoint else 0,
    )
    checkpointer = None if path is None else _Checkpointer(path, options.checkpoint_seconds, comm)
    with bar:
        result = reconstruct(
            parts.objective,
            parts.optimizer,
            parts.stop,
            schedule=parts.schedule,
            callbacks=[_show(bar)] if checkpointer is None else [_show(bar), checkpointer],
            resume=checkpoint,
            run=run,
            interrupted=interrupted,
        )
    if checkpointer is not None:
        checkpointer.finish()
    return result


def fingerprint(problem: Problem, options: Options, seed: int) -> str:
    """Names a run by data, mesh and all options that can change the course of this seed."""
    chosen = settings(options) | {"seed": seed, "seeds": 1, "checkpoint_seconds": 0}
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    digest.update(data_hash(problem.measurements).encode())
    digest.update(problem.domain.hash.encode())
    return digest.hexdigest()[:16]


def data_hash(measurements) -> str:
    """First 16 hex digits of the SHA-256 of patterns, values, deviations, mask and reference."""
    digest = hashlib.sha256(measurements.model.encode())
    for name in ("sources", "moments", "values", "deviation", "mask", "reference", "contact_impedance"):
        value = getattr(measurements, name)
        digest.update(name.encode())
        if value is not None:
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


class _Checkpointer:
    """Saves now and then by the clock, on rank 0; saving changes nothing, so the clock does no harm."""

    def __init__(self, path: Path, seconds: float, comm):
        self._path, self._seconds, self._comm = path, seconds, comm
        self._last = time.monotonic()
        self._latest = None
        if comm.rank == 0:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{path.parent}: cannot be created ({error.strerror}); choose another --out"
                ) from error

    def __call__(self, progress: Progress) -> None:
        self._latest = progress
        if self._comm.rank == 0 and time.monotonic() - self._last > self._seconds:
            self.finish()

    def finish(self) -> None:
        """Save the latest state."""
        if self._comm.rank == 0 and self._latest is not None:
            self._latest.checkpoint().save(self._path)
            self._last = time.monotonic()


def _resumed(path: Path, run: str, comm) -> Checkpoint | None:
    checkpoint = None
    with together(comm):
        if comm.rank == 0 and path.exists():
            checkpoint = Checkpoint.load(path, run)
    return from_root(checkpoint, comm)


def _show(bar):
    def show(progress: Progress) -> None:
        terms = progress.step.terms
        bar.update(1)
        bar.set_postfix(loss=f"{float(terms.total.detach()):.3g}", chi2=f"{terms.chi2:.3g}", refresh=False)

    return show


@contextmanager
def _asked_to_stop() -> Iterator[list]:
    """A list that becomes non-empty on Ctrl-C or a termination request; a second one kills at once."""
    flag: list[int] = []
    caught = (signal.SIGINT, signal.SIGTERM)
    before = {}

    def remember(number, frame):
        flag.append(number)
        for each in caught:
            signal.signal(each, before[each])

    for each in caught:
        before[each] = signal.signal(each, remember)
    try:
        yield flag
    finally:
        for each in caught:
            signal.signal(each, before[each])
