"""Computed tomography in the plane: line integrals of an image along parallel or fan beams.

The matrices are those of ASTRA's CPU projectors, which agree with exact integrals of the Shepp-Logan head to 1.5 %
(line) and 0.8 % (strip) on 256 x 256 pixels. Its 3-D geometries are never used: without a GPU they end the process.
"""

import numpy as np
import torch
from scipy import sparse

from eitdip.errors import NotPositiveError, OptionError, ShapeError, choose, require
from eitdip.imaging.beams import FanBeam, ParallelBeam, view_weights
from eitdip.imaging.matrix_cache import cached
from eitdip.imaging.operator import on_tensors
from eitdip.imaging.sparse import SparseOperator
from eitdip.operator import Space

KERNELS = ("line", "strip")
DTYPES = ("float32", "float64")
_SMALL = 1_000_000  # entries of a matrix that is built faster than it is found on the disk


class CT(SparseOperator):
    """Line integrals of an image (H, W), row 0 at the top, as a sinogram (views, detector pixels).

    Its unit is that of the image times that of the lengths; the axis of rotation is the centre of the image.
    An image larger than the beam is allowed: then its corners are not in all views.

    Args:
        shape: (H, W).
        beam: Where the rays run.
        pixel_size: Side of an image pixel, in the beam's unit of length.
        kernel: "line" integrates along the line to a detector pixel's centre, "strip" averages over the pixel.
        dtype: "float32" or "float64".

    Raises:
        ShapeError: If the shape is not two positive integers.
        NotPositiveError: If the pixel size is not > 0.
        OptionError: If kernel or dtype are unknown, or the source of a fan beam is inside the image.
        MissingPackageError: If ASTRA is not installed.

    References:
        van Aarle et al. (2016), Optics Express 24(22).
    """

    def __init__(
        self,
        shape: tuple[int, int],
        beam: ParallelBeam,
        pixel_size: float = 1.0,
        kernel: str = "line",
        dtype: str = "float32",
    ):
        shape = tuple(shape)
        if len(shape) != 2 or not all(n == int(n) and n > 0 for n in shape):
            raise ShapeError(f"shape: got {shape}, expected two positive numbers of pixels (H, W)")
        if not 0 < pixel_size < float("inf"):
            raise NotPositiveError(f"pixel_size: got {pixel_size}, expected > 0 and finite")
        choose("kernel", kernel, dict.fromkeys(KERNELS))
        choose("dtype", dtype, dict.fromkeys(DTYPES))
        radius = pixel_size * float(np.hypot(*shape)) / 2
        if isinstance(beam, FanBeam) and beam.source_origin <= radius:
            raise OptionError(
                f"source_origin: got {beam.source_origin:g}, but the image reaches {radius:g} from the axis; "
                "the source must be outside: check that all lengths have one unit"
            )
        matrix = _matrix(shape, beam, pixel_size, kernel)
        domain = Space(shape, dtype, "attenuation per length")
        super().__init__(matrix, domain, Space(beam.shape, dtype, "sinogram (angles, detector pixels)"))
        self.beam, self.pixel_size = beam, float(pixel_size)

    def pinv(self, y):
        """Filtered back-projection with the ramp filter; missing directions count as zero.

        References:
            Kak, Slaney (1988), Principles of computerized tomographic imaging, sections 3.3 and 3.4.
        """
        return on_tensors(y, self.range, self.device, self._filtered_back_projection)

    def _filtered_back_projection(self, y: torch.Tensor) -> torch.Tensor:
        beam = self.beam
        fan = isinstance(beam, FanBeam)
        # On a detector through the axis of rotation.
        pitch = beam.detector_size / (beam.magnification if fan else 1.0)
        offsets = torch.as_tensor(beam.offsets / beam.detector_size * pitch).to(y)
        if fan:
            y = y * (beam.source_origin / (beam.source_origin**2 + offsets**2).sqrt())
        filtered = ramp_filtered(y, pitch).reshape(-1, *beam.shape)
        height, width = self.domain.shape
        right = ((torch.arange(width) - (width - 1) / 2) * self.pixel_size).to(y)
        up = (((height - 1) / 2 - torch.arange(height)) * self.pixel_size).to(y)[:, None]
        total = y.new_zeros(len(filtered), height * width)
        for view, (angle, weight) in enumerate(zip(beam.angles, view_weights(beam), strict=True)):
            sin, cos = float(np.sin(angle)), float(np.cos(angle))
            across, toward = right * cos + up * sin, right * sin - up * cos
            nearness = 1 - toward / beam.source_origin if fan else torch.ones_like(across)
            place = across / nearness / pitch + (beam.detectors - 1) / 2
            share = weight / nearness.square()
            total = total + _interpolate(filtered[:, view], place.reshape(-1)) * share.reshape(-1)
        return total.reshape(*y.shape[:-2], height, width)


class ParallelCT(CT):
    """CT with parallel rays.

    Args:
        shape: (H, W).
        angles: Of the views, radians, shape (A,).
        detectors: Number of detector pixels.
        detector_size: Width of one.
        options: Of `CT`: pixel_size, kernel, dtype.

    Raises:
        As `CT` and `ParallelBeam`.
    """

    def __init__(self, shape, angles, detectors: int, *, detector_size: float = 1.0, **options):
        super().__init__(shape, ParallelBeam(angles, detectors, detector_size), **options)


class FanCT(CT):
    """CT with rays from a point to a flat detector.

    Args:
        shape, angles, detectors, detector_size, options: As for `ParallelCT`.
        source_origin: Distance of the source from the axis of rotation.
        origin_detector: Distance of the detector from that axis.

    Raises:
        As `CT` and `FanBeam`.
    """

    def __init__(
        self, shape, angles, detectors: int, *, source_origin, origin_detector, detector_size: float = 1.0, **options
    ):
        distances = {"source_origin": source_origin, "origin_detector": origin_detector}
        super().__init__(shape, FanBeam(angles, detectors, detector_size, **distances), **options)


def _matrix(shape: tuple[int, int], beam: ParallelBeam, pixel_size: float, kernel: str) -> sparse.csr_array:
    def build() -> sparse.csr_array:
        return _build(shape, beam, pixel_size, kernel)

    if beam.angles.size * beam.detectors * sum(shape) <= _SMALL:
        return build()
    places = beam.detectors, beam.detector_size, beam.angles.tobytes().hex()
    if isinstance(beam, FanBeam):
        places = (*places, beam.source_origin, beam.origin_detector)
    version = require("astra", "ct").__version__
    return cached(repr(("ct", version, shape, float(pixel_size), kernel, places)), build)


def _build(shape: tuple[int, int], beam: ParallelBeam, pixel_size: float, kernel: str) -> sparse.csr_array:
    astra = require("astra", "ct")
    half_height, half_width = (n * pixel_size / 2 for n in shape)
    image = astra.create_vol_geom(*shape, -half_width, half_width, -half_height, half_height)
    common = beam.detector_size, beam.detectors, beam.angles
    if isinstance(beam, FanBeam):
        rays = astra.create_proj_geom("fanflat", *common, beam.source_origin, beam.origin_detector)
        name = f"{kernel}_fanflat"
    else:
        rays = astra.create_proj_geom("parallel", *common)
        name = kernel
    projector = astra.create_projector(name, rays, image)
    try:
        number = astra.projector.matrix(projector)
        try:
            return sparse.csr_array(astra.matrix.get(number), dtype=np.float32)  # ASTRA computes in single precision
        finally:
            astra.matrix.delete(number)
    finally:
        astra.projector.delete(projector)


def ramp_filtered(y: torch.Tensor, pitch: float) -> torch.Tensor:
    """Each row of y convolved with the band-limited ramp, whose values in space make the mean right.

    Args:
        y: Shape (*batch, D).
        pitch: Distance of the entries of a row.
    """
    count = y.shape[-1]
    length = 1 << (2 * count - 1).bit_length()
    place = torch.arange(length)
    place = torch.minimum(place, length - place).to(y)
    odd = place % 2 == 1
    kernel = torch.where(odd, -1 / (torch.pi * place.clamp(min=1) * pitch).square(), torch.zeros_like(place))
    kernel[0] = 1 / (4 * pitch**2)
    response = torch.fft.rfft(kernel).real
    return torch.fft.irfft(torch.fft.rfft(y, n=length) * response, n=length)[..., :count] * pitch


def _interpolate(rows: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Values of each row (B, D) at fractional indices (P,), zero outside: shape (B, P)."""
    padded = torch.nn.functional.pad(rows, (1, 2))
    place = (place + 1).clamp(0, rows.shape[-1] + 1)
    left = place.floor().long()
    part = place - left
    return padded[:, left] * (1 - part) + padded[:, left + 1] * part
