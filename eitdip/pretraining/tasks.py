"""What a network must have been trained for to fit a problem, and what it sees of the problem's data."""

import numpy as np
import torch

from eitdip.errors import choose
from eitdip.pretraining.image_pairs import image_task
from eitdip.problems.problem import Problem


def task_of(problem: Problem) -> dict:
    """Shapes, values and operator of a problem, as JSON values for `eitdip.pretraining.Weights.check`.

    Raises:
        OptionError: If there are no pretrained networks for such problems.
    """
    return choose("kind of problem for pretrained networks", problem.unknown.kind, {"image": image_task})(problem)


def network_input(problem: Problem) -> torch.Tensor:
    """A^+ y as a network sees it, shape (1, C, *shape), float32."""
    first = torch.from_numpy(np.asarray(problem.model.pinv(problem.data.values)))
    return problem.unknown.network_input(first[None])
