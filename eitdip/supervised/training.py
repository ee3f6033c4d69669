"""Supervised training: the mean square error over pairs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from eitdip.data.streams import stream
from eitdip.errors import DivergenceError, OptionError
from eitdip.reconstruction import Checkpoint
from eitdip.supervised.pairs import Pairs


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Args:
        epochs: How often each pair is seen.
        batch: Pairs in a step.
        learning_rate: Of Adam at the start; it falls to zero along a cosine.
        seed: Of the order of the pairs.

    Raises:
        OptionError: If one is out of range.
    """

    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if not 0 < self.learning_rate < float("inf"):
            raise OptionError(f"learning_rate: got {self.learning_rate}, expected > 0 and finite")


def train(
    model: nn.Module,
    pairs: Pairs,
    training: Training | None = None,
    *,
    path: Path | None = None,
    quiet: bool = False,
) -> np.ndarray:
    """Fit a model of data to images; it is changed in place.

    Args:
        model: Data (B, ...) to images (B, H, W).
        pairs: Images and data.
        training: How.
        path: Checkpoint after each epoch. If it is there already, the training goes on from it, with the same weights
            to the last bit as without the interruption.
        quiet: No progress bar.

    Returns:
        Mean square error of each epoch, as it was when the pairs were seen; shape (epochs,).

    Raises:
        CheckpointError: If the checkpoint is damaged or of another training.
        DivergenceError: If the loss becomes infinite or NaN; the checkpoint keeps the epoch before.
    """
    training = training or Training()
    optimizer = torch.optim.Adam(model.parameters(), lr=training.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs)
    run, losses = _fingerprint(model, pairs, training), []
    if path is not None and Path(path).exists():
        state = Checkpoint.load(path, run).state
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        losses = list(state["losses"])
    model.train()
    epochs = range(len(losses), training.epochs)
    with tqdm(total=training.epochs, initial=len(losses), desc="training", disable=True if quiet else None) as bar:
        for epoch in epochs:
            losses.append(_epoch(model, pairs, training, optimizer, epoch))
            schedule.step()
            bar.update(1)
            bar.set_postfix(mse=f"{losses[-1]:.3g}", refresh=False)
            if path is not None:
                state = {
                    "model": dict(model.state_dict()), "optimizer": optimizer.state_dict(),
                    "schedule": _plain(schedule.state_dict()), "losses": losses,
                }  # fmt: skip
                Checkpoint(run, epoch + 1, state).save(path)
    model.eval()
    return np.array(losses)


def _epoch(model, pairs: Pairs, training: Training, optimizer, epoch: int) -> float:
    # The order depends on the epoch alone, so an interruption changes nothing.
    order = torch.from_numpy(stream(training.seed, "order of pairs", epoch).permutation(len(pairs)))
    total = 0.0
    for chosen in order.split(training.batch):
        optimizer.zero_grad()
        loss = (model(pairs.data[chosen]) - pairs.images[chosen]).square().mean()
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"training: the loss is {float(loss.detach())} in epoch {epoch}; lower learning_rate "
                f"(now {training.learning_rate:g})"
            )
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(chosen)
    return total / len(pairs)


def _plain(state: dict) -> dict:
    return {name: value for name, value in state.items() if isinstance(value, bool | int | float | list)}


def _fingerprint(model: nn.Module, pairs: Pairs, training: Training) -> str:
    """Of data, settings and first weights: a checkpoint belongs to one training."""
    digest = hashlib.sha256(repr((type(model).__name__, training)).encode())
    for tensor in (pairs.images, pairs.data, *model.parameters()):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
