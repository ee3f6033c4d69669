"""Rows of the table, and the files they are written to."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.speed.measure import Figure
from eitdip.writing import write_atomically


@dataclass(frozen=True)
class Check:
    """A figure and what is asked of it.

    Args:
        part: The part of the bench that measured it.
        name: What was measured.
        nodes: Size of the mesh, or None.
        figure: The measurement, or None if it could not be made.
        at_least: Lower limit of the median, if any.
        at_most: Upper limit of the median, if any.
        note: Why there is no figure, or what else is worth knowing.
        details: Times and counts behind the figure.
    """

    part: str
    name: str
    nodes: int | None
    figure: Figure | None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""
    details: dict = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """None if nothing is asked or nothing was measured."""
        if self.figure is None or (self.at_least is None and self.at_most is None):
            return None
        above = self.at_least is None or self.figure.median >= self.at_least
        return above and (self.at_most is None or self.figure.median <= self.at_most)

    @property
    def asked(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "report" if self.at_most is None else f"<= {self.at_most:g}"

    def row(self) -> str:
        """A line of the Markdown table."""
        title = self.name if self.nodes is None else f"{self.name}, {self.nodes:,} nodes"
        if self.figure is None:
            return f"| {title} | {self.asked} | not measured: {self.note} | - |"
        measured = f"{self.figure.median:.3g} ({self.figure.low:.3g} to {self.figure.high:.3g})"
        met = {True: "yes", False: "**no**", None: "-"}[self.met]
        return f"| {title} | {self.asked} | {measured}{'; ' if self.note else ''}{self.note} | {met} |"


HEAD = "| check | asked | measured: median (quartiles) | met |\n|---|---|---|---|"


def write(checks: list[Check], facts: dict, folder: Path) -> None:
    """bench.json with everything and bench.md with the table."""
    rows = [{**asdict(check), "asked": check.asked, "met": check.met} for check in checks]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "bench.json", (json.dumps({"machine": facts, "checks": rows}, indent=2) + "\n").encode())
    lines = [", ".join(f"{name}: {value}" for name, value in facts.items()), "", HEAD, *(c.row() for c in checks)]
    write_atomically(folder / "bench.md", ("\n".join(lines) + "\n").encode())
