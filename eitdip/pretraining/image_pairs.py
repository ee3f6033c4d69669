"""Pairs for an imaging task: random pictures, and what a classical method makes of their data."""

import hashlib
import json

import numpy as np
import torch

from eitdip.data.noise import Gaussian
from eitdip.data.streams import stream
from eitdip.errors import OptionError
from eitdip.phantoms import random_picture
from eitdip.pretraining.source import Batch, PairSource
from eitdip.problems.problem import Problem

_PROBES = 8


class ImagePairs(PairSource):
    """A picture x is the target, and A^+ y of its data y = A x + noise the input, in the geometry of a problem.

    A^+ is the model's `pinv`: filtered back-projection, zero filling, ... The picture's values fill the range of the
    problem's unknown; the noise is that of its data, times a factor drawn for each pair, as its size is never known
    well. A complex picture gets a smooth random phase.

    Args:
        problem: Its model, the mask and noise of its data, and its unknown; not its data.
        family: Of the pictures, as of `eitdip.phantoms.random_picture`.
        seed: Of all.
        held_out: Pairs that are not trained on.
        spread: The noise is between 1 / spread and spread times that of the data.

    Raises:
        OptionError: If the problem is that of no image, or a number is out of range.
    """

    def __init__(self, problem: Problem, *, family: str = "ellipses", seed: int = 0, held_out: int = 32,
                 spread: float = 1.5):  # fmt: skip
        if problem.unknown.kind != "image":
            raise OptionError(f"problem: got {problem.name}, expected one whose unknown is an image")
        if held_out < 1 or not 1 <= spread < float("inf"):
            raise OptionError(f"held_out, spread: got {held_out}, {spread}; expected at least 1 each")
        self.problem, self.family, self.seed = problem, family, int(seed)
        self._held_out, self._spread = int(held_out), float(spread)
        noise = problem.data.noise
        # Of a deviation that is not known, a unit stands in.
        self._noise = noise if noise.known else Gaussian(problem.data.deviation)
        self.task = image_task(problem)
        random_picture(np.random.default_rng(0), problem.unknown.space.shape[-problem.unknown.dimension :], family)
        # Where the range of values is not known, the problem's data decide size and start of the pictures.
        decided = [problem.unknown.hash, self._noise.name]
        chosen = [self.task, *decided, family, self.seed, self._held_out, self._spread]
        digest = hashlib.sha256(json.dumps(chosen).encode())
        for array in (problem.data.mask, *self._noise.arrays()):
            digest.update(np.ascontiguousarray(array).tobytes())
        self.hash = digest.hexdigest()[:16]

    def pairs(self, first, count):
        return self._drawn("training pairs", range(first, first + count))

    def held_out(self):
        return self._drawn("held-out pairs", range(self._held_out))

    def to(self, device):
        self.problem.model.to(device)
        return self

    def picture(self, answer):
        return self.problem.unknown.picture(answer)

    def _drawn(self, purpose: str, numbers: range) -> Batch:
        model, data, unknown = self.problem.model, self.problem.data, self.problem.unknown
        drawn = [stream(self.seed, purpose, number) for number in numbers]
        images = np.stack([self._picture(rng) for rng in drawn]).astype(unknown.space.dtype)
        measured = np.stack([
            mean + self._spread ** rng.uniform(-1, 1) * (self._noise.sample(mean, rng) - mean)
            if self._noise.name == "gaussian"
            else self._noise.sample(mean, rng)
            for mean, rng in zip(np.asarray(model(images)), drawn, strict=True)
        ])  # fmt: skip
        first = torch.from_numpy(np.asarray(model.pinv(np.where(data.mask, measured, 0))))
        return Batch(unknown.network_input(first), torch.from_numpy(images))

    def _picture(self, rng: np.random.Generator) -> np.ndarray:
        unknown = self.problem.unknown
        shape = unknown.space.shape[-unknown.dimension :]
        low = 0.0 if unknown.low is None else unknown.low
        # Without a largest value the unit is but a guess.
        size = unknown.unit if unknown.high is not None else unknown.unit * rng.uniform(0.5, 1.5)
        if unknown.channels > 1 and not unknown.complex:
            return low + size * np.stack([random_picture(rng, shape, self.family) for _ in range(unknown.channels)])
        picture = low + size * random_picture(rng, shape, self.family)
        return picture * np.exp(1j * _phase(rng, shape)) if unknown.complex else picture


def image_task(problem: Problem) -> dict:
    """What decides whether a network fits a problem: shapes, values, and some numbers of A x for a fixed x."""
    model, unknown = problem.model, problem.unknown
    shape = unknown.space.shape
    # A wave that no symmetry of an operator maps to itself.
    x = (1 + np.cos(np.arange(unknown.space.size) * 0.7)).reshape(shape).astype(unknown.space.dtype)
    y = np.abs(np.asarray(model(x))).ravel()
    parts = np.array_split(y, min(_PROBES, y.size))
    return {
        "problem": "image",
        "shape": list(shape),
        "data": list(model.range.shape),
        "lowest value": unknown.low,
        "highest value": unknown.high,
        "operator": [float(np.sqrt(np.mean(np.square(part)))) for part in parts],
    }


def _phase(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A plane and a wave, smooth as the phase of a magnetic resonance image."""
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    slope, waves = rng.uniform(-1, 1, len(shape)), rng.uniform(0.5, 1.5, len(shape))
    plane, wave = (sum(factor * axis for factor, axis in zip(each, axes, strict=True)) for each in (slope, waves))
    return rng.uniform(-np.pi, np.pi) + plane + 0.5 * np.sin(np.pi * wave)
