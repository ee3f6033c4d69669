"""What the neural-PDE objectives share: sample points, flux data, total variation, the report of a step."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from eitdip.cost import Stopwatch
from eitdip.data.streams import stream_seed
from eitdip.errors import OptionError
from eitdip.networks.jets import Jet
from eitdip.neural_pde.disk import DirichletDisk
from eitdip.neural_pde.fields import Conductivity
from eitdip.objective import Objective, Terms
from eitdip.objective.misfit import LeastSquares


@dataclass(frozen=True)
class Sampling:
    """Where the equation is asked for.

    Args:
        interior: Number of interior points.
        boundary: Number of boundary points, evenly spaced.
        every: Steps after which the interior points are drawn anew; 0 keeps the first ones.
        seed: Of the points.
    """

    interior: int = 1024
    boundary: int = 128
    every: int = 1
    seed: int = 0

    def __post_init__(self):
        if self.interior < 1 or self.every < 0:
            raise OptionError(f"interior, every: got {self.interior}, {self.every}, expected at least 1 and >= 0")


class Collocation(Objective):
    """A loss at sample points, over networks of the potentials and of the conductivity.

    Subclasses say in `losses` what is asked of the networks there. The interior points are part of the
    state, so an interrupted run goes on with the same ones.

    Args:
        disk: Boundary data.
        conductivity: sigma.
        misfit: Distance of flux moments, shape (K, M), to the measured ones.
        cells: Where the conductivity is reported, in unit coordinates, shape (N, 2).
        sampling: Sample points.
        stopwatch: All time counts to "network".
    """

    def __init__(
        self,
        disk: DirichletDisk,
        conductivity: Conductivity,
        misfit: LeastSquares,
        cells: torch.Tensor,
        sampling: Sampling,
        stopwatch: Stopwatch | None = None,
    ):
        super().__init__(stopwatch)
        self.disk, self.conductivity, self.misfit, self.sampling = disk, conductivity, misfit, sampling
        self._generator = torch.Generator().manual_seed(stream_seed(sampling.seed, "sample points"))
        self._steps = 0
        self.register_buffer("cells", cells.to(disk.sources.dtype), persistent=False)
        self.register_buffer("boundary", disk.boundary(sampling.boundary), persistent=False)
        self.register_buffer("interior", disk.interior(sampling.interior, self._generator))

    @abstractmethod
    def losses(self) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Named losses that add up, and the flux moments (K, M) or what stands for them."""

    def forward(self) -> Terms:
        with self.stopwatch("network"):
            if self.training and torch.is_grad_enabled():
                self._draw()
            losses, moments = self.losses()
            with torch.no_grad():
                chi2 = float(self.misfit(moments.double()))
                sigma = self.conductivity.values(self.cells).double()
        return Terms(losses, chi2, self.misfit.held_out(moments.double()), sigma, sigma)

    def _draw(self) -> None:
        every, self._steps = self.sampling.every, self._steps + 1
        if every and self._steps > 1 and (self._steps - 1) % every == 0:
            self.interior = self.disk.interior(len(self.interior), self._generator)

    def get_extra_state(self) -> dict:
        """Where the random sequence of points has come to."""
        return {"generator": self._generator.get_state(), "steps": self._steps}

    def set_extra_state(self, state: dict) -> None:
        """Go on with that sequence."""
        self._generator.set_state(state["generator"].cpu())
        self._steps = int(state["steps"])


def normal_derivative(u: Jet, points: torch.Tensor) -> torch.Tensor:
    """du/dn at points of the unit circle (B, 2): shape (B, C)."""
    return (u.gradient * points.T[..., None]).sum(dim=0)


class LogVariation(nn.Module):
    """Total variation of log sigma over the disk, in the unit of `eitdip.objective.differences.PixelDifferences`.

    Args:
        smoothing: Slopes far below it, per pixel, are penalized quadratically; > 0.
    """

    def __init__(self, smoothing: float = 1e-3):
        super().__init__()
        if not smoothing > 0:
            raise OptionError(f"smoothing: got {smoothing}, expected > 0 (the penalty must be differentiable)")
        self.smoothing = float(smoothing)

    def forward(self, sigma: Jet) -> torch.Tensor:
        """The mean over sample points of the disk times the disk's share of its square."""
        pixel = 2 / 64  # of 64 along a diameter
        squares = (pixel * sigma.gradient / sigma.value).square().sum(dim=0)
        return torch.pi / 4 * (torch.sqrt(squares + self.smoothing**2) - self.smoothing).mean()
