"""A transmission scan of positron emission tomography: counts, maximum likelihood, and a deep image prior.

Mean counts are blank exp(-P mu) with line integrals P of the attenuation mu: a nonlinear model and Poisson noise, in
the same loop as all other tasks. The counts are split at random into two independent halves. One is fitted; the
log-likelihood of the other says which image is better, also for a real object that nobody has cut open. Maximum
likelihood gets its best number of steps that way; the deep image prior sets counts of its own half aside to stop.

Without the data set (the folder pet_transmission in EITDIP_DATA) a phantom takes its place.

    python demos/images/pet_transmission.py [--size 64] [--steps 600] [--out pet_transmission.png]
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

import eitdip
from eitdip import plot
from eitdip.classical.counts import poisson_log_likelihood, transmission_iterates
from eitdip.data import data_root, pet
from eitdip.data.noise import Poisson
from eitdip.imaging import Transmission
from eitdip.phantoms import Ellipses
from eitdip.problems.images import image_problem
from eitdip.problems.scans import pet_projector


def phantom() -> pet.TransmissionScan:
    """A thorax of 36 x 24 cm with lungs and spine, 20 counts per ray of the blank scan."""
    body = Ellipses([
        [0.096, 18, 12, 0, 0, 0], [-0.066, 5, 7, -8, 1, 0], [-0.066, 5, 7, 8, 1, 0], [0.06, 2, 2, 0, -8, 0],
    ])  # fmt: skip
    geometry = pet.ParallelGeometry()
    blank = np.full((geometry.angles, geometry.bins), 20.0)
    mean = Transmission(pet_projector(geometry), blank)(body.image(geometry.shape, geometry.pixel))
    return pet.TransmissionScan(Poisson().sample(mean, np.random.default_rng(0)), blank, geometry)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("pet_transmission.png"))
    arguments = parser.parse_args()

    root = data_root()
    files = [] if root is None else sorted((root / "pet_transmission").glob("*.npz"))
    print(f"counts: {files[0].name if files else 'of a phantom, simulated; the data set is not here'}")
    scan = pet.load(files[0]) if files else phantom()
    fitted, other = scan.thin(np.random.default_rng(0))
    projector = pet_projector(scan.geometry, (arguments.size, arguments.size))
    problem = image_problem("pet", Transmission(projector, fitted.blank), fitted.data, low=0.0)
    judge = Transmission(projector, other.blank)

    def likelihood(image: np.ndarray) -> float:
        with torch.no_grad():
            return float(poisson_log_likelihood(torch.from_numpy(other.counts), judge(torch.from_numpy(image))))

    iterates = [mu.numpy() for mu in islice(transmission_iterates(problem.model, problem.data.values), 120)]
    best = max(range(len(iterates)), key=lambda step: likelihood(iterates[step]))
    found = eitdip.solve(problem, "dip-tv", tv=1.0, steps=arguments.steps, average=0.95)
    images = {
        "120 steps of maximum likelihood": iterates[-1],
        f"the best of them: {best + 1} steps": iterates[best],
        "deep image prior + TV": found.x,
    }
    scores = {name: likelihood(image) for name, image in images.items()}
    for name, score in scores.items():
        print(f"{name:<32} log-likelihood of the other half {score:.1f}")
    titles = {name: f"{name}\n{scores[name] - max(scores.values()):+.0f} nats" for name in images}
    plot.pictures(arguments.out, {titles[name]: image for name, image in images.items()}, 0.0, 0.15, columns=3)
    print(f"picture: {arguments.out}")
    assert max(scores, key=scores.get) == "deep image prior + TV"


if __name__ == "__main__":
    main()
