"""Real scans, judged by measurements that no method saw. python -m benchmarks.quality.unseen_measurements

MRI: a tenth of the sampled k-space points outside the fully sampled block is hidden; the relative error of what an
image predicts there. PET: half of the counts (a random thinning, so independent); the Poisson log-likelihood of the
other half. Each classical method gets its best setting by the hidden data, a favour that the deep image prior is not
given: it holds out a part of its own data and stops by that.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from eitdip.classical.counts import poisson_log_likelihood, transmission_iterates

from benchmarks.quality.kept import kept, show
from eitdip.cli.settings import from_words
from eitdip.data import data_root, mri, pet
from eitdip.imaging import CartesianMRI, Transmission, cgls, coil_maps
from eitdip.methods.image_options import image_options
from eitdip.problems.images import Task
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Status
from eitdip.runs.image_session import restore
from eitdip.writing import make_folder

CGLS_STEPS, EM_STEPS, PIXEL_STEPS, TV_WEIGHTS = 20, 150, 800, (2.0, 5.0, 10.0, 20.0)
_BLOCK = 12  # half of the fully sampled middle of k-space, from which the coil maps come


class HiddenPoints:
    """MRI: the task without a tenth of its points, and the error there."""

    unit = "relative error"

    def __init__(self, folder: Path, seed: int):
        kspace, mask = mri.load_kspace(folder / "mri_brain_8ch" / "cartesian_ksp.npy")
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
        self.task = Task(
            "mri", CartesianMRI(known, maps), torch.from_numpy(kspace * known),
            mask=np.broadcast_to(known, kspace.shape), tied=(0,),
        )  # fmt: skip

    def score(self, image: np.ndarray) -> float:
        """Relative error on the hidden points."""
        missed = (self.whole(image) - self.kspace)[:, self.hidden]
        return float(np.linalg.norm(missed) / np.linalg.norm(self.kspace[:, self.hidden]))

    def classical(self, name: str) -> dict:
        """The best score of a method's settings."""
        task, scores = self.task, {}
        if name == "pinv":
            scores["zero-filled"] = self.score(task.operator.pinv(task.data).numpy())
        elif name == "cgls":
            for steps in range(1, CGLS_STEPS + 1):
                scores[f"{steps} steps"] = self.score(cgls(task.operator, task.data, steps).numpy())
        else:
            for weight in TV_WEIGHTS:
                options = image_options("tv", {"tv": weight, "steps": 300})
                scores[f"weight {weight:g}"] = self.score(restore(task, options, quiet=True).image)
        return {"setting": min(scores, key=scores.get), "score": min(scores.values())}


class OtherHalf:
    """PET: one half of the counts, and the log-likelihood of the other."""

    unit = "log-likelihood"

    def __init__(self, folder: Path, seed: int, side: int = 64):
        scan = pet.load(folder / "pet_transmission" / "pet_transmission_halfA.npz")
        fitted, other = scan.thin(np.random.default_rng(seed))
        projector = scan.geometry.projector((side, side))
        self.model, self.counts = Transmission(projector, other.blank), torch.from_numpy(other.counts)
        operator = Transmission(projector, fitted.blank)
        self.task = Task("pet", operator, torch.from_numpy(fitted.counts), low=0.0)

    def score(self, image: np.ndarray) -> float:
        """Log-likelihood of the other half, nats."""
        with torch.no_grad():
            return float(poisson_log_likelihood(self.counts, self.model(torch.from_numpy(image))))

    def classical(self, name: str) -> dict:
        """The best score of a method's settings."""
        task, scores = self.task, {}
        if name == "em":
            for step, image in zip(
                range(1, EM_STEPS + 1), transmission_iterates(task.operator, task.data), strict=False
            ):
                scores[f"{step} steps"] = self.score(image.numpy())
        else:
            for weight in TV_WEIGHTS:
                found = restore(task, image_options("pixels-tv", {"tv": weight / 10, "steps": PIXEL_STEPS}), quiet=True)
                scores[f"weight {weight / 10:g}"] = self.score(found.image)
        return {"setting": max(scores, key=scores.get), "score": max(scores.values())}


SCANS = {
    "mri": (HiddenPoints, ("pinv", "cgls", "tv")),
    "pet": (OtherHalf, ("em", "pixels-tv")),
}


def run(scan, method: str, seed: int, settings: dict) -> dict:
    """Score of one method, as a row of the table."""
    if method not in ("dip", "dip-tv"):
        return scan.classical(method)
    found = restore(scan.task, image_options(method, {"seed": seed} | settings), quiet=True)
    if found.status == Status.INTERRUPTED:
        raise SystemExit("interrupted; the same command goes on")
    return {"setting": f"kept {found.results[0].kept}", "score": scan.score(found.image)}


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = ["| scan | method | setting | on unseen measurements |", "|---|---|---|---|"]
    lines += [f"| {r['scan']} | {r['method']} | {r['setting']} | {r['score']:.6g} {r['unit']} |" for r in rows]
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.unseen_measurements", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/unseen_data"))
    parser.add_argument("--scans", nargs="+", choices=SCANS, default=list(SCANS))
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="of hidden data and networks")
    parser.add_argument("--tv", type=float, nargs="+", default=[5.0], help="weights for dip-tv")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args(words)
    root = data_root()
    if root is None:
        parser.error("needs the public data sets: set EITDIP_DATA to their folder")
    use_threads(1)
    make_folder(arguments.out)
    rows = []
    for name in arguments.scans:
        make, classical = SCANS[name]
        scan = make(root, arguments.seed)
        for method in arguments.methods or (*classical, "dip", "dip-tv"):
            for weight in arguments.tv if method == "dip-tv" else (None,):
                settings = from_words(arguments.settings) | ({} if weight is None else {"tv": weight})
                label = method if weight is None else f"{method} {weight:g}"
                path = arguments.out / f"{name}-{label.replace(' ', '-')}-{arguments.seed}.json"
                row = kept(path, partial(run, scan, method, arguments.seed, settings))
                rows.append({"scan": name, "method": label, "unit": scan.unit} | row)
                print(rows[-1], flush=True)
    show(arguments.out, table(rows))


if __name__ == "__main__":
    main()
