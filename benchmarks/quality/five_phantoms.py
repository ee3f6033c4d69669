"""Who wins where: methods on five phantoms, three noise levels and several seeds.

Each seed is another draw of the noise and of all weights. One setting of a method serves all phantoms and noise levels.
Finished runs are kept in --out, so an interrupted protocol goes on, and several processes can share it (--phantoms).

    python -m benchmarks.quality.five_phantoms
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from eitdip import plot
from eitdip.data import load, save
from eitdip.methods.options import Running, method
from eitdip.phantoms import phantom
from eitdip.problems.load import Source, read
from eitdip.problems.simulate_bodies import simulate_dirichlet
from eitdip.ranks.collectives import world
from eitdip.runs.compare import Contender, Entry, compare, once
from eitdip.writing import write_atomically

PHANTOMS = ("three", "heart-lungs", "concentric", "touching", "smooth")
NOISES = (0.001, 0.01, 0.05)
# Curved elements of second order: with straight ones the mesh errs more than the smallest noise.
MESH = {"h": 0.08, "degree": 2}
FIXED = {"fit_drift": False}  # the background is that of the reference
TV = FIXED | {"tv": 40.0}
CONTENDERS = {
    "one-step": ("one-step", FIXED),
    "gn-tikhonov": ("gn-tikhonov", FIXED | {"steps": 10}),
    "gn-l1": ("gn-l1", FIXED | {"steps": 10}),
    "gn-tv": ("gn-tv", TV | {"steps": 12}),
    "cells-kv": ("cells-kv", TV | {"steps": 30}),
    "pixels-tv": ("pixels-tv", TV | {"steps": 300}),
    "decoder-tv": ("dip-tv", TV | {"steps": 300, "learning_rate": 0.005}),
    "skip-tv": ("dip-tv", TV | {"generator": "skip", "steps": 300, "learning_rate": 0.003}),
    "decoder": ("dip", FIXED | {"steps": 300, "learning_rate": 0.005}),
    "pinn": ("pinn", {"steps": 300}),
    "bar-sochen": ("bar-sochen", {"steps": 300}),
    "deep-galerkin": ("deep-galerkin", {"steps": 200}),
    "deep-ritz": ("deep-ritz", {"steps": 400}),
}


def contenders(labels: Iterable[str], source: Source, seed: int) -> list[Contender]:
    """Those of `CONTENDERS`, with a seed."""
    made = []
    for label in labels:
        name, changes = CONTENDERS[label]
        made.append(Contender(label, name, method(name, {"link": "exp", "seed": seed} | changes), source))
    return made


def data_file(name: str, noise: float, seed: int, folder: Path) -> Path:
    """Simulated measurements."""
    path = folder / f"{name}-{noise:g}-{seed}.h5"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save(path, simulate_dirichlet(phantom(name), noise=noise, seed=seed))
    return path


def run(arguments: argparse.Namespace) -> None:
    """All runs that are asked for and not there yet."""
    for seed in range(arguments.seeds):
        for name in arguments.phantoms:
            for noise in arguments.noises:
                source = once(read(data_file(name, noise, seed, arguments.out / "data"), settings=MESH))
                chosen, out = contenders(arguments.methods, source, seed), folder(arguments.out, name, noise)
                for entry in compare(chosen, out, seeds=1, running=Running(), comm=world(), resume=True):
                    if not isinstance(entry, Entry):
                        raise SystemExit("interrupted; the same command goes on")
                    found = entry.error or f"relative L2 {entry.values('relative L2')[0]:.4f}"
                    print(f"{name}, noise {noise:g}, seed {seed}, {entry.label}: {found}", flush=True)


def folder(out: Path, name: str, noise: float) -> Path:
    """Where the runs of a phantom and a noise level are."""
    return out / name / f"noise-{noise:g}"


def collect(out: Path) -> dict[tuple[str, str, float], list[dict]]:
    """(method, phantom, noise) to the results of all seeds that are there."""
    found = {}
    for label in CONTENDERS:
        for name in PHANTOMS:
            for noise in NOISES:
                paths = sorted((folder(out, name, noise) / label).glob("seed-*/result.json"))
                if paths:
                    found[label, name, noise] = [json.loads(path.read_text()) for path in paths]
    return found


def report(found: dict[tuple[str, str, float], list[dict]]) -> str:
    """Markdown: relative L2 of every phantom and noise level, then the other figures over all of them."""
    labels = [label for label in CONTENDERS if any(key[0] == label for key in found)]
    lines = [f"| phantom | noise | {' | '.join(labels)} |", "|---" * (len(labels) + 2) + "|"]
    for name in PHANTOMS:
        for noise in NOISES:
            errors = {label: _errors(found.get((label, name, noise), [])) for label in labels}
            least = min((np.median(e) for e in errors.values() if e), default=None)
            cells = (_cell(errors[label], least) for label in labels)
            lines.append(f"| {name} | {100 * noise:g} % | {' | '.join(cells)} |")
    rows = [
        ("median over all", lambda r: r["metrics"]["relative L2"], "{:.3f}"),
        ("contrast error", lambda r: r["metrics"]["contrast error"], "{:.3f}"),
        ("Dice +", lambda r: r["metrics"]["dice conductive"], "{:.2f}"),
        ("Dice -", lambda r: r["metrics"]["dice resistive"], "{:.2f}"),
        ("FEM chi^2/N", lambda r: r["misfit"], "{:.2f}"),
        ("seconds", lambda r: r["seconds"]["total"], "{:.0f}"),
        ("runs", None, ""),
    ]
    for title, value, form in rows:
        cells = []
        for label in labels:
            results = [r for key, group in found.items() if key[0] == label for r in group]
            numbers = [v for r in results if value and (v := value(r)) is not None]
            if value is None:
                cells.append(str(len(results)))
            else:
                cells.append(form.format(np.median(numbers)) if numbers else "-")
        lines.append(f"| **{title}** | | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def pictures(out: Path, noise: float = 0.01, seed: int = 0) -> None:
    """One PNG per phantom: the truth and what each method found."""
    for name in PHANTOMS:
        path = out / "data" / f"{name}-{noise:g}-{seed}.h5"
        runs = {label: folder(out, name, noise) / label / f"seed-{seed}" for label in CONTENDERS}
        runs = {label: where for label, where in runs.items() if (where / "result.json").exists()}
        if runs:
            panels = {"truth": load(path).truth}
            panels |= {label: Entry(label, label, (), (where,)).picture() for label, where in runs.items()}
            plot.images(out / f"{name}.png", panels, background=1.0)


def _errors(results: list[dict]) -> list[float]:
    return [result["metrics"]["relative L2"] for result in results]


def _cell(errors: list[float], least: float | None) -> str:
    if not errors:
        return "-"
    text = f"{np.median(errors):.3f}"
    text = f"**{text}**" if np.median(errors) == least else text
    return text if len(errors) == 1 else f"{text} ± {np.ptp(errors) / 2:.3f}"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/methods"))
    parser.add_argument("--phantoms", nargs="+", choices=PHANTOMS, default=list(PHANTOMS))
    parser.add_argument("--noises", nargs="+", type=float, choices=NOISES, default=list(NOISES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--table", action="store_true", help="only make table and pictures of what is there")
    arguments = parser.parse_args(words)
    if not arguments.table:
        run(arguments)
    text = report(collect(arguments.out))
    write_atomically(arguments.out / "table.md", text.encode())
    pictures(arguments.out)
    print(text)


if __name__ == "__main__":
    main()
