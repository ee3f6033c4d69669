"""Many data sets: divided over the ranks, and one that fails does not stop the others."""

from dataclasses import dataclass
from pathlib import Path

from eitdip import output, session
from eitdip.data import Measurements
from eitdip.errors import DivergenceError, EitdipError, OptionError
from eitdip.interruption import Interruption
from eitdip.methods import prepare
from eitdip.options import Options
from eitdip.parallel import from_root, together
from eitdip.reconstruction import Status
from eitdip.teams import divided


@dataclass(frozen=True, eq=False)
class Job:
    """One data set, loaded, and the folder for its results."""

    name: str
    measurements: Measurements
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Args:
        name: The job's.
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


def reconstruct(jobs: list[Job], method: str, options: Options, *, comm, resume: bool = False) -> list[Outcome]:
    """Reconstruct and write all jobs, each by its own team of ranks as far as there are ranks enough.

    Args:
        jobs: At least one.
        method: Its name, for the record.
        options: For all jobs.
        comm: All ranks; rank 0 shows the progress of its own jobs.
        resume: Go on from the checkpoints in the jobs' folders.

    Returns:
        An outcome per job, in their order, the same on every rank.
    """
    with Interruption(comm) as interruption, divided(len(jobs), comm) as team:
        done = {}
        for number in team.items:
            job = jobs[number]
            title = f"{job.name}, {number + 1} of {len(jobs)}, " if len(jobs) > 1 else ""
            try:
                if interruption.agreed(team.comm):
                    done[number] = Outcome(job.name, job.folder, steps=0)
                else:
                    done[number] = _one(job, method, options, team.comm, resume, title, interruption, comm.rank > 0)
            except EitdipError as error:  # known to all ranks of the team
                diverged = isinstance(error, DivergenceError)
                done[number] = Outcome(job.name, job.folder, error=str(error), diverged=diverged)
        return list(team.gather(done).values())


def _one(job: Job, method: str, options: Options, comm, resume, title, interruption, quiet) -> Outcome:
    with divided(options.seeds, comm) as team:
        with together(comm):
            problem = prepare(job.measurements, options, team.comm)
        solution = session.solve(
            problem, options, comm=team, folder=job.folder / "checkpoint",
            resume=resume, quiet=quiet, title=title, interruption=interruption,
        )  # fmt: skip
        if solution.status == Status.INTERRUPTED:
            return Outcome(job.name, job.folder, steps=solution.results[-1].iterations)
        summary = None
        with together(comm):
            if comm.rank == 0:
                summary = output.write(job.folder, problem, solution, method, options)
        return Outcome(job.name, job.folder, from_root(summary, comm))
