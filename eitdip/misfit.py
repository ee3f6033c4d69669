"""How far predicted data are from measured data, in units of the noise."""

import numpy as np
import torch
from torch import nn

from eitdip.errors import InvalidDataError, NotPositiveError, ShapeError


class LeastSquares(nn.Module):
    """Whitened least squares: chi^2 / N = mean of ((prediction - data) / deviation)^2.

    Args:
        data: Measured values, any shape; entries where `mask` is false are ignored and may be NaN.
        deviation: Standard deviation of each entry (or a scalar), > 0, in the unit of the data.
        mask: True where there is a measurement; default everywhere.
        held_out: True for measurements that are not fitted but watched (`held_out` below).

    Raises:
        ShapeError: If shapes differ.
        InvalidDataError: If a used entry is not finite, or nothing is left to fit.
        NotPositiveError: If a used deviation is not positive.
    """

    def __init__(self, data, deviation, mask=None, held_out=None):
        super().__init__()
        data = np.asarray(data, dtype=float)
        deviation = np.asarray(deviation, dtype=float)
        mask = np.ones(data.shape, bool) if mask is None else np.asarray(mask, bool)
        held = np.zeros(data.shape, bool) if held_out is None else np.asarray(held_out, bool)
        for name, array in (("deviation", deviation), ("mask", mask), ("held_out", held)):
            if array.shape != data.shape and not (name == "deviation" and array.ndim == 0):
                raise ShapeError(f"{name}: got shape {array.shape}, expected that of the data, {data.shape}")
        deviation, held = np.broadcast_to(deviation, data.shape), held & mask
        if not np.isfinite(data[mask]).all():
            entry = tuple(int(i) for i in np.argwhere(mask & ~np.isfinite(data))[0])
            raise InvalidDataError(f"data: entry {entry} is not finite; mask it out if it was not measured")
        if not ((deviation > 0) & np.isfinite(deviation))[mask].all():
            entry = tuple(int(i) for i in np.argwhere(mask & ~((deviation > 0) & np.isfinite(deviation)))[0])
            raise NotPositiveError(f"deviation: entry {entry} is {deviation[entry]:g}, expected > 0 and finite")
        fitted = mask & ~held
        if not fitted.any():
            raise InvalidDataError("data: no measurement is left to fit; check the mask")
        self.count = int(fitted.sum())
        self.held_count = int(held.sum())
        # Persistent: a checkpoint then knows which data it belongs to.
        self.register_buffer("data", torch.from_numpy(np.where(mask, data, 0.0)))
        self.register_buffer("weight", torch.from_numpy(np.where(fitted, 1 / np.where(mask, deviation, 1.0), 0.0)))
        self.register_buffer("held_weight", torch.from_numpy(np.where(held, 1 / np.where(mask, deviation, 1.0), 0.0)))

    def forward(self, prediction: torch.Tensor) -> torch.Tensor:
        """chi^2 / N over the fitted measurements."""
        return ((prediction - self.data) * self.weight).square().sum() / self.count

    def held_out(self, prediction: torch.Tensor) -> float:
        """chi^2 / N over the held-out measurements; NaN if there are none."""
        if not self.held_count:
            return float("nan")
        return float(((prediction.detach() - self.data) * self.held_weight).square().sum() / self.held_count)


class EnergyGaps(nn.Module):
    """Kohn-Vogelius misfit: mean of the energy gaps over what the noise alone makes of them.

    It takes the gaps that `eitdip.fem.KohnVogelius` predicts and is about 1 at the true conductivity, as
    chi^2 / N is, where there are moments enough to make up the fluxes. But it is not the whitened
    likelihood: high frequencies of the flux count less than their noise allows. What `Terms.chi2` and the
    history call chi^2 / N is this value; that of a session's solution is least squares for every misfit.

    Args:
        expected: Expected gaps at the truth, shape (K,), > 0; see `eitdip.fem.kohn_vogelius.noise_gaps`.

    Raises:
        NotPositiveError: If one is not positive.
    """

    def __init__(self, expected):
        super().__init__()
        expected = np.asarray(expected, dtype=float)
        if not ((expected > 0) & np.isfinite(expected)).all():
            raise NotPositiveError(f"expected gaps: got {expected}, expected numbers > 0; check the deviations")
        self.register_buffer("data", torch.zeros(expected.shape, dtype=torch.float64))
        self.register_buffer("weight", torch.from_numpy(1 / expected))

    def forward(self, prediction: torch.Tensor) -> torch.Tensor:
        """The mean ratio."""
        return ((prediction - self.data) * self.weight).mean()

    def held_out(self, prediction: torch.Tensor) -> float:
        """NaN: a gap needs the whole flux of its pattern, so nothing is held out."""
        return float("nan")
