"""Discs with an educated prior: a network that has seen synthetic discs finds the holes, the views correct it."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eitdip.classical.two_valued import two_valued
from eitdip.data.htc2022 import SIDE, DiscData
from eitdip.errors import InvalidDataError
from eitdip.pretraining.discs import SPANS, TASK, answered
from eitdip.pretraining.weights import Weights
from eitdip.problems.disc_views import RADIUS, Wedge, distance_from, projected, solid, turned, turned_point, wedge

STEPS = 2  # answers of the network, the second with what the first leaves unexplained; a third is no better
# The views then move the edges on finer pixels, where a push holds the two values. On simulated discs that is worth
# .003 to .008 of the score at 30 degrees (the worst of 24 lost .025) and .008 at 60; the lean decides little.
FINE = 256
WEIGHT, DEVIATION, PUSH, REFINEMENTS = 3.0, 0.6, 4.0, 60
LEAN, SURE = 0.075, 0.997  # of the logits of a fine pixel, of probabilities that are cut there
RIM = 4.0  # mm without holes
# Degrees of view up to which the network is used. At 90 degrees the views alone decide, and the two-valued image, which
# sees them in full detail, is better: .990 and .984 on ta and tb, the network .988 and .982; at 60 degrees it is .986
# and .961, the network .984 and .971.
MOST = 70


def load(path: Path) -> nn.Module:
    """The network of a file of weights.

    Raises:
        CheckpointError: If the file is missing, damaged, or for something else.
    """
    weights = Weights.load(path)
    weights.check(TASK, str(path))
    return weights.network().to(memory_format=torch.channels_last)


def segment(disc: DiscData, center: tuple[float, float], network: nn.Module) -> np.ndarray:
    """Where a disc has acrylic.

    Args:
        disc: Views whose sinogram has the path lengths in mm.
        center: (x, y) of the disc, mm.
        network: Of `load`.

    Returns:
        bool, shape (512, 512).

    Raises:
        InvalidDataError: If the network was not trained for these views.
    """
    spanned = span_of(disc)
    span = 10 * round(spanned / 10)
    if span not in SPANS or abs(span - spanned) > 0.6:
        raise InvalidDataError(f"views: got {spanned:.1f} degrees, but the network was trained for one of {SPANS}")
    views, middle = wedge(span), float(disc.angles[0]) + span / 2
    sinogram, here = views.views(disc), turned_point(center, -middle)
    missing = projected(views.matrix(), solid(here)[None]) - sinogram
    found = answered(network, views, missing, here[None], STEPS)[0]
    fine = refined(turned(found, 0.0, FINE), views, missing[0], here)
    return (distance_from(center, SIDE) < RADIUS) & (turned(fine, middle, SIDE) < 0.5)


def span_of(disc: DiscData) -> float:
    """Degrees from the first view to the last."""
    return float(np.mod(disc.angles - disc.angles[0] + 1e-6, 360.0).max())


def refined(holes: np.ndarray, views: Wedge, missing: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Holes, shape (FINE, FINE), as the image of two values that explains the views, from probabilities of them.

    Args:
        holes: Probabilities, shape (FINE, FINE).
        views, missing, center: As for `Wedge.inputs`, of one disc.
    """
    likely = torch.from_numpy(holes).float().clamp(1 - SURE, SURE)
    return two_valued(
        views.operator(FINE),
        torch.from_numpy(missing).float(),
        WEIGHT,
        (PUSH,),
        deviation=DEVIATION,
        steps=REFINEMENTS,
        allowed=torch.from_numpy(RADIUS - distance_from(center, FINE) > RIM),
        start=likely,
        lean=-LEAN * likely.logit(),
    ).numpy()
