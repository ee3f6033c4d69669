"""The files of a restoration: numbers, pictures, result.json."""

import csv
import io
import json
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np

from eitdip import __version__, plot
from eitdip.atomic import write_atomically
from eitdip.restoration.options import ImageOptions
from eitdip.restoration.session import Restoration
from eitdip.restoration.task import Task


def write(out: Path, task: Task, found: Restoration, method: str, options: ImageOptions) -> dict:
    """Write image.png, curves.png, estimate.npz, history.csv and, last, result.json.

    Returns:
        What went into result.json.
    """
    buffer = io.BytesIO()
    np.savez(buffer, image=found.image, data=task.data.numpy(), prediction=found.prediction, mask=task.measured)
    write_atomically(out / "estimate.npz", buffer.getvalue())
    first = task.operator.pinv(task.data.to(task.operator.device)).cpu().numpy()
    panels = {} if task.truth is None else {"truth": task.truth}
    panels |= {"from the data alone": first} | {method: found.image}
    plot.pictures(out / "image.png", panels, task.low, task.high)
    if found.results:
        last = found.results[-1]
        plot.curves(out / "curves.png", last.history, last.kept)
        write_atomically(out / "history.csv", _history(found).encode())
    summary = {
        "task": task.name,
        "method": method,
        "options": asdict(options),
        "status": str(found.status),
        "reason": found.results[-1].reason if found.results else "",
        "iterations": [result.iterations for result in found.results],
        "kept": [result.kept for result in found.results],
        "seconds": round(found.seconds, 3),
        "misfit": found.misfit,
        "noise level known": task.sigma is not None or task.counts,
        "measurements": int(task.measured.sum()),
        "PSNR": found.psnr if found.psnr is not None and np.isfinite(found.psnr) else None,
        "data": task.provenance,
        "versions": _versions(),
    }
    write_atomically(out / "result.json", json.dumps(summary, indent=2, allow_nan=False).encode())
    return summary


def _history(found: Restoration) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(found.results[0].history)
    writer.writerow(["seed", "step", *names])
    for seed, result in enumerate(found.results):
        for step, row in enumerate(zip(*(result.history[name] for name in names), strict=True)):
            writer.writerow([seed, step, *(f"{value:.10g}" for value in row)])
    return text.getvalue()


def _versions() -> dict[str, str]:
    found = {"eitdip": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "deepinv", "astra-toolbox", "finufft"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
