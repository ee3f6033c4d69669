"""Penalties as sparse quadratic forms, for Gauss-Newton: Tikhonov exactly, total variation and L1 with lagged weights.

Near a contrast c0, total variation w sqrt(|D c|^2 + s^2) curves like w |D c|^2 / (2 sqrt(|D c0|^2 + s^2)): lagged
diffusivity, which lies above the penalty it touches, so that minimizing it instead never leads uphill.
"""

import torch
from scipy import sparse
from torch import nn

from eitdip.errors import OptionError
from eitdip.objective.penalty import Tikhonov, TotalVariation


def curvature(penalty: nn.Module, contrast: torch.Tensor) -> sparse.csr_array:
    """Half the second derivative of a penalty (a majorant of it) with respect to the contrast.

    Args:
        penalty: `Tikhonov` or `TotalVariation`.
        contrast: Where, of any shape that the penalty takes, n entries.

    Returns:
        Symmetric, positive semidefinite, shape (n, n).

    Raises:
        OptionError: If the penalty has no such form, or its differences no matrices.
    """
    if not isinstance(penalty, Tikhonov | TotalVariation):
        raise OptionError(
            f"penalty: got {type(penalty).__name__}, expected TotalVariation or Tikhonov for Gauss-Newton; "
            "use another optimizer"
        )
    differences = penalty.differences
    if not hasattr(differences, "matrices"):
        raise OptionError(
            f"differences: got {type(differences).__name__}, expected ones with `matrices`, such as PixelDifferences "
            "or MeshJumps, for Gauss-Newton; use another optimizer"
        )
    d, weights = differences(contrast)
    strength = weights.expand(d.shape[1:]).clone()
    if isinstance(penalty, TotalVariation):
        strength /= 2 * torch.sqrt(d.square().sum(dim=0) + penalty.smoothing**2)
    diagonal = sparse.diags_array(strength.cpu().numpy().ravel())
    return sum(part.T @ diagonal @ part for part in differences.matrices(tuple(contrast.shape))).tocsr()
