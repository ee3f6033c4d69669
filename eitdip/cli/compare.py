"""eitdip compare."""

import shlex
import sys
from pathlib import Path

import click

from eitdip.cli.exits import EXIT_DONE, EXIT_INTERRUPTED
from eitdip.cli.settings import PATH, chosen_settings, from_file
from eitdip.errors import DivergenceError, EitdipError, OptionError


@click.command()
@click.argument("data")
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
@click.option("--task", help="For pictures: denoise, inpaint, super-resolve, deblur, compressed-sense, ct.")
@click.option("--resume", is_flag=True, help="Keep finished runs in the output folder, go on with an interrupted one.")
def compare(data, methods, out, seed, seeds, seconds, config, pairs, reference, level, task, resume) -> int:
    """Put several methods beside each other on DATA: table, pictures, curves, report.html.

    Results of each run go to OUT/METHOD/seed-S. A method that fails is shown with its reason, and does not
    stop the others. Exit code 0 if any method succeeded; if all failed 3 if one of them diverged, else 2;
    130 if interrupted.
    """
    from eitdip.methods.options import Running
    from eitdip.ranks.collectives import together, world
    from eitdip.runs import report
    from eitdip.runs.batch import Outcome
    from eitdip.runs.compare import compare as run_all
    from eitdip.runs.compare import words
    from eitdip.settings import configured
    from eitdip.writing import check_folder

    comm = world()
    given = chosen_settings(None, pairs, seed=seed, seeds=seeds, seconds=seconds)
    reading = {"task": task, "reference": reference, "level": level}
    with together(comm):
        contenders, running = _contenders(data, _names(methods), from_file(config), given, reading)
        running = configured(Running(), running)
        if comm.rank == 0:
            check_folder(out)
            for line in words(contenders, out, contenders[0].method.seeds, resume):
                click.echo(line)
    seeds = contenders[0].method.seeds
    entries = []
    for entry in run_all(contenders, out, seeds=seeds, running=running, comm=comm, resume=resume):
        if isinstance(entry, Outcome):
            if comm.rank == 0:
                click.echo(f"{entry.name}: interrupted after {entry.steps} steps; go on with --resume")
            return EXIT_INTERRUPTED
        entries.append(entry)
    # A method may have failed because there is no problem on its own mesh.
    finished = [contender.source for contender, entry in zip(contenders, entries, strict=True) if entry.results]
    problem = (finished or [contenders[0].source])[0].make(comm)
    with together(comm):
        if comm.rank == 0:
            report.write(out, entries, problem, shlex.join(["eitdip", *sys.argv[1:]]))
            click.echo(report.as_text(entries))
            click.echo(f"results: {out / 'report.html'}")
    if not any(entry.results for entry in entries):
        kind = DivergenceError if any(entry.diverged for entry in entries) else EitdipError
        raise kind(f"all {len(entries)} methods failed: {entries[0].error}")
    return EXIT_DONE


_DECIDING = ("generator", "link", "optimizer", "stop", "objective", "preset")  # what other settings depend on


def _names(methods: str) -> list[str]:
    names = [name for word in methods.split(",") if (name := word.strip())]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(
                f"methods: got {name!r} twice; give it two labels by tables [methods.LABEL] in a --config file"
            )
    return names


def _contenders(data, names: list[str], common: dict, given: dict, reading: dict) -> tuple[list, dict]:
    """The named methods, then those of the configuration under their own labels; and the settings of running.

    Args:
        data: The file.
        names: Methods of the command line.
        common: The configuration: settings of all methods, and tables of labels with a method and settings of its own.
        given: Settings of the command line, which win.
        reading: How the file is read.
    """
    from eitdip.methods.options import Method, Running, method
    from eitdip.problems.load import read, settings_class
    from eitdip.runs.compare import Contender, once
    from eitdip.settings import divided

    tables = common.pop("methods", {})
    if not isinstance(tables, dict) or not all(isinstance(own, dict) for own in tables.values()):
        raise OptionError(
            "config: got 'methods' that are no tables, expected [methods.LABEL] with a method and settings"
        )
    repeated = tables.keys() & set(names)
    if repeated:
        raise OptionError(f"methods: got {', '.join(sorted(repeated))} both by --methods and in the configuration")
    classes = settings_class(data), Method, Running
    *_, running = divided(common | given, *classes)
    contenders, sources, idle = [], {}, set(divided(common | given, *classes)[1])
    for label, own in ({name: {} for name in names} | tables).items():
        if not label or any(sign in label for sign in "/\\") or label.startswith("."):
            raise OptionError(f"label of a method: got {label!r}, expected the name of a folder")
        for name in own.keys() & {"seed", "seeds", *Running.__dataclass_fields__}:
            raise OptionError(f"[methods.{label}]: got {name!r}, which is the same for all; put it above the tables")
        own = {"method": label} | own
        name = own.pop("method")
        of_data, of_method, _ = divided(common | own | given, *classes)
        mesh = repr(sorted(of_data.items()))
        if mesh not in sources:  # contenders of the same mesh share it
            sources[mesh] = once(read(data, settings=of_data, **reading))
        # What is set for all methods goes to those that use it.
        deciding = {key: value for key, value in of_method.items() if key in _DECIDING}
        used = method(name, deciding).used(sources[mesh].kind) | own.keys()
        idle -= used
        of_method = {key: value for key, value in of_method.items() if key in used}
        contenders.append(Contender(label, name, method(name, of_method), sources[mesh]))
    if not contenders:
        raise OptionError("methods: got none; name some, such as --methods dip-tv,gn-tv")
    if idle:
        raise OptionError(f"options: got {', '.join(sorted(idle))}, which none of these methods uses; leave them out")
    return contenders, running
