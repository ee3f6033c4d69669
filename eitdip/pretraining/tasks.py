"""What a network must have been trained for to fit a problem, and what it sees of the problem's data."""

import numpy as np
import torch

from eitdip.errors import OptionError
from eitdip.pretraining.image_pairs import image_task
from eitdip.pretraining.tanks import Layout, among, task
from eitdip.problems.one_step import OneStep
from eitdip.problems.problem import Problem

# Logarithms of contrasts that stand for the classes water, resistive and conductive: insulators and metal.
LEVELS = (0.0, float(np.log(0.01)), float(np.log(30.0)))


def fitting(problem: Problem, trained: dict) -> tuple[dict, torch.Tensor]:
    """What a network must have been trained for, and what it sees.

    Args:
        problem: Of which kind, with which data.
        trained: The `task` of a network, which says how large its images are and which layouts of electrodes it knows.

    Returns:
        The task of this problem, for `eitdip.pretraining.weights.Weights.check`, and A^+ y, shape (1, C, *shape),
        float32.

    Raises:
        OptionError: If there are no pretrained networks for such problems.
    """
    if problem.unknown.kind == "image":
        first = torch.from_numpy(np.asarray(problem.model.pinv(problem.data.values)))
        return image_task(problem), problem.unknown.network_input(first[None])
    refuse_others(problem)
    # Of any size, if the network is for images: the check then says so.
    images = OneStep(problem, max(trained.get("pixels", [0])))
    own = among(task([Layout(problem, images)]), trained)
    levels = {"levels": trained["levels"]} if "levels" in trained else {}  # what classes stand for is the network's
    return own | levels, torch.from_numpy(images(images.difference(problem)[None]))


def refuse_others(problem: Problem) -> None:
    """Make sure that networks can be pretrained for a body.

    Raises:
        OptionError: If currents are driven through its boundary without electrodes.
    """
    if problem.measurements.model == "neumann":
        raise OptionError(
            f"{problem.name}: got neumann data, expected those of electrodes or of boundary potentials for pretrained "
            "networks; use another method"
        )
