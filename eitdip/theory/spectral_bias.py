"""Spectral bias: low frequencies of the output are fitted before high ones.

For a wide two-layer generator with a circular convolution it is a theorem (`eitdip.theory.recovery`): gradient descent
with steps of eta shrinks the residual at frequency f by 1 - eta sigma_f^2 in each step, so its half-life is
log 2 / -log(1 - eta sigma_f^2), and sigma_f falls with f. For deep convolutional networks nothing as exact is known.
Both can be *measured*: fit white noise, which has all frequencies alike, and watch what is left in each band.

What makes the bias is the up-sampling, or the convolution, not the fitting: with pixels as parameters all bands go
at the same rate.

References:
    Rahaman et al. (2019), ICML; Chakrabarty, Maji (2019), arXiv 1910.08905, for the deep image prior;
    Heckel, Soltanolkotabi (2020), ICLR.
"""

import numpy as np
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError
from eitdip.theory.recovery import iterates


def band_masks(shape: tuple[int, ...], count: int) -> torch.Tensor:
    """Bands of equal width of the frequency |f| from 0 to 1/2 cycles per pixel.

    Corners of the plane of frequencies, where |f| > 1/2, belong to no band.

    Args:
        shape: Of signals (n,), images (H, W) or volumes.
        count: Number of bands.

    Returns:
        Weights 0 or 1 on the result of `torch.fft.fftn`, shape (count, *shape).

    Raises:
        OptionError: If there is a band without a frequency.
    """
    axes = [torch.fft.fftfreq(side, dtype=torch.float64) for side in shape]
    frequency = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(dim=0).sqrt()
    band = torch.where(frequency <= 0.5, torch.ceil(2 * count * frequency).clamp(min=1), 0)
    masks = torch.stack([band == number for number in range(1, count + 1)]) if count > 0 else torch.zeros(0)
    if count < 1 or not masks.flatten(1).any(dim=1).all():
        raise OptionError(f"bands: got {count}, expected from 1 to about {max(shape) // 2} for shape {tuple(shape)}")
    return masks.double()


def band_amplitudes(signal: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Root of the energy of a signal in each band, shape (count,).

    If every frequency is in a band, the squares add up to |signal|^2.

    Args:
        signal: Of the shape of the masks.
        masks: From `band_masks`.

    Raises:
        ShapeError: If they differ in shape.
    """
    if signal.shape != masks.shape[1:]:
        raise ShapeError(f"signal: got shape {tuple(signal.shape)}, expected {tuple(masks.shape[1:])}, as the masks")
    energy = torch.fft.fftn(signal, norm="ortho").abs().square()
    return (masks * energy).flatten(1).sum(dim=1).sqrt()


def residual_bands(
    generator: nn.Module, target: torch.Tensor, optimizer: torch.optim.Optimizer, steps: int, masks: torch.Tensor
) -> np.ndarray:
    """Amplitude of the residual G - target in each band, before the first and after each step.

    Args:
        generator: Module whose forward() gives the signal.
        target: What is fitted; white noise shows all bands alike.
        optimizer: Of the generator's parameters.
        steps: How many.
        masks: From `band_masks`.

    Returns:
        Shape (steps + 1, count).
    """
    signals = iterates(generator, target, optimizer, steps)
    return torch.stack([band_amplitudes(signal - target, masks) for signal in signals]).cpu().numpy()


def half_lives(amplitudes) -> np.ndarray:
    """Steps until each band is at half of what it was at first, between steps by the logarithm; infinity if never.

    Args:
        amplitudes: From `residual_bands`, shape (steps + 1, count), > 0.

    Returns:
        Shape (count,).

    Raises:
        ShapeError: If it is not of that shape, or a band is empty at first.
    """
    amplitudes = np.asarray(amplitudes, dtype=float)
    if amplitudes.ndim != 2 or not (amplitudes[:1] > 0).all():
        raise ShapeError(f"amplitudes: got shape {amplitudes.shape}, expected (steps + 1, bands), > 0 at first")
    left = np.log2(np.maximum(amplitudes / amplitudes[0], np.finfo(float).tiny))
    lives = np.full(amplitudes.shape[1], np.inf)
    for band in np.flatnonzero((left <= -1).any(axis=0)):
        after = int(np.argmax(left[:, band] <= -1))
        above, below = left[after - 1 : after + 1, band]
        lives[band] = after - 1 + (above + 1) / (above - below)
    return lives
