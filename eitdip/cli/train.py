"""eitdip train."""

import click

from eitdip.cli.exits import EXIT_DONE, EXIT_INTERRUPTED
from eitdip.cli.settings import PATH, WithSettings, chosen_settings
from eitdip.errors import OptionError


@click.command(cls=WithSettings)
@click.argument("data")
@click.option("--out", type=PATH, required=True, help="File for the weights, .safetensors.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first weights.")
@click.option("--config", type=PATH, help="TOML file with options; the command line wins.")
@click.option("--set", "pairs", metavar="KEY=VALUE", multiple=True, help="One option; may be repeated.")
@click.option("--reference", type=PATH, help="Measurement of the empty tank; default: the one beside DATA.")
@click.option("--level", type=int, help="KTC2023 difficulty 1..7: which electrodes are missing.")
@click.option("--task", help="For pictures: denoise, inpaint, super-resolve, deblur, compressed-sense, ct.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint beside --out.")
def train(data, out, seed, config, pairs, reference, level, task, resume) -> int:
    """Train a network on synthetic pairs for whatever measured DATA, before any data are looked at.

    DATA: a file as for 'eitdip reconstruct', of which only geometry, noise and mask count; or the name of a task, such
    as ct or cone-beam, for a picture or volume of --set size pixels. 'eitdip reconstruct DATA --method educated --set
    weights=OUT' uses the weights. Under mpiexec the ranks share each batch. Beside OUT lie pictures of the training and
    of its answers.
    """
    from eitdip.methods.options import Running
    from eitdip.pretraining.training import Network, Training
    from eitdip.problems.load import TASKS, read, settings_class
    from eitdip.ranks.collectives import together, world
    from eitdip.reconstruction import Status
    from eitdip.runs.educate import educate
    from eitdip.settings import configured, divided
    from eitdip.writing import check_folder

    comm = world()
    for example, kind in (("skimage:shepp_logan_phantom", "picture"), ("phantom:ellipses-0", "volume")):
        if data in TASKS[kind]:
            data, task = example, task or data
    if out.suffix != ".safetensors":
        raise OptionError(f"out: got {out.name!r}, expected a file name ending in .safetensors")
    given = chosen_settings(config, pairs)
    with together(comm):
        classes = Training, Network, settings_class(data), Running
        of_training, of_network, of_data, of_running = divided(given, *classes)
        training, network = configured(Training(), of_training), configured(Network(), of_network)
        running = configured(Running(), of_running)
        source = read(data, task=task, reference=reference, level=level, settings=of_data)
        if comm.rank == 0:
            check_folder(out.parent)
    _, result = educate(
        source.make(comm), network, training, out=out, seed=seed, resume=resume, running=running, comm=comm
    )
    if comm.rank == 0:
        words = f"held-out loss {result.history['held_out'][result.kept]:.4g} after {result.iterations} steps"
        if result.status == Status.INTERRUPTED:
            click.echo(f"interrupted: {words}; go on with --resume")
        else:
            click.echo(f"wrote {out}: {words}, {result.history['seconds'][-1]:.0f} s")
    return EXIT_INTERRUPTED if result.status == Status.INTERRUPTED else EXIT_DONE
