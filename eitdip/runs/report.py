"""A comparison as files: table, pictures, curves, and one HTML page that needs nothing else."""

import base64
import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.metrics.truth import BETTER
from eitdip.problems.problem import Problem
from eitdip.runs.compare import COLUMNS, Entry, best, table, value_of
from eitdip.runs.pictures import compare_pictures
from eitdip.runs.versions import versions
from eitdip.writing import write_atomically


def write(out: Path, entries: list[Entry], problem: Problem, command: str = "") -> None:
    """comparison.json, comparison.csv, pictures.png, curves.png and report.html.

    Args:
        out: Folder.
        entries: Of all methods, in the order in which they are shown.
        problem: What all of them solved.
        command: What the user typed, to be shown.
    """
    rows = table(entries)
    shown = [entry for entry in entries if entry.results]
    figures = {}
    if shown:
        _pictures(out / "pictures.png", shown, problem)
        figures["pictures"] = _inline(out / "pictures.png")
    histories = {entry.label: history for entry in shown if (history := entry.history())}
    if histories:
        plot.against_time(out / "curves.png", histories, _quantity(histories))
        figures["curves"] = _inline(out / "curves.png")
    write_atomically(out / "comparison.csv", _csv(entries).encode())
    record = [asdict(entry) | {"folders": [str(f.relative_to(out)) for f in entry.folders]} for entry in entries]
    content = {"command": command, "data": problem.data.provenance, "table": rows, "methods": record}
    content["versions"] = versions()
    write_atomically(out / "comparison.json", json.dumps(content, indent=2, allow_nan=False).encode())
    write_atomically(out / "report.html", _page(rows, entries, figures, problem, command).encode())


def _quantity(histories: dict) -> str:
    """What the course shows: an error, if the truth is known."""
    first = next(iter(histories.values()))
    return next((name for name in BETTER if name in first), "chi2")


def as_text(entries: list[Entry]) -> str:
    """The table in columns, with the reasons of failures below it."""
    names = ["method", *_known(entries)]
    lines = [names, *([row[name] for name in names] for row in table(entries))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)
    return "\n".join([*shown, *(f"{entry.label}: {entry.error}" for entry in entries if entry.error)])


def _known(entries: list[Entry]) -> list[str]:
    """Columns that say something: without a truth there are no errors."""
    return [column for column in COLUMNS if any(entry.values(column) for entry in entries)]


def _csv(entries: list[Entry]) -> str:
    """A row per run with all digits, and one per failure."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["label", "method", "seed", *COLUMNS, "status", "note"], restval="")
    writer.writeheader()
    for entry in entries:
        named = {"label": entry.label, "method": entry.method}
        for result in entry.results:
            values = {column: value_of(result, column) for column in COLUMNS}
            writer.writerow(named | values | {"seed": result["seed"], "status": result["status"]})
        if entry.error:
            writer.writerow(named | {"status": "diverged" if entry.diverged else "failed", "note": entry.error})
    return text.getvalue()


def _pictures(path: Path, entries: list[Entry], problem: Problem) -> None:
    unknown, truth = problem.unknown, problem.truth
    panels = {} if truth is None else {"truth": unknown.truth_picture(truth)}
    panels |= {entry.label: entry.picture() for entry in entries}
    backgrounds = [result["background"] for entry in entries for result in entry.results[:1] if "background" in result]
    unit = "" if problem.measurements is None else problem.measurements.unit
    compare_pictures(path, unknown, panels, float(np.median(backgrounds)) if backgrounds else None, unit)


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _page(rows, entries: list[Entry], figures: dict, problem: Problem, command: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("eitdip.runs", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(
        rows=rows,
        columns=_known(entries),
        best=best(entries),
        entries=[(entry, _changed(entry)) for entry in entries],
        figures=figures,
        resettable=all(result.get("memory of") != "process" for entry in entries for result in entry.results),
        problem=problem,
        command=command,
        versions=versions(),
    )


def _changed(entry: Entry) -> str:
    """The settings of an entry's first run as text."""
    if not entry.results:
        return ""
    return ", ".join(f"{name}={value}" for name, value in entry.results[0]["options"].items())
