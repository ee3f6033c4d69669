"""From a problem to the network that is trained for it: pairs, loss and architecture by the kind of its unknown."""

import time
from pathlib import Path

import numpy as np
from torch import nn

from eitdip import plot
from eitdip.errors import DivergenceError, choose
from eitdip.methods.options import Running
from eitdip.pretraining.image_pairs import ImagePairs
from eitdip.pretraining.losses import Squared
from eitdip.pretraining.source import PairSource
from eitdip.pretraining.training import Network, Training
from eitdip.pretraining.weights import Weights
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import world
from eitdip.reconstruction import Progress, Result, Status
from eitdip.runs.training import train, weights_of

_BETWEEN = 20.0  # s between two pictures


def lesson(problem: Problem, network: Network) -> tuple[dict, PairSource, nn.Module]:
    """Architecture, pairs and loss, as `eitdip.runs.training.train` takes them.

    Args:
        problem: What the network shall be good for; its data are not used, but for their noise and mask.
        network: Settings.

    Raises:
        OptionError: If there is none for such a problem.
    """
    return choose("kind of problem for pretraining", problem.unknown.kind, {"image": _image})(problem, network)


def _image(problem: Problem, network: Network):
    unknown = problem.unknown
    source = ImagePairs(
        problem, family=network.family, seed=network.pairs_seed, held_out=network.held_pairs, spread=network.spread
    )
    architecture = network.architecture(unknown.channels, unknown.channels, unknown.dimension)
    return architecture, source, Squared(unknown.bounded(None, None), unknown.unit, unknown.complex)


def educate(
    problem: Problem,
    network: Network | None = None,
    training: Training | None = None,
    *,
    out: Path,
    seed: int = 0,
    resume: bool = False,
    running: Running | None = None,
    quiet: bool = False,
    comm=None,
) -> tuple[Weights, Result]:
    """Train a network for a problem and write its weights; beside them a checkpoint, curves and examples.

    Args:
        problem: As for `lesson`.
        network: Settings of network and pairs.
        training: Settings of the training.
        out: File for the weights, .safetensors.
        seed: Of the first weights.
        resume: Go on from the checkpoint beside `out`.
        running, quiet, comm: As for `eitdip.runs.training.train`.

    Returns:
        Weights and history; of an interrupted training those so far, which are not written.

    Raises:
        DivergenceError: If the loss becomes infinite or NaN; the best weights so far are written.
    """
    training, comm = training or Training(), world() if comm is None else comm
    architecture, source, loss = lesson(problem, network or Network())
    beside = {
        name: out.with_name(f"{out.stem}-{name}") for name in ("checkpoint.safetensors", "curves.png", "examples.png")
    }
    show = _Examples(source, beside["examples.png"], comm.rank == 0)
    try:
        weights, result = train(
            architecture, source, loss, training, seed=seed, checkpoint=beside["checkpoint.safetensors"],
            resume=resume, running=running, quiet=quiet, comm=comm, callbacks=[show],
        )  # fmt: skip
    except DivergenceError as error:
        if error.result is None or comm.rank:
            raise
        weights_of(architecture, source, training, seed, error.result).save(out)
        raise DivergenceError(f"{error}; {out} has the best weights so far", result=error.result) from error
    if comm.rank == 0 and result.status != Status.INTERRUPTED:
        weights.save(out)
        losses = {
            name: values for name, values in result.history.items() if name not in ("chi2", "held_out", "seconds")
        }
        plot.curves(beside["curves.png"], losses | {"held-out pairs": result.history["held_out"]}, result.kept)
        show.draw(result.estimate)
    return weights, result


class _Examples:
    """A picture of inputs, answers and targets of held-out pairs, drawn anew now and then while a training runs."""

    def __init__(self, source: PairSource, path: Path, writes: bool):
        self.source, self.path, self.writes = source, path, writes
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if self.writes and time.monotonic() - self._last > _BETWEEN:
            self.draw(progress.step.terms.estimate.cpu().numpy())
            self._last = time.monotonic()

    def draw(self, answers: np.ndarray) -> None:
        """Write the picture of the first answers."""
        targets, panels = self.source.held_out().targets[: len(answers)].numpy(), {}
        for number, (answer, target) in enumerate(zip(answers, targets, strict=True), start=1):
            panels |= {f"answer {number}": self.source.picture(answer), f"truth {number}": self.source.picture(target)}
        plot.pictures(self.path, panels)
