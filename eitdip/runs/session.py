"""Running a problem: seeds over teams of ranks, checkpoints, progress bar, interruption."""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from eitdip.cost import Stopwatch, peak_memory, reset_peak_memory
from eitdip.errors import EitdipError, OptionError
from eitdip.methods import classical
from eitdip.methods.build import device_of, start
from eitdip.methods.names import CLASSICAL
from eitdip.methods.options import Method, Running
from eitdip.methods.options import method as named
from eitdip.methods.uncertainty import posterior
from eitdip.objective.misfit import misfit_of
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import from_root, together
from eitdip.ranks.failures import ending_together
from eitdip.ranks.interruption import Interruption
from eitdip.ranks.teams import Team
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Progress, Result, Status, reconstruct
from eitdip.runs.checkpointing import Checkpointer, OfRoot, resumed
from eitdip.runs.earlier import resumable
from eitdip.runs.fingerprint import fingerprint
from eitdip.runs.solution import PARTS, Cost, Solution
from eitdip.settings import configured, divided
from eitdip.uncertainty import Posterior


def solve(
    problem: Problem,
    method: str | Method = "dip-tv",
    *,
    running: Running | None = None,
    team: Team | None = None,
    name: str = "custom",
    folder: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    title: str = "",
    interruption: Interruption | None = None,
    **settings,
) -> Solution:
    """Find the unknown with each seed and average.

    Args:
        problem: From `eitdip.load`, `eitdip.problems.bodies.prepare` or `eitdip.problems.images.image_problem`.
        method: A name, or all its settings.
        running: Threads, device, time limit and checkpoints.
        team: The team on whose ranks the problem was made, for seeds divided over all teams; by default the problem's
            ranks do one seed after the other.
        name: Of a method that is given by its settings, for the record.
        folder: Where checkpoints go, or None for none.
        resume: Go on from the checkpoints in `folder`; a warning says if there are none.
        quiet: No progress bar. Else rank 0 shows that of its own seeds, on a terminal.
        title: What stands before the seed in the progress bar.
        interruption: One that the caller has entered; by default one for this session.
        settings: Fields of `Method` and `Running` that shall differ.

    Raises:
        OptionError: If method and problem do not fit, or there is no folder to resume from; before any work.
        CheckpointError: If a checkpoint is damaged or belongs to another run.
        DivergenceError: If the loss becomes infinite or NaN. The other teams finish their seeds first.
    """
    of_method, of_running = divided(settings, Method, Running)
    if isinstance(method, str):
        name, method = method, named(method)
    method = configured(method, of_method)
    running = configured(running or Running(), of_running)
    method.check(problem)
    if resume and folder is None:
        raise OptionError("resume: got True without a folder of checkpoints; give it, or leave resume out")
    use_threads(running.threads)
    team = team or Team(problem.comm, problem.comm, 0, 1, method.seeds)
    with together(team.whole):
        device = device_of(running, team.comm)
    if resume and not resumable(Path(folder), team.whole):
        resume = False
        if team.whole.rank == 0:
            warnings.warn(f"{folder}: nothing to resume, so the run starts at its beginning", stacklevel=2)
    memory_of = "session" if reset_peak_memory() else "process"
    stopwatch = Stopwatch(None if device.type == "cpu" else lambda: torch.cuda.synchronize(device))
    show = not quiet and team.whole.rank == 0
    hearing = nullcontext(interruption) if interruption else Interruption(team.whole)
    with stopwatch("other"), ending_together(team.whole), hearing as asked:
        work = _Work(problem, method, running, team.comm, asked, stopwatch, folder, resume, title if show else None)
        if method.optimizer in CLASSICAL:
            results, x = (), work.directly(device)
            field = x
        else:
            results = _agreed(team.gather(work.seeds(team.items)))
            x = problem.unknown.mean([result.x for result in results])
            field = problem.unknown.mean([result.estimate for result in results])
        with together(team.whole), ending_together(team.comm):  # one team is enough
            prediction = work.predict(x) if team.number == 0 else None
        known = work.posterior(results, show)
        memory = tuple(team.whole.allgather(peak_memory()))
        memory_of = min(team.whole.allgather(memory_of))  # "process" if it is so anywhere
    report = problem.model.solver_report()
    seconds = {"total": sum(stopwatch.seconds.values())} | {part: stopwatch.seconds.get(part, 0.0) for part in PARTS}
    prediction, seconds, report = from_root((prediction, seconds, report), team.whole)
    parallel = {
        "ranks": team.whole.size,
        "teams": team.teams,
        "threads per rank": torch.get_num_threads(),
        "mesh ranks": report.get("ranks per mesh", 1),
    }
    likelihood, predicted = misfit_of(problem.data), torch.from_numpy(np.asarray(prediction))
    misfit, expected = float(likelihood(predicted)), likelihood.expected(predicted)
    cost = Cost(seconds, memory, memory_of, parallel, report)
    return Solution(problem, method, name, x, field, prediction, misfit, expected, results, cost, running, known)


def _agreed(outcomes: dict) -> tuple[Result, ...]:
    """The results in the order of the seeds, unless one failed: then the first one's error."""
    for outcome in outcomes.values():
        if isinstance(outcome, EitdipError):
            raise outcome
    return tuple(outcomes.values())


@dataclass(frozen=True, eq=False)
class _Work:
    """Seeds of a problem, one after the other on the ranks of one team; `title` None shows no bar."""

    problem: Problem
    method: Method
    running: Running
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
                with ending_together(self.comm):
                    done[item] = self.seed(self.method.seed + item)
            except EitdipError as error:  # the other teams do not know of it before all have gathered
                done[item] = error
                break
            if done[item].status == Status.INTERRUPTED:
                break
        return done

    def seed(self, seed: int) -> Result:
        path = None if self.folder is None else Path(self.folder) / f"seed-{seed}.safetensors"
        run = fingerprint(self.problem, self.method, seed)
        checkpoint = resumed(path, run, self.comm) if self.resume and path is not None else None
        parts = start(self.problem, self.method, seed, self.running, self.stopwatch)
        checkpointer = Checkpointer(path, self.running.checkpoint_seconds, self.comm)

        def interrupted() -> bool:
            checkpointer.check()
            return self.asked.agreed(self.comm)

        stepped = self.method.completed(self.problem.unknown.kind)
        bar = tqdm(
            total=stepped.steps,
            desc=f"{self.title}seed {seed}",
            disable=True if self.title is None else None,  # None: only on a terminal
            initial=checkpoint.iteration if checkpoint else 0,
        )
        with bar:
            result = reconstruct(
                parts.objective,
                parts.optimizer,
                parts.stop if self.comm.size == 1 else OfRoot(parts.stop, self.comm),
                schedule=parts.schedule,
                callbacks=[_show(bar), checkpointer],
                resume=checkpoint,
                run=run,
                limits={"steps": stepped.steps, "seconds": self.running.seconds},
                interrupted=interrupted,
                watch=self._watch,
            )
        checkpointer.finish()
        return result

    @cached_property
    def _judge(self):
        return None if self.problem.truth is None else self.problem.unknown.judge(self.problem.truth)

    def _watch(self, step) -> dict[str, float]:
        return {} if self._judge is None else self._judge.headline(step.terms.x.cpu().numpy())

    def directly(self, device) -> np.ndarray:
        """The answer of a method without a loop."""
        with self.stopwatch("model"):
            return classical.solve(self.problem, self.method.completed(self.problem.unknown.kind), device)

    def posterior(self, results: tuple[Result, ...], show: bool) -> Posterior | None:
        """How far to trust the answer, if that is asked and the run is done; every team makes the same."""
        if any(result.status == Status.INTERRUPTED for result in results):
            return None
        self.problem.model.restore(self.problem.state)
        method = self.method.completed(self.problem.unknown.kind)
        with self.stopwatch("uncertainty"):
            return posterior(self.problem, method, results, self.running, self.comm, show)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """F(x), by a solver in the state from which seeds start."""
        with self.stopwatch("model"):
            self.problem.model.restore(self.problem.state)
            return self.problem.model(x)


def _show(bar):
    def show(progress: Progress) -> None:
        terms = progress.step.terms
        bar.update(1)
        words = {"loss": f"{float(terms.total.detach()):.3g}", "chi2": f"{terms.chi2:.3g}"}
        if terms.held_out == terms.held_out:
            words["held out"] = f"{terms.held_out:.3g}"
        bar.set_postfix(words, refresh=False)

    return show
