"""eitdip compare."""

import shlex
import sys
from pathlib import Path

import click

from eitdip.cli.settings import PATH, from_file, from_words
from eitdip.errors import DivergenceError, EitdipError, OptionError
from eitdip.exits import EXIT_DONE, EXIT_INTERRUPTED


@click.command()
@click.argument("data", type=PATH)
@click.option("--methods", default="", help="Names, comma-separated; 'eitdip info' lists all.")
@click.option("--out", type=PATH, default=Path("results/compare"), show_default=True, help="Folder for the results.")
@click.option("--seed", type=int, default=None, help="First seed of every method; default 0.")
@click.option("--seeds", type=int, default=None, help="Runs of every method, from --seed on; default 1.")
@click.option("--seconds", type=float, default=None, help="Time budget of each run's steps, s; default none.")
@click.option("--config", type=PATH, help="TOML file with options of all methods; each table [methods.LABEL] has "
              "a method and settings of its own. The command line wins.")  # fmt: skip
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option of all methods; may be repeated.")
@click.option("--reference", type=PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
@click.option("--resume", is_flag=True, help="Keep finished runs in the output folder, go on with an interrupted one.")
def compare(data, methods, out, seed, seeds, seconds, config, pairs, reference, level, resume) -> int:
    """Put several methods beside each other on DATA: table, pictures, curves, report.html.

    Results of each run go to OUT/METHOD/seed-S. A method that fails is shown with its reason, and does not
    stop the others. Exit code 0 if any method succeeded; if all failed 3 if one of them diverged, else 2;
    130 if interrupted.
    """
    from eitdip import report
    from eitdip.batch import Outcome
    from eitdip.compare import compare as run_all
    from eitdip.data import load
    from eitdip.output import check_folder
    from eitdip.parallel import together, world

    comm = world()
    given = {"seed": seed, "seeds": seeds, "seconds": seconds}
    chosen = from_words(pairs) | {name: value for name, value in given.items() if value is not None}
    contenders, seeds = _contenders(_names(methods), from_file(config), chosen)
    with together(comm):
        measurements = load(data, reference=reference, level=level)
        if comm.rank == 0:
            check_folder(out)
    entries = []
    for entry in run_all(measurements, contenders, out, seeds=seeds, comm=comm, resume=resume):
        if isinstance(entry, Outcome):
            if comm.rank == 0:
                click.echo(f"{entry.name}: interrupted after {entry.steps} steps; go on with --resume")
            return EXIT_INTERRUPTED
        entries.append(entry)
    with together(comm):
        if comm.rank == 0:
            report.write(out, entries, measurements, shlex.join(["eitdip", *sys.argv[1:]]))
            click.echo(report.as_text(entries))
            click.echo(f"results: {out / 'report.html'}")
    if not any(entry.results for entry in entries):
        kind = DivergenceError if any(entry.diverged for entry in entries) else EitdipError
        raise kind(f"all {len(entries)} methods failed: {entries[0].error}")
    return EXIT_DONE


def _names(methods: str) -> list[str]:
    names = [name for word in methods.split(",") if (name := word.strip())]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(
                f"methods: got {name!r} twice; give it two labels by tables [methods.LABEL] in a --config file"
            )
    return names


def _contenders(names: list[str], common: dict, chosen: dict) -> tuple[list, int]:
    """The named methods, then those of the configuration under their own labels; and the number of seeds.

    Args:
        names: Methods of the command line.
        common: The configuration: options of all methods, and tables.
        chosen: Options of the command line, which win.
    """
    from eitdip.compare import Contender
    from eitdip.options import options_for

    tables = common.pop("methods", {})
    if not isinstance(tables, dict) or not all(isinstance(own, dict) for own in tables.values()):
        raise OptionError(
            "config: got 'methods' that are no tables, expected [methods.LABEL] with a method and settings"
        )
    repeated = tables.keys() & set(names)
    if repeated:
        raise OptionError(f"methods: got {', '.join(sorted(repeated))} both by --methods and in the configuration")
    contenders = []
    for label, own in ({name: {} for name in names} | tables).items():
        if not label or any(sign in label for sign in "/\\") or label.startswith("."):
            raise OptionError(f"label of a method: got {label!r}, expected the name of a folder")
        for name in own.keys() & {"seed", "seeds", "seconds"}:
            raise OptionError(f"[methods.{label}]: got {name!r}, which is the same for all; put it above the tables")
        method = own.get("method", label)
        settings = common | {name: value for name, value in own.items() if name != "method"} | chosen
        contenders.append(Contender(label, method, options_for(method, settings)))
    if not contenders:
        raise OptionError("methods: got none; name some, such as --methods dip-tv,gn-tv")
    return contenders, contenders[0].options.seeds
