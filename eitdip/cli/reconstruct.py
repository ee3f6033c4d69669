"""eitdip reconstruct."""

from pathlib import Path

import click

from eitdip.cli import imaging
from eitdip.cli.settings import PATH, from_file, from_words
from eitdip.errors import DivergenceError, EitdipError
from eitdip.exits import EXIT_DONE, EXIT_INTERRUPTED


@click.command()
@click.argument("data", type=PATH, nargs=-1, required=True)
@click.option("--method", default=None, help="Default dip-tv; 'eitdip info' lists all.")
@click.option(
    "--out", type=PATH, default=Path("results/reconstruct"), show_default=True, help="Folder for the results."
)
@click.option("--seed", type=int, default=None, help="Of network weights and latent tensor; default 0.")
@click.option("--seeds", type=int, default=None, help="Networks to average, from --seed on; default 1.")
@click.option("--config", type=PATH, help="TOML file with method, seed and options; the command line wins.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--reference", type=PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
@click.option(
    "--task", help="A linear task instead: denoise, inpaint, super-resolve, deblur, compressed-sense, ct, mri, pet."
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
def reconstruct(data, method, out, seed, seeds, config, pairs, reference, level, task, resume) -> int:
    """Reconstruct the conductivity from DATA: a KTC2023 or KIT4 .mat, or eitdip's own .h5.

    With --task DATA is a picture (a file, or skimage:NAME), a .mat of HTC2022 (ct), k-space as .npy (mri) or a
    transmission scan as .npz (pet).

    Of several files each gets its own folder in the output folder. Under mpiexec files, then seeds,
    then right-hand sides are divided over the ranks.
    """
    if task is not None:
        return imaging.reconstruct(data, task, method, out, seed, seeds, config, pairs, reference, level, resume)
    from eitdip import batch, output
    from eitdip.data import load
    from eitdip.options import options_for
    from eitdip.parallel import together, world
    from eitdip.threads import use_threads

    comm = world()
    chosen = from_file(config) | from_words(pairs)
    configured = chosen.pop("method", "dip-tv")
    method = method or configured
    chosen |= {name: value for name, value in (("seed", seed), ("seeds", seeds)) if value is not None}
    options = options_for(method, chosen)
    with together(comm):
        folders = batch.folders(data, out)
        jobs = [
            batch.Job(file.name, load(file, reference=reference, level=level), folder)
            for file, folder in zip(data, folders, strict=True)
        ]
        if comm.rank == 0:
            for folder in folders:
                output.check_folder(folder)
    use_threads(options.threads)
    outcomes = batch.reconstruct(jobs, method, options, comm=comm, resume=resume)
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
        click.echo(_table(({"data": outcome.name} if named else {}) | _rows(outcome.summary)))
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
    rows = {
        "status": summary["status"],
        "steps": " ".join(map(str, summary["iterations"])),
        "chi^2/N": f"{summary['chi2']:.4g}",
        "background": f"{summary['background']:.4g} S/m",
        "seconds": f"{summary['seconds']['total']:.1f} (finite elements {summary['seconds']['finite elements']:.1f})",
    }
    for name, value in (summary["metrics"] or {}).items():
        rows[name] = "-" if value is None else f"{value:.4g}"
    return rows


def _table(rows: dict[str, str]) -> str:
    return "\n".join(f"{name:<18}{value}" for name, value in rows.items())
