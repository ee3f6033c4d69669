"""Tasks by name, from a user's files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from eitdip.configure import configured
from eitdip.data import htc2022, mri, pet
from eitdip.errors import OptionError, choose
from eitdip.imaging import CartesianMRI, Transmission, coil_maps
from eitdip.restoration import simulate
from eitdip.restoration.pictures import gray, read_picture, square
from eitdip.restoration.task import Task


@dataclass(frozen=True)
class TaskSettings:
    """How data are read or simulated.

    Args:
        size: Pixels per side of the image; 0 takes the whole picture as it is. k-space has its own.
        noise: Standard deviation of simulated noise, of a picture with values from 0 to 1; for "ct" over the root
            mean square of the sinogram. For "denoise", 0 says that the picture itself is noisy.
        noise_seed: Of simulated noise and random masks.
        colour: Keep the colours of a picture.
        missing: For "inpaint", share of unknown pixels.
        factor: For "super-resolve".
        width: For "deblur", standard deviation of the blur, pixels.
        share: For "compressed-sense", measurements over pixels.
        views: For "ct": number of directions; 0 for all of a measured sinogram.
        start: For a measured sinogram: first angle, degrees.
        span: For a measured sinogram: angle of view, degrees; 0 for all of them.
        binning: For a measured sinogram: detector pixels that are averaged.
        calibration: For "mri" with several coils: side of the middle of k-space that is fully sampled.
    """

    size: int = 128
    noise: float = 0.1
    noise_seed: int = 0
    colour: bool = False
    missing: float = 0.5
    factor: int = 2
    width: float = 1.5
    share: float = 0.25
    views: int = 30
    start: float = 0.0
    span: float = 0.0
    binning: int = 1
    calibration: int = 24


# Where the default noise would hide what a task is about.
_NOISE = {"inpaint": 0.05, "super-resolve": 0.01, "deblur": 0.01, "compressed-sense": 0.01, "ct": 0.05}


def load_task(name: str, source, settings: dict | None = None) -> Task:
    """A task from a file.

    Args:
        name: "denoise", "inpaint", "super-resolve", "deblur" or "compressed-sense" for pictures; "ct" for pictures or a
            .mat of the Helsinki Tomography Challenge 2022; "mri" for a .npy of k-space; "pet" for a .npz of a
            transmission scan.
        source: The file, or "skimage:NAME".
        settings: Fields of `TaskSettings` that differ from its defaults.

    Raises:
        OptionError: If name or a setting is unknown or out of range.
        FileFormatError, ShapeError, InvalidDataError: If the file is not what it should be.
    """
    load = choose("task", name, TASKS)
    defaults = TaskSettings(noise=_NOISE.get(name, 0.1))
    chosen = configured(defaults, settings or {})
    for field, least in (("size", 0), ("noise", 0), ("views", 0), ("span", 0), ("binning", 1)):
        if not least <= getattr(chosen, field) < float("inf"):
            raise OptionError(f"option {field}: got {getattr(chosen, field)}, expected >= {least}")
    return load(source, chosen)


def _picture(source, settings: TaskSettings) -> np.ndarray:
    picture = read_picture(source)
    picture = picture if settings.colour else gray(picture)
    return square(picture, settings.size) if settings.size else picture


def _denoise(source, settings: TaskSettings) -> Task:
    picture = _picture(source, settings)
    if settings.noise:
        return simulate.denoise(picture, sigma=settings.noise, seed=settings.noise_seed)
    operator = simulate.denoising(picture.shape)
    return Task("denoise", operator, torch.from_numpy(picture), low=0.0, high=1.0, provenance=_origin(source))


def _degraded(make, option: str | None):
    def load(source, settings: TaskSettings) -> Task:
        known = {} if option is None else {option: getattr(settings, option)}
        return make(_picture(source, settings), sigma=settings.noise, seed=settings.noise_seed, **known)

    return load


def _ct(source, settings: TaskSettings) -> Task:
    if Path(str(source)).suffix.lower() != ".mat":
        picture = _picture(source, settings)
        return simulate.tomography(picture, views=settings.views, noise=settings.noise, seed=settings.noise_seed)
    disc = htc2022.load(source)
    if settings.span:
        disc = disc.limited(settings.start, settings.span)
    if settings.views:
        disc = disc.every(max(1, len(disc.angles) // settings.views))
    disc = disc.binned(settings.binning)
    operator = disc.operator(settings.size or htc2022.SIDE)
    return Task("ct", operator, torch.from_numpy(disc.sinogram), low=0.0, provenance=_origin(source))


def _mri(source, settings: TaskSettings) -> Task:
    kspace, mask = mri.load_kspace(source)
    maps = coil_maps(kspace, settings.calibration) if len(kspace) > 1 else None
    operator = CartesianMRI(mask, maps)
    sampled = np.broadcast_to(mask, kspace.shape)
    return Task("mri", operator, torch.from_numpy(kspace), mask=sampled, tied=(0,), provenance=_origin(source))


def _pet(source, settings: TaskSettings) -> Task:
    scan = pet.load(source)
    side = settings.size or scan.geometry.shape[0]
    model = Transmission(scan.geometry.projector((side, side)), scan.blank)
    return Task("pet", model, torch.from_numpy(scan.counts), low=0.0, provenance=_origin(source))


def _origin(source) -> dict:
    return {"file": Path(str(source)).name}


TASKS = {
    "denoise": _denoise,
    "inpaint": _degraded(simulate.inpaint, "missing"),
    "super-resolve": _degraded(simulate.super_resolve, "factor"),
    "deblur": _degraded(simulate.deblur, "width"),
    "compressed-sense": _degraded(simulate.compressed_sense, "share"),
    "ct": _ct,
    "mri": _mri,
    "pet": _pet,
}
