"""Many data sets: divided over the ranks, and one that fails does not stop the others."""

import gc
from dataclasses import dataclass
from pathlib import Path

from eitdip.errors import DivergenceError, EitdipError, OptionError
from eitdip.methods.options import Method, Running
from eitdip.problems.load import Source
from eitdip.ranks.collectives import from_root, together
from eitdip.ranks.failures import ending_together
from eitdip.ranks.interruption import Interruption
from eitdip.ranks.teams import divided
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Status
from eitdip.runs import output, session
from eitdip.runs.earlier import resumable


@dataclass(frozen=True, eq=False)
class Job:
    """One data set that was read, the method's name and settings, and the folder for the results."""

    source: Source
    name: str
    method: Method
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Args:
        name: Of its source.
        folder: The job's.
        summary: What went into result.json; None if it was not written.
        error: Why it failed, or empty.
        diverged: Whether it failed because the loss became infinite or NaN.
        steps: Of the last seed, if it was interrupted; else None.
    """

    name: str
    folder: Path
    summary: dict | None = None
    error: str = ""
    diverged: bool = False
    steps: int | None = None

    @property
    def interrupted(self) -> bool:
        """Whether it can be resumed."""
        return self.steps is not None


def folders(files: list[Path], out: Path) -> list[Path]:
    """Where the results of data files go: into `out` itself if there is one, else one folder each in it.

    Raises:
        OptionError: If two would go to the same folder.
    """
    if len(files) == 1:
        return [out]
    seen: dict[str, Path] = {}
    for file in files:
        if file.stem in seen:
            raise OptionError(
                f"data: got {seen[file.stem]} and {file}, which would both write to {out / file.stem}; "
                "rename one, or run them apart"
            )
        seen[file.stem] = file
    return [out / file.stem for file in files]


def reconstruct(jobs: list[Job], running: Running, *, comm, resume: bool = False) -> list[Outcome]:
    """Reconstruct and write all jobs, each by its own team of ranks as far as there are ranks enough.

    Args:
        jobs: At least one.
        running: For all jobs.
        comm: All ranks; rank 0 shows the progress of its own jobs.
        resume: Go on from the checkpoints in the jobs' folders, where there are some.

    Returns:
        An outcome per job, in their order, the same on every rank.
    """
    use_threads(running.threads)  # here, where all ranks are in step
    with ending_together(comm), Interruption(comm) as interruption, divided(len(jobs), comm) as team:
        done = {}
        for number in team.items:
            job = jobs[number]
            title = f"{job.source.name}, {number + 1} of {len(jobs)}, " if len(jobs) > 1 else ""
            try:
                with ending_together(team.comm):
                    if interruption.agreed(team.comm):
                        done[number] = Outcome(job.source.name, job.folder, steps=0)
                    else:
                        done[number] = _one(job, running, team.comm, resume, title, interruption, comm.rank > 0)
            except EitdipError as error:  # known to all ranks of the team
                diverged = isinstance(error, DivergenceError)
                done[number] = Outcome(job.source.name, job.folder, error=str(error), diverged=diverged)
        return list(team.gather(done).values())


def _one(job: Job, running: Running, comm, resume, title, interruption, quiet) -> Outcome:
    gc.collect()  # what nobody holds does not belong to this job's memory
    with divided(job.method.seeds, comm) as team:
        with together(comm), ending_together(team.comm):
            problem = job.source.make(team.comm)
        resume = resume and resumable(job.folder / "checkpoint", comm)
        solution = session.solve(
            problem, job.method, running=running, team=team, folder=job.folder / "checkpoint", name=job.name,
            resume=resume, quiet=quiet, title=title, interruption=interruption,
        )  # fmt: skip
        if solution.status == Status.INTERRUPTED:
            return Outcome(job.source.name, job.folder, steps=solution.results[-1].iterations)
        summary = None
        with together(comm):
            if comm.rank == 0:
                summary = output.write(job.folder, solution)
        return Outcome(job.source.name, job.folder, from_root(summary, comm))
