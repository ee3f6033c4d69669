"""How far predicted data are from measured data, in units of the noise."""

from functools import cache

import numpy as np
import torch
from scipy.special import gammaln, xlogy
from torch import nn

from eitdip.data.data import Data, as_mask
from eitdip.data.noise import Gaussian, Poisson, thin
from eitdip.data.streams import stream
from eitdip.errors import InvalidDataError, NotPositiveError, ShapeError, choose


def misfit_of(data: Data, held_share: float = 0.0, seed: int = 0) -> nn.Module:
    """The misfit that fits the noise of the data: least squares for Gaussian noise, the deviance for counts.

    Args:
        data: What is fitted. Where the deviation is unknown, least squares are in the unit that stands for it.
        held_share: Share of the measurements to be watched instead of fitted, 0 <= share < 1.
        seed: Of their choice.

    Raises:
        OptionError: If the share leaves nothing to fit or to watch.
    """
    return choose("noise", data.noise.name, _MISFITS)(data, held_share, seed)


def _least_squares(data: Data, held_share: float, seed: int) -> "LeastSquares":
    held = data.held_out(held_share, seed) if held_share else None
    error = data.noise.error
    if error is None:
        return LeastSquares(data.values, data.deviation, data.mask, held)
    deviation = np.hypot(data.deviation, error.deviation)
    return LeastSquares(data.values - error.mean, deviation, data.mask, held, error.modes)


def _deviance_of_counts(data: Data, held_share: float, seed: int) -> "PoissonDeviance":
    return PoissonDeviance(data.values, data.noise.background, held_share, seed)


_MISFITS = {"gaussian": _least_squares, "poisson": _deviance_of_counts}


class LeastSquares(nn.Module):
    """Whitened least squares: chi^2 / N = mean of ((prediction - data) / deviation)^2.

    Real and imaginary parts of complex data count as two measurements of this deviation each. With modes B of errors
    that are common to many measurements, chi^2 is the square of C^{-1/2} (prediction - data), C = diag(deviation^2) +
    B^T B: in units of the deviations C is 1 + V diag(s^2) V^T, and its root one number for each mode.

    Args:
        data: Measured values, any shape; entries where `mask` is false are ignored and may be NaN.
        deviation: Standard deviation of each entry (or a scalar), > 0, in the unit of the data.
        mask: True where there is a measurement; by default everywhere.
        held_out: True for measurements that are not fitted but watched (`held_out` below).
        modes: B, shape (r, *data), for real data; None for independent errors.

    Raises:
        ShapeError: If shapes differ.
        InvalidDataError: If a used entry is not finite, or nothing is left to fit.
        NotPositiveError: If a used deviation is not positive.
    """

    def __init__(self, data, deviation, mask=None, held_out=None, modes=None):
        super().__init__()
        checked = Data(data, Gaussian(deviation), mask)
        held = as_mask("held_out", np.zeros(checked.shape) if held_out is None else held_out, checked.shape)
        held, fitted = held & checked.mask, checked.mask & ~held
        if not fitted.any():
            raise InvalidDataError("data: no measurement is left to fit; hold out fewer")
        parts = 2 if np.iscomplexobj(checked.values) else 1
        self.count, self.held_count = parts * int(fitted.sum()), parts * int(held.sum())
        precision = 1 / checked.deviation
        # Persistent: a checkpoint then knows which data it belongs to.
        self.register_buffer("data", torch.from_numpy(checked.values))
        self.register_buffer("weight", torch.from_numpy(np.where(fitted, precision, 0.0)))
        self.register_buffer("held_weight", torch.from_numpy(np.where(held, precision, 0.0)))
        for name, weight in (("modes", self.weight), ("held_modes", self.held_weight)):
            found = None if modes is None else _principal(modes, weight.numpy())
            # Not persistent: weight and data tell whose they are.
            self.register_buffer(name, found, persistent=False)

    def forward(self, prediction: torch.Tensor) -> torch.Tensor:
        """chi^2 / N over the fitted measurements."""
        return self.whitened(prediction - self.data).square().sum() / self.count

    def held_out(self, prediction: torch.Tensor) -> float:
        """chi^2 / N over the held-out measurements; NaN if there are none."""
        if not self.held_count:
            return float("nan")
        residual = _white(prediction.detach() - self.data, self.held_weight, self.held_modes)
        return float(residual.square().sum() / self.held_count)

    def expected(self, prediction: torch.Tensor) -> float:
        """What noise alone makes of the misfit: 1."""
        return 1.0

    def whitened(self, difference: torch.Tensor) -> torch.Tensor:
        """Differences of predictions in units of the noise, of the fitted measurements; 0 where none is.

        Args:
            difference: Shape (..., *data); complex ones become real in a last axis of two.
        """
        return _white(difference, self.weight, self.modes)


def _white(difference: torch.Tensor, weight: torch.Tensor, modes: torch.Tensor | None) -> torch.Tensor:
    """C^{-1/2} difference."""
    scaled = difference * weight
    scaled = torch.view_as_real(scaled) if scaled.is_complex() else scaled
    if modes is None:
        return scaled
    flat = scaled.reshape(*scaled.shape[: scaled.ndim - weight.ndim], -1)
    return (flat - (flat @ modes[0].T) @ modes[1]).reshape(scaled.shape)


def _principal(modes, weight: np.ndarray) -> torch.Tensor:
    """V^T, and with it diag(1 - (1 + s^2)^{-1/2}) V^T, of the modes in units of the deviations: shape (2, r, N)."""
    modes = np.asarray(modes, dtype=float)
    if modes.shape[1:] != weight.shape or modes.ndim != weight.ndim + 1:
        raise ShapeError(f"modes: got shape {modes.shape}, expected (r, {', '.join(map(str, weight.shape))})")
    _, sizes, right = np.linalg.svd((modes * weight).reshape(len(modes), -1), full_matrices=False)
    return torch.from_numpy(np.stack([right, (1 - 1 / np.sqrt(1 + sizes**2))[:, None] * right]))


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

    def expected(self, prediction: torch.Tensor) -> float:
        """What noise alone makes of the misfit: 1, as it is measured in units of that."""
        return 1.0


class PoissonDeviance(nn.Module):
    """Deviance of counts over their number, 2 mean(m - y + y log(y / m)): about 1 at true means that are not small.

    What it is at small ones says `expected`.

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
        checked = Data(counts, Poisson(background))
        held = np.zeros(checked.shape)
        if held_share:
            held = thin(checked.values, stream(seed, "thinning"), held_share)[0].astype(float)
        self.share = float(held_share)
        self.register_buffer("data", torch.from_numpy(checked.values - held))
        self.register_buffer("held", torch.from_numpy(held))
        background = np.broadcast_to(checked.noise.background, checked.shape).copy()
        self.register_buffer("background", torch.from_numpy(background))

    def forward(self, prediction: torch.Tensor) -> torch.Tensor:
        """Deviance of the fitted counts over their number; the prediction is the mean of all, without background."""
        return _deviance(self.data, self._means(prediction))

    def held_out(self, prediction: torch.Tensor) -> float:
        """The same of the held-out counts; NaN if there are none."""
        if not self.share:
            return float("nan")
        return float(_deviance(self.held, self.share * (prediction.detach() + self.background)))

    def expected(self, prediction: torch.Tensor) -> float:
        """What noise alone makes of the misfit of a right prediction: 1 for many counts, else between 0 and 1.2."""
        return float(expected_deviance(self._means(prediction.detach()).cpu().numpy()).mean())

    def _means(self, prediction: torch.Tensor) -> torch.Tensor:
        """Of the fitted counts."""
        return (1 - self.share) * (prediction + self.background)


def _deviance(counts: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    mean = mean.clamp(min=1e-12)  # a mean of 0 has no logarithm
    return 2 * (mean - counts + torch.xlogy(counts, counts) - torch.xlogy(counts, mean)).mean()


def expected_deviance(means: np.ndarray) -> np.ndarray:
    """Mean deviance of a Poisson variable from its mean m: 2 E[Y log Y] - 2 m log m.

    Args:
        means: m >= 0, any shape.

    Returns:
        Same shape: 1 + 1 / (6 m) for large means, at most 1.15 near m = 1.7, and 0 for m = 0.
    """
    logs, values = _deviance_table()
    means = np.maximum(means, np.exp(logs[0]))
    return np.where(means < np.exp(logs[-1]), np.interp(np.log(means), logs, values), 1 + 1 / (6 * means))


@cache
def _deviance_table() -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of means from 1e-8 to 200, and the expected deviances, by summation over all counts that occur."""
    logs = np.linspace(np.log(1e-8), np.log(200), 800)
    means, counts = np.exp(logs)[:, None], np.arange(400)
    chances = np.exp(xlogy(counts, means) - means - gammaln(counts + 1))
    return logs, 2 * (chances * xlogy(counts, counts)).sum(axis=1) - 2 * xlogy(means, means)[:, 0]
