"""Models of measured scans: what maps an image to the data of a file."""

import numpy as np

from eitdip.data.fips import XRayData
from eitdip.data.htc2022 import SIDE, DiscData
from eitdip.data.pet import ParallelGeometry
from eitdip.errors import OptionError
from eitdip.imaging import CT, FanBeam, ParallelCT, SparseOperator
from eitdip.operator import Space


def disc_beam(disc: DiscData) -> FanBeam:
    """Where the rays of a disc of the Helsinki Tomography Challenge 2022 ran, in mm."""
    return FanBeam(
        np.deg2rad(disc.angles),
        disc.detectors,
        disc.detector_size,
        source_origin=disc.source_origin,
        origin_detector=disc.source_detector - disc.source_origin,
    )


def disc_operator(disc: DiscData, side: int = SIDE, **options) -> CT:
    """The map from attenuation, 1/mm, on side x side pixels to the sinogram of a disc.

    The image's area is that of the 512 x 512 pixels, whatever `side` is.

    Args:
        disc: The views.
        side: Pixels along each side.
        options: Of `eitdip.imaging.CT`: kernel, dtype.
    """
    return CT((side, side), disc_beam(disc), disc.pixel_size * SIDE / side, **options)


def pet_projector(
    geometry: ParallelGeometry, shape: tuple[int, int] | None = None, dtype: str = "float32"
) -> SparseOperator:
    """Means over strips of the line integrals of an image, as sinogram (angles, bins).

    Args:
        geometry: Where the strips are.
        shape: Another number of pixels (H, W) for the same field of view.
        dtype: "float32" or "float64".

    Raises:
        MissingPackageError: If ASTRA is not installed.
        OptionError: If the offset is no multiple of half a bin, or the pixels would not be square.
    """
    if 2 * geometry.offset != int(2 * geometry.offset):
        raise OptionError(f"offset: got {geometry.offset} bins, expected a multiple of 0.5")
    height, width = geometry.shape
    shape = (height, width) if shape is None else tuple(shape)
    if shape[0] * width != shape[1] * height:
        raise OptionError(f"shape: got {shape}, expected the proportions of {geometry.shape}, for square pixels")
    # A centred detector, longer by twice the offset, has its strips where these are.
    extra = int(2 * geometry.offset)
    centred = ParallelCT(
        shape,
        np.deg2rad(geometry.start + 180 / geometry.angles * np.arange(geometry.angles)),
        geometry.bins + abs(extra),
        detector_size=geometry.spacing,
        pixel_size=geometry.pixel * height / shape[0],
        kernel="strip",
        dtype=dtype,
    )
    rows = np.arange(centred.range.size).reshape(centred.range.shape)
    rows = rows[:, extra:] if extra > 0 else rows[:, : geometry.bins]
    sinogram = Space((geometry.angles, geometry.bins), dtype, "sinogram (angles, bins)")
    return SparseOperator(centred.matrix[rows.ravel()], centred.domain, sinogram)


def xray_operator(data: XRayData, dtype: str = "float32") -> SparseOperator:
    """The matrix of a walnut or lotus root as an operator from images to sinograms.

    Args:
        data: Matrix and sinogram.
        dtype: "float32" or "float64".
    """
    sinogram = Space(data.sinogram.shape, dtype, "sinogram (views, rays)")
    return SparseOperator(data.matrix, Space(data.shape, dtype, "attenuation"), sinogram)
