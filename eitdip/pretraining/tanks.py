"""Pairs for electrode tanks: one-step images of simulated tanks, and the classes of what is in them.

A simulated tank is a transfer matrix, or one of flux moments where the whole boundary is driven, so all that can differ
between two measurements of it is drawn anew each time it is used: which electrodes are there, how the tank is turned
and mirrored, the instrument's gains and offsets, noise.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
import torch

from eitdip.data.streams import stream
from eitdip.data.transfers import Transfers
from eitdip.errors import OptionError, ShapeError
from eitdip.pretraining.source import Batch, PairSource
from eitdip.problems.one_step import OneStep
from eitdip.problems.problem import Problem
from eitdip.problems.symmetries import Symmetries


@dataclass(frozen=True)
class TankErrors:
    """Errors of difference data that calibration leaves; one size for all of them is drawn for each tank.

    The deviations of the data belong to a model that is calibrated well. Training needs larger ones: with errors that
    look right on simulated tanks a network that sees residuals invents objects in real ones.

    Args:
        size: Median of a tank's size, which multiplies all below.
        spread: Deviation of its logarithm.
        white: Of each voltage, over its deviation.
        gain: Of each injection, relative.
        channel: Of each voltage channel, relative.
        common: Of all, relative.
        offset: Of each voltage channel, over the median deviation.
        contact: Of the voltage that each electrode's contact adds, over the median deviation.
    """

    size: float = 2.5
    spread: float = 0.6
    white: float = 0.6
    gain: float = 0.012
    channel: float = 0.01
    common: float = 0.02
    offset: float = 0.4
    contact: float = 0.5

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not 0 <= value < np.inf:
                raise OptionError(f"{name}: got {value}, expected a finite number, at least 0")


@dataclass(frozen=True, eq=False)
class Layout:
    """Electrodes and patterns of a measurement, and its one-step images.

    Args:
        problem: A measurement with them, of any content.
        images: A^+ of it.
    """

    problem: Problem
    images: OneStep

    def measured(self, transfer: np.ndarray) -> np.ndarray:
        """Difference data (K, M) of a transfer matrix minus that of the empty tank, (L, L), 1 / background.

        Or of flux moments of boundary functions, which are as large as the background, not as small.
        """
        tables, start = self.problem.measurements, self.problem.unknown.start
        data = tables.sources @ transfer @ tables.moments.T
        return data * start if tables.model == "dirichlet" else data / start

    def disturbed(self, data: np.ndarray, errors: TankErrors, rng: np.random.Generator) -> np.ndarray:
        """Difference data (K, M) with errors of the instrument."""
        tables, deviation = self.problem.measurements, self.problem.data.deviation
        unit = float(np.median(deviation[self.images.mask]))
        size = errors.size * np.exp(errors.spread * rng.standard_normal())
        (injections, channels), electrodes = data.shape, tables.sources.shape[1]
        relative = errors.common * rng.standard_normal() + errors.gain * rng.standard_normal((injections, 1))
        relative = relative + errors.channel * rng.standard_normal(channels)
        contact = errors.contact * unit * rng.standard_normal(electrodes) / np.abs(tables.sources).max()
        contact *= tables.model == "electrodes"
        error = errors.offset * unit * rng.standard_normal(channels) + (tables.sources * contact) @ tables.moments.T
        error += errors.white * deviation * rng.standard_normal(data.shape)
        return data + size * (relative * data + error)


class TankPairs(PairSource):
    """Pairs of one-step images and shares of classes.

    Args:
        layouts: Which electrodes may be there; one is drawn for each pair.
        tanks: Simulated ones.
        held: Tanks at the end of these that are never trained on.
        errors: Of the data.
        seed: Of all draws.

    Raises:
        OptionError: If there are too few tanks.
        ShapeError: If tanks and layouts have other numbers of electrodes.
    """

    def __init__(
        self, layouts: list[Layout], tanks: Transfers, held: int = 280, errors: TankErrors | None = None, seed: int = 0
    ):
        if not 0 < held < len(tanks):
            raise OptionError(f"held: got {held} of {len(tanks)} tanks, expected at least 1, and some left to train on")
        electrodes = {layout.problem.measurements.sources.shape[1] for layout in layouts}
        if electrodes != {tanks.transfer.shape[1]}:
            raise ShapeError(f"tanks: got {tanks.transfer.shape[1]} electrodes, expected {electrodes} of the layouts")
        self.layouts, self.tanks, self.errors, self.seed = layouts, tanks, errors or TankErrors(), seed
        self._trained, self.held = len(tanks) - held, held
        tank = layouts[0].problem.measurements.geometry
        self.symmetries = Symmetries.of(
            tank, tanks.classes.shape[1:], layouts[0].images.window, layouts[0].images.shape,
            functions=0 if layouts[0].problem.measurements.model == "electrodes" else tanks.transfer.shape[1],
        )  # fmt: skip
        self.task = task(layouts)
        words = [tanks.hash, asdict(self.errors), seed, held, self.task]
        self.hash = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:16]

    def pairs(self, first, count):
        numbers = range(first, first + count)
        return self.batch_of([self.drawn(stream(self.seed, "errors of tanks", 0, i)) for i in numbers])

    def held_out(self):
        return self.batch_of([self.drawn(stream(self.seed, "errors of tanks", 1, i), i) for i in range(self.held)])

    def picture(self, answer):
        classes = answer.argmax(axis=0)
        return classes[len(classes) // 2] if classes.ndim == 3 else classes  # of a solid its middle section

    def drawn(self, rng: np.random.Generator, held: int | None = None) -> tuple[int, np.ndarray, np.ndarray]:
        """Number of a layout, data (K, M) and shares of classes (3, *shape) of a random tank, or of a held-out one."""
        tank = int(rng.integers(self._trained)) if held is None else self._trained + held
        which = int(rng.integers(len(self.layouts))) if held is None else held % len(self.layouts)
        layout, symmetry = self.layouts[which], int(rng.integers(len(self.symmetries)))
        data = layout.measured(self.symmetries.transfer(symmetry, self.tanks.transfer[tank]))
        return (
            which,
            layout.disturbed(data, self.errors, rng),
            self.symmetries.shares(symmetry, self.tanks.classes[tank]),
        )

    def batch_of(self, drawn: list[tuple[int, np.ndarray, np.ndarray]]) -> Batch:
        """The pairs of what was drawn; the images of each layout in one product."""
        layouts = np.array([which for which, _, _ in drawn])
        inputs = np.empty((len(drawn), self.layouts[0].images.channels, *self.layouts[0].images.shape), np.float32)
        for which in np.unique(layouts):
            mine = np.flatnonzero(layouts == which)
            inputs[mine] = self.layouts[which].images(np.stack([drawn[i][1] for i in mine]))
        return Batch(torch.from_numpy(inputs), torch.from_numpy(np.stack([shares for _, _, shares in drawn])))


def task(layouts: list[Layout]) -> dict:
    """What a network for these layouts is good for."""
    tables, images = layouts[0].problem.measurements, layouts[0].images
    names = {"electrodes": ("electrode tank", "electrodes"), "dirichlet": ("boundary potentials", "functions")}
    problem, counted = names[tables.model]
    return {
        "problem": problem,
        counted: tables.sources.shape[1],
        "pixels": list(images.shape),
        "channels": images.channels,
        "patterns": _digest(np.sign(tables.sources), tables.moments),
        "masks": [_digest(layout.images.mask) for layout in layouts],
    }


def among(own: dict, trained: dict) -> dict:
    """The task of one layout with all masks that a network was trained for, if that of the layout is one of them."""
    known = trained.get("masks", [])
    return own | {"masks": known} if own["masks"][0] in known else own


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array + 0.0).tobytes())
    return digest.hexdigest()[:8]
