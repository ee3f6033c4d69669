"""Cone beams without a matrix: volumes are sampled along each ray, also those that no matrix would fit for."""

from collections.abc import Iterator
from math import ceil

import numpy as np
import torch

from eitdip.imaging.cone import ConeBeam, checked_volume
from eitdip.imaging.feldkamp import feldkamp
from eitdip.imaging.operator import ImagingOperator, on_tensors
from eitdip.imaging.panels import Panels
from eitdip.operator import Space

_AT_ONCE = 1 << 22  # samples, of 12 bytes each and 4 more for each volume of a batch


class SampledConeCT(ImagingOperator):
    """Line integrals of a volume (D, H, W) along the rays of a cone beam, as data (A, R, C).

    Voxels are where `ConeBeamCT` has them. Between their centres the volume is linear along each axis, and beyond those
    of the border it falls to 0 within a voxel; an integral is the sum over points on the ray. The adjoint spreads over
    the same points. 167^3 voxels and 60 views of 324 x 256 pixels are 3e9 points: work for a GPU.

    Args:
        shape: (D, H, W).
        beam: Where the rays run.
        voxel_size: Side of a voxel, in the beam's unit of length.
        step: Between the points, in voxels.
        dtype: "float32" or "float64".

    Raises:
        ShapeError: If the shape is not three positive integers.
        NotPositiveError: If voxel size or step are not > 0.
        OptionError: If the dtype is unknown, or the source or the detector is inside the volume.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        beam: ConeBeam | Panels,
        voxel_size: float = 1.0,
        step: float = 0.5,
        dtype: str = "float32",
    ):
        shape = checked_volume(shape, beam, dtype, voxel_size=voxel_size, step=step)
        super().__init__(
            Space(shape, dtype, "attenuation per length"),
            Space(beam.panels().shape, dtype, "projections (angles, rows, columns)"),
        )
        self.beam, self.voxel_size, self.step = beam, float(voxel_size), float(step)
        self.register_buffer("_place", torch.zeros(()), persistent=False)  # follows the operator to its device

    def forward(self, x):
        parts = [
            torch.nn.functional.grid_sample(x[None], points, align_corners=False)[0, :, 0].sum(dim=2)
            for points in self._points(x)
        ]
        return torch.cat(parts, dim=1).reshape(len(x), *self.range.shape) * (self.step * self.voxel_size)

    def transpose(self, y):
        shape, start = (1, len(y), *self.domain.shape), 0
        rays, total = y.reshape(len(y), -1), y.new_zeros(shape)
        for points in self._points(y):
            count, samples = points.shape[2:4]
            spread = rays[:, start : start + count, None].expand(-1, -1, samples)[None, :, None].contiguous()
            # The derivative of linear interpolation is its transpose: 0 for bilinear and for zeros outside.
            total += torch.ops.aten.grid_sampler_3d_backward(spread, total, points, 0, 0, False, [True, False])[0]
            start += count
        return total[0] * (self.step * self.voxel_size)

    def pinv(self, y):
        """Filtered back-projection, as `eitdip.imaging.feldkamp.feldkamp`."""
        return on_tensors(y, self.range, self.device, self._feldkamp)

    def _feldkamp(self, y):
        volumes = feldkamp(y.reshape(-1, *self.range.shape), self.beam.panels(), self.domain.shape, self.voxel_size)
        return volumes.reshape(*y.shape[:-3], *self.domain.shape)

    def _points(self, like: torch.Tensor) -> Iterator[torch.Tensor]:
        """Points on some rays after some others, (1, 1, rays, samples, 3), where -1 and 1 are the volume's borders."""
        depth, height, width = self.domain.shape
        half = torch.tensor([width, -height, depth]).to(like) * (self.voxel_size / 2)  # rows fall
        reach = float(np.linalg.norm(self.domain.shape)) / 2 + 1
        along = torch.arange(-ceil(reach / self.step), ceil(reach / self.step) + 1).to(like)
        along = along * (self.step * self.voxel_size)
        panels, rays = self.beam.panels(), max(1, _AT_ONCE // len(along))
        for view in range(len(panels.sources)):
            source, direction = (torch.tensor(part[0]).to(like).reshape(-1, 3) for part in panels.select([view]).rays())
            middle = source - (source * direction).sum(dim=1, keepdim=True) * direction  # of the ray, next to the axis
            for start, towards in zip(middle.split(rays), direction.split(rays), strict=True):
                yield ((start[:, None] + along[:, None] * towards[:, None]) / half)[None, None]
