"""Objects that a segmentation has and the truth has not, and the other way round."""

import numpy as np
from scipy.ndimage import label

from eitdip.errors import ShapeError


def invented_and_missed(classes: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """How many objects are invented, and how many are missed.

    An object is a connected part of one class, but of 0, the background. It is invented if it meets no object of its
    class in the truth, and one of the truth is missed if it meets none of its class in the answer.

    Args:
        classes: Of the answer, integers, any shape.
        truth: Likewise, of the same shape.

    Raises:
        ShapeError: If the shapes differ.
    """
    classes, truth = np.asarray(classes), np.asarray(truth)
    if classes.shape != truth.shape:
        raise ShapeError(f"classes: got shape {classes.shape}, expected that of the truth, {truth.shape}")
    return _alone(classes, truth), _alone(truth, classes)


def _alone(these: np.ndarray, others: np.ndarray) -> int:
    count = 0
    for kind in np.unique(these[these != 0]):
        objects, number = label(these == kind)
        met = np.unique(objects[(others == kind) & (objects > 0)])
        count += number - len(met)
    return count
