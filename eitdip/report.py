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
from eitdip.compare import COLUMNS, Entry, best, table
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
    text = io.StringIO()
    writer = csv.DictWriter(text, ["method", *COLUMNS, "note"])
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / "comparison.csv", text.getvalue().encode())
    record = [asdict(entry) | {"folders": [str(f.relative_to(out)) for f in entry.folders]} for entry in entries]
    content = {"command": command, "data": measurements.provenance, "methods": record, "versions": versions()}
    write_atomically(out / "comparison.json", json.dumps(content, indent=2, allow_nan=False).encode())
    write_atomically(out / "report.html", _page(rows, entries, figures, measurements, command).encode())


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
        columns=list(COLUMNS),
        best=best(entries),
        entries=[(entry, _changed(entry)) for entry in entries],
        figures=figures,
        measurements=measurements,
        command=command,
        versions=versions(),
    )


def _changed(entry: Entry) -> str:
    """The settings of an entry's first run as text."""
    if not entry.results:
        return ""
    return ", ".join(f"{name}={value}" for name, value in entry.results[0]["options"].items())
