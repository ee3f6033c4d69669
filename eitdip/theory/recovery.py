"""Recovery of a signal by gradient descent from random coefficients, with the two-layer generator.

A wide network moves its coefficients so little that its Jacobian J stays as it was drawn, and so follows a linear one:
after t steps of length eta of gradient descent on |A G(C) - y|^2 / 2 the output is close to

    x_t = K A^T (1 - (1 - eta M)^t) M^-1 y,      K = J J^T,    M = A K A^T

**Denoising** (A = 1). With K = sum over i of lambda_i w_i w_i^T the share 1 - (1 - eta lambda_i)^t of y along w_i has
arrived. For a signal x in the span of w_1 ... w_p and y = x + z, therefore,

    |x_t - x| <= (1 - eta lambda_p)^t |x| + sqrt(sum over i of (1 - (1 - eta lambda_i)^t)^2 <w_i, z>^2)

The first term falls, the second grows: there is a best time to stop. If lambda falls fast, the network then has the
signal and not much more than p / n of the energy of the noise; smooth functions have the large lambda_i.

**Compressed sensing** (A: few normal rows). x_t tends to K A^T M^-1 y, the minimum-norm solution of
`eitdip.theory.linear_generator`, whose error has a bound for smooth signals: no early stopping is needed.

The generator is `eitdip.parameterization.draw_two_layer(matrix=U)`, on vectors.

References:
    Heckel, Soltanolkotabi (2020), ICLR (denoising); Heckel, Soltanolkotabi (2020), ICML (compressed sensing).
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from eitdip.errors import OptionError, ShapeError


def iterates(
    generator: nn.Module,
    data: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    steps: int,
    operator: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Iterator[torch.Tensor]:
    """Outputs of a generator before the first and after each step on |A G - y|^2 / 2.

    Args:
        generator: Module whose forward() gives the signal.
        data: y, of the shape of A G.
        optimizer: Of the generator's parameters; plain `torch.optim.SGD` is gradient descent.
        steps: How many, >= 0.
        operator: A on tensors, such as an `ImagingOperator`; by default the identity.

    Yields:
        steps + 1 signals, detached.

    Raises:
        ShapeError: If A G and y differ in shape.
        OptionError: If steps < 0.
    """
    if steps < 0:
        raise OptionError(f"steps: got {steps}, expected >= 0")
    for step in range(steps + 1):
        signal = generator()
        yield signal.detach()
        if step == steps:
            return
        image = signal if operator is None else operator(signal)
        if image.shape != data.shape:
            raise ShapeError(
                f"data: got shape {tuple(data.shape)}, expected {tuple(image.shape)}, as the output has it"
            )
        optimizer.zero_grad()
        ((image - data) ** 2).sum().div(2).backward()
        optimizer.step()


def linear_iterates(gram, data, step: float, counts, operator=None) -> np.ndarray:
    """What the linear theory predicts for `iterates` with gradient descent.

    Args:
        gram: K, the expected J J^T, shape (n, n).
        data: y, shape (m,), or (n,) without an operator.
        step: eta, between 0 and 2 over the largest eigenvalue of A K A^T.
        counts: Numbers of steps, shape (T,); infinity gives the limit.
        operator: A, shape (m, n); by default the identity.

    Returns:
        x_t, shape (T, n).

    Raises:
        ShapeError: If the arrays do not fit together.
        OptionError: If the iteration would diverge with this step.
    """
    gram, data = np.asarray(gram, dtype=float), np.asarray(data, dtype=float)
    rows = np.eye(len(gram)) if operator is None else np.asarray(operator, dtype=float)
    if rows.shape != (len(data), len(gram)):
        raise ShapeError(f"operator: got shape {rows.shape}, expected {(len(data), len(gram))} for these data")
    values, vectors = np.linalg.eigh(rows @ gram @ rows.T)
    if not 0 < step * values[-1] < 2:
        raise OptionError(f"step: got {step:g}, expected between 0 and {2 / values[-1]:g}, or it diverges")
    values = np.maximum(values, 1e-15 * values[-1])
    shares = 1 - (1 - step * values) ** np.asarray(counts, dtype=float)[:, None]
    return (shares / values * (vectors.T @ data)) @ (gram @ rows.T @ vectors).T


def denoising_bound(eigenvalues, signal, noise, step: float, counts) -> np.ndarray:
    """The right side of the bound for denoising after each number of steps.

    Args:
        eigenvalues: lambda_i of K, shape (n,).
        signal: <w_i, x>, shape (n,); p is where its last entry other than 0 is in the order of falling eigenvalues.
        noise: <w_i, z>, shape (n,).
        step: eta, between 0 and 1 over the largest eigenvalue.
        counts: Numbers of steps, shape (T,).

    Returns:
        Bound of |x_t - x|, shape (T,).

    Raises:
        ShapeError: If the vectors differ in length.
        OptionError: If eta is not in between.
    """
    eigenvalues, signal, noise = (np.asarray(array, dtype=float) for array in (eigenvalues, signal, noise))
    if eigenvalues.ndim != 1 or not eigenvalues.shape == signal.shape == noise.shape:
        raise ShapeError(f"got shapes {eigenvalues.shape}, {signal.shape}, {noise.shape}; expected (n,) for all")
    if not 0 < step * eigenvalues.max() <= 1:
        raise OptionError(f"step: got {step:g}, expected between 0 and {1 / eigenvalues.max():g}")
    slowest = eigenvalues[signal != 0].min(initial=np.inf)
    counts = np.asarray(counts, dtype=float)
    missing = np.maximum(1 - step * slowest, 0) ** counts * np.linalg.norm(signal)
    shares = 1 - (1 - step * eigenvalues) ** counts[:, None]
    return missing + np.sqrt(np.square(shares * noise).sum(axis=1))
