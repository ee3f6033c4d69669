"""Positron emission tomography: mean counts of photon pairs in emission and transmission scans."""

import numpy as np
import torch
from scipy import sparse
from torch import nn

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.imaging.operator import on_tensors
from eitdip.imaging.sparse import Diagonal, SparseOperator
from eitdip.operator import ForwardModel, Space


class EmissionPET(SparseOperator):
    """Mean counts of an emission scan without its background: A x = normalization * attenuation * P x.

    Random and scattered pairs, which would make the mean affine, belong to the noise:
    `eitdip.data.noise.Poisson(background)`.

    Args:
        projector: P, for instance `ParallelCT(..., kernel="strip")`: anything with `matrix`, `domain` and `range`.
        attenuation: Share of pairs that reach the detectors, in (0, 1], shape of the sinogram; see `survival`.
        normalization: Efficiency of each pair of detectors times the duration of the scan, >= 0, likewise.

    Raises:
        ShapeError: If one does not have the shape of the sinogram.
        InvalidDataError: If one is out of range or not finite.
    """

    def __init__(self, projector: SparseOperator, attenuation=None, normalization=None):
        shape, dtype = projector.range.shape, projector.range.dtype
        attenuation = _factors("attenuation", attenuation, 1.0, shape, above=1)
        if not (attenuation > 0).all():
            raise InvalidDataError(
                "attenuation: got the share 0, expected > 0; leave such rays out by normalization = 0"
            )
        weights = attenuation * _factors("normalization", normalization, 1.0, shape)
        matrix = sparse.diags_array(weights.ravel()) @ projector.matrix
        super().__init__(matrix, projector.domain, Space(shape, dtype, "counts"))


class Transmission(nn.Module, ForwardModel):
    """Mean counts of a transmission scan, y = blank exp(-P mu) + background: nonlinear in the attenuation mu.

    It takes tensors (*batch, *domain.shape), differentiably, or arrays.

    Args:
        projector: P.
        blank: Mean counts without an object, > 0, shape of the sinogram.
        background: Mean counts that do not come through the object, >= 0, likewise.

    Raises:
        ShapeError: If one does not have the shape of the sinogram.
        InvalidDataError: If one is out of range or not finite.
    """

    arrays = "torch"

    def __init__(self, projector: SparseOperator, blank, background=None):
        super().__init__()
        shape, dtype = projector.range.shape, projector.range.dtype
        blank = _factors("blank", blank, 1.0, shape)
        if not (blank > 0).all():
            raise InvalidDataError("blank: got a ray with 0 counts, expected > 0; leave out rays without a source")
        self.projector, self.domain, self.range = projector, projector.domain, Space(shape, dtype, "counts")
        for name, values in (("blank", blank), ("background", _factors("background", background, 0.0, shape))):
            self.register_buffer(name, torch.from_numpy(values.astype(dtype)))

    def __call__(self, mu):
        """Mean counts."""
        return on_tensors(mu, self.domain, self.device, lambda t: self._through(t) + self.background)

    def linearize(self, mu):
        """Mean counts at one mu, and their derivative -diag(blank exp(-P mu)) P."""

        def both(mu: torch.Tensor) -> torch.Tensor:
            through = self._through(mu)
            return torch.stack([through, through + self.background])

        through, mean = on_tensors(mu, self.domain, self.device, both)
        slope = Diagonal(-torch.as_tensor(through, device=self.device), self.range)
        return mean, slope @ self.projector

    def pinv(self, counts):
        """The projector's `pinv` of log(blank / (counts - background)), shape (*batch, *domain.shape).

        Rays without a count beyond the background are taken to have half a count.
        """

        def lines(y: torch.Tensor) -> torch.Tensor:
            return torch.log(self.blank / (y - self.background).clamp(min=0.5))

        return on_tensors(counts, self.range, self.device, lambda y: self.projector.pinv(lines(y)))

    def _through(self, mu: torch.Tensor) -> torch.Tensor:
        return self.blank * survival(self.projector, mu)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.projector.device


def survival(projector: SparseOperator, mu):
    """Share exp(-P mu) of the photons that pass an attenuation mu, in 1 / length: tensors or arrays."""
    return on_tensors(mu, projector.domain, projector.device, lambda t: torch.exp(-projector(t)))


def _factors(name: str, values, default: float, shape: tuple[int, ...], above: float = np.inf) -> np.ndarray:
    if values is None:
        return np.full(shape, default)
    values = np.asarray(values, dtype=float)
    if values.shape != shape:
        raise ShapeError(f"{name}: got shape {values.shape}, expected that of the sinogram, {shape}")
    if not (np.isfinite(values) & (values >= 0) & (values <= above)).all():
        limit = f"0 to {above:g}" if above < np.inf else ">= 0 and finite"
        raise InvalidDataError(f"{name}: got {values.min():g} to {values.max():g}, expected {limit}")
    return values
