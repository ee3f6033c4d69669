"""Truths drawn from the prior of a small impedance problem: are they covered as often as Laplace's posterior says?

A tank with 16 electrodes, log conductivity a smooth random field of 8 leading modes, each weight standard normal before
the data. Each draw: a truth, its voltages with noise, the most likely weights from a start at 0, the Gaussian there.
A posterior that is right covers 50, 90 and 95 % of the truths, within binomial bounds, and the ranks of the truths are
uniform. Counted for each weight and for single pixels of the field, one of each per draw.

    python -m benchmarks.quality.simulation_based_calibration [--draws 200] [--noise 0.01 0.2]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.special import ndtr
from tqdm import tqdm

from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.fem import CompleteElectrodeModel, pixel_map
from eitdip.mesh import Tank
from eitdip.objective.differences import PixelDifferences
from eitdip.parameterization import Exp, Parameterization
from eitdip.parameterization.low_dimensional import Modes
from eitdip.problems.simulate_bodies import ring_patterns
from eitdip.uncertainty.cells import smooth_covariance
from eitdip.uncertainty.coverage import Share
from eitdip.uncertainty.reliability import uniformity
from eitdip.uncertainty.residuals import Residuals
from eitdip.writing import write_atomically

SIDE, MODES, LENGTH, SPREAD = 24, 8, 0.8, 0.6  # of the field: pixels, weights, correlation, deviation of its logarithm
LEVELS = (0.5, 0.9, 0.95)
PIXELS = [(SIDE // 2, SIDE // 2), (SIDE // 4, SIDE // 2), (SIDE // 2, 3 * SIDE // 4)]


def setting():
    """Model, parameterization and the modes."""
    domain = Tank(1.0, 16, 0.2).mesh(0.12)
    currents = ring_patterns(1, 16)
    model = CompleteElectrodeModel(domain, currents, np.full(16, 0.01), currents)
    values, vectors = np.linalg.eigh(smooth_covariance(PixelDifferences(), (SIDE, SIDE), LENGTH))
    modes = SPREAD * (np.sqrt(values[-MODES:]) * vectors[:, -MODES:]).T.reshape(MODES, SIDE, SIDE)
    field_map = pixel_map(model.discretization, (SIDE, SIDE))
    return model, Parameterization(Modes(np.zeros((SIDE, SIDE)), modes), Exp(1.0), field_map), modes


def run(noise: float, draws: int, seed: int = 0) -> dict:
    """Coverage, and p values of the ranks, of each weight and each of the pixels."""
    model, parameterization, modes = setting()
    size = noise * np.sqrt(np.square(model(np.ones(model.domain.shape))).mean())
    rng = np.random.default_rng(seed)
    places = []
    seen = np.concatenate([np.eye(MODES), np.stack([modes[(slice(None), *pixel)] for pixel in PIXELS])])
    for _ in tqdm(range(draws), desc=f"noise {noise:.0%}", disable=None):
        truth = rng.standard_normal(MODES)
        clean = model(np.exp(parameterization.matrix() @ np.tensordot(truth, modes, 1).ravel()))
        data = Data(clean + size * rng.standard_normal(clean.shape), Gaussian(np.full(clean.shape, size)))
        summit = Residuals(parameterization, model, data).summit(np.zeros(MODES))
        deviation = np.sqrt(np.einsum("ij,jk,ik->i", seen, summit.covariance, seen))
        places.append(ndtr(seen @ (truth - summit.mean) / deviation))
    places = np.array(places)  # of each truth among all values of the posterior, 0 to 1
    shares = {
        level: [Share.of(np.abs(each - 0.5) <= level / 2, confidence=0.99) for each in places.T] for level in LEVELS
    }
    return {
        "noise": noise,
        "draws": draws,
        "coverage": {level: [share.value for share in of] for level, of in shares.items()},
        "outside": {level: sum(not share.low <= level <= share.high for share in of) for level, of in shares.items()},
        "p of ranks": [uniformity(np.minimum((each * 100).astype(int), 99), 99) for each in places.T],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.01, 0.2])
    parser.add_argument("--out", type=Path, default=Path("results/simulation_based_calibration.json"))
    arguments = parser.parse_args()
    rows = [run(noise, arguments.draws) for noise in arguments.noise]
    for row in rows:
        for level in LEVELS:
            shares = row["coverage"][level]
            print(
                f"noise {row['noise']:.0%}, {level:.0%} intervals: {min(shares):.3f} .. {max(shares):.3f} covered, "
                f"{row['outside'][level]} of {len(shares)} beyond the 99 % bounds of {row['draws']} draws"
            )
        print(f"noise {row['noise']:.0%}: least p of uniform ranks {min(row['p of ranks']):.3f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, json.dumps(rows, indent=2).encode())


if __name__ == "__main__":
    main()
