"""Pairs and networks that are trained in a moment."""

import torch
from torch import nn

from eitdip.data.streams import stream
from eitdip.parameterization import Affine
from eitdip.pretraining.losses import Squared
from eitdip.pretraining.source import Batch, PairSource

SIDE = 8
UNET = {"class": "unet", "latent_channels": 1, "channels": [4, 6], "levels": 1, "skips": 2, "scaled": True}


class Waves(PairSource):
    """Smooth images with noise, and without.

    Args:
        seed: Of all.
        held: Pairs that are watched.
        double: In double precision.
        huge: From this pair on the targets are so large that their squares are infinite; None for never.
    """

    def __init__(self, seed: int = 0, held: int = 5, double: bool = False, huge: int | None = None):
        self.seed, self.held, self.huge = seed, held, huge
        self.dtype = torch.float64 if double else torch.float32
        self.task, self.hash = {"problem": "waves", "shape": [SIDE, SIDE]}, f"waves-{seed}-{held}"
        self.asked: list[tuple[int, int]] = []

    def pairs(self, first, count):
        self.asked.append((first, count))
        batch = self._drawn("training pairs", range(first, first + count))
        if self.huge is not None and first + count > self.huge:
            return Batch(batch.inputs, batch.targets * 1e30)
        return batch

    def held_out(self):
        return self._drawn("held-out pairs", range(self.held))

    def _drawn(self, purpose: str, numbers) -> Batch:
        inputs, targets = [], []
        for number in numbers:
            rng = stream(self.seed, purpose, number)
            axis = torch.linspace(0, 3, SIDE)
            target = torch.outer(torch.sin(rng.uniform(0.5, 2) * axis + rng.uniform(0, 6)), torch.cos(axis))
            targets.append(target)
            inputs.append((target + torch.from_numpy(0.3 * rng.standard_normal((SIDE, SIDE))))[None])
        return Batch(torch.stack(inputs).to(self.dtype), torch.stack(targets).to(self.dtype))


class Line(nn.Module):
    """a x + b: a network whose gradients are known."""

    def __init__(self, a: float = 0.5, b: float = 0.1, dtype=torch.float64):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(value, dtype=dtype)) for value in (a, b))

    def forward(self, x):
        return (self.a * x + self.b)[:, 0]


def squared(unit: float = 1.0) -> Squared:
    return Squared(Affine(0.0, 1.0), unit)
