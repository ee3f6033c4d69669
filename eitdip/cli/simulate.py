"""eitdip simulate."""

from functools import partial
from math import asin, cos, pi, sin

import click

from eitdip.cli.exits import EXIT_DONE
from eitdip.cli.settings import PATH
from eitdip.errors import OptionError


@click.command()
@click.option("--out", type=PATH, required=True, help="File to write, .h5.")
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
    from eitdip.phantoms import phantom as make_phantom
    from eitdip.problems.simulate_bodies import simulate_dirichlet, simulate_electrodes
    from eitdip.ranks.collectives import together, world

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
            click.echo(
                f"wrote {out}: {measurements.count} measurements, phantom {phantom}, noise {noise:g}, seed {seed}"
            )
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
