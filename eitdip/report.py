"""A comparison as files: table, pictures, curves, and one HTML page that needs nothing else."""

import base64
import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.atomic import write_atomically
from eitdip.compare import COLUMNS, Entry, best, table, value_of
from eitdip.data import Measurements
from eitdip.output import versions


def write(out: Path, entries: list[Entry], measurements: Measurements, command: str = "") -> None:
    """comparison.json, comparison.csv, pictures.png, curves.png and report.html.

    Args:
        out: Folder.
        entries: Of all methods, in the order in which they are shown.
        measurements: The data.
        command: What the user typed, to be shown.
    """
    rows = table(entries)
    shown = [entry for entry in entries if entry.results]
    figures = {}
    if shown:
        _pictures(out / "pictures.png", shown, measurements)
        quantity = "chi2" if measurements.truth is None else "relative L2"
        plot.against_time(out / "curves.png", {e.label: e.history() for e in shown}, quantity)
        figures = {name: _inline(out / f"{name}.png") for name in ("pictures", "curves")}
    write_atomically(out / "comparison.csv", _csv(entries).encode())
    record = [asdict(entry) | {"folders": [str(f.relative_to(out)) for f in entry.folders]} for entry in entries]
    content = {"command": command, "data": measurements.provenance, "table": rows, "methods": record}
    content["versions"] = versions()
    write_atomically(out / "comparison.json", json.dumps(content, indent=2, allow_nan=False).encode())
    write_atomically(out / "report.html", _page(rows, entries, figures, measurements, command).encode())


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


def _pictures(path: Path, entries: list[Entry], measurements: Measurements) -> None:
    truth = measurements.truth
    panels = {} if truth is None else {"truth": truth[len(truth) // 2] if truth.ndim == 3 else truth}
    panels |= {entry.label: entry.image() for entry in entries}
    backgrounds = [entry.results[0]["background"] for entry in entries]
    plot.images(path, panels, background=float(np.median(backgrounds)))


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _page(rows, entries: list[Entry], figures: dict, measurements: Measurements, command: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("eitdip", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(
        rows=rows,
        columns=_known(entries),
        best=best(entries),
        entries=[(entry, _changed(entry)) for entry in entries],
        figures=figures,
        resettable=all(result.get("memory of") != "process" for entry in entries for result in entry.results),
        measurements=measurements,
        command=command,
        versions=versions(),
    )


def _changed(entry: Entry) -> str:
    """The settings of an entry's first run as text."""
    if not entry.results:
        return ""
    return ", ".join(f"{name}={value}" for name, value in entry.results[0]["options"].items())
