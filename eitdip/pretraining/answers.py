"""A pretrained network alone: data to images in one go, for comparison with what fine-tuning makes of them."""

import torch
from torch import nn

from eitdip.pretraining.image_pairs import image_task
from eitdip.pretraining.weights import Weights
from eitdip.problems.problem import Problem


class PostProcessor(nn.Module):
    """x = link(network(A^+ y)): the first iterate of the method "educated", for any data of a problem's geometry.

    Args:
        problem: Its model and unknown.
        weights: Trained for it.

    Raises:
        CheckpointError: If they were trained for another task.
    """

    def __init__(self, problem: Problem, weights: Weights):
        super().__init__()
        weights.check(image_task(problem))
        self.network = weights.network()
        self.link = problem.unknown.bounded(None, None)
        self._problem = problem

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Data (B, *range.shape) to images (B, *domain.shape), differentiable."""
        unknown = self._problem.unknown
        raw = self.network(unknown.network_input(self._problem.model.pinv(y)))
        values = self.link(raw)
        return torch.complex(values[:, 0], values[:, 1]) if unknown.complex else values
