"""The command line: eitdip reconstruct | compare | simulate | info."""

import sys

import click

from eitdip.cli.compare import compare
from eitdip.cli.reconstruct import reconstruct
from eitdip.cli.simulate import simulate
from eitdip.exits import EXIT_DONE, run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def app() -> None:
    """Electrical impedance tomography with finite elements and deep image priors."""


for _command in (reconstruct, compare, simulate):
    app.add_command(_command)


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
            click.echo(f"{name:<22}{version}")
        click.echo(f"{'MPI ranks':<22}{comm.size}")
        click.echo(f"{'cores per rank':<22}{cores}")
        click.echo(f"{'direct solver':<22}{Cholesky.backend()}")
        click.echo(f"{'linear solvers':<22}{', '.join(CHOICES['solver'])}")
        click.echo(f"{'GPU':<22}{torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
        click.echo(f"{'methods':<22}{', '.join(METHODS)}")
    return EXIT_DONE


def main() -> None:
    """Entry point of the `eitdip` command."""
    sys.exit(run(lambda: app(standalone_mode=False), name="eitdip"))
