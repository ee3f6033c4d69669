"""Where pairs of an input and its answer come from, as many as a training asks for."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from eitdip.errors import InvalidDataError, ShapeError


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pairs.

    Args:
        inputs: What the network sees, shape (B, C, *shape).
        targets: What it should answer: images (B, *shape), or classes of pixels as integers.

    Raises:
        ShapeError: If there are not as many of each, or none.
        InvalidDataError: If a number is not finite.
    """

    inputs: torch.Tensor
    targets: torch.Tensor

    def __post_init__(self):
        if len(self.inputs) != len(self.targets) or not len(self.inputs):
            raise ShapeError(f"pairs: got {len(self.inputs)} inputs and {len(self.targets)} targets, expected as many")
        for name in ("inputs", "targets"):
            value = getattr(self, name)
            if not torch.isfinite(value).all():
                raise InvalidDataError(f"pairs: {name} contain NaN or infinity; leave such pairs out")

    def to(self, device) -> "Batch":
        """The same on a device."""
        return self if self.inputs.device == device else Batch(self.inputs.to(device), self.targets.to(device))


class PairSource(ABC):
    """An endless row of numbered pairs.

    Pair i depends on i and the source alone, never on the pairs drawn before: ranks can share a batch, and a training
    that was interrupted sees the same pairs as one that was not.

    Attributes:
        task: What a network that is trained on them is good for, as JSON values: `eitdip.pretraining.Weights.task`.
        hash: Of all that decides the pairs.
    """

    task: dict
    hash: str

    @abstractmethod
    def pairs(self, first: int, count: int) -> Batch:
        """Pairs first, first + 1, ..., first + count - 1, for training."""

    @abstractmethod
    def held_out(self) -> Batch:
        """Pairs that are never trained on, the same at each call."""

    def to(self, device) -> "PairSource":
        """Itself, computing pairs on this device as far as torch computes them; they need not be left there."""
        return self

    def picture(self, answer: np.ndarray) -> np.ndarray:
        """A picture (H, W), or (3, H, W), of a target or an answer; of probabilities the likeliest class."""
        return answer.argmax(axis=0) if answer.ndim == 3 else answer

    def batch(self, step: int, size: int, share: tuple[int, int] = (0, 1)) -> Batch:
        """The part of a rank of the batch of a step.

        Args:
            step: Number of the step.
            size: Pairs in the batch of all ranks.
            share: This rank, and how many there are; their number divides the size.
        """
        rank, ranks = share
        mine = size // ranks
        return self.pairs(step * size + rank * mine, mine)
