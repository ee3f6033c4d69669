"""Running a training: ranks, checkpoints, progress bar, interruption."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from eitdip.data.streams import stream_seed
from eitdip.methods.build import device_of
from eitdip.methods.options import Running
from eitdip.networks import initialize
from eitdip.pretraining.source import PairSource
from eitdip.pretraining.training import Training, begin, record
from eitdip.pretraining.weights import Weights, build
from eitdip.ranks.collectives import together, world
from eitdip.ranks.failures import ending_together
from eitdip.ranks.gradients import training_together
from eitdip.ranks.interruption import Interruption
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Progress, Result, reconstruct
from eitdip.runs.checkpointing import Checkpointer, OfRoot, resumed


def train(
    architecture: dict | Weights,
    source: PairSource,
    loss: nn.Module,
    training: Training | None = None,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    running: Running | None = None,
    quiet: bool = False,
    comm=None,
    callbacks: Sequence[Callable[[Progress], None]] = (),
) -> tuple[Weights, Result]:
    """Train a network on pairs; all ranks share each batch.

    Args:
        architecture: Of a network whose weights are drawn; or weights to go on from.
        source: Of the pairs.
        loss: As for `eitdip.pretraining.loss.PairsLoss`.
        training: Settings.
        seed: Of the first weights.
        checkpoint: File for checkpoints, or None for none.
        resume: Go on from that file, if it is there.
        running: Device, threads, time between checkpoints.
        quiet: No progress bar.
        comm: MPI communicator, by default all ranks.
        callbacks: Called with a `Progress` after each step.

    Returns:
        The moving average of the weights at the look that found the smallest held-out loss, and the history. A run
        that was interrupted has the status of one.

    Raises:
        CheckpointError: If the checkpoint is damaged or of another training.
        DivergenceError: If the loss becomes infinite or NaN; its `result.state` has the best weights so far.
    """
    training, running = training or Training(), running or Running()
    comm = world() if comm is None else comm
    use_threads(running.threads)
    with together(comm):
        device = device_of(running, comm)
        network, architecture = _network(architecture, seed)
    run = _fingerprint(network, architecture, source, loss, training)
    source.to(device)
    # The layout that convolutions are fastest with: 1.25 times on a CPU.
    flat = any(isinstance(layer, nn.Conv2d) for layer in network.modules())
    network.to(device, memory_format=torch.channels_last if flat else torch.contiguous_format)
    with ending_together(comm), training_together(comm, device), Interruption(comm) as asked:
        parts = begin(network, source, loss.to(device), training, comm if comm.size > 1 else None)
        parts.objective.to(device)
        found = resumed(checkpoint, run, comm) if resume and checkpoint is not None else None
        checkpointer = Checkpointer(checkpoint, running.checkpoint_seconds, comm)

        def interrupted() -> bool:
            checkpointer.check()
            return asked.agreed(comm)

        hidden = True if quiet or comm.rank else None
        start = found.iteration if found else 0
        with tqdm(total=training.steps, desc="training", disable=hidden, initial=start) as bar:
            result = reconstruct(
                parts.objective,
                parts.optimizer,
                parts.stop if comm.size == 1 else OfRoot(parts.stop, comm),
                schedule=parts.schedule,
                callbacks=[_show(bar), checkpointer, *callbacks],
                resume=found,
                run=run,
                interrupted=interrupted,
            )
        checkpointer.finish()
    return weights_of(architecture, source, training, seed, result), result


def weights_of(architecture: dict, source: PairSource, training: Training, seed: int, result: Result) -> Weights:
    """The weights that a training kept, with how they came about."""
    return Weights(architecture, result.state, source.task, record(training, source, result) | {"seed": seed})


def _network(architecture: dict | Weights, seed: int) -> tuple[nn.Module, dict]:
    if isinstance(architecture, Weights):
        return architecture.network().train(), architecture.architecture
    generator = torch.Generator().manual_seed(stream_seed(seed, "first weights"))
    return initialize(build(architecture), generator), architecture


def _fingerprint(
    network: nn.Module, architecture: dict, source: PairSource, loss: nn.Module, training: Training
) -> str:
    """Of all that decides the course of a training, part by part, as of `eitdip.runs.fingerprint`."""
    first = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for value in network.state_dict().values():
        first.update(value.contiguous().numpy().tobytes())
    chosen = {name: value for name, value in asdict(training).items() if name != "seconds"}
    settings = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    return (
        f"network:{first.hexdigest()[:16]} pairs:{source.hash} loss:{type(loss).__name__} "
        f"settings:{settings.hexdigest()[:16]}"
    )


def _show(bar):
    def show(progress: Progress) -> None:
        terms = progress.step.terms
        bar.update(1)
        words = {"loss": f"{float(terms.total.detach()):.3g}", "held out": f"{terms.held_out:.3g}"}
        bar.set_postfix(words, refresh=False)

    return show
