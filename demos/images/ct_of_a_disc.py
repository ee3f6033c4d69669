"""Limited-angle tomography of a real acrylic disc with holes: what the missing views hide, what a prior restores.

From views over 60 degrees, edges that no ray touches are invisible to filtered back-projection. Total variation and a
deep image prior complete them. The last panel also knows that there are only two values inside a disc of known size
(`eitdip.challenges.htc2022`). The score is that of the Helsinki Tomography Challenge 2022, the Matthews correlation
coefficient with the segmentation from all views, 1 for no error; gray images are cut at Otsu's threshold.

Without the data set (the folder htc2022 in EITDIP_DATA) a simulated disc takes its place.

    python demos/images/ct_of_a_disc.py [--disc ta] [--span 60] [--steps 600] [--out ct_of_a_disc.png]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage.filters import threshold_otsu

import eitdip
from eitdip import plot
from eitdip.challenges.htc2022 import AIR, RADIUS, acrylic, segment
from eitdip.data import data_root, htc2022
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.metrics import mcc
from eitdip.phantoms import Ellipses
from eitdip.problems.images import image_problem
from eitdip.problems.scans import disc_beam, disc_operator

COARSE = 4  # pixels of 4 x 4, for all but the last method


def phantom() -> tuple[htc2022.DiscData, np.ndarray]:
    """All views of a disc with three holes, through acrylic's attenuation curve, with noise; and where it is solid."""
    pixel, angles = 0.148322, np.arange(0, 360.5, 0.5)
    body = Ellipses([
        [1, RADIUS, RADIUS, 0.9, -0.6, 0], [-1, 7, 5, -12, 10, 0.4], [-1, 5, 5, 14, 12, 0], [-1, 4, 10, 6, -12, 0.8],
    ])  # fmt: skip
    disc = htc2022.DiscData(np.zeros((len(angles), 560)), angles, 410.66, 553.74, 0.2, pixel)
    depth = np.linspace(0, 3, 3000)
    sinogram = AIR + np.interp(body.integrals(disc_beam(disc)), acrylic(depth + AIR), depth)
    sinogram += 0.01 * np.random.default_rng(0).standard_normal(sinogram.shape)
    return replace(disc, sinogram=sinogram), body.image((htc2022.SIDE, htc2022.SIDE), pixel) > 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--disc", choices=("ta", "tb"), default="ta")
    parser.add_argument("--span", type=float, default=60.0, help="angle of view, degrees")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("ct_of_a_disc.png"))
    arguments = parser.parse_args()

    root = data_root()
    file = None if root is None else root / "htc2022" / f"htc2022_{arguments.disc}_full.mat"
    real = file is not None and file.exists()
    print(f"views: {file.name if real else 'of a phantom, simulated; the data set is not here'}")
    if real:
        whole, truth = htc2022.load(file), htc2022.load_segmentation(htc2022.reference_path(file))
    else:
        whole, truth = phantom()
    disc = whole.limited(0.0, arguments.span)

    few = disc.binned(COARSE).every(2)
    operator = disc_operator(few, htc2022.SIDE // COARSE)
    # The image is the share of acrylic in a pixel; 0.4 mm is what the attenuation curve leaves.
    problem = image_problem("ct", operator, Data(acrylic(few.sinogram), Gaussian(0.4)), low=0.0, high=1.0)
    prior = {"tv": 10.0, "held_out": 0.1, "steps": arguments.steps, "average": 0.95}
    images = {
        "filtered back-projection": eitdip.solve(problem, "pinv").x,
        "total variation": eitdip.solve(problem, "tv", tv=10.0, steps=500).x,
        "deep image prior + TV": eitdip.solve(problem, "dip-tv", **prior).x,
    }
    images = {name: np.kron(image, np.ones((COARSE, COARSE))) for name, image in images.items()}
    images["two values in a known disc"] = segment(disc).astype(float)

    panels, scores = {"from all views\n": truth.astype(float)}, {}
    for name, image in images.items():
        scores[name] = mcc(image > threshold_otsu(image), truth)
        panels[f"{name}\nMCC {scores[name]:.3f}"] = image
        print(f"{name:<27} MCC {scores[name]:.3f}")
    plot.pictures(arguments.out, panels, 0.0, 1.0, columns=5)
    print(f"picture: {arguments.out}")
    assert scores["filtered back-projection"] < scores["deep image prior + TV"]
    assert scores["two values in a known disc"] > 0.95


if __name__ == "__main__":
    main()
