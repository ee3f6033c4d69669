"""Fixed small problems and what every method made of them before the two stacks became one. Run once, with the old code."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from eitdip.parallel import world
from eitdip.session import solve
from eitdip.simulation import simulate_dirichlet, simulate_electrodes

from eitdip import methods
from eitdip.data import save
from eitdip.mesh import Cylinder, Tank
from eitdip.phantoms import phantom

out = Path(sys.argv[1])
tank = simulate_electrodes(phantom("tank"), Tank(0.14, 8, 0.03), h=0.1, background=0.7)
tank = replace(tank, geometry=Tank(0.14, 8, 0.03).mesh(0.2 * 0.14), truth=None)
dtn = simulate_dirichlet(phantom("three"), order=3, moments=4, points=32, h=0.1)
dtn = replace(dtn, geometry=Tank(1.0).mesh(0.2), truth=None)
body = Cylinder(0.14, 0.1, 2, 4, 0.08, 0.03)
solid = simulate_electrodes(phantom("two-balls"), body, h=0.25, background=0.7)
solid = replace(solid, geometry=body.mesh(0.45 * 0.14), truth=None)
bodies = {"tank": tank, "dtn": dtn, "solid": solid}
for name, m in bodies.items():
    save(out / f"{name}.h5", m)
found = {}
SMALL = {"size": 16, "channels": 8, "steps": 25}
for name, m in bodies.items():
    from eitdip.data import load

    m = load(out / f"{name}.h5")
    for method in methods.METHODS:
        options = methods.options_for(
            method,
            SMALL
            | (
                {"points": 256}
                if method in ("pinn", "bar-sochen", "deep-galerkin", "deep-ritz", "deep-ritz-naive")
                else {}
            ),
        )
        if name == "solid":
            options = replace(options, size=8, channels=4)
        try:
            problem = methods.prepare(m, options)
            s = solve(problem, options, comm=world(), quiet=True)
        except Exception as e:
            print(name, method, type(e).__name__, str(e)[:90])
            continue
        found[f"{name}/{method}"] = s.sigma
        found[f"{name}/{method}/misfit"] = s.chi2
        print(name, method, s.sigma.shape, s.chi2)
# pictures
from eitdip.restoration import METHODS, Task, image_options, restore

from eitdip.imaging import CartesianMRI, EmissionPET, ParallelCT, denoising, inpainting, shepp_logan

rng = np.random.default_rng(7)
side = 24
image = (
    shepp_logan(side) if not hasattr(shepp_logan(side), "image") else shepp_logan(side).image((side, side), 2 / side)
)
image = np.asarray(image, float).clip(0, 1)
angles = np.linspace(0, np.pi, 12, endpoint=False)
ct = ParallelCT((side, side), angles, detectors=36, pixel_size=1 / side, detector_size=1 / side)
sino = ct(image)
sino = sino + 0.02 * np.sqrt(np.mean(sino**2)) * rng.standard_normal(sino.shape)
mask = np.zeros((side, side), bool)
mask[:, ::2] = True
mask[:, 9:15] = True
maps = np.stack(
    [np.linspace(0.3, 1, side)[:, None] * np.ones(side), np.ones((side, 1)) * np.linspace(1, 0.3, side)]
).astype(complex)
maps = maps / np.sqrt((abs(maps) ** 2).sum(0))
mri = CartesianMRI(mask, maps)
k = mri(image.astype(complex))
k = k + 0.01 * (rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape))
k = np.where(mask, k, 0).astype(np.complex64)
strips = ParallelCT((side, side), angles, detectors=36, pixel_size=1.0, detector_size=1.0, kernel="strip")
pet = EmissionPET(strips, background=np.full((12, 36), 2.0))
counts = rng.poisson(20 * pet(image) + 2.0)
picture = image + 0.1 * rng.standard_normal(image.shape)
known = rng.random(image.shape) < 0.6
colour = np.stack([image, image[::-1], image.T]) + 0.05 * rng.standard_normal((3, side, side))
data = {
    "sinogram": sino,
    "kspace": k,
    "kspace_mask": mask,
    "maps": maps,
    "counts": counts,
    "picture": picture,
    "known": known,
    "colour": colour,
}
T = torch.from_numpy
tasks = {
    "sinogram": Task("ct", ct, T(np.asarray(sino)), low=0.0),
    "kspace": Task("mri", mri, T(k), mask=np.broadcast_to(mask, k.shape), tied=(0,)),
    "counts": Task("pet", pet, T(counts), low=0.0),
    "picture": Task("inpaint", inpainting(known), T(np.where(known, picture, 0)), 0.1, mask=known, low=0.0, high=1.0),
    "colour": Task("denoise", denoising((3, side, side)), T(colour), 0.05, low=0.0, high=1.0),
}
for name, task in tasks.items():
    for method in METHODS:
        small = {"steps": 25}
        if method in ("dip", "dip-tv"):
            small |= {"channels": 8, "levels": 2, "held_out": 0.25}
        elif method == "pixels-tv":
            small |= {}
        options = image_options(method, small)
        try:
            r = restore(task, options, quiet=True)
        except Exception as e:
            print(name, method, type(e).__name__, str(e)[:90])
            continue
        found[f"{name}/{method}"] = r.image
        found[f"{name}/{method}/misfit"] = r.misfit
        print(name, method, r.image.shape, r.image.dtype, r.misfit)
np.savez_compressed(out / "scans.npz", **data)
np.savez_compressed(out / "estimates.npz", **found)
