"""The command line: eitdip reconstruct | compare | simulate | info."""

import shlex
import sys
import tomllib
from functools import partial
from math import asin, cos, pi, sin
from pathlib import Path

import click

from eitdip.errors import DivergenceError, EitdipError, FileFormatError, OptionError
from eitdip.exits import EXIT_DONE, EXIT_INTERRUPTED, run

_PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def app() -> None:
    """Electrical impedance tomography with finite elements and deep image priors."""


@app.command()
@click.argument("data", type=_PATH, nargs=-1, required=True)
@click.option("--method", default=None, help="Default dip-tv; 'eitdip info' lists all.")
@click.option(
    "--out", type=_PATH, default=Path("results/reconstruct"), show_default=True, help="Folder for the results."
)
@click.option("--seed", type=int, default=None, help="Of network weights and latent tensor; default 0.")
@click.option("--seeds", type=int, default=None, help="Networks to average, from --seed on; default 1.")
@click.option("--config", type=_PATH, help="TOML file with method, seed and options; the command line wins.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--reference", type=_PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
def reconstruct(data, method, out, seed, seeds, config, pairs, reference, level, resume) -> int:
    """Reconstruct the conductivity from DATA: a KTC2023 or KIT4 .mat, or eitdip's own .h5.

    Of several files each gets its own folder in the output folder. Under mpiexec files, then seeds,
    then right-hand sides are divided over the ranks.
    """
    from eitdip import batch, output
    from eitdip.data import load
    from eitdip.options import options_for
    from eitdip.parallel import together, world
    from eitdip.threads import use_threads

    comm = world()
    chosen = _settings(config, pairs)
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
        _say(f"{name}interrupted after {outcome.steps} steps; go on with --resume")
    elif outcome.summary is not None:
        _say(_table(({"data": outcome.name} if named else {}) | _rows(outcome.summary)))
        _say(f"results: {outcome.folder}")


def _failure(outcomes) -> EitdipError | None:
    """The failures of all data sets as one error, or None."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if not failed:
        return None
    named = "; ".join(f"{outcome.name}: {outcome.error}" for outcome in failed)
    message = f"{len(failed)} of {len(outcomes)} data sets failed: {named}" if len(outcomes) > 1 else failed[0].error
    return (DivergenceError if any(outcome.diverged for outcome in failed) else EitdipError)(message)


@app.command()
@click.argument("data", type=_PATH)
@click.option("--methods", default="", help="Names, comma-separated; 'eitdip info' lists all.")
@click.option("--out", type=_PATH, default=Path("results/compare"), show_default=True, help="Folder for the results.")
@click.option("--seed", type=int, default=0, show_default=True, help="First seed of every method.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs of every method.")
@click.option("--seconds", type=float, default=None, help="Time budget of each run's steps, s; default none.")
@click.option("--config", type=_PATH, help="TOML file; each table [methods.LABEL] has a method and its settings.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option of all methods; may be repeated.")
@click.option("--reference", type=_PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
@click.option("--resume", is_flag=True, help="Keep finished runs in the output folder, go on with an interrupted one.")
def compare(data, methods, out, seed, seeds, seconds, config, pairs, reference, level, resume) -> int:
    """Put several methods beside each other on DATA: table, pictures, curves, report.html.

    Results of each run go to OUT/METHOD/seed-S. A method that fails is shown with its reason, and does not
    stop the others; only if all fail, the exit code says so.
    """
    from eitdip import report
    from eitdip.batch import Outcome
    from eitdip.compare import COLUMNS, table
    from eitdip.compare import compare as run_all
    from eitdip.data import load
    from eitdip.output import check_folder
    from eitdip.parallel import together, world
    from eitdip.threads import use_threads

    comm = world()
    chosen = _settings(config, pairs) | {"seed": seed} | ({} if seconds is None else {"seconds": seconds})
    contenders = _contenders(methods, chosen)
    with together(comm):
        measurements = load(data, reference=reference, level=level)
        if comm.rank == 0:
            check_folder(out)
    use_threads(contenders[0].options.threads)
    entries = []
    for entry in run_all(measurements, contenders, out, seeds=seeds, comm=comm, resume=resume):
        if isinstance(entry, Outcome):
            if comm.rank == 0:
                _say(f"{entry.name}interrupted after {entry.steps} steps; go on with --resume")
            return EXIT_INTERRUPTED
        entries.append(entry)
    with together(comm):
        if comm.rank == 0:
            report.write(out, entries, measurements, _command())
            _say(_columns(["method", *COLUMNS], table(entries)))
            for entry in entries:
                if entry.error:
                    _say(f"{entry.label}: {entry.error}")
            _say(f"results: {out / 'report.html'}")
    if not any(entry.results for entry in entries):
        raise EitdipError(f"all {len(entries)} methods failed: {entries[0].error}")
    return EXIT_DONE


def _contenders(methods: str, chosen: dict) -> list:
    """The named methods, and those of the configuration under their own labels."""
    from eitdip.compare import Contender
    from eitdip.options import options_for

    tables = chosen.pop("methods", {})
    if not isinstance(tables, dict) or not all(isinstance(own, dict) for own in tables.values()):
        raise OptionError(
            "config: got 'methods' that are no tables, expected [methods.LABEL] with a method and settings"
        )
    own = {name: {"method": name} for name in (word.strip() for word in methods.split(",")) if name}
    repeated = own.keys() & tables.keys()
    if repeated:
        raise OptionError(f"methods: got {', '.join(sorted(repeated))} both by --methods and in the configuration")
    contenders = []
    for label, settings in (own | tables).items():
        if not label or any(sign in label for sign in "/\\") or label.startswith("."):
            raise OptionError(f"label of a method: got {label!r}, expected the name of a folder")
        method = settings.get("method", label)
        rest = {name: value for name, value in settings.items() if name != "method"}
        contenders.append(Contender(label, method, options_for(method, chosen | rest)))
    if not contenders:
        raise OptionError("methods: got none; name some, such as --methods dip-tv,gn-tv")
    return contenders


def _command() -> str:
    return shlex.join(["eitdip", *sys.argv[1:]])


def _columns(names: list[str], rows: list[dict[str, str]]) -> str:
    """Rows as text, each column as wide as it needs."""
    lines = [names, *([row[name] for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


@app.command()
@click.option("--out", type=_PATH, required=True, help="File to write, .h5.")
@click.option(
    "--domain",
    default="disk",
    show_default=True,
    help="disk (radius 1 m), tank (0.14 m), cylinder (radius and height 0.14 m) or ball (radius 1 m).",
)
@click.option("--phantom", default=None, help="A name, or a number that seeds a random one.")
@click.option("--model", default="dtn", show_default=True, help="dtn (Dirichlet-to-Neumann) or cem (electrodes).")
@click.option(
    "--electrodes",
    type=int,
    default=16,
    show_default=True,
    help="Number of electrodes, for cem; solids have two rings.",
)
@click.option("--noise", type=float, default=0.01, show_default=True, help="Relative noise.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise.")
def simulate(out, domain, phantom, model, electrodes, noise, seed) -> int:
    """Simulate measurements of a phantom on a fine mesh, with noise."""
    from eitdip.data import save
    from eitdip.errors import choose
    from eitdip.parallel import together, world
    from eitdip.phantoms import phantom as make_phantom
    from eitdip.simulation import simulate_dirichlet, simulate_electrodes

    make_body = choose("domain", domain, _BODIES)
    choose("model", model, {"dtn": None, "cem": None})
    if out.suffix != ".h5":
        raise OptionError(f"out: got {out.name!r}, expected a file name ending in .h5")
    if not out.parent.is_dir():
        raise OptionError(f"out: folder {out.parent} does not exist; create it first")
    if model == "dtn" and domain == "tank":
        raise OptionError("domain: model dtn works on the unit disk and on solids; use --domain disk or --model cem")
    body = make_body(electrodes if model == "cem" else 0)
    phantom = ("three" if body.dimension == 2 else "two-balls") if phantom is None else phantom
    objects = make_phantom(phantom, body.dimension)
    simulated = simulate_electrodes if model == "cem" else simulate_dirichlet
    measurements = simulated(objects, body, noise=noise, seed=seed)
    comm = world()
    with together(comm):
        if comm.rank == 0:
            save(out, measurements)
            _say(f"wrote {out}: {measurements.count} measurements, phantom {phantom}, noise {noise:g}, seed {seed}")
    return EXIT_DONE


def _tank(radius: float, electrodes: int):
    """Electrodes cover half of the wall."""
    from eitdip.mesh import Tank

    return Tank(radius, electrodes, pi * radius / electrodes if electrodes else 0.0)


def _cylinder(electrodes: int):
    from eitdip.mesh import Cylinder

    each = _per_ring(electrodes)
    return Cylinder(0.14, 0.14, 2, each, pi * 0.14 / each, 0.035) if each else Cylinder(0.14, 0.14)


def _ball(electrodes: int):
    from eitdip.mesh import Ball

    each = _per_ring(electrodes)
    # Two rings lie at 30 degrees south and north; half of the distance between neighbours is covered.
    return Ball(1.0, 2, each, 0.5 * asin(cos(pi / 6) * sin(pi / each))) if each else Ball(1.0)


def _per_ring(electrodes: int) -> int:
    if electrodes % 2:
        raise OptionError(f"electrodes: got {electrodes}, expected an even number of at least 4, for two rings")
    return electrodes // 2


_BODIES = {
    "disk": partial(_tank, 1.0),
    "tank": partial(_tank, 0.14),
    "cylinder": _cylinder,
    "ball": _ball,
}


@app.command()
def info() -> int:
    """Versions, MPI, threads, GPU and methods: what a bug report needs."""
    import torch

    from eitdip.fem.direct import Cholesky
    from eitdip.options import CHOICES, METHODS
    from eitdip.output import versions
    from eitdip.parallel import cores_per_rank, world

    comm = world()
    cores = cores_per_rank()
    if comm.rank == 0:
        for name, version in versions().items():
            _say(f"{name:<22}{version}")
        _say(f"{'MPI ranks':<22}{comm.size}")
        _say(f"{'cores per rank':<22}{cores}")
        _say(f"{'direct solver':<22}{Cholesky.backend()}")
        _say(f"{'linear solvers':<22}{', '.join(CHOICES['solver'])}")
        _say(f"{'GPU':<22}{torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
        _say(f"{'methods':<22}{', '.join(METHODS)}")
    return EXIT_DONE


def _settings(config: Path | None, pairs: list[str]) -> dict:
    chosen = {}
    if config is not None:
        try:
            chosen = tomllib.loads(config.read_text())
        except OSError as error:
            raise FileFormatError(f"{config}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError(f"{config}: not a TOML file ({error})") from error
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise OptionError(f"--set: got {pair!r}, expected KEY=VALUE")
        try:
            chosen[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            chosen[key] = value  # a bare word, such as unet
    return chosen


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


def _say(text: str) -> None:
    click.echo(text)


def main() -> None:
    """Entry point of the `eitdip` command."""
    sys.exit(run(lambda: app(standalone_mode=False), name="eitdip"))
