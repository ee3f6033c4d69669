"""Kuopio Tomography Challenge 2023: python -m eitdip.challenges.ktc2023 INPUT_DIR OUTPUT_DIR LEVEL.

INPUT_DIR has ref.mat and any number of dataN.mat, in which the voltages that the level removes are
NaN. OUTPUT_DIR gets N.mat with `reconstruction`, a 256 x 256 array of 0 (water), 1 (resistive) and 2
(conductive), oriented as the challenge's truth files. Nothing is trained, and one setting serves all
levels.
"""

import io
import re
import time
from pathlib import Path

import click
import numpy as np
from scipy.io import savemat
from scipy.ndimage import label, map_coordinates

from eitdip.cli.exits import run
from eitdip.data import load
from eitdip.errors import EitdipError, FileFormatError
from eitdip.methods.options import Method, method
from eitdip.problems.bodies import MARGIN, Meshing, prepare
from eitdip.ranks.collectives import together, world
from eitdip.ranks.teams import divided
from eitdip.ranks.threads import use_threads
from eitdip.reconstruction import Status
from eitdip.runs import session
from eitdip.settings import configured
from eitdip.settings import divided as of_class
from eitdip.writing import check_folder, write_atomically

SIDE = 256
# One setting and one pair of thresholds for all tanks and levels.
SETTINGS = {"seeds": 2}
DETECT, EDGE = 0.25, 0.6
# Log contrast at which visibility saturates: beyond a factor e^2 the data hardly tell how much more.
_SATURATION = 2.0


def segment(measurements, settings: dict | None = None, comm=None, quiet: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Classes and conductivity of one tank.

    Args:
        measurements: From `eitdip.data.load`.
        settings: Fields of `Meshing` and `Method` that differ from `SETTINGS`.
        comm: MPI communicator, by default all ranks; the seeds are divided over it.
        quiet: No progress bar.

    Returns:
        Labels, uint8 (256, 256), and conductivity over the background, (256, 256), 1 outside the tank.
    """
    comm = world() if comm is None else comm
    of_mesh, of_method = of_class(SETTINGS | (settings or {}), Meshing, Method)
    chosen = method("dip-tv", of_method)
    with divided(chosen.seeds, comm) as team:
        with together(comm):
            problem = prepare(measurements, configured(Meshing(), of_mesh), team.comm)
        solution = session.solve(problem, chosen, name="dip-tv", team=team, quiet=quiet)
    if solution.status == Status.INTERRUPTED:  # half a reconstruction is no answer
        raise KeyboardInterrupt
    image = to_challenge_grid(solution.field / problem.unknown.start)
    return classify(image), image


def classify(image: np.ndarray) -> np.ndarray:
    """Classes of a conductivity image, by thresholds that follow each object.

    A far or half-hidden object is seen fainter, so one conductivity threshold for all is wrong. The
    visibility tanh(|log contrast| / 2) of each object has its own peak: objects whose peak is
    below `DETECT` are dropped, the others reach to `EDGE` of their peak.

    Args:
        image: Conductivity, (256, 256); its median inside the tank is taken for the water.

    Returns:
        uint8 (256, 256): 0 water, 1 resistive, 2 conductive.
    """
    center = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
    inside = center[:, None] ** 2 + center**2 <= 1
    contrast = np.where(inside, np.log(image / np.median(image[inside])), 0.0)
    classes = np.zeros(image.shape, dtype=np.uint8)
    for value, sign in ((1, -1), (2, 1)):
        visibility = np.tanh(np.clip(sign * contrast, 0, None) / _SATURATION)
        objects, count = label(visibility > DETECT * EDGE)
        for number in range(1, count + 1):
            mine = objects == number
            peak = visibility[mine].max()
            if peak >= DETECT:
                classes[mine & (visibility >= EDGE * peak)] = value
    return classes


def to_challenge_grid(image: np.ndarray) -> np.ndarray:
    """An image (H, W) over the enlarged window to 256 x 256 pixels over the tank's bounding square.

    Interpolates log conductivity; outside the tank the value is 1.
    """
    center = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
    index = [(center / MARGIN + 1) * side / 2 - 0.5 for side in image.shape]
    fine = np.exp(map_coordinates(np.log(image), np.meshgrid(*index, indexing="ij"), order=1, mode="nearest"))
    fine[center[:, None] ** 2 + center**2 > 1] = 1.0
    return fine


def _inputs(folder: Path) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        raise FileFormatError(f"{folder}: no such input folder")
    found = [
        (match[1], path) for path in sorted(folder.iterdir()) if (match := re.fullmatch(r"data(\d+)\.mat", path.name))
    ]
    if not found:
        raise FileFormatError(f"{folder}: got no dataN.mat, expected at least one")
    return sorted(found, key=lambda item: int(item[0]))


def _write(folder: Path, name: str, measurements, comm, quiet: bool) -> EitdipError | None:
    """Segment one tank on a team of ranks; its error must not keep other teams waiting."""
    began = time.perf_counter()
    try:
        labels, _ = segment(measurements, comm=comm, quiet=quiet)
        with together(comm):
            if comm.rank == 0:
                content = io.BytesIO()
                savemat(content, {"reconstruction": labels})
                write_atomically(folder / f"{name}.mat", content.getvalue())
                click.echo(f"{name}.mat  {time.perf_counter() - began:.0f} s")
    except EitdipError as error:
        return error
    return None


@click.command()
@click.argument("input_dir", type=click.Path(path_type=Path))
@click.argument("output_dir", type=click.Path(path_type=Path))
@click.argument("level", type=click.IntRange(1, 7))
def command(input_dir: Path, output_dir: Path, level: int) -> int:
    """Segment all tanks of INPUT_DIR at difficulty LEVEL (1..7) into OUTPUT_DIR."""
    comm = world()
    with together(comm):
        # Everything is read before any work starts.
        tanks = [(name, load(path, level=level)) for name, path in _inputs(input_dir)]
        if comm.rank == 0:
            check_folder(output_dir)
    use_threads()
    with divided(len(tanks), comm) as team:
        failures = team.gather({i: _write(output_dir, *tanks[i], team.comm, comm.rank > 0) for i in team.items})
    for failure in failures.values():
        if failure is not None:
            raise failure
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(run(lambda: command(standalone_mode=False), name="ktc2023"))
