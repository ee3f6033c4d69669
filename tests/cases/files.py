"""Small data files of every kind that is read, each written when it is first asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from eitdip.data import save
from eitdip.data.htc2022 import DiscData
from eitdip.data.pet import ParallelGeometry
from eitdip.imaging import ParallelBeam
from eitdip.phantoms import random_ellipses, shepp_logan
from eitdip.problems.scans import disc_beam
from tests.cases.measurements import ball, cem, cylinder, dtn

SIDE = 32


class Files(dict):
    """Name of `WRITERS` to the file, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        self[name] = WRITERS[name](self.folder / name)
        return self[name]


def _tank(make):
    def write(path: Path) -> Path:
        pytest.importorskip("gmsh", exc_type=(ImportError, OSError))
        save(path.with_suffix(".h5"), make())
        return path.with_suffix(".h5")

    return write


def hopeless():
    """Valid measurements whose loss is infinite from the start."""
    return replace(cem(), deviation=np.full(cem().values.shape, 1e-200))


def _disc(path: Path) -> Path:
    """Shepp and Logan's head in a few views, in the layout of HTC2022."""
    pytest.importorskip("astra")
    angles = np.arange(0, 361, 6.0)
    disc = DiscData(np.zeros((len(angles), 56)), angles, 410.66, 553.74, 2.0, 0.148322)
    sinogram = shepp_logan(30.0).scaled(value=0.04).integrals(disc_beam(disc))
    noise = 0.01 * np.random.default_rng(0).standard_normal(sinogram.shape)
    parameters = {
        "distanceSourceOrigin": 410.66, "distanceSourceDetector": 553.74, "pixelSizePost": 2.0,
        "effectivePixelSizePost": 0.148322, "numDetectorsPost": 56, "angles": angles,
    }  # fmt: skip
    content = {"type": "2D", "sinogram": sinogram + noise, "parameters": parameters}
    savemat(path.with_suffix(".mat"), {"CtDataFull": content})
    return path.with_suffix(".mat")


def _kspace(path: Path) -> Path:
    """The head by two coils, without every other line of the outer k-space."""
    head = shepp_logan().image((SIDE, SIDE), 2 / SIDE)
    fall = np.linspace(1, 0.3, SIDE)
    rng = np.random.default_rng(0)
    images = np.stack([head * fall, 1j * head * fall[::-1]])
    samples = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    samples += 0.01 * (rng.standard_normal(samples.shape) + 1j * rng.standard_normal(samples.shape))
    samples[:, [0, 2, 4, 6, 25, 27, 29, 31]] = 0
    np.save(path.with_suffix(".npy"), samples.astype(np.complex64))
    return path.with_suffix(".npy")


def _scan(path: Path) -> Path:
    """Counts of a transmission scan of the head, in the layout of the public one."""
    pytest.importorskip("astra")
    geometry = ParallelGeometry()
    beam = ParallelBeam(np.linspace(0, np.pi, geometry.angles, endpoint=False), geometry.bins, geometry.spacing)
    lengths = shepp_logan(20.0).scaled(value=0.1).integrals(beam).T
    blank = np.full(lengths.shape, 60.0)
    counts = np.random.default_rng(0).poisson(blank * np.exp(-lengths))
    np.savez(path.with_suffix(".npz"), trans=counts, blank=blank)
    return path.with_suffix(".npz")


def _photo(seed: int):
    """A picture in colour, 40 x 48."""

    def write(path: Path) -> Path:
        gray = random_ellipses(np.random.default_rng(seed), 4).image((40, 48), 2 / 48).clip(0, 1)
        pixels = (255 * gray).astype(np.uint8)
        Image.fromarray(np.stack([pixels, pixels // 2, 255 - pixels], axis=-1)).save(path.with_suffix(".png"))
        return path.with_suffix(".png")

    return write


WRITERS = {
    "dtn": _tank(dtn), "cem": _tank(cem), "ball": _tank(ball), "cylinder": _tank(cylinder), "hopeless": _tank(hopeless),
    "disc": _disc, "kspace": _kspace, "scan": _scan, "photo": _photo(0), "drawing": _photo(1),
}  # fmt: skip
