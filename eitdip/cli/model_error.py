"""eitdip model-error."""

import click

from eitdip.cli.exits import EXIT_DONE
from eitdip.cli.settings import PATH, WithSettings, chosen_settings
from eitdip.errors import OptionError


@click.command("model-error", cls=WithSettings)
@click.argument("data")
@click.option("--out", type=PATH, required=True, help="File to write, .h5.")
@click.option("--config", type=PATH, help="TOML file with options; the command line wins.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--reference", type=PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes to leave out.")
def model_error(data, out, config, pairs, reference, level) -> int:
    """Estimate what the model of a tank leaves unexplained, from simulated tanks with misplaced electrodes and so on.

    DATA: measurements of a tank with electrodes, of which only geometry, patterns and deviations count. 'eitdip
    reconstruct DATA --set model_error=OUT' then fits data to noise and such errors together. Under mpiexec the tanks
    are divided over the ranks.
    """
    from eitdip.data.model_error import save
    from eitdip.problems.load import read, settings_class
    from eitdip.ranks.collectives import alone, together, world
    from eitdip.runs.model_error import Simulated, estimate
    from eitdip.settings import configured, divided
    from eitdip.writing import check_folder

    comm = world()
    if out.suffix != ".h5":
        raise OptionError(f"out: got {out.name!r}, expected a file name ending in .h5")
    with together(comm):
        of_tanks, of_data = divided(chosen_settings(config, pairs), Simulated, settings_class(data))
        source = read(data, reference=reference, level=level, settings=of_data)
        if source.kind == "image":
            raise OptionError(f"{data}: got data of an image, expected measurements of a tank with electrodes")
        problem, simulated = source.make(alone()), configured(Simulated(), of_tanks)
        if comm.rank == 0:
            check_folder(out.parent)
    error, provenance = estimate(problem, simulated, comm)
    with together(comm):
        if comm.rank == 0:
            save(out, error, problem.measurements, problem.unknown.start, provenance)
            click.echo(f"wrote {out}: {len(error.modes)} modes of the errors of {provenance['tanks']} simulated tanks")
    return EXIT_DONE
