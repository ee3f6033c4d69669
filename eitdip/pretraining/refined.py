"""Pairs for a network that corrects the answers of another one, and pairs that are kept."""

import hashlib
import json

import numpy as np
import torch
from torch import nn

from eitdip.data.streams import stream
from eitdip.errors import OptionError
from eitdip.pretraining.source import Batch, PairSource
from eitdip.pretraining.tanks import TankPairs
from eitdip.pretraining.weights import Weights, build
from eitdip.problems.physical_step import PhysicalStep

_FIRST = "enter.0.weight"  # of a U-Net's first convolution


class RefinedPairs(PairSource):
    """Pairs of tanks with what a nonlinear model says of a first network's answers as further channels.

    Args:
        tanks: The pairs.
        first: The first network, from its inputs to logits of the classes.
        name: Of all that decides its answers, such as `Weights.hash`.
    """

    def __init__(self, tanks: TankPairs, first: nn.Module, name: str):
        self._tanks, self._first = tanks, first.eval()
        self._steps = [PhysicalStep(layout.problem, layout.images) for layout in tanks.layouts]
        self.task = tanks.task | {"first": name, "channels": tanks.task["channels"] + PhysicalStep.channels}
        self.hash = hashlib.sha256(json.dumps([tanks.hash, name]).encode()).hexdigest()[:16]

    def pairs(self, first, count):
        seed = self._tanks.seed
        numbers = range(first, first + count)
        return self._refined([self._tanks.drawn(stream(seed, "errors of tanks", 2, i)) for i in numbers])

    def held_out(self):
        count, seed = self._tanks.held, self._tanks.seed
        return self._refined([self._tanks.drawn(stream(seed, "errors of tanks", 1, i), i) for i in range(count)])

    def _refined(self, drawn) -> Batch:
        batch = self._tanks.batch_of(drawn)
        with torch.no_grad():
            shares = torch.cat([self._first(part).softmax(dim=1) for part in batch.inputs.split(50)]).numpy()
        more = [self._steps[which](share, data) for share, (which, data, _) in zip(shares, drawn, strict=True)]
        return Batch(torch.cat([batch.inputs, torch.from_numpy(np.stack(more))], dim=1), batch.targets)


def widened(weights: Weights, channels: int) -> Weights:
    """The same network with more input channels, which it does not look at before it is trained further.

    Args:
        weights: Of a U-Net.
        channels: How many more.
    """
    architecture = weights.architecture | {"latent_channels": weights.architecture["latent_channels"] + channels}
    known = weights.parameters[_FIRST]
    wide = build(architecture).state_dict()[_FIRST].shape
    parameters = dict(weights.parameters)
    parameters[_FIRST] = torch.cat([known, known.new_zeros(wide[0], wide[1] - known.shape[1], *wide[2:])], dim=1)
    return Weights(architecture, parameters, weights.task, weights.provenance)


class Kept(PairSource):
    """The first pairs of a costly source, made once and used again turned and mirrored.

    Images of a tank that is turned by a right angle or mirrored are those of another tank, with other electrodes there.

    Args:
        source: Its inputs and targets are square images.
        count: How many are made; pair i is pair i modulo this number, turned.
    """

    def __init__(self, source: PairSource, count: int):
        if count < 1:
            raise OptionError(f"count: got {count}, expected at least 1 pair")
        self._source, self._count, self._pairs = source, count, {}
        self.task = source.task
        self.hash = hashlib.sha256(f"{source.hash} {count}".encode()).hexdigest()[:16]

    def pairs(self, first, count):
        self._make(sorted({i % self._count for i in range(first, first + count)} - self._pairs.keys()))
        found = [self._turned(i) for i in range(first, first + count)]
        return Batch(*(torch.stack(part) for part in zip(*found, strict=True)))

    def held_out(self):
        return self._source.held_out()

    def _make(self, numbers: list[int]) -> None:
        """Make pairs, neighbours together; they are kept with 11 bits."""
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1):
            if len(run):
                batch = self._source.pairs(int(run[0]), len(run))
                parts = zip(batch.inputs.half(), batch.targets.half(), strict=True)
                self._pairs |= dict(zip(run.tolist(), parts, strict=True))

    def _turned(self, number: int) -> list[torch.Tensor]:
        turn = number // self._count % 8
        images = (value.float() for value in self._pairs[number % self._count])
        images = (torch.rot90(image, turn % 4, (-2, -1)) for image in images)
        return [image.flip(-1) if turn >= 4 else image for image in images]
