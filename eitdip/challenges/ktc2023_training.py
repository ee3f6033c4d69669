"""Weights for `--method educated`: python -m eitdip.challenges.ktc2023_training DATA.mat OUT_DIR.

DATA.mat is any complete data file of the challenge, with ref.mat beside it; of these only the patterns, the voltages of
the empty tank and what each level removes are used, never what is in the tank. Simulated tanks go to OUT_DIR/tanks.h5.
A first network learns to find objects in one-step images of these; a second one, which starts from its weights, to
correct its answers by what the nonlinear model leaves unexplained. Killed, it goes on where it was with --resume.
"""

from pathlib import Path

import click

from eitdip.challenges.ktc2023 import FIRST_NAME, SECOND_NAME
from eitdip.cli.exits import EXIT_INTERRUPTED, run
from eitdip.data import load, transfers
from eitdip.data.ktc2023 import LEVELS, TANK
from eitdip.pretraining.refined import Kept, RefinedPairs, widened
from eitdip.pretraining.segmentation import Classes
from eitdip.pretraining.tanks import Layout, TankErrors, TankPairs
from eitdip.pretraining.training import Training
from eitdip.pretraining.weights import Weights
from eitdip.problems.bodies import prepare
from eitdip.problems.one_step import OneStep
from eitdip.problems.physical_step import PhysicalStep
from eitdip.problems.simulate_transfer import TankFamily, record_tanks
from eitdip.ranks.collectives import alone, together, world
from eitdip.reconstruction import Status
from eitdip.runs.training import train
from eitdip.writing import check_folder

# Half a million numbers each: 1.1 MB with 16 bits.
ARCHITECTURE = {
    "class": "unet", "latent_channels": 8, "channels": [40, 72, 96], "levels": 2, "skips": 40, "outputs": 3, "patch": 2,
}  # fmt: skip
TANKS, KEPT = 10_000, 8_000
FIRST = Training(steps=2500, batch=16, learning_rate=2e-3, average=0.998, look=250)
SECOND = Training(steps=2000, batch=16, learning_rate=1e-3, average=0.998, look=250)
WINDOW = 80 / 256  # standard deviation of the score's window over the tank's bounding square


def layouts(path: Path, levels=LEVELS) -> list[Layout]:
    """One-step images at each level, prepared for a tank like the one of a complete data file."""
    found = []
    for level in levels:
        problem = prepare(load(path, level=level), comm=alone())  # each rank has other pairs of a batch
        found.append(Layout(problem, OneStep(problem)))
    return found


def loss_of(layout: Layout) -> Classes:
    """Cross-entropy and the challenge's score, on the pixels of the images."""
    side = layout.images.shape[0]
    return Classes(side, WINDOW * side / layout.images.window)


def trainings(known: list[Layout], tanks: transfers.Transfers, errors: TankErrors, seed: int, kept: int):
    """The two trainings: weights to start from and pairs, the second once the first one's weights are sent."""
    pairs = TankPairs(known, tanks, errors=errors, seed=seed)
    first: Weights = yield ARCHITECTURE, pairs
    yield widened(first, PhysicalStep.channels), Kept(RefinedPairs(pairs, first.network(), first.hash), kept)


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on from the checkpoints in OUT_DIR.")
@click.option("--tanks", default=TANKS, show_default=True, type=click.IntRange(300), help="Simulated tanks.")
@click.option("--steps", type=click.IntRange(1), help="Of each training; fewer to try it out.")
@click.option("--size", default=TankErrors().size, show_default=True, help="Of the errors of data.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def command(data: Path, out: Path, resume: bool, tanks: int, steps: int | None, size: float, seed: int) -> int:
    """Simulate tanks, train both networks on them and write their weights to OUT_DIR."""
    comm = world()
    with together(comm):
        known = layouts(data)
        if comm.rank == 0:
            check_folder(out)
    record_tanks(out / "tanks.h5", TankFamily(TANK), tanks, seed, comm)
    with together(comm):
        simulated = transfers.load(out / "tanks.h5")
    stages = trainings(known, simulated, TankErrors(size=size), seed, min(KEPT, tanks))
    begun = next(stages)
    for name, training in ((FIRST_NAME, FIRST), (SECOND_NAME, SECOND)):
        settings = training if steps is None else Training(**{**vars(training), "steps": steps})
        weights, result = train(
            *begun, loss_of(known[0]), settings, seed=seed, comm=comm, resume=resume,
            checkpoint=(out / name).with_suffix(".checkpoint"),
        )  # fmt: skip
        if result.status == Status.INTERRUPTED:
            click.echo("interrupted: go on with --resume")
            return EXIT_INTERRUPTED
        with together(comm):
            if comm.rank == 0:
                weights.save(out / name, half=True)
        weights = Weights.load(out / name)  # with numbers of 16 bits, as they will be used
        if comm.rank == 0:
            click.echo(f"{name}: held-out loss {weights.provenance['held-out loss']:.4f}, hash {weights.hash}")
        if name == FIRST_NAME:
            begun = stages.send(weights)
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(run(lambda: command(standalone_mode=False), name="ktc2023_training"))
