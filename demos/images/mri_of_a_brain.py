"""Magnetic resonance imaging of a brain with eight coils and a part of k-space: who predicts what was not measured?

A tenth of the measured points of k-space is hidden from all methods. There the data themselves say which image is
better, also where nobody knows the truth: zero-filled, SENSE by conjugate gradients, total variation, and a deep image
prior with total variation, which has seen no other image.

Without the data set (the folder mri_brain_8ch in EITDIP_DATA) a phantom with eight simulated coils takes its place.

    python demos/images/mri_of_a_brain.py [--steps 1000] [--out mri_of_a_brain.png]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import eitdip
from eitdip import plot
from eitdip.data import data_root, mri
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.imaging import CartesianMRI, coil_maps
from eitdip.phantoms import shepp_logan
from eitdip.problems.images import image_problem

BLOCK = 24  # side of the middle of k-space that is measured completely; the coil maps come from it


def phantom(side: int = 64, coils: int = 8) -> tuple[Data, np.ndarray]:
    """K-space (coils, side, side) of the Shepp-Logan phantom, every third line outside the middle, with noise."""
    y, x = np.mgrid[1 : -1 : side * 1j, -1 : 1 : side * 1j]
    angles = 2 * np.pi * np.arange(coils)[:, None, None] / coils
    maps = np.exp(-((x - np.cos(angles)) ** 2 + (y - np.sin(angles)) ** 2) / 2 + 1j * angles)
    maps = maps / np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    image = shepp_logan().image((side, side), 2 / side)
    mask = np.zeros((side, side), bool)
    mask[::3] = mask[side // 2 - BLOCK // 2 : side // 2 + BLOCK // 2] = True
    kspace = CartesianMRI(np.ones((side, side), bool), maps)(image.astype(np.complex64))
    kspace = Gaussian(0.01).sample(kspace, np.random.default_rng(0))
    return Data(kspace, Gaussian(None), np.broadcast_to(mask, kspace.shape), tied=(0,)), mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("mri_of_a_brain.png"))
    arguments = parser.parse_args()

    root = data_root()
    file = None if root is None else root / "mri_brain_8ch" / "cartesian_ksp.npy"
    real = file is not None and file.exists()
    print(f"k-space: {file.name if real else 'of a phantom, simulated; the data set is not here'}")
    data, mask = mri.load_kspace(file) if real else phantom()
    kspace = data.values

    outside = mask.copy()
    outside[tuple(slice(side // 2 - BLOCK // 2, side // 2 + BLOCK // 2) for side in mask.shape)] = False
    places = np.argwhere(outside)
    hidden = np.zeros_like(mask)
    hidden[tuple(places[np.random.default_rng(0).choice(len(places), len(places) // 10, replace=False)].T)] = True
    known = mask & ~hidden
    maps = coil_maps(kspace * known, BLOCK)
    everywhere = CartesianMRI(mask, maps)
    data = replace(data, mask=np.broadcast_to(known, kspace.shape))
    problem = image_problem("mri", CartesianMRI(known, maps), data)

    images = {
        "zero-filled": eitdip.solve(problem, "pinv").x,
        "CG-SENSE, 8 steps": eitdip.solve(problem, "tikhonov", tikhonov=0.0, steps=8).x,
        "total variation": eitdip.solve(problem, "tv", tv=2.8, steps=200).x,
        "deep image prior + TV": eitdip.solve(problem, "dip-tv", tv=1.4, steps=arguments.steps, average=0.9).x,
    }
    errors, panels = {}, {}
    for name, image in images.items():
        missed = (everywhere(image) - kspace)[:, hidden]
        errors[name] = float(np.linalg.norm(missed) / np.linalg.norm(kspace[:, hidden]))
        print(f"{name:<22} relative error on hidden points {errors[name]:.3f}")
        panels[f"{name}\nhidden points: {errors[name]:.3f}"] = image
    plot.pictures(arguments.out, panels)
    print(f"picture: {arguments.out}")
    assert errors["deep image prior + TV"] < errors["CG-SENSE, 8 steps"] < errors["zero-filled"]


if __name__ == "__main__":
    main()
