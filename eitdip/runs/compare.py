"""Several methods on the same data: one folder each, then what the folders hold side by side.

Everything that is shown comes from the files that `eitdip reconstruct` writes, so a comparison that was interrupted
and resumed shows what an uninterrupted one does.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from eitdip.data.arrays import read_npz
from eitdip.errors import EitdipError, FileFormatError, OptionError
from eitdip.methods.options import Method, Running
from eitdip.metrics.truth import BETTER
from eitdip.problems.load import Source
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import from_root, together
from eitdip.ranks.failures import ending_together
from eitdip.reconstruction import Status
from eitdip.runs import batch
from eitdip.runs.earlier import checkpoints, remove, results

# What a run says beside its errors: where it stands in result.json, and whether less or more is better.
COLUMNS = {name: ("metrics", name, better) for name, better in BETTER.items()} | {
    "misfit": ("misfit", None, None),  # neither: it should be 1
    "95 % coverage": ("uncertainty", "coverage.95", None),  # neither: it should be 0.95
    "log density": ("uncertainty", "log_density", max),
    "held-out log-likelihood": ("uncertainty", "held_out_log_likelihood", max),
    "seconds": ("step seconds", 0, min),  # of all sessions that a run took
    "steps": ("iterations", 0, None),
    "memory MiB": ("memory", 0, None),  # the first method pays less: libraries stay loaded
}


@dataclass(frozen=True)
class Contender:
    """A method with its settings.

    Args:
        label: Its name in the comparison and of its folder.
        name: Of the method, for the record.
        method: Its settings; the seed is that of the first run.
        source: The data; contenders may have meshes of their own.
    """

    label: str
    name: str
    method: Method
    source: Source


@dataclass(frozen=True)
class Entry:
    """What became of a contender.

    Args:
        label, method: The contender's.
        results: What is in result.json of each finished seed.
        folders: Where they are.
        error: Why a seed failed, or empty.
        diverged: Whether a seed failed because the loss became infinite or NaN.
    """

    label: str
    method: str
    results: tuple[dict, ...]
    folders: tuple[Path, ...]
    error: str = ""
    diverged: bool = False

    def values(self, column: str) -> list[float]:
        """A column of `COLUMNS` over the seeds; empty where it is not known."""
        return [value for result in self.results if (value := value_of(result, column)) is not None]

    def history(self, seed: int = 0) -> dict[str, np.ndarray]:
        """The course of one seed's steps, from history.csv; empty for methods without a loop.

        Raises:
            FileFormatError: If the file is damaged.
        """
        path = self.folders[seed] / "history.csv"
        if not path.exists():
            return {}
        try:
            rows = list(csv.DictReader(path.read_text().splitlines()))
            return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
        except (ValueError, TypeError, KeyError, IndexError, csv.Error) as error:
            raise _damaged(path, error) from error

    def picture(self, seed: int = 0) -> np.ndarray:
        """The answer of one seed as a picture (H, W) or (3, H, W); of bodies S/m, NaN outside.

        Raises:
            FileFormatError: If the file is damaged.
        """
        return read_npz(self.folders[seed] / "estimate.npz", ["picture"])["picture"]


def compare(
    contenders: list[Contender], out: Path, *, seeds: int, running: Running, comm, resume: bool = False
) -> Iterator[Entry | batch.Outcome]:
    """Run all contenders, one after the other, each with the same seeds.

    A contender that fails does not stop the others.

    Args:
        contenders: With different labels.
        out: Each run goes to out / label / seed-S.
        seeds: Runs of each, from its first seed on; they are not averaged.
        running: Of all.
        comm: All ranks.
        resume: Read finished runs and go on with an interrupted one.

    Yields:
        An `Entry` per contender; an `eitdip.runs.batch.Outcome` instead, as the last item, if the user interrupts.

    Raises:
        OptionError: On resume, before any work, if a folder holds a finished run of other data or settings.
    """
    jobs = {contender: _jobs(contender, out, seeds) for contender in contenders}
    known = {}
    if resume:  # all of them before any work
        for contender, own in jobs.items():
            known |= {job.folder: _finished(job, contender, running, comm) for job in own}
    for contender, own in jobs.items():
        outcomes = []
        for job in own:
            outcome = known.get(job.folder) or _run(job, running, comm, resume)
            if outcome.interrupted:
                yield outcome
                return
            outcomes.append(outcome)
        yield _entry(contender, outcomes)


def words(contenders: list[Contender], out: Path, seeds: int, resume: bool) -> list[str]:
    """What to tell before any work of what the folders hold of earlier runs; nothing if that is what is wanted."""
    folders = [job.folder for contender in contenders for job in _jobs(contender, out, seeds)]
    held = [folder for folder in folders if results(folder) or checkpoints(folder / "checkpoint")]
    if resume:
        return [] if held else [f"{out}: nothing to resume, so all runs start at their beginning"]
    names = ", ".join(str(folder.relative_to(out)) for folder in held)
    return [f"{out}: holds {names}, removed when their turn comes; --resume keeps what is finished"] if held else []


def once(source: Source) -> Source:
    """The same source, whose problem is made once and kept: contenders share its mesh and model."""
    made: dict[int, Problem] = {}

    def make(comm) -> Problem:
        if comm.size not in made:
            made[comm.size] = source.make(comm)
        return made[comm.size]

    return replace(source, make=make)


def _jobs(contender: Contender, out: Path, seeds: int) -> list[batch.Job]:
    """A job for each seed, in its own folder."""
    first = contender.method.seed
    return [
        batch.Job(
            replace(contender.source, name=contender.label),
            contender.name,
            replace(contender.method, seed=seed, seeds=1),
            out / contender.label / f"seed-{seed}",
        )
        for seed in range(first, first + seeds)
    ]


def _run(job: batch.Job, running: Running, comm, resume: bool) -> batch.Outcome:
    with together(comm):
        if comm.rank == 0 and not resume:  # what an earlier run left must not be taken for this one's
            remove(job.folder, with_checkpoints=True)
    return batch.reconstruct([job], running, comm=comm, resume=resume)[0]


def _entry(contender: Contender, outcomes: list[batch.Outcome]) -> Entry:
    done = [outcome for outcome in outcomes if outcome.summary is not None]
    errors = [outcome.error for outcome in outcomes if outcome.error]
    return Entry(
        contender.label,
        contender.name,
        tuple(outcome.summary for outcome in done),
        tuple(outcome.folder for outcome in done),
        errors[0] if errors else "",
        any(outcome.diverged for outcome in outcomes),
    )


def _finished(job: batch.Job, contender: Contender, running: Running, comm) -> batch.Outcome | None:
    """What a finished run of these settings and data has written; None if there is none, or it goes on."""
    path = job.folder / "result.json"
    exists = False
    with together(comm):
        if comm.rank == 0:
            exists = path.exists()
    if not from_root(exists, comm):
        return None
    try:
        with ending_together(comm):
            problem = job.source.make(comm)
    except EitdipError:  # the run will say so
        return None
    summary = None
    with together(comm):
        if comm.rank == 0:
            try:
                summary = json.loads(path.read_text())
                differing = [
                    name
                    for name, expected in (
                        ("method", contender.name),
                        ("options", asdict(job.method.completed(problem.unknown.kind))),
                        ("hash", problem.hash),
                    )
                    if summary[name] != expected
                ]
            except (ValueError, KeyError, TypeError) as error:
                raise _damaged(path, error) from error
            if differing:
                what = {"method": "method", "options": "settings", "hash": "data or mesh"}
                names = ", ".join(what[name] for name in differing)
                raise OptionError(f"{job.folder} holds a run of other {names}; choose another --out, or remove it")
            earlier = Entry(contender.label, contender.name, (summary,), (job.folder,))
            earlier.history(), earlier.picture()  # what the report will read is better refused now
    summary = from_root(summary, comm)
    limit = summary.get("running", {}).get("seconds")
    if summary.get("status") == Status.BUDGET and limit != running.seconds:  # of another time limit: not to be compared
        return None
    return batch.Outcome(contender.label, job.folder, summary)


def _damaged(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(f"{path}: damaged ({error}); remove {path.parent} to run it again")


def value_of(result: dict, column: str) -> float | None:
    """A column of `COLUMNS` in what is in result.json; None where it is not known."""
    name, part, _ = COLUMNS[column]
    value = result.get(name)
    if value is None or part is None:
        return value
    if not isinstance(value, dict):
        return value[part] if value else None
    for key in str(part).split("."):
        value = (value or {}).get(key)
    return value


def table(entries: list[Entry]) -> list[dict[str, str]]:
    """A row per contender: label and, per column, the median over seeds, with the range if they differ."""
    rows = []
    for entry in entries:
        row = {"method": entry.label}
        for column in COLUMNS:
            values = entry.values(column)
            row[column] = _figure(values) if values else "-"
        rows.append(row | {"note": entry.error})
    return rows


def _figure(values: list[float]) -> str:
    text, low, high = f"{np.median(values):.4g}", f"{min(values):.3g}", f"{max(values):.3g}"
    return text if low == high else f"{text} ({low} to {high})"


def best(entries: list[Entry]) -> dict[str, set[str]]:
    """Column to the labels of the contenders that are best in it by their medians, to the digits that are shown.

    A method that lost seeds is not compared: what is left may be its lucky ones.
    """
    found = {}
    whole = max((len(entry.results) for entry in entries), default=0)
    entries = [entry for entry in entries if not entry.error and len(entry.results) == whole]
    for column, (_, _, better) in COLUMNS.items():
        medians = {e.label: float(f"{np.median(v):.4g}") for e in entries if (v := e.values(column))}
        if better is not None and len(medians) > 1:
            found[column] = {label for label, value in medians.items() if value == better(medians.values())}
    return found
