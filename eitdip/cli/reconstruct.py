"""eitdip reconstruct."""

from pathlib import Path

import click

from eitdip.cli.exits import EXIT_DONE, EXIT_INTERRUPTED
from eitdip.cli.settings import PATH, WithSettings, chosen_settings
from eitdip.errors import DivergenceError, EitdipError

_FAR = 0.2, 3.0  # chi^2 / N below and above which the screen says what to check


@click.command(cls=WithSettings)
@click.argument("data", nargs=-1, required=True)
@click.option("--method", default=None, help="Default dip-tv; 'eitdip info' lists all.")
@click.option(
    "--out", type=PATH, default=Path("results/reconstruct"), show_default=True, help="Folder for the results."
)
@click.option("--seed", type=int, default=None, help="Of network weights and latent tensor; default 0.")
@click.option("--seeds", type=int, default=None, help="Networks to average, from --seed on; default 1.")
@click.option("--seconds", type=float, default=None, help="Time budget of each seed's steps, s; default none.")
@click.option("--config", type=PATH, help="TOML file with method, seed and options; the command line wins.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--reference", type=PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
@click.option("--task", help="For pictures: denoise, inpaint, super-resolve, deblur, compressed-sense, ct.")
@click.option("--uncertainty", help="How far to trust each pixel: laplace, ensemble, dropout, langevin or cells.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
def reconstruct(
    data, method, out, seed, seeds, seconds, config, pairs, reference, level, task, uncertainty, resume
) -> int:
    """Find what DATA were measured of; their content tells what they are.

    Tanks: a KTC2023 or KIT4 .mat, or eitdip's own .h5. Images: a .mat of HTC2022 (a sinogram), k-space as .npy, a
    transmission scan as .npz, or, with --task, a picture (a file, or skimage:NAME).

    Of several files each gets its own folder in the output folder. Under mpiexec files, then seeds,
    then right-hand sides are divided over the ranks.
    """
    from eitdip.methods.options import Method, Running
    from eitdip.methods.options import method as named
    from eitdip.problems.load import read, settings_class
    from eitdip.ranks.collectives import together, world
    from eitdip.runs import batch
    from eitdip.runs.earlier import words
    from eitdip.settings import configured, divided
    from eitdip.writing import check_folder

    comm = world()
    chosen = chosen_settings(config, pairs, seed=seed, seeds=seeds, seconds=seconds, uncertainty=uncertainty)
    configured_method = chosen.pop("method", "dip-tv")
    method = method or configured_method
    files = [Path(name) for name in data]
    jobs, running = [], Running()
    with together(comm):
        named(method)  # its name is checked first, then what concerns the files
        readings = [settings_class(file) for file in data]
        divided(chosen, Method, Running, *readings)  # each setting is one of some file
        for file, reading, folder in zip(data, readings, batch.folders(files, out), strict=True):
            classes = reading, Method, Running
            own = {name for each in classes for name in each.__dataclass_fields__}
            of_data, of_method, of_running = divided({k: v for k, v in chosen.items() if k in own}, *classes)
            wanted, running = named(method, of_method), configured(Running(), of_running)
            source = read(file, task=task, reference=reference, level=level, settings=of_data)
            jobs.append(batch.Job(source, method, wanted, folder))
        if comm.rank == 0:
            for job in jobs:
                check_folder(job.folder)
            for line in (line for job in jobs for line in words(job.folder, resume)):
                click.echo(line)
    outcomes = batch.reconstruct(jobs, running, comm=comm, resume=resume)
    if comm.rank == 0:
        for outcome in outcomes:
            _tell(outcome, len(outcomes) > 1)
    failure = _failure(outcomes)
    if any(outcome.interrupted for outcome in outcomes):
        if failure is not None and comm.rank == 0:
            click.echo(f"eitdip: error: {failure}", err=True)
        return EXIT_INTERRUPTED
    if failure is not None:
        raise failure
    return EXIT_DONE


def _tell(outcome, named: bool) -> None:
    """What became of a data set that did not fail, on standard output."""
    name = f"{outcome.name}: " if named else ""
    if outcome.interrupted:
        click.echo(f"{name}interrupted after {outcome.steps} steps; go on with --resume")
    elif outcome.summary is not None:
        click.echo(_table(({"file": outcome.name} if named else {}) | _rows(outcome.summary)))
        click.echo(f"results: {outcome.folder}")


def _failure(outcomes) -> EitdipError | None:
    """The failures of all data sets as one error, or None."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if not failed:
        return None
    named = "; ".join(f"{outcome.name}: {outcome.error}" for outcome in failed)
    message = f"{len(failed)} of {len(outcomes)} data sets failed: {named}" if len(outcomes) > 1 else failed[0].error
    return (DivergenceError if any(outcome.diverged for outcome in failed) else EitdipError)(message)


def _rows(summary: dict) -> dict[str, str]:
    rows = {"problem": summary["problem"], "method": summary["method"], "status": summary["status"]}
    if "picture" in summary["data"]:
        size = " x ".join(map(str, summary["data"]["picture"][-2:]))
        rows["data"] = f"simulated from {size} pixels, noise of deviation {summary['data']['sigma']:.3g} added"
    if summary["iterations"]:
        rows["steps"] = " ".join(map(str, summary["iterations"]))
        rows["kept"] = " ".join(map(str, summary["kept"]))
    known = "" if summary["noise level known"] else " (noise level unknown)"
    rows["misfit"] = f"{summary['misfit']:.4g}{known}"
    if "background" in summary:
        rows["background"] = f"{summary['background']:.4g} {summary['unit']}"
    if summary.get("calibration"):
        rows["calibration"] = f"misses the empty tank by {100 * summary['calibration']['error']:.2g} %"
    rows |= _check(summary)
    rows["seconds"] = f"{summary['seconds']['total']:.1f} (model {summary['seconds']['model']:.1f})"
    for name, value in (summary["metrics"] or {}).items():
        rows[name] = "-" if value is None else f"{value:.4g}"
    return rows | _trust(summary.get("uncertainty"))


def _trust(known: dict | None) -> dict[str, str]:
    """A line about the posterior, if there is one."""
    if known is None:
        return {}
    words = [f"{known['method']}, {known['seconds']:.1f} s"]
    if "coverage" in known:
        words.append(f"95 % intervals cover {100 * known['coverage']['95']:.1f} % of the truth")
    if "held_out_log_likelihood" in known:
        words.append(f"held-out log-likelihood {known['held_out_log_likelihood']:.3g}")
    return {"uncertainty": "; ".join(words)}


def _check(summary: dict) -> dict[str, str]:
    """A line if the data are far from explained to the noise, or beyond it: what to look at."""
    misfit, body = summary["misfit"], summary["kind"] != "image"
    if not summary["noise level known"]:
        return {}
    if misfit > _FAR[1]:
        causes = ["the deviations in the data", "more steps or a smaller weight of the penalty"]
        causes += ["numbering and polarity of electrodes, geometry, contact_impedance, units (mV, mm)"] * body
        return {"check": f"chi^2/N is {misfit:.3g}, not about 1: {'; '.join(causes)}"}
    # The deviance of few counts is far below 1 by itself.
    if misfit < _FAR[0] and summary["problem"] != "pet":
        causes = "whether the deviations in the data are too large, and units; else noise is fitted: fewer steps"
        return {"check": f"chi^2/N is {misfit:.3g}, not about 1: {causes}"}
    return {}


def _table(rows: dict[str, str]) -> str:
    return "\n".join(f"{name:<17} {value}" for name, value in rows.items())
