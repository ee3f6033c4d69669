"""Real scans, judged by measurements that no method saw.

MRI: a tenth of the sampled k-space points outside the fully sampled block is hidden; the relative error of what an
image predicts there. PET: half of the counts (a random thinning, so independent); the Poisson log-likelihood of the
other half. Each classical method gets its best setting by the hidden data, a favour that the deep image prior is not
given: it holds out a part of its own data and stops by that.

    python -m benchmarks.quality.unseen_measurements
"""

import argparse
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

import eitdip
from benchmarks.quality.kept import finished, kept, show
from eitdip.classical.counts import poisson_log_likelihood, transmission_iterates
from eitdip.cli.settings import from_words
from eitdip.data import data_root, mri, pet
from eitdip.imaging import CartesianMRI, Transmission, coil_maps
from eitdip.problems.images import image_problem
from eitdip.problems.scans import pet_projector
from eitdip.writing import make_folder

CGLS_STEPS, EM_STEPS, PIXEL_STEPS = 20, 150, 800
MRI_WEIGHTS, PET_WEIGHTS = (0.56, 1.4, 2.8, 5.6), (0.2, 0.5, 1.0, 2.0)  # of total variation
_BLOCK = 12  # half of the fully sampled middle of k-space, from which the coil maps come


class HiddenPoints:
    """MRI: the problem without a tenth of its points, and the error there."""

    unit, weight = "relative error", 1.4

    def __init__(self, folder: Path, seed: int):
        data, mask = mri.load_kspace(folder / "mri_brain_8ch" / "cartesian_ksp.npy")
        kspace = data.values
        rng = np.random.default_rng(seed)
        outside = mask.copy()
        middle = tuple(slice(side // 2 - _BLOCK, side // 2 + _BLOCK) for side in mask.shape)
        outside[middle] = False
        places = np.argwhere(outside)
        self.hidden = np.zeros_like(mask)
        self.hidden[tuple(places[rng.choice(len(places), len(places) // 10, replace=False)].T)] = True
        known = mask & ~self.hidden
        maps = coil_maps(kspace * known)
        self.kspace, self.whole = kspace, CartesianMRI(mask, maps)
        data = replace(data, mask=np.broadcast_to(known, kspace.shape))
        self.problem = image_problem("mri", CartesianMRI(known, maps), data)

    def score(self, image: np.ndarray) -> float:
        """Relative error on the hidden points."""
        missed = (self.whole(image) - self.kspace)[:, self.hidden]
        return float(np.linalg.norm(missed) / np.linalg.norm(self.kspace[:, self.hidden]))

    def classical(self, name: str) -> dict:
        """The best score of a method's settings."""
        if name == "pinv":
            scores = {"zero-filled": self.score(eitdip.solve(self.problem, "pinv").x)}
        elif name == "cgls":
            runs = {k: eitdip.solve(self.problem, "tikhonov", tikhonov=0.0, steps=k) for k in range(1, CGLS_STEPS + 1)}
            scores = {f"{steps} steps": self.score(found.x) for steps, found in runs.items()}
        else:
            runs = {weight: eitdip.solve(self.problem, "tv", tv=weight, steps=300) for weight in MRI_WEIGHTS}
            scores = {f"weight {weight:g}": self.score(found.x) for weight, found in runs.items()}
        return {"setting": min(scores, key=scores.get), "score": min(scores.values())}


class OtherHalf:
    """PET: one half of the counts, and the log-likelihood of the other."""

    unit, weight = "log-likelihood", 1.0

    def __init__(self, folder: Path, seed: int, side: int = 64):
        scan = pet.load(folder / "pet_transmission" / "pet_transmission_halfA.npz")
        fitted, other = scan.thin(np.random.default_rng(seed))
        projector = pet_projector(scan.geometry, (side, side))
        self.model, self.counts = Transmission(projector, other.blank), torch.from_numpy(other.counts)
        self.problem = image_problem("pet", Transmission(projector, fitted.blank), fitted.data, low=0.0)

    def score(self, image: np.ndarray) -> float:
        """Log-likelihood of the other half, nats."""
        with torch.no_grad():
            return float(poisson_log_likelihood(self.counts, self.model(torch.from_numpy(image))))

    def classical(self, name: str) -> dict:
        """The best score of a method's settings."""
        if name == "em":
            iterates = islice(transmission_iterates(self.problem.model, self.problem.data.values), EM_STEPS)
            scores = {f"{step} steps": self.score(image.numpy()) for step, image in enumerate(iterates, 1)}
        else:
            chosen = {"steps": PIXEL_STEPS, "quiet": True}
            runs = {weight: eitdip.solve(self.problem, "pixels-tv", tv=weight, **chosen) for weight in PET_WEIGHTS}
            scores = {f"weight {weight:g}": self.score(finished(found).x) for weight, found in runs.items()}
        return {"setting": max(scores, key=scores.get), "score": max(scores.values())}


SCANS = {
    "mri": (HiddenPoints, ("pinv", "cgls", "tv")),
    "pet": (OtherHalf, ("em", "pixels-tv")),
}


def run(scan, method: str, seed: int, settings: dict) -> dict:
    """Score of one method, as a row of the table."""
    if method not in ("dip", "dip-tv"):
        return scan.classical(method)
    found = finished(eitdip.solve(scan.problem, method, seed=seed, quiet=True, **settings))
    return {"setting": f"kept {found.results[0].kept}", "score": scan.score(found.x)}


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = ["| scan | method | setting | on unseen measurements |", "|---|---|---|---|"]
    lines += [f"| {r['scan']} | {r['method']} | {r['setting']} | {r['score']:.6g} {r['unit']} |" for r in rows]
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/unseen_measurements"))
    parser.add_argument("--scans", nargs="+", choices=SCANS, default=list(SCANS))
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="of hidden data and networks")
    parser.add_argument("--tv", type=float, nargs="+", help="weights for dip-tv; default: 1.4 for mri, 1 for pet")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args(words)
    root = data_root()
    if root is None:
        parser.error("needs the public data sets: set EITDIP_DATA to their folder")
    make_folder(arguments.out)
    rows = []
    for name in arguments.scans:
        make, classical = SCANS[name]
        scan = make(root, arguments.seed)
        for method in arguments.methods or (*classical, "dip", "dip-tv"):
            for weight in (arguments.tv or [scan.weight]) if method == "dip-tv" else (None,):
                settings = from_words(arguments.settings) | ({} if weight is None else {"tv": weight})
                label = method if weight is None else f"{method} {weight:g}"
                path = arguments.out / f"{name}-{label.replace(' ', '-')}-{arguments.seed}.json"
                row = kept(path, partial(run, scan, method, arguments.seed, settings))
                rows.append({"scan": name, "method": label, "unit": scan.unit} | row)
                print(rows[-1], flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
