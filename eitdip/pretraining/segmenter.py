"""Classes of a tank by trained networks: one-step images, a first answer, and corrections by the nonlinear model."""

import numpy as np
import torch

from eitdip.errors import CheckpointError
from eitdip.pretraining.tanks import Layout, among, task
from eitdip.pretraining.weights import Weights
from eitdip.problems.one_step import OneStep
from eitdip.problems.physical_step import PhysicalStep
from eitdip.problems.problem import Problem


class Segmenter:
    """Tanks with one layout of electrodes and patterns, to logits of the classes of pixels.

    Args:
        problem: A measurement with that layout, calibrated.
        first: Weights of the first network.
        second: Weights of the network that corrects answers, or None.
        corrections: How often it does.

    Raises:
        CheckpointError: If weights were trained for other electrodes, patterns, masks or images, or the second ones for
            the answers of another first network.
    """

    def __init__(self, problem: Problem, first: Weights, second: Weights | None = None, corrections: int = 2):
        self._images = OneStep(problem)
        wanted = task([Layout(problem, self._images)])
        _check(first, wanted, "first network")
        self._first, self._second = first.network(), None
        self._corrections = corrections if second is not None else 0
        if second is not None:
            more = {"first": first.hash, "channels": wanted["channels"] + PhysicalStep.channels}
            _check(second, wanted | more, "second network")
            self._second, self._step = second.network(), PhysicalStep(problem, self._images)

    def __call__(self, problem: Problem) -> np.ndarray:
        """Logits of the classes, float32, shape (3, H, W) over the unknown's window.

        Args:
            problem: Data of such a tank.

        Raises:
            ShapeError: If its mask is another one.
        """
        return self.answer(self._images.difference(problem))

    @torch.no_grad()
    def answer(self, difference: np.ndarray, corrections: int | None = None) -> np.ndarray:
        """The same of difference data, shape (K, M), corrected as often as was said above, or less."""
        inputs = torch.from_numpy(self._images(difference[None]))
        logits = self._first(inputs)
        for _ in range(self._corrections if corrections is None else min(corrections, self._corrections)):
            more = self._step(logits[0].softmax(dim=0).numpy(), difference)
            logits = self._second(torch.cat([inputs, torch.from_numpy(more[None])], dim=1))
        return logits[0].numpy()


def _check(weights: Weights, wanted: dict, name: str) -> None:
    """As `Weights.check`, but the weights may know more masks than the one that is wanted."""
    wanted, known = among(wanted, weights.task), weights.task.get("masks", [])
    if wanted["masks"] != known:
        raise CheckpointError(
            f"{name}: trained for {len(known)} levels (sets of measurements that are there), expected this problem's "
            "among them: other electrodes or measurements are missing here; train others for it"
        )
    weights.check(wanted, name)
