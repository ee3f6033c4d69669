"""Several methods on the same data: one folder each, then what the folders hold side by side.

Everything that is shown comes from the files that `eitdip reconstruct` writes, so a comparison that was interrupted
and resumed shows what an uninterrupted one does.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eitdip import batch
from eitdip.data import Measurements
from eitdip.errors import FileFormatError, OptionError
from eitdip.mesh import read_domain
from eitdip.mesh.raster import plane_image
from eitdip.options import Options, settings
from eitdip.output import data_hash
from eitdip.parallel import from_root, together
from eitdip.threads import use_threads

# Column: where it stands in result.json, and whether less or more is better.
COLUMNS = {
    "relative L2": ("metrics", "relative L2", min),
    "contrast error": ("metrics", "contrast error", min),
    "Dice +": ("metrics", "dice conductive", max),
    "Dice -": ("metrics", "dice resistive", max),
    "PSNR": ("metrics", "PSNR", max),
    "FEM chi2/N": ("chi2", None, None),  # neither: it should be 1
    "seconds": ("step seconds", 0, min),  # of all sessions that a run took
    "steps": ("iterations", 0, None),
    "memory MiB": ("memory", 0, None),  # the first method pays less: libraries stay loaded
}


@dataclass(frozen=True)
class Contender:
    """A method with its settings.

    Args:
        label: Its name in the comparison and of its folder.
        method: Name in `eitdip.options.METHODS`, for the record.
        options: Its settings; the seed is that of the first run.
    """

    label: str
    method: str
    options: Options


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
        """The course of one seed's steps, from history.csv."""
        with (self.folders[seed] / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}

    def image(self, seed: int = 0) -> np.ndarray:
        """The conductivity of one seed as a plane image (H, W), S/m, NaN outside the body."""
        folder = self.folders[seed]
        with np.load(folder / "estimate.npz") as arrays:
            return plane_image(read_domain(folder / "conductivity.vtu"), arrays["sigma"])


def compare(
    measurements: Measurements, contenders: list[Contender], out: Path, *, seeds: int, comm, resume: bool = False
) -> Iterator[Entry | batch.Outcome]:
    """Run all contenders, one after the other, each with the same seeds.

    A contender that fails does not stop the others.

    Args:
        measurements: The data.
        contenders: With different labels.
        out: Each run goes to out / label / seed-S.
        seeds: Runs of each, from its first seed on; they are not averaged.
        comm: All ranks.
        resume: Read finished runs and go on with an interrupted one.

    Yields:
        An `Entry` per contender; an `eitdip.batch.Outcome` instead, as the last item, if the user interrupts.

    Raises:
        OptionError: On resume, before any work, if a folder holds a finished run of other data or settings.
    """
    runs = {contender: _runs(contender, out, seeds) for contender in contenders}
    known = {}
    if resume:  # all of them before any work
        for contender, own in runs.items():
            known |= {path: _finished(path, contender, options, measurements, comm) for path, options in own.items()}
    for contender, own in runs.items():
        outcomes = []
        for folder, options in own.items():
            outcome = known.get(folder) or _run(contender, folder, options, measurements, comm, resume)
            if outcome.interrupted:
                yield outcome
                return
            outcomes.append(outcome)
        yield _entry(contender, outcomes)


def _runs(contender: Contender, out: Path, seeds: int) -> dict[Path, Options]:
    """The folder of each seed's run and its options."""
    first = contender.options.seed
    return {
        out / contender.label / f"seed-{seed}": replace(contender.options, seed=seed, seeds=1)
        for seed in range(first, first + seeds)
    }


def _run(contender: Contender, folder: Path, options: Options, measurements, comm, resume: bool) -> batch.Outcome:
    use_threads(options.threads)
    with together(comm):
        if comm.rank == 0 and not resume:  # what an earlier run left must not be taken for this one's
            for left in (folder / "result.json", *folder.glob("checkpoint/*.safetensors")):
                left.unlink(missing_ok=True)
    job = batch.Job(contender.label, measurements, folder)
    return batch.reconstruct([job], contender.method, options, comm=comm, resume=resume)[0]


def _entry(contender: Contender, outcomes: list[batch.Outcome]) -> Entry:
    done = [outcome for outcome in outcomes if outcome.summary is not None]
    errors = [outcome.error for outcome in outcomes if outcome.error]
    return Entry(
        contender.label,
        contender.method,
        tuple(outcome.summary for outcome in done),
        tuple(outcome.folder for outcome in done),
        errors[0] if errors else "",
        any(outcome.diverged for outcome in outcomes),
    )


def _finished(
    folder: Path, contender: Contender, options: Options, measurements: Measurements, comm
) -> batch.Outcome | None:
    """What a finished run of these settings and data has written; None if there is none."""
    summary = None
    with together(comm):
        path = folder / "result.json"
        if comm.rank == 0 and path.exists():
            try:
                summary = json.loads(path.read_text())
                same = (
                    summary["method"] == contender.method
                    and summary["options"] == settings(options.completed(measurements.geometry.dimension))
                    and summary["data"]["hash"] == data_hash(measurements)
                )
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise FileFormatError(f"{path}: damaged ({error}); remove {folder} to run it again") from error
            if not same:
                raise OptionError(f"{folder} holds a run of other data or settings; choose another --out, or remove it")
    summary = from_root(summary, comm)
    return None if summary is None else batch.Outcome(contender.label, folder, summary)


def value_of(result: dict, column: str) -> float | None:
    """A column of `COLUMNS` in what is in result.json; None where it is not known."""
    name, part, _ = COLUMNS[column]
    value = result.get(name)
    return value if value is None or part is None else value[part]


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
    """Column to the labels of the contenders that are best in it by their medians, to the digits that are shown."""
    found = {}
    for column, (_, _, better) in COLUMNS.items():
        medians = {e.label: float(f"{np.median(v):.4g}") for e in entries if (v := e.values(column))}
        if better is not None and len(medians) > 1:
            found[column] = {label for label, value in medians.items() if value == better(medians.values())}
    return found
