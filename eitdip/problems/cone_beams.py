"""Problems of cone beams: data of a volume, with noise, and measured ones."""

from math import ceil

import numpy as np

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.data.streams import stream
from eitdip.data.walnut import SIDE, ConeScan
from eitdip.errors import OptionError, ShapeError
from eitdip.imaging.cone import ConeBeam, ConeBeamCT, fits
from eitdip.imaging.cone_samples import SampledConeCT
from eitdip.imaging.operator import ImagingOperator
from eitdip.imaging.panels import Panels
from eitdip.problems.images import image_problem
from eitdip.problems.problem import Problem

# Of the source and the detector from the axis, in sides of the volume.
_SOURCE, _DETECTOR = 2.0, 1.0


def cone_beam(volume: np.ndarray, *, views: int = 30, sigma: float = 0.05, seed: int = 0) -> Problem:
    """Projections from a circle of sources, with noise; the detector sees the whole volume.

    Args:
        volume: (D, H, W), values from 0 to 1.
        views: Number of directions.
        sigma: Standard deviation of the noise over the root mean square of the projections.
        seed: Of the noise.

    Raises:
        OptionError: If there is no view.
        NotPositiveError: If sigma is not > 0.
        ShapeError: If it is no volume.
    """
    if views < 1:
        raise OptionError(f"views: got {views}, expected at least 1")
    volume = np.asarray(volume, dtype=float)
    if volume.ndim != 3:
        raise ShapeError(f"volume: got shape {volume.shape}, expected (D, H, W)")
    operator = ConeBeamCT(volume.shape, _beam(volume.shape, views), 1 / max(volume.shape))
    clean = operator(volume)
    noise = Gaussian(float(sigma * np.sqrt(np.mean(np.square(clean)))))
    made = {"simulated": "cone-beam", "volume": list(volume.shape), "sigma": noise.sigma, "seed": seed}
    data = Data(noise.sample(clean, stream(seed, "noise of pictures")), noise, provenance=made)
    return image_problem("cone-beam", operator, data, low=0.0, high=1.0, truth=volume, volume=True)


def scan_problem(scan: ConeScan, size: int) -> Problem:
    """Attenuation, 1/mm, of a walnut, from its scan.

    Args:
        scan: The views.
        size: Voxels along each side of the cube that the walnut is in.
    """
    operator = scan_operator(scan, size)
    return image_problem("cone-beam", operator, scan.data, low=0.0, volume=True)


def scan_operator(scan: ConeScan, size: int) -> ImagingOperator:
    """The map from size^3 voxels to the projections of a scan: a matrix if it is not too large for one."""
    vectors = np.split(scan.geometry, 4, axis=1)
    panels, shape = Panels(*vectors, *scan.projections.shape[1:]), (size,) * 3
    return (ConeBeamCT if fits(shape, panels) else SampledConeCT)(shape, panels, SIDE / size)


def _beam(shape: tuple[int, int, int], views: int) -> ConeBeam:
    """With pixels as large as the images of voxels on the axis."""
    pixel = (1 + _DETECTOR / _SOURCE) / max(shape)
    radius, height = np.hypot(*shape[1:]) / max(shape) / 2, shape[0] / max(shape) / 2
    far = _SOURCE + _DETECTOR
    columns = 2 * radius / np.sqrt(_SOURCE**2 - radius**2) * far / pixel
    rows = 2 * height / (_SOURCE - radius) * far / pixel
    angles = np.linspace(0, 2 * np.pi, views, endpoint=False)
    return ConeBeam(
        angles, ceil(columns) + 1, pixel, source_origin=_SOURCE, origin_detector=_DETECTOR, rows=ceil(rows) + 1
    )
