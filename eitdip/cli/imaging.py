"""eitdip reconstruct --task: linear tasks."""

from dataclasses import fields
from pathlib import Path

import click

from eitdip.cli.settings import from_file, from_words
from eitdip.errors import OptionError
from eitdip.exits import EXIT_DONE, EXIT_INTERRUPTED


def reconstruct(data, task, method, out: Path, seed, seeds, config, pairs, reference, level, resume) -> int:
    """Load the task, find its image, write the files; one process, no MPI."""
    from eitdip.atomic import make_folder
    from eitdip.reconstruction import Status
    from eitdip.restoration import image_options, restore
    from eitdip.restoration.load import TaskSettings, load_task
    from eitdip.restoration.output import write
    from eitdip.threads import use_threads

    for name, value in (("--reference", reference), ("--level", level)):
        if value is not None:
            raise OptionError(f"{name}: got {value} with --task {task}, expected it with tank data only; leave it out")
    if len(data) > 1:
        raise OptionError(f"DATA: got {len(data)} files with --task, expected one; run the command for each")
    chosen = from_file(config) | from_words(pairs)
    method = method or chosen.get("method", "dip-tv")
    chosen.pop("method", None)
    chosen |= {name: value for name, value in (("seed", seed), ("seeds", seeds)) if value is not None}
    of_data = {field.name for field in fields(TaskSettings)}
    options = image_options(method, {name: value for name, value in chosen.items() if name not in of_data})
    settings = {name: value for name, value in chosen.items() if name in of_data}
    use_threads(options.threads)
    problem = load_task(task, data[0], settings)
    make_folder(out)
    found = restore(problem, options, folder=out / "checkpoint", resume=resume)
    if found.status == Status.INTERRUPTED:
        steps = sum(result.iterations for result in found.results)
        click.echo(f"interrupted after {steps} steps; go on with --resume")
        return EXIT_INTERRUPTED
    summary = write(out, problem, found, method, options)
    rows = {"task": task, "method": method, "status": summary["status"]}
    if found.results:
        rows["steps"] = " ".join(map(str, summary["iterations"]))
        rows["kept"] = " ".join(map(str, summary["kept"]))
    rows["misfit"] = f"{summary['misfit']:.4g}" + ("" if summary["noise level known"] else " (noise level unknown)")
    if summary["PSNR"] is not None:
        rows["PSNR"] = f"{summary['PSNR']:.2f} dB"
    rows["seconds"] = f"{summary['seconds']:.1f}"
    for name, value in rows.items():
        click.echo(f"{name:<18}{value}")
    click.echo(f"results: {out}")
    return EXIT_DONE
