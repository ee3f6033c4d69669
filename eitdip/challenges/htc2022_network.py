"""Discs with an educated prior: a network that has seen synthetic discs finds the holes, the views correct it."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eitdip.data.htc2022 import SIDE, DiscData
from eitdip.errors import InvalidDataError
from eitdip.pretraining.discs import SPANS, TASK, answered
from eitdip.pretraining.weights import Weights
from eitdip.problems.disc_views import RADIUS, distance_from, projected, solid, turned, turned_point, wedge

STEPS = 3  # answers of the network, each with what the one before leaves unexplained


def load(path: Path) -> nn.Module:
    """The network of a file of weights.

    Raises:
        CheckpointError: If the file is missing, damaged, or for something else.
    """
    weights = Weights.load(path)
    weights.check(TASK, str(path))
    return weights.network().to(memory_format=torch.channels_last)


def holes(disc: DiscData, center: tuple[float, float], network: nn.Module, steps: int = STEPS) -> np.ndarray:
    """Probabilities of holes, in the frame of the file.

    Args:
        disc: Views whose sinogram has the path lengths in mm.
        center: (x, y) of the disc, mm.
        network: Of `load`.
        steps: Answers of the network.

    Returns:
        Shape (512, 512).

    Raises:
        InvalidDataError: If the network was not trained for these views.
    """
    spanned = float(np.mod(disc.angles - disc.angles[0] + 1e-6, 360.0).max())
    span = 10 * round(spanned / 10)
    if span not in SPANS or abs(span - spanned) > 0.6:
        raise InvalidDataError(f"views: got {spanned:.1f} degrees, but the network was trained for one of {SPANS}")
    views, middle = wedge(span), float(disc.angles[0]) + span / 2
    here = turned_point(center, -middle)
    missing = projected(views.matrix(), solid(here)[None]) - views.views(disc)
    found = answered(network, views, missing, here[None], steps)[0]
    return turned(found, middle, SIDE)


def segment(disc: DiscData, center: tuple[float, float], network: nn.Module) -> np.ndarray:
    """Where a disc has acrylic, bool, shape (512, 512); arguments and errors as of `holes`."""
    return (distance_from(center, SIDE) < RADIUS) & (holes(disc, center, network) < 0.5)
