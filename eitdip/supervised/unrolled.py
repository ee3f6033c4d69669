"""Iterations of classical solvers with learned corrections, a fixed number of them, trained end to end.

Every correction is a small network whose last layer starts at zero: an untrained model is exactly the classical
iteration, and a test says so. The operator's own autograd function has the adjoint as gradient, so backpropagation
through A and A* is exact. That is why these are a few lines each, instead of an adapter to a library's physics.
"""

from abc import ABC, abstractmethod

import torch
from torch import nn

from eitdip.errors import OptionError
from eitdip.imaging import ImagingOperator
from eitdip.networks import initialize

_TYPES = {"float32": torch.float32, "float64": torch.float64}


class Correction(nn.Module):
    """Three convolutions from some images (B, inputs, H, W) to one (B, H, W); zero before training.

    Args:
        inputs: Channels that it sees.
        width: Channels between.
        generator: Draws the weights.
    """

    @torch.random.fork_rng(devices=[])  # torch's own draw of the weights, which `initialize` replaces
    def __init__(self, inputs: int, width: int, generator: torch.Generator):
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )
        self.output = nn.Conv2d(width, 1, 3, padding=1)
        initialize(self, generator)

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        """Images (B, H, W) each, to one (B, H, W)."""
        return self.output(self.hidden(torch.stack(images, dim=1)))[:, 0]


class Unrolled(nn.Module, ABC):
    """A fixed number of iterations x_{k+1} = step_k(x_k, y), each with a network of its own.

    Args:
        operator: A on images (H, W), real.
        inputs: Images that each correction sees.
        iterations: How many steps, at least 1.
        width: Channels of the corrections.
        seed: Of their weights.

    Raises:
        OptionError: If iterations < 1, or the images are not real and two-dimensional.
    """

    def __init__(self, operator: ImagingOperator, inputs: int, iterations: int = 6, width: int = 32, seed: int = 0):
        super().__init__()
        if iterations < 1:
            raise OptionError(f"iterations: got {iterations}, expected at least 1")
        if len(operator.domain.shape) != 2 or operator.domain.dtype not in _TYPES:
            raise OptionError(
                f"operator: got images {operator.domain.shape} of {operator.domain.dtype}, expected real ones (H, W)"
            )
        self._operator = (operator,)  # no submodule: its matrices do not belong to the weights
        self.iterations, self.width, self.seed = iterations, width, seed
        self.kind = _TYPES[operator.domain.dtype]
        self.size = 1.01 * operator.norm()  # the power method finds |A| from below
        self.corrections = self._networks(inputs, stream=0)

    @property
    def operator(self) -> ImagingOperator:
        """A."""
        return self._operator[0]

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Data (B, *range.shape) to images (B, H, W)."""
        state = self.first(y)
        for k in range(self.iterations):
            state = self.step(k, state, y)
        return state["x"]

    def first(self, y: torch.Tensor) -> dict[str, torch.Tensor]:
        """What iterations start from; "x" is the image."""
        return {"x": torch.zeros_like(self.operator.adjoint(y))}

    @abstractmethod
    def step(self, k: int, state: dict, y: torch.Tensor) -> dict[str, torch.Tensor]:
        """One iteration."""

    def _descend(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """-A*(A x - y) / |A|^2: the gradient step that never overshoots."""
        return self.operator.adjoint(y - self.operator(x)) / self.size**2

    def _networks(self, inputs: int, stream: int) -> nn.ModuleList:
        """One for each iteration; streams have independent weights."""
        generator = torch.Generator().manual_seed(self.seed + 1000003 * stream)
        return nn.ModuleList(Correction(inputs, self.width, generator) for _ in range(self.iterations)).to(self.kind)

    def _numbers(self, *shape: int, value: float = 1.0) -> nn.Parameter:
        return nn.Parameter(torch.full(shape, float(value), dtype=self.kind))
