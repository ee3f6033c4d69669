"""Problems with a known truth: data of a picture, with noise."""

from math import ceil

import numpy as np

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.data.streams import stream
from eitdip.errors import OptionError, ShapeError
from eitdip.imaging import (
    ImagingOperator,
    ParallelCT,
    blur,
    compressed_sensing,
    denoising,
    downsampling,
    inpainting,
)
from eitdip.problems.images import image_problem
from eitdip.problems.problem import Problem


def denoise(picture: np.ndarray, *, sigma: float = 0.1, seed: int = 0) -> Problem:
    """The picture with noise.

    Args:
        picture: (H, W) or (3, H, W), values from 0 to 1.
        sigma: Standard deviation of the noise.
        seed: Of the noise.
    """
    return _simulated("denoise", denoising(picture.shape), picture, sigma, seed)


def inpaint(picture: np.ndarray, *, missing: float = 0.5, sigma: float = 0.05, seed: int = 0) -> Problem:
    """The picture with noise at a random choice of pixels.

    Args:
        picture: (H, W) or (3, H, W), values from 0 to 1.
        missing: Share of the pixels that are unknown, 0 < missing < 1.
        sigma: Standard deviation of the noise.
        seed: Of noise and choice.
    """
    if not 0 < missing < 1:
        raise OptionError(f"missing: got {missing}, expected 0 < missing < 1")
    known = stream(seed, "missing pixels").random(picture.shape[-2:]) >= missing
    mask = np.array(np.broadcast_to(known, picture.shape))
    # Colours of a pixel are known together.
    tied = (0,) * (picture.ndim - 2)
    return _simulated("inpaint", inpainting(mask), picture, sigma, seed, mask=mask, tied=tied)


def super_resolve(picture: np.ndarray, *, factor: int = 2, sigma: float = 0.01, seed: int = 0) -> Problem:
    """A smaller picture with noise.

    Args:
        picture: (H, W) or (3, H, W), values from 0 to 1, with sides that are multiples of the factor.
        factor: How many times smaller the data are along each side.
        sigma: Standard deviation of the noise.
        seed: Of the noise.
    """
    return _simulated("super-resolve", downsampling(picture.shape, factor), picture, sigma, seed)


def deblur(picture: np.ndarray, *, width: float = 1.5, sigma: float = 0.01, seed: int = 0) -> Problem:
    """The picture through a Gaussian blur, with noise.

    Args:
        picture: (H, W) or (3, H, W), values from 0 to 1.
        width: Standard deviation of the blur, pixels.
        sigma: Standard deviation of the noise.
        seed: Of the noise.
    """
    return _simulated("deblur", blur(picture.shape, sigma=width), picture, sigma, seed)


def compressed_sense(picture: np.ndarray, *, share: float = 0.25, sigma: float = 0.01, seed: int = 0) -> Problem:
    """Random Gaussian combinations of all pixels, with noise.

    Args:
        picture: (H, W), values from 0 to 1.
        share: Measurements over pixels.
        sigma: Standard deviation of the noise.
        seed: Of noise and combinations.
    """
    if not 0 < share < float("inf"):
        raise OptionError(f"share: got {share}, expected > 0")
    operator = compressed_sensing(picture.shape, max(1, round(share * picture.size)), seed)
    return _simulated("compressed-sense", operator, picture, sigma, seed)


def tomography(picture: np.ndarray, *, views: int = 30, sigma: float = 0.05, seed: int = 0) -> Problem:
    """Parallel-beam projections over 180 degrees, with noise.

    Args:
        picture: (H, W), values from 0 to 1.
        views: Number of directions.
        sigma: Standard deviation of the noise over the root mean square of the projections.
        seed: Of the noise.
    """
    if views < 1:
        raise OptionError(f"views: got {views}, expected at least 1")
    if picture.ndim != 2:
        raise ShapeError(f"picture: got shape {picture.shape}, expected a gray one (H, W)")
    angles = np.linspace(0, np.pi, views, endpoint=False)
    detectors = ceil(np.hypot(*picture.shape)) + 1
    pixel = 1 / max(picture.shape)
    operator = ParallelCT(picture.shape, angles, detectors, pixel_size=pixel, detector_size=pixel, dtype="float32")
    size = float(np.sqrt(np.mean(operator(picture) ** 2)))
    return _simulated("ct", operator, picture, sigma * size, seed)


def _simulated(name: str, operator: ImagingOperator, picture, sigma: float, seed: int, **known) -> Problem:
    picture, noise = np.asarray(picture, dtype=float), Gaussian(sigma)
    values = noise.sample(operator(picture), stream(seed, "noise of pictures"))
    made = {"simulated": name, "picture": list(picture.shape), "sigma": float(sigma), "seed": seed}
    data = Data(values, noise, provenance=made, **known)
    return image_problem(name, operator, data, low=0.0, high=1.0, truth=picture)
