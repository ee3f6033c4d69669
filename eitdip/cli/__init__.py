"""The command line: eitdip reconstruct | compare | simulate | model-error | train | info."""

import sys

import click

from eitdip.cli.compare import compare
from eitdip.cli.exits import EXIT_DONE, run
from eitdip.cli.model_error import model_error
from eitdip.cli.reconstruct import reconstruct
from eitdip.cli.settings import settings_markdown
from eitdip.cli.simulate import simulate
from eitdip.cli.train import train


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def app() -> None:
    """Inverse problems with deep image priors: impedance tomography by finite elements, and linear imaging."""


for _command in (reconstruct, compare, simulate, model_error, train):
    app.add_command(_command)


@app.command()
@click.option("--settings", is_flag=True, help="All settings with their defaults instead, as a table.")
def info(settings) -> int:
    """Versions, MPI, threads, GPU and methods: what a bug report needs."""
    if settings:
        click.echo(settings_markdown())
        return EXIT_DONE
    import torch

    from eitdip.methods.names import METHODS
    from eitdip.ranks.collectives import world
    from eitdip.ranks.threads import cores_per_rank
    from eitdip.runs.versions import versions

    comm = world()
    cores = cores_per_rank()
    if comm.rank == 0:
        for name, version in versions().items():
            click.echo(f"{name:<22}{version}")
        click.echo(f"{'MPI ranks':<22}{comm.size}")
        click.echo(f"{'cores per rank':<22}{cores}")
        for name, value in _finite_elements().items():
            click.echo(f"{name:<22}{value}")
        click.echo(f"{'GPU':<22}{torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
        click.echo(f"{'methods':<22}{', '.join(METHODS)}")
    return EXIT_DONE


def _finite_elements() -> dict[str, str]:
    """What solves the linear systems of bodies, or that there is nothing."""
    try:
        from eitdip.problems.bodies import linear_solvers
    except ImportError as error:
        return {"finite elements": f"none: {error}"}
    direct, names = linear_solvers()
    return {"direct solver": direct, "linear solvers": ", ".join(names)}


def main() -> None:
    """Entry point of the `eitdip` command."""
    sys.exit(run(lambda: app(standalone_mode=False), name="eitdip"))
