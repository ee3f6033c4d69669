"""What a deep image prior of volumes gains from being educated: `benchmarks.quality.educated_ct` for a cone beam.

30 views of 48^3 voxels with 5 % noise. A three-dimensional U-Net is trained on random ellipsoids; it then starts the
reconstruction of volumes of another family: prisms on polygons, stars and crescents, from the bottom to the top. The
untrained prior beside it has the same network and penalty, random weights and a random latent tensor. The protocol is
that of `educated_ct`; rates of a quarter or half of these were slower on another volume and the first one.

    eitdip train cone-beam --out results/educated_cone/48.safetensors --set size=48 --set patch=2 --set levels=2 \
        --set channels=16 --set skips=8 --set steps=900 --set batch=4 --set held_pairs=8 --set look=50
    python -m benchmarks.quality.educated_cone --weights results/educated_cone/48.safetensors
"""

import argparse
from functools import partial
from pathlib import Path

from benchmarks.quality.educated_ct import courses, table
from benchmarks.quality.kept import show
from eitdip.data.volumes import read_volume
from eitdip.pretraining.weights import Weights
from eitdip.problems.cone_beams import cone_beam
from eitdip.problems.problem import Problem
from eitdip.ranks.threads import use_threads
from eitdip.writing import make_folder

RATES = {"EDIP": 4e-3, "DIP": 1e-2}


def problem(name: str, size: int, views: int, seed: int) -> Problem:
    """Of a volume that is drawn, such as "shapes-3"."""
    return cone_beam(read_volume(f"phantom:{name}", size), views=views, seed=seed)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--views", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("results/educated_cone"))
    parser.add_argument("--volumes", nargs="+", default=[f"shapes-{number}" for number in range(3)])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rates", type=float, nargs=2, default=list(RATES.values()), help="of EDIP and DIP")
    arguments = parser.parse_args(words)
    use_threads()
    folder = arguments.out / str(arguments.size)
    make_folder(folder)
    make = partial(problem, size=arguments.size, views=arguments.views)
    rows = courses(Weights.load(arguments.weights), make, arguments.volumes, folder, arguments)
    show(folder, table(rows, {"prisms": tuple(arguments.volumes)}))


if __name__ == "__main__":
    main()
