"""From a problem to the network that is trained for it: pairs, loss and architecture by the kind of its unknown."""

import time
from dataclasses import asdict
from math import log
from pathlib import Path

import numpy as np
from torch import nn

from eitdip import plot
from eitdip.data.transfers import load as load_tanks
from eitdip.errors import DivergenceError, OptionError
from eitdip.mesh import Domain
from eitdip.methods.options import Running
from eitdip.pretraining.image_pairs import ImagePairs
from eitdip.pretraining.losses import Squared
from eitdip.pretraining.segmentation import Classes
from eitdip.pretraining.snapshots import Snapshots, snapshots_beside
from eitdip.pretraining.source import PairSource
from eitdip.pretraining.tanks import Layout, TankPairs
from eitdip.pretraining.tasks import refuse_others
from eitdip.pretraining.training import Network, Training
from eitdip.pretraining.weights import Weights
from eitdip.problems.one_step import OneStep
from eitdip.problems.problem import Problem
from eitdip.ranks.collectives import world
from eitdip.reconstruction import Progress, Result, Status
from eitdip.runs.training import train, weights_of

_BETWEEN = 20.0  # s between two pictures
_SPREAD = 2.5  # of contrasts about those of a class
_WINDOW = 0.3  # of the image's longest side, under which objects are compared, as in the Kuopio challenge


def lesson(problem: Problem, network: Network, simulated: Path, comm=None) -> tuple[dict, PairSource, nn.Module]:
    """Architecture, pairs and loss, as `eitdip.runs.training.train` takes them.

    Args:
        problem: What the network shall be good for; its data are not used, but for their noise and mask.
        network: Settings.
        simulated: File for simulated tanks; what is there already is not simulated again. Images need none.
        comm: MPI communicator, by default all ranks.

    Raises:
        OptionError: If there is none for such a problem.
    """
    return (_image if problem.unknown.kind == "image" else _tank)(problem, network, simulated, comm)


def _image(problem: Problem, network: Network, simulated: Path, comm):
    unknown = problem.unknown
    source = ImagePairs(
        problem, family=network.family, seed=network.pairs_seed, held_out=network.held_pairs, spread=network.spread
    )
    architecture = network.architecture(unknown.channels, unknown.channels, unknown.dimension)
    return architecture, source, Squared(unknown.bounded(None, None), unknown.unit, unknown.complex)


def _tank(problem: Problem, network: Network, simulated: Path, comm):
    """Classes of what is in a tank, from the one-step images of simulated ones."""
    from eitdip.problems.simulate_transfer import record_tanks  # finite elements: images need none

    family = tank_family(problem, network.resistive, network.conductive)
    record_tanks(simulated, family, network.tanks, network.pairs_seed, comm)
    images = OneStep(problem)
    held = min(network.held_pairs, network.tanks // 2)
    source = TankPairs([Layout(problem, images)], load_tanks(simulated), held, seed=network.pairs_seed)
    source.task |= {"levels": [0.0, log(network.resistive), log(network.conductive)]}
    architecture = network.architecture(images.channels, 3, family.tank.dimension)
    return architecture, source, Classes(images.shape, _WINDOW * max(images.shape))


def tank_family(problem: Problem, resistive: float, conductive: float):
    """What tanks like a problem's may be, as `eitdip.problems.simulate_transfer.TankFamily`.

    Args:
        problem: With electrodes, or with boundary potentials.
        resistive, conductive: Contrasts, in about whose middle those of objects are drawn.

    Raises:
        OptionError: If it is driven by currents without electrodes, or brings a mesh.
    """
    from eitdip.problems.simulate_transfer import TankFamily

    refuse_others(problem)
    tank, impedance = problem.measurements.geometry, problem.measurements.contact_impedance
    if isinstance(tank, Domain):
        raise OptionError(f"{problem.name}: got data that bring a mesh, expected a round tank, which is meshed anew")
    low, high = ((contrast / _SPREAD, contrast * _SPREAD) for contrast in (resistive, conductive))
    if impedance is None:
        return TankFamily(tank, low=low, high=high, functions=problem.measurements.sources.shape[1])
    # In the unit of radius / background, between a third of the least and three times the largest.
    contact = np.array([impedance.min() / 3, impedance.max() * 3]) * problem.unknown.start / tank.radius
    return TankFamily(tank, contact=tuple(contact.tolist()), low=low, high=high)


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
    """Train a network for a problem and write its weights; beside them a checkpoint, curves, examples and snapshots.

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
    beside = {
        name: out.with_name(f"{out.stem}-{name}") for name in ("checkpoint.safetensors", "curves.png", "examples.png")
    }
    simulated = out.with_name(f"{out.stem}-tanks.h5")
    architecture, source, loss = lesson(problem, network or Network(), simulated, comm)
    show = _Examples(source, beside["examples.png"], comm.rank == 0)
    callbacks = [show]
    if training.snapshots and comm.rank == 0:
        told = {"training": asdict(training), "pairs": source.hash, "seed": seed}
        make = lambda state, step: Weights(architecture, state, source.task, told | {"step": step})  # noqa: E731
        callbacks.append(Snapshots(snapshots_beside(out), training.snapshots, training.steps, make))
    try:
        weights, result = train(
            architecture, source, loss, training, seed=seed, checkpoint=beside["checkpoint.safetensors"],
            resume=resume, running=running, quiet=quiet, comm=comm, callbacks=callbacks,
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
