"""Penalties as sparse quadratic forms, for Gauss-Newton: Tikhonov exactly, total variation with lagged weights.

Near a contrast c0, total variation w sqrt(|D c|^2 + s^2) curves like w |D c|^2 / (2 sqrt(|D c0|^2 + s^2)): lagged
diffusivity, which lies above the penalty it touches, so that minimizing it instead never leads uphill.
"""

import numpy as np
import torch
from scipy import sparse
from torch import nn

from eitdip.errors import OptionError
from eitdip.penalty import MeshJumps, PixelDifferences, Tikhonov, TotalVariation


def curvature(penalty: nn.Module, contrast: torch.Tensor) -> sparse.csr_array:
    """Half the second derivative of a penalty (a majorant of it) with respect to the contrast.

    Args:
        penalty: `Tikhonov` or `TotalVariation`.
        contrast: Where, of any shape that the penalty takes, n entries.

    Returns:
        Symmetric, positive semidefinite, shape (n, n).

    Raises:
        OptionError: If the penalty has no such form.
    """
    if not isinstance(penalty, Tikhonov | TotalVariation):
        raise OptionError(
            f"penalty: got {type(penalty).__name__}, expected TotalVariation or Tikhonov for Gauss-Newton; "
            "use another optimizer"
        )
    if penalty.differences is None:
        return sparse.diags_array(np.full(contrast.numel(), 1 / contrast.numel()), format="csr")
    d, weights = penalty.differences(contrast)
    strength = weights.expand(d.shape[1:]).clone()
    if isinstance(penalty, TotalVariation):
        strength /= 2 * torch.sqrt(d.square().sum(dim=0) + penalty.smoothing**2)
    diagonal = sparse.diags_array(strength.cpu().numpy().ravel())
    parts = difference_matrices(penalty.differences, tuple(contrast.shape))
    return sum(part.T @ diagonal @ part for part in parts).tocsr()


def difference_matrices(differences: nn.Module, shape: tuple[int, ...]) -> list[sparse.csr_array]:
    """The components of `PixelDifferences` or `MeshJumps` as matrices, each of shape (places, n).

    Raises:
        OptionError: If it is another operator.
    """
    size = int(np.prod(shape))
    if isinstance(differences, MeshJumps):
        ends = (differences.get_buffer(name).cpu().numpy() for name in ("_from", "_to"))
        return [_pairs(*ends, 1.0, size)]
    if not isinstance(differences, PixelDifferences):
        raise OptionError(
            f"differences: got {type(differences).__name__}, expected PixelDifferences or MeshJumps for Gauss-Newton; "
            "use another optimizer"
        )
    places, parts = np.arange(size), []
    for axis, count in enumerate(shape):
        along = [1] * len(shape)
        along[axis] = count
        ramp = torch.arange(count, dtype=torch.float64).reshape(along).expand(shape)
        steps = differences(ramp)[0][axis].numpy().ravel()  # the scale of each difference; 0 beyond the last pixel
        stride = int(np.prod(shape[axis + 1 :]))
        parts.append(_pairs(places, np.minimum(places + stride, size - 1), steps, size))
    return parts


def _pairs(start: np.ndarray, end: np.ndarray, scale, size: int) -> sparse.csr_array:
    rows = np.arange(len(start))
    values = np.broadcast_to(np.asarray(scale, dtype=float), rows.shape)
    entries = np.concatenate([-values, values]), (np.tile(rows, 2), np.concatenate([start, end]))
    return sparse.csr_array(entries, shape=(len(rows), size))
