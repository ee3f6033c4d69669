"""The Jacobian of the two-layer generator G(C) = ReLU(U C) v, and its limit for many channels.

U (n, p) is a fixed up-sampling, C (p, k) the trained coefficients, v the output weights, +-1 / sqrt(k). With
1_j = [U c_j > 0] the derivative for column j of C is v_j diag(1_j) U, so that for any U

    J J^T = (1/k sum over j of 1_j 1_j^T) * (U U^T)                    (* entry by entry)

**Theorem.** For C with independent normal entries and k to infinity, J J^T tends to its expectation, with entries

    |u_a| |u_b| g(<u_a, u_b> / (|u_a| |u_b|)),      g(t) = t (1 - arccos(t) / pi) / 2,

and the distance falls with 1 / sqrt(k). If U is the circular convolution with a symmetric kernel u, the limit is
circulant: |u|^2 circ(g(u conv u / |u|^2)). Its singular vectors are sines and cosines, and the singular values of J are

    sigma = |u| sqrt(|F g(u conv u / |u|^2)|),      F: discrete Fourier transform

They fall fast if u is smooth: the reason why smooth signals are fitted first, see `eitdip.theory.recovery`.

References:
    Heckel, Soltanolkotabi (2020), ICLR, Denoising and regularization via exploiting the structural bias of
    convolutional generators. Cho, Saul (2009), NeurIPS, for g.
"""

import numpy as np

from eitdip.errors import OptionError, ShapeError


def triangle(n: int, width: float) -> np.ndarray:
    """Linear interpolation: a periodic triangle that reaches 0 at `width` points from its centre, of norm 1.

    Args:
        n: Points of the period.
        width: Between 0 and n / 2.

    Returns:
        Kernel with its centre at entry 0, shape (n,).

    Raises:
        OptionError: If the width is not in between.
    """
    return _normalized(np.maximum(1 - _distances(n, width) / width, 0))


def gaussian(n: int, width: float) -> np.ndarray:
    """A periodic Gaussian of standard deviation `width` points, of norm 1; otherwise as `triangle`."""
    return _normalized(np.exp(-np.square(_distances(n, width) / width) / 2))


def circulant(kernel) -> np.ndarray:
    """U of the circular convolution with a kernel (n,): the matrix (n, n) whose first column it is."""
    kernel = np.asarray(kernel, dtype=float)
    index = np.arange(len(kernel))
    return kernel[(index[:, None] - index) % len(kernel)]


def dual(t) -> np.ndarray:
    """g(t) = t (1 - arccos(t) / pi) / 2: what ReLU makes of a correlation t in [-1, 1]."""
    t = np.clip(t, -1, 1)  # correlations computed in floating point may be a little outside
    return t * (1 - np.arccos(t) / np.pi) / 2


def expected_gram(upsampling) -> np.ndarray:
    """The limit of J J^T for any up-sampling U.

    Args:
        upsampling: U, shape (n, p), without rows of zeros.

    Returns:
        Symmetric matrix, shape (n, n).

    Raises:
        ShapeError: If U is no matrix or a row is zero.
    """
    rows = np.asarray(upsampling, dtype=float)
    norms = np.linalg.norm(rows, axis=-1)
    if rows.ndim != 2 or not (norms > 0).all():
        raise ShapeError(f"upsampling: got shape {rows.shape}, expected (n, p) without rows of zeros")
    scale = np.outer(norms, norms)
    correlation = rows @ rows.T / scale
    np.fill_diagonal(correlation, 1)  # arccos is so steep at 1 that rounding would cost half of the digits
    return scale * dual(correlation)


def singular_values(kernel) -> np.ndarray:
    """Limit of the singular values of J for a circular convolution: one for each column of `trigonometric(n)`.

    Args:
        kernel: u, shape (n,), symmetric: u[i] = u[-i].

    Returns:
        Shape (n,), in the order of the frequencies 0, 1, 1, 2, 2, ...; sort them before comparing with an SVD.

    Raises:
        ShapeError: If the kernel is no vector or not symmetric.
    """
    u = np.asarray(kernel, dtype=float)
    if u.ndim != 1 or not np.allclose(u[1:], u[:0:-1], atol=1e-12 * np.abs(u).max()):
        raise ShapeError(f"kernel: got shape {u.shape}, expected a vector with u[i] = u[-i]")
    square = float(u @ u)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(u)) ** 2, len(u)) / square
    correlation[0] = 1  # as in expected_gram
    values = np.sqrt(square * np.abs(np.fft.rfft(dual(correlation))))
    return values[(np.arange(len(u)) + 1) // 2]


def trigonometric(n: int) -> np.ndarray:
    """Orthonormal 1, cos, sin, cos 2, sin 2, ... as columns, shape (n, n)."""
    frequencies, points = (np.arange(n) + 1) // 2, 2 * np.pi * np.arange(n) / n
    angles = points[:, None] * frequencies
    columns = np.where(np.arange(n) % 2, np.cos(angles), np.sin(angles))
    columns[:, 0] = 1
    return columns / np.linalg.norm(columns, axis=0)


def gram(upsampling, channels: int, rng: np.random.Generator, chunk: int = 4096) -> np.ndarray:
    """J J^T at random coefficients, exactly, without the Jacobian of n x p k entries.

    Args:
        upsampling: U, shape (n, p).
        channels: k >= 1.
        rng: Of the coefficients, which are standard normal (their size does not matter).
        chunk: Channels at a time: limits the memory.

    Returns:
        Shape (n, n).

    Raises:
        OptionError: If channels or chunk < 1.
    """
    if channels < 1 or chunk < 1:
        raise OptionError(f"channels, chunk: got {channels}, {chunk}; expected at least 1")
    rows = np.asarray(upsampling, dtype=float)
    single = rows.astype(np.float32)  # for the signs only; sums of 0 and 1 are exact in it up to 2^24
    together = np.zeros((len(rows), len(rows)))
    for first in range(0, channels, chunk):
        count = min(chunk, channels - first)
        active = (single @ rng.standard_normal((rows.shape[1], count), dtype=np.float32) > 0).astype(np.float32)
        together += active @ active.T
    return together / channels * (rows @ rows.T)


def jacobian(upsampling, coefficients, weights) -> np.ndarray:
    """J itself, shape (n, k p), column after column of C: for small networks.

    Args:
        upsampling: U, shape (n, p).
        coefficients: C, shape (p, k).
        weights: v, shape (k,).
    """
    rows, weights = np.asarray(upsampling, dtype=float), np.asarray(weights, dtype=float)
    active = (rows @ coefficients > 0) * weights
    return (active[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)


def smallest_cosine(first, second) -> float:
    """Cosine of the largest angle between the spans of two sets of orthonormal columns (n, r); 1 if they are the same.

    Sines and cosines of one frequency have the same singular value, so that only their span is determined.
    """
    return float(np.linalg.svd(np.asarray(first).T @ np.asarray(second), compute_uv=False)[-1])


def _distances(n: int, width: float) -> np.ndarray:
    """Distance to entry 0 around the circle."""
    if not 0 < width <= n / 2:
        raise OptionError(f"width of the kernel: got {width}, expected > 0 and at most half of its {n} points")
    index = np.arange(n)
    return np.minimum(index, n - index).astype(float)


def _normalized(kernel: np.ndarray) -> np.ndarray:
    return kernel / np.linalg.norm(kernel)
