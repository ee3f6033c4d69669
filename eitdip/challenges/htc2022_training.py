"""Weights for `--method educated`: python -m eitdip.challenges.htc2022_training OUT.

A first network learns to find holes from the views of simulated discs. A second one, which starts from its weights,
learns also to improve on its answers, and a third one on those of the second. `weights/htc2022.safetensors` is what
comes out without any option, the last of them. Killed, the training goes on where it was with --resume.
"""

from pathlib import Path

import click

from eitdip.cli.exits import EXIT_INTERRUPTED, run
from eitdip.errors import OptionError
from eitdip.pretraining.discs import DiscPairs, Holes
from eitdip.pretraining.training import Training
from eitdip.pretraining.weights import Weights
from eitdip.problems.disc_views import CHANNELS
from eitdip.reconstruction import Status
from eitdip.runs.training import train

# A million numbers, so that the file with 16 bits each stays below 2 MB.
ARCHITECTURE = {
    "class": "unet", "latent_channels": CHANNELS, "channels": [32, 64, 88, 104], "levels": 3, "skips": 24, "patch": 2,
}  # fmt: skip
# With what is added to the seed of the discs.
ROUNDS = {
    "first": (Training(steps=500, batch=8, learning_rate=2e-3, average=0.99, look=125), 0),
    "second": (Training(steps=1000, batch=8, learning_rate=1.5e-3, average=0.995, look=125), 0),
    "third": (Training(steps=500, batch=8, learning_rate=1e-3, average=0.99, look=125), 1),
}


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on from the checkpoints beside OUT.")
@click.option("--steps", type=click.IntRange(1), help="Of each of the three trainings; few to try it out.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def command(out: Path, resume: bool, steps: int | None, seed: int) -> int:
    """Train the network for the discs and write its weights to OUT."""
    if out.suffix != ".safetensors":
        raise OptionError(f"OUT: got {out.name}, expected a name that ends in .safetensors")
    first: Weights | None = None
    for name, (training, more) in ROUNDS.items():
        settings = training if steps is None else Training(**{**vars(training), "steps": steps})
        weights, result = train(
            ARCHITECTURE if first is None else first,
            DiscPairs(first, seed + more),
            Holes(),
            settings,
            seed=seed,
            checkpoint=out.with_suffix(f".{name}.checkpoint"),
            resume=resume,
        )
        if result.status == Status.INTERRUPTED:
            click.echo("interrupted: go on with --resume")
            return EXIT_INTERRUPTED
        click.echo(f"{name}: held-out loss {weights.provenance['held-out loss']:.4f}")
        first = weights
    weights.save(out, half=True)
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(run(lambda: command(standalone_mode=False), name="htc2022_training"))
