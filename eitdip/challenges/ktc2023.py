"""Kuopio Tomography Challenge 2023: python -m eitdip.challenges.ktc2023 INPUT_DIR OUTPUT_DIR LEVEL.

INPUT_DIR has ref.mat and any number of dataN.mat, in which the voltages that the level removes are
NaN. OUTPUT_DIR gets N.mat with `reconstruction`, a 256 x 256 array of 0 (water), 1 (resistive) and 2
(conductive), oriented as the challenge's truth files. By default nothing is trained, and one setting serves
all levels. With `--method educated` two networks that have seen simulated tanks answer in a second:
weights/ktc2023-*.safetensors, made by `python -m eitdip.challenges.ktc2023_training`.
"""

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from scipy.io import savemat
from scipy.ndimage import label, map_coordinates

from eitdip.cli.exits import run
from eitdip.data import load
from eitdip.errors import EitdipError, FileFormatError
from eitdip.methods.options import Method, method
from eitdip.pretraining.segmenter import Segmenter
from eitdip.pretraining.weights import Weights
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
METHODS = ("dip-tv", "educated")
WEIGHTS = Path(__file__).parents[2] / "weights"
FIRST_NAME, SECOND_NAME = "ktc2023-first.safetensors", "ktc2023-second.safetensors"
# One setting and one pair of thresholds for all tanks and levels.
SETTINGS = {"seeds": 2}
DETECT, EDGE = 0.25, 0.6
_CENTER = (np.arange(SIDE) + 0.5) * 2 / SIDE - 1
_INSIDE = _CENTER[:, None] ** 2 + _CENTER**2 <= 1
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


class Educated:
    """Tanks by trained networks; what is prepared for a level serves all its tanks.

    Args:
        folder: With the weights.

    Raises:
        CheckpointError: If they are missing or damaged.
    """

    def __init__(self, folder: Path = WEIGHTS):
        self._weights = [Weights.load(folder / name) for name in (FIRST_NAME, SECOND_NAME)]
        self._prepared: dict[bytes, Segmenter] = {}

    @property
    def hash(self) -> str:
        """Of both networks."""
        return " ".join(weights.hash for weights in self._weights)

    def __call__(self, measurements, comm=None, quiet: bool = True) -> np.ndarray:
        """Classes of one tank, uint8 (256, 256).

        Args:
            measurements: From `eitdip.data.load`.
            comm: MPI communicator, by default all ranks.
            quiet: There is nothing to be told.

        Raises:
            CheckpointError: If the weights were not trained for these electrodes, patterns and measurements.
        """
        problem = prepare(measurements, comm=comm)
        # All tanks of a folder have one reference, so one linearization.
        key = problem.data.mask.tobytes() + problem.unknown.hash.encode() + problem.data.deviation.tobytes()
        if key not in self._prepared:
            self._prepared[key] = Segmenter(problem, *self._weights)
        return most_likely(self._prepared[key](problem))


def most_likely(logits: np.ndarray) -> np.ndarray:
    """Classes of logits (3, H, W) over the enlarged window: uint8 (256, 256), 0 outside the tank."""
    fine = np.stack([_interpolated(values) for values in logits])
    return np.where(_INSIDE, fine.argmax(axis=0), 0).astype(np.uint8)


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
    contrast = np.where(_INSIDE, np.log(image / np.median(image[_INSIDE])), 0.0)
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
    return np.where(_INSIDE, np.exp(_interpolated(np.log(image))), 1.0)


def _interpolated(image: np.ndarray) -> np.ndarray:
    index = [(_CENTER / MARGIN + 1) * side / 2 - 0.5 for side in image.shape]
    return map_coordinates(image, np.meshgrid(*index, indexing="ij"), order=1, mode="nearest")


def _inputs(folder: Path) -> list[tuple[str, Path]]:
    if not folder.is_dir():
        raise FileFormatError(f"{folder}: no such input folder")
    found = [
        (match[1], path) for path in sorted(folder.iterdir()) if (match := re.fullmatch(r"data(\d+)\.mat", path.name))
    ]
    if not found:
        raise FileFormatError(f"{folder}: got no dataN.mat, expected at least one")
    return sorted(found, key=lambda item: int(item[0]))


def _untrained(measurements, comm, quiet: bool) -> np.ndarray:
    return segment(measurements, comm=comm, quiet=quiet)[0]


def _write(folder: Path, name: str, measurements, answer: Callable, comm, quiet: bool) -> EitdipError | None:
    """Segment one tank on a team of ranks; its error must not keep other teams waiting."""
    began = time.perf_counter()
    try:
        labels = answer(measurements, comm=comm, quiet=quiet)
        with together(comm):
            if comm.rank == 0:
                digits, facts = (0, {}) if answer is _untrained else (2, {"weights": answer.hash})
                content = io.BytesIO()
                savemat(content, {"reconstruction": labels} | facts)
                write_atomically(folder / f"{name}.mat", content.getvalue())
                click.echo(f"{name}.mat  {time.perf_counter() - began:.{digits}f} s")
    except EitdipError as error:
        return error
    return None


@click.command()
@click.argument("input_dir", type=click.Path(path_type=Path))
@click.argument("output_dir", type=click.Path(path_type=Path))
@click.argument("level", type=click.IntRange(1, 7))
@click.option("--method", "name", type=click.Choice(METHODS), default=METHODS[0], show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), default=WEIGHTS, help="Folder with those for educated.")
def command(input_dir: Path, output_dir: Path, level: int, name: str, weights: Path) -> int:
    """Segment all tanks of INPUT_DIR at difficulty LEVEL (1..7) into OUTPUT_DIR."""
    comm = world()
    with together(comm):
        # Everything is read before any work starts.
        tanks = [(number, load(path, level=level)) for number, path in _inputs(input_dir)]
        answer = Educated(weights) if name == "educated" else _untrained
        if comm.rank == 0:
            check_folder(output_dir)
    use_threads()
    with divided(len(tanks), comm) as team:
        failures = team.gather({i: _write(output_dir, *tanks[i], answer, team.comm, comm.rank > 0) for i in team.items})
    for failure in failures.values():
        if failure is not None:
            raise failure
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(run(lambda: command(standalone_mode=False), name="ktc2023"))
