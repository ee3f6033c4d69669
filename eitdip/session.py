"""Running a problem: seeds over teams of ranks, checkpoints, progress bar, interruption."""

import hashlib
import json
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from eitdip.atomic import make_folder
from eitdip.errors import EitdipError, OutputError
from eitdip.interruption import Interruption
from eitdip.memory import peak_memory, reset_peak_memory
from eitdip.methods import Problem, device_of, start
from eitdip.options import Options, settings
from eitdip.parallel import from_root, raise_together, together
from eitdip.reconstruction import Checkpoint, Progress, Result, Status, StoppingRule, reconstruct
from eitdip.teams import Team
from eitdip.timing import Stopwatch

PARTS = ("network", "finite elements", "penalties", "data movement", "other")


@dataclass(frozen=True, eq=False)
class Solution:
    """What a session found; the same on all ranks.

    Args:
        results: One per finished or interrupted seed, by increasing seed.
        estimate: Geometric mean over seeds on the parameterization's grid, (H, W), (D, H, W) or (N,), S/m.
        sigma: Geometric mean over seeds on the model's unknowns, shape (N,), S/m.
        prediction: F(sigma), shape (K, M).
        chi2: chi^2 / N of that prediction, by the finite-element model.
        seconds: Wall seconds of rank 0: "total", and the `PARTS` that add up to it. The backward pass
            counts to "network", but for the model's adjoint; waiting for other ranks to "other".
        memory: Largest resident memory of each rank, MiB.
        memory_of: "session", or "process" where the system cannot count anew: then that of its whole life.
        parallel: "ranks", "teams" that divided the seeds, "threads per rank" and "mesh ranks".
        solver: What the linear solver of rank 0 did, as JSON values.
    """

    results: tuple[Result, ...]
    estimate: np.ndarray
    sigma: np.ndarray
    prediction: np.ndarray
    chi2: float
    seconds: dict[str, float]
    memory: tuple[float, ...]
    memory_of: str
    parallel: dict[str, int]
    solver: dict

    @property
    def status(self) -> Status:
        """Interrupted if any seed was, else that of the last."""
        every = [result.status for result in self.results]
        return Status.INTERRUPTED if Status.INTERRUPTED in every else every[-1]


def solve(
    problem: Problem,
    options: Options,
    *,
    comm,
    folder: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    title: str = "",
    interruption: Interruption | None = None,
) -> Solution:
    """Reconstruct with each seed and average.

    Args:
        problem: From `eitdip.methods.prepare`.
        options: The same options.
        comm: The MPI communicator of the problem, for one seed after the other; or the `Team` on
            whose ranks the problem was prepared, for the seeds divided over all teams.
        folder: Where checkpoints go, or None for none.
        resume: Go on from the checkpoints in `folder`.
        quiet: No progress bar. Else rank 0 shows that of its own seeds.
        title: What stands before the seed in the progress bar.
        interruption: One that the caller has entered; by default one for this session.

    Raises:
        CheckpointError: If a checkpoint is damaged or belongs to another run.
        DivergenceError: If the loss becomes infinite or NaN. The other teams finish their seeds first.
    """
    team = comm if isinstance(comm, Team) else Team(comm, comm, 0, 1, options.seeds)
    device = device_of(options)
    memory_of = "session" if reset_peak_memory() else "process"
    stopwatch = Stopwatch(None if device.type == "cpu" else lambda: torch.cuda.synchronize(device))
    show = not quiet and team.whole.rank == 0
    with stopwatch("other"), nullcontext(interruption) if interruption else Interruption(team.whole) as asked:
        work = _Work(problem, options, team.comm, asked, stopwatch, folder, resume, title if show else None)
        results = _agreed(team.gather(work.seeds(team.items)))
        sigma, estimate = (_geometric_mean(results, name) for name in ("sigma", "estimate"))
        with together(team.whole):  # one team is enough
            prediction = work.predict(sigma) if team.number == 0 else None
        memory = tuple(team.whole.allgather(peak_memory()))
        memory_of = min(team.whole.allgather(memory_of))  # "process" if it is so anywhere
    report = getattr(problem.model, "solver_report", dict)()
    seconds = {"total": sum(stopwatch.seconds.values())} | {part: stopwatch.seconds.get(part, 0.0) for part in PARTS}
    prediction, seconds, report = from_root((prediction, seconds, report), team.whole)
    parallel = {
        "ranks": team.whole.size,
        "teams": team.teams,
        "threads per rank": torch.get_num_threads(),
        "mesh ranks": report.get("ranks per mesh", 1),
    }
    residual = ((prediction - problem.data) / problem.measurements.deviation)[problem.measurements.mask]
    chi2 = float(np.square(residual).mean())
    return Solution(results, estimate, sigma, prediction, chi2, seconds, memory, memory_of, parallel, report)


def _agreed(outcomes: dict) -> tuple[Result, ...]:
    """The results in the order of the seeds, unless one failed: then the first one's error."""
    for outcome in outcomes.values():
        if isinstance(outcome, EitdipError):
            raise outcome
    return tuple(outcomes.values())


def _geometric_mean(results: tuple[Result, ...], name: str) -> np.ndarray:
    return np.exp(np.mean([np.log(getattr(result, name)) for result in results], axis=0))


@dataclass(frozen=True, eq=False)
class _Work:
    """Seeds of a problem, one after the other on the ranks of one team; `title` None shows no bar."""

    problem: Problem
    options: Options
    comm: object
    asked: Interruption
    stopwatch: Stopwatch
    folder: Path | None
    resume: bool
    title: str | None

    def seeds(self, items: range) -> dict[int, Result | EitdipError]:
        """Result or error of each item until one fails or is interrupted."""
        done = {}
        for item in items:
            try:
                done[item] = self.seed(self.options.seed + item)
            except EitdipError as error:  # the other teams do not know of it before all have gathered
                done[item] = error
                break
            if done[item].status == Status.INTERRUPTED:
                break
        return done

    def seed(self, seed: int) -> Result:
        path = None if self.folder is None else self.folder / f"seed-{seed}.safetensors"
        run = fingerprint(self.problem, self.options, seed)
        checkpoint = _resumed(path, run, self.comm) if self.resume and path is not None else None
        parts = start(self.problem, self.options, seed, self.stopwatch)
        checkpointer = _Checkpointer(path, self.options.checkpoint_seconds, self.comm)

        def interrupted() -> bool:
            checkpointer.check()
            return self.asked.agreed(self.comm)

        bar = tqdm(
            total=self.options.steps,
            desc=f"{self.title}seed {seed}",
            disable=True if self.title is None else None,  # None: only on a terminal
            initial=checkpoint.iteration if checkpoint else 0,
        )
        with bar:
            result = reconstruct(
                parts.objective,
                parts.optimizer,
                parts.stop if self.comm.size == 1 else _OfRoot(parts.stop, self.comm),
                schedule=parts.schedule,
                callbacks=[_show(bar), checkpointer],
                resume=checkpoint,
                run=run,
                interrupted=interrupted,
                watch=self._watch,
            )
        checkpointer.finish()
        return result

    def _watch(self, step) -> dict[str, float]:
        truth = self.problem.truth
        return {} if truth is None else {"relative L2": truth.relative_l2(step.terms.sigma.cpu().numpy())}

    def predict(self, sigma: np.ndarray) -> np.ndarray:
        """F(sigma), by a solver in the state from which seeds start."""
        with self.stopwatch("finite elements"):
            self.problem.model.restore(self.problem.state)
            return self.problem.model(sigma)


def fingerprint(problem: Problem, options: Options, seed: int) -> str:
    """Names a run by data, mesh and all options that can change the course of this seed."""
    chosen = settings(options.completed(problem.domain.dimension)) | {"seed": seed, "seeds": 1, "checkpoint_seconds": 0}
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


class _OfRoot(StoppingRule):
    """Rank 0's decisions on all ranks: nothing else may part them, be it the last bit of a sum."""

    def __init__(self, rule: StoppingRule, comm):
        self._rule, self._comm = rule, comm

    def update(self, step):
        return from_root(self._rule.update(step), self._comm)

    def state_dict(self):
        return self._rule.state_dict()

    def load_state_dict(self, state):
        self._rule.load_state_dict(state)


class _Checkpointer:
    """Saves now and then by the clock, on rank 0; saving changes nothing, so the clock does no harm."""

    def __init__(self, path: Path | None, seconds: float, comm):
        self._path, self._seconds, self._comm = path, seconds, comm
        self._writes = path is not None and comm.rank == 0
        self._last = time.monotonic()
        self._latest = self._error = None
        with together(comm):
            if self._writes:
                make_folder(path.parent)

    def __call__(self, progress: Progress) -> None:
        self._latest = progress
        if self._writes and time.monotonic() - self._last > self._seconds:
            try:
                self._save()
            except OutputError as error:  # the other ranks hear of it in `check`
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
