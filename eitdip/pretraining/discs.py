"""Pairs for the discs of the Helsinki Tomography Challenge 2022: simulated views, and where the holes are.

A disc is drawn on a grid twice as fine as the network's, and its views have the errors that measured ones have. What
these are was read off what the segmentations of the training discs ta and tb leave unexplained: 0.4 mm of path length,
half of it correlated over several detector pixels and views, and a mean of 0.2 mm that differs between lengths. The
training takes somewhat larger ones.
"""

import hashlib
import json

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from eitdip.data.streams import stream
from eitdip.phantoms.discs import random_holes
from eitdip.pretraining.source import Batch, PairSource
from eitdip.pretraining.weights import Weights
from eitdip.problems.disc_views import (
    CHANNELS,
    DETECTOR_SIZE,
    PIXEL,
    RADIUS,
    SIDE,
    Wedge,
    mirrored,
    projected,
    solid,
    wedge,
)

SPANS = (30, 40, 50, 60, 70, 80, 90)
TASK = {"data": "views of HTC2022", "side": SIDE, "channels": CHANNELS, "spans": list(SPANS)}
_SHARES = (0.28, 0.2, 0.16, 0.12, 0.1, 0.07, 0.07)  # the fewer views, the more there is to learn
_BLOCK = 8  # pairs of one span
_FINE = 2 * SIDE
_ATTENUATION = 1 / 33.0  # 1/mm, a mean over the hardened beam


class DiscPairs(PairSource):
    """Images of a disc's views, and its holes.

    With `first` every disc makes two pairs: in the input of the second are the answer of those weights and what it
    leaves unexplained, so that the network learns a first answer and a step from one answer to a better one.

    Args:
        first: Weights whose answers are improved on; none by default.
        seed: Of all draws.
        held: Number of held-out pairs.
    """

    task = TASK

    def __init__(self, first: Weights | None = None, seed: int = 0, held: int = 70):
        self._seed, self._held = seed, held
        self._first = None if first is None else first.network().to(memory_format=torch.channels_last)
        words = [1, seed, held, _SHARES, _BLOCK, None if first is None else first.hash]
        self.hash = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]

    def pairs(self, first, count):
        made = []
        for block in range(first // _BLOCK, (first + count - 1) // _BLOCK + 1):
            numbers = range(max(first, block * _BLOCK), min(first + count, (block + 1) * _BLOCK))
            span = stream(self._seed, "training pairs", 1, block).choice(SPANS, p=_SHARES)
            made.append(self._made("training pairs", (0,), numbers, int(span)))
        return _joined(made)

    def held_out(self):
        count = self._held // len(SPANS)
        return _joined([
            self._made("held-out pairs", (), range(place * count, (place + 1) * count), span)
            for place, span in enumerate(SPANS)
        ])  # fmt: skip

    def _made(self, name: str, more: tuple, numbers: range, span: int) -> Batch:
        twice = 1 if self._first is None else 2
        discs = sorted({number // twice for number in numbers})
        missing, holes, centers = simulate([stream(self._seed, name, *more, disc) for disc in discs], span)
        place = [discs.index(number // twice) for number in numbers]
        missing, centers, answers = missing[place], centers[place], np.zeros((len(place), SIDE, SIDE), np.float32)
        improved = [i for i, number in enumerate(numbers) if number % 2 and twice == 2]
        if improved:
            answers[improved] = answered(self._first, wedge(span), missing[improved], centers[improved], 1)
        targets = np.stack([halved(image) for image in holes])[place]
        return Batch(torch.from_numpy(wedge(span).inputs(missing, centers, answers)), torch.from_numpy(targets))


def answered(network: nn.Module, views: Wedge, missing: np.ndarray, centers: np.ndarray, steps: int) -> np.ndarray:
    """Probabilities of holes, shape (B, SIDE, SIDE): the mean of those of the discs and of their mirror images.

    Args:
        network: Trained on `DiscPairs`.
        views: Of the discs.
        missing, centers: As for `Wedge.inputs`.
        steps: The first sees no answer, each other one that of the one before.
    """
    answers = None
    for _ in range(steps):
        seen = torch.from_numpy(views.inputs(missing, centers, answers))
        with torch.no_grad():
            both = network(torch.cat([seen, mirrored(seen)]).contiguous(memory_format=torch.channels_last)).sigmoid()
        answers = ((both[: len(seen)] + both[len(seen) :].flip(-1)) / 2).numpy()
    return answers


class Holes(nn.Module):
    """Three cross-entropies, and one minus the challenge's score of the probabilities.

    The score is Matthews' correlation coefficient of material against air, that around the disc included.
    """

    def images(self, outputs: torch.Tensor) -> torch.Tensor:
        """Probabilities of a hole, (B, H, W), of logits."""
        return outputs.sigmoid()

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named losses of logits and shares of hole, both (B, H, W)."""
        entropy = functional.binary_cross_entropy_with_logits(outputs, targets)
        return {"cross-entropy": 3 * entropy, "score": (1 - score(outputs.sigmoid(), targets)).mean()}


def score(answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Matthews' correlation coefficient of shares of hole (B, SIDE, SIDE), for each disc."""
    around = SIDE**2 - np.pi * (RADIUS / PIXEL) ** 2  # pixels that are air in both
    p, t = answers.flatten(1), targets.flatten(1)
    both, neither = (p * t).sum(1) + around, ((1 - p) * (1 - t)).sum(1) - around
    more, less = (p * (1 - t)).sum(1), ((1 - p) * t).sum(1)
    product = (both + more) * (both + less) * (neither + more) * (neither + less)
    return (both * neither - more * less) / product.clamp_min(1).sqrt()


def _joined(batches: list[Batch]) -> Batch:
    return Batch(torch.cat([batch.inputs for batch in batches]), torch.cat([batch.targets for batch in batches]))


def simulate(draws, span: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random discs.

    Args:
        draws: Random generators, one for each disc, which decide everything.
        span: Of the views, degrees.

    Returns:
        Path lengths that are missing to the discs that are thought to be there, shape (B, views, detectors); share of
        hole of the pixels of the fine grid; and where the discs' centres are thought to be, (B, 2).
    """
    centers = [rng.normal(0, 0.8, 2).clip(-2, 2) for rng in draws]
    holes = np.stack([
        random_holes(rng, _FINE, PIXEL * SIDE / _FINE, RADIUS, tuple(center))
        for rng, center in zip(draws, centers, strict=True)
    ])  # fmt: skip
    levels = [np.exp(rng.normal(0.3, 0.5)) for rng in draws]
    material = np.stack([solid(center, _FINE) for center in centers]) - holes
    lengths = projected(wedge(span).matrix(_FINE), material)
    measured = np.stack([distorted(*each) for each in zip(draws, lengths, levels, strict=True)])
    thought = np.stack([
        center + level * rng.normal(0, 0.1, 2) for rng, center, level in zip(draws, centers, levels, strict=True)
    ])  # fmt: skip
    whole = projected(wedge(span).matrix(), np.stack([solid(center) for center in thought]))
    return (whole - measured).astype(np.float32), holes, thought


def distorted(rng: np.random.Generator, lengths: np.ndarray, level: float) -> np.ndarray:
    """Path lengths as they would be measured.

    Args:
        rng: Decides everything.
        lengths: mm, shape (views, detectors).
        level: Of all errors, about 1 for those of the competition.
    """
    # The light of bright detector pixels spreads to dark ones; the attenuation curve corrects for it on the average.
    light = np.exp(-_ATTENUATION * lengths)
    width = rng.uniform(2.5, 12.0) / DETECTOR_SIZE
    spread = rng.normal(0, 0.008) * level * (ndimage.gaussian_filter1d(light, width, axis=1) - light)
    found = lengths - np.log1p(np.maximum(spread / light, -0.5)) / _ATTENUATION
    scaled = lengths / 40
    found += level * (rng.normal(0, 0.25) * scaled + rng.normal(0, 0.25) * scaled * (scaled - 1))
    found *= 1 + rng.normal(0, 0.003) * level
    smooth = ndimage.gaussian_filter(rng.standard_normal(lengths.shape), rng.uniform(1, 5, 2))
    found += level * rng.uniform(0.05, 0.3) * smooth / smooth.std()
    found += level * 0.12 * (1 + scaled**2) * rng.standard_normal(lengths.shape)
    return found + level * 0.07 * rng.standard_normal(lengths.shape[1])


def halved(image: np.ndarray) -> np.ndarray:
    """Means over 2 x 2 pixels."""
    return image.reshape(len(image) // 2, 2, -1, 2).mean(axis=(1, 3))
