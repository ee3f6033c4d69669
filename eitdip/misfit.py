"""How far predicted data are from measured data, in units of the noise."""

import numpy as np
import torch
from torch import nn

from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError


class LeastSquares(nn.Module):
    """Whitened least squares: chi^2 / N = mean of ((prediction - data) / deviation)^2.

    Real and imaginary parts of complex data count as two measurements of this deviation each.

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
        data = np.asarray(data)
        data = data.astype(complex if np.iscomplexobj(data) else float)
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
        parts = 2 if np.iscomplexobj(data) else 1
        self.count = parts * int(fitted.sum())
        self.held_count = parts * int(held.sum())
        # Persistent: a checkpoint then knows which data it belongs to.
        self.register_buffer("data", torch.from_numpy(np.where(mask, data, 0.0)))
        self.register_buffer("weight", torch.from_numpy(np.where(fitted, 1 / np.where(mask, deviation, 1.0), 0.0)))
        self.register_buffer("held_weight", torch.from_numpy(np.where(held, 1 / np.where(mask, deviation, 1.0), 0.0)))

    def forward(self, prediction: torch.Tensor) -> torch.Tensor:
        """chi^2 / N over the fitted measurements."""
        return self._square(prediction, self.weight) / self.count

    def held_out(self, prediction: torch.Tensor) -> float:
        """chi^2 / N over the held-out measurements; NaN if there are none."""
        if not self.held_count:
            return float("nan")
        return float(self._square(prediction.detach(), self.held_weight) / self.held_count)

    def _square(self, prediction: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        residual = (prediction - self.data) * weight
        return (torch.view_as_real(residual) if residual.is_complex() else residual).square().sum()


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


class PoissonDeviance(nn.Module):
    """Deviance of counts over their number, 2 mean(m - y + y log(y / m)): about 1 at true means that are not small.

    To hold measurements out, counts are thinned: each is watched with a probability, else fitted. Both parts are then
    independent counts with that share of the means.

    Args:
        counts: Shape of the range, whole numbers >= 0.
        background: Mean counts that do not come from the image, same shape or a scalar, >= 0.
        held_share: Probability of a count to be held out, 0 <= share < 1.
        seed: Of the thinning.

    Raises:
        InvalidDataError: If counts are negative or no whole numbers, or the background is negative.
        OptionError: If the share is out of range.
    """

    def __init__(self, counts, background=0.0, held_share: float = 0.0, seed: int = 0):
        super().__init__()
        counts, background = np.asarray(counts, dtype=float), np.asarray(background, dtype=float)
        if not (np.isfinite(counts) & (counts >= 0) & (counts == np.round(counts))).all():
            raise InvalidDataError("counts: got negative numbers, fractions or NaN, expected whole numbers >= 0")
        if not ((background >= 0) & np.isfinite(background)).all():
            raise InvalidDataError("background of the counts: expected numbers >= 0")
        if not 0 <= held_share < 1:
            raise OptionError(f"held_share: got {held_share}, expected 0 <= share < 1")
        held = np.random.default_rng(seed).binomial(counts.astype(np.int64), held_share).astype(float)
        self.share = float(held_share)
        self.register_buffer("data", torch.from_numpy(counts - held))
        self.register_buffer("held", torch.from_numpy(held))
        self.register_buffer("background", torch.from_numpy(np.broadcast_to(background, counts.shape).copy()))

    def forward(self, prediction: torch.Tensor) -> torch.Tensor:
        """Deviance of the fitted counts over their number; the prediction is the mean of all, without background."""
        return _deviance(self.data, (1 - self.share) * (prediction + self.background))

    def held_out(self, prediction: torch.Tensor) -> float:
        """The same of the held-out counts; NaN if there are none."""
        if not self.share:
            return float("nan")
        return float(_deviance(self.held, self.share * (prediction.detach() + self.background)))


def _deviance(counts: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    mean = mean.clamp(min=1e-12)  # a mean of 0 has no logarithm
    return 2 * (mean - counts + torch.xlogy(counts, counts) - torch.xlogy(counts, mean)).mean()
