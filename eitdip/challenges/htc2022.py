"""Helsinki Tomography Challenge 2022: python -m eitdip.challenges.htc2022 INPUT_DIR OUTPUT_DIR CATEGORY.

INPUT_DIR has any number of .mat files with the views that the category leaves, 90 degrees (1) to 30 degrees (7).
OUTPUT_DIR gets a PNG of the same stem for each, 512 x 512 pixels, white for acrylic and black for air. The score is the
Matthews correlation coefficient, `eitdip.metrics.mcc`.

What is used beside the views was read off the challenge's training discs ta and tb: the radius of a disc, how far holes
stay from its rim, and the attenuation curve of acrylic in this X-ray beam. By default nothing is trained, and one
setting serves all categories. With `--method educated` a network that has seen simulated discs finds the holes in the
categories 3 to 7, up to 70 degrees: weights/htc2022.safetensors, made by
`python -m eitdip.challenges.htc2022_training weights/htc2022.safetensors`.
"""

import io
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import nn

from eitdip.challenges import htc2022_network
from eitdip.classical.two_valued import two_valued
from eitdip.cli.exits import run
from eitdip.data import htc2022
from eitdip.data.htc2022 import SIDE, DiscData
from eitdip.errors import EitdipError, FileFormatError, InvalidDataError
from eitdip.problems.disc_views import RADIUS
from eitdip.problems.scans import disc_beam, disc_operator
from eitdip.ranks.threads import use_threads
from eitdip.writing import check_folder, write_atomically

RIM = 4.0  # mm without holes; the holes of the two discs end 5.5 and 6.7 mm from the rim
# Sinogram to mm of acrylic: the beam hardens, so it is a curve. Fitted to rays of the two discs that meet no hole.
AIR = 0.0173
CURVE = (25.61, -1.895, 2.536)
DEVIATION = 0.4  # mm, mostly what the curve leaves: the light of a bright detector pixel spreads to others
WEIGHT = 3.0
# Coarse pixels first. The push to two values grows slowly there; on fine pixels it only draws the edges.
PUSHES = {128: (0, 0, 0.3, 1, 2, 4, 8, 16), 256: (4, 8)}
WEIGHTS = Path(__file__).parents[2] / "weights" / "htc2022.safetensors"
_STEPS = 120
_VIEWS = 90  # more views are thinned to about so many


def segment(disc: DiscData, network: nn.Module | None = None) -> np.ndarray:
    """Where a disc has acrylic.

    The holes are found inside a disc of known radius, as the image of two values with short edges that explains the
    views best, or by a network.

    Args:
        disc: Views, from `eitdip.data.htc2022.load`.
        network: Of `htc2022_network.load`, which is used up to `htc2022_network.MOST` degrees; or None for an image
            that nothing was trained for.

    Returns:
        bool, shape (512, 512).

    Raises:
        InvalidDataError: If the views do not show a whole disc, or the network was trained for others.
    """
    measured = acrylic(disc.sinogram)
    center = find_disc(disc, measured)
    lengths = replace(disc, sinogram=measured * _gain(disc, measured, center))
    if network is not None and htc2022_network.span_of(disc) < htc2022_network.MOST + 1:
        return htc2022_network.segment(lengths, center, network)
    lengths = lengths.every(max(1, round(len(disc.angles) / _VIEWS)))
    holes = None
    for side, pushes in PUSHES.items():
        data = lengths.binned(SIDE // side)
        operator = disc_operator(data, side, kernel="strip")
        depth = RADIUS - _distance_from(center, side, disc.pixel_size)
        solid = torch.from_numpy(np.clip(depth / (disc.pixel_size * SIDE / side) + 0.5, 0, 1)).float()
        missing = operator(solid) - torch.from_numpy(data.sinogram).float()
        holes = two_valued(
            operator,
            missing,
            WEIGHT,
            pushes,
            deviation=DEVIATION,
            steps=_STEPS,
            allowed=torch.from_numpy(depth > RIM),
            start=None if holes is None else _resize(holes, side),
        )
    inside = _distance_from(center, SIDE, disc.pixel_size) < RADIUS
    return inside & (_resize(holes, SIDE).numpy() < 0.5)


def acrylic(sinogram: np.ndarray) -> np.ndarray:
    """Path lengths in acrylic, mm, from the logarithm of the intensity: corrects for beam hardening."""
    return np.polyval((*CURVE[::-1], 0.0), np.asarray(sinogram) - AIR)


def find_disc(disc: DiscData, measured: np.ndarray) -> tuple[float, float]:
    """Centre of the disc, from the rays that just meet it: their path lengths are chords of a circle.

    Args:
        disc: Geometry.
        measured: Path lengths in mm, shape (A, D).

    Returns:
        x and y in mm from the axis of rotation, right within 0.1 mm even if all views are within 30 degrees.

    Raises:
        InvalidDataError: If a view does not show both sides of the disc.
    """
    views = np.arange(len(measured))[:, None]
    met = measured > 4.0
    first, last = met.argmax(axis=1), met.shape[1] - 1 - met[:, ::-1].argmax(axis=1)
    if not (met.any(axis=1) & (first > 0) & (last < met.shape[1] - 1)).all():
        raise InvalidDataError("views: got one that does not show both sides of the disc, expected a disc in all views")
    near = np.concatenate([first[:, None] + np.arange(3), last[:, None] - np.arange(3)], axis=1)
    chord = measured[views, near]
    position, normal = (values[views, near] for values in _lines(disc))
    known = chord < 16.0  # longer ones meet holes, or are not at the rim
    if known.sum() < 3:
        raise InvalidDataError(f"views: got no edge of a disc with a radius of {RADIUS} mm")
    position, normal = position[known], normal[known]
    distance = np.sqrt(RADIUS**2 - chord[known] ** 2 / 4)
    center = np.zeros(2)
    for _ in range(20):  # least absolute deviations: a speck at the rim must not move the disc
        signed = position - normal @ center
        residual = np.abs(signed) - distance
        trust = 1 / np.sqrt(np.maximum(np.abs(residual), 0.1))
        slope = np.sign(signed)[:, None] * normal
        center = center + np.linalg.lstsq(slope * trust[:, None], residual * trust, rcond=None)[0]
    return float(center[0]), float(center[1])


def _gain(disc: DiscData, measured: np.ndarray, center: tuple[float, float]) -> float:
    """Path lengths of rays within the rim over measured ones: discs and days differ by about 1 %."""
    position, normal = _lines(disc)
    distance = np.abs(position - normal @ center)
    chord = 2 * np.sqrt(np.clip(RADIUS**2 - distance**2, 0, None))
    chosen = (distance > RADIUS - RIM) & (chord > 14.0)  # shorter ones depend on the centre too much
    return float(chord[chosen] @ measured[chosen] / (measured[chosen] @ measured[chosen]))


def _lines(disc: DiscData) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance of each ray from the axis, mm, and its unit normal: shapes (A, D) and (A, D, 2)."""
    points, directions = disc_beam(disc).rays()
    normal = np.stack([-directions[..., 1], directions[..., 0]], axis=-1)
    return (points * normal).sum(axis=-1), normal


def _distance_from(center: tuple[float, float], side: int, pixel_size: float) -> np.ndarray:
    """Of pixels, mm, shape (side, side); the pixel size is that of the 512 x 512 image."""
    across = (np.arange(side) - (side - 1) / 2) * pixel_size * SIDE / side
    return np.hypot(across - center[0], -across[:, None] - center[1])


def _resize(image: torch.Tensor, side: int) -> torch.Tensor:
    """An image over the same area with side x side pixels, by linear interpolation."""
    return torch.nn.functional.interpolate(image[None, None], (side, side), mode="bilinear")[0, 0]


def _inputs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileFormatError(f"{folder}: no such input folder")
    found = [path for path in sorted(folder.glob("*.mat")) if not path.stem.endswith("_seg")]
    if not found:
        raise FileFormatError(f"{folder}: got no .mat file, expected at least one")
    return found


def _check_span(disc: DiscData, path: Path, category: int) -> DiscData:
    """The views of the category; a file that has all of them is a training disc, of which the first ones are taken."""
    span = htc2022.span_of(category)
    after = np.mod(disc.angles - disc.angles[0] + 1e-6, 360.0)
    if after.max() < span - 1.0:
        raise InvalidDataError(
            f"{path}: got views over {after.max():.1f} degrees, but category {category} has {span:g}; "
            "give the category of the files"
        )
    return disc.limited(float(disc.angles[0]), span)


def _write(path: Path, disc: DiscData, network: nn.Module | None) -> None:
    began = time.perf_counter()
    try:
        acrylic_here = segment(disc, network)
    except EitdipError as error:
        raise type(error)(f"{path.stem}: {error}") from error
    content = io.BytesIO()
    Image.fromarray(255 * acrylic_here.astype(np.uint8)).save(content, format="png")
    write_atomically(path, content.getvalue())
    click.echo(f"{path.name}  {time.perf_counter() - began:.0f} s")


@click.command()
@click.argument("input_dir", type=click.Path(path_type=Path))
@click.argument("output_dir", type=click.Path(path_type=Path))
@click.argument("category", type=click.IntRange(1, 7))
@click.option("--method", type=click.Choice(("two-valued", "educated")), default="two-valued", show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), default=WEIGHTS, show_default=True, help="For educated.")
def command(input_dir: Path, output_dir: Path, category: int, method: str, weights: Path) -> int:
    """Segment all discs of INPUT_DIR, in difficulty CATEGORY (1..7), into OUTPUT_DIR."""
    # Everything is read before any work starts.
    discs = {path: _check_span(htc2022.load(path), path, category) for path in _inputs(input_dir)}
    network = htc2022_network.load(weights) if method == "educated" else None
    check_folder(output_dir)
    use_threads()
    for path, disc in discs.items():
        _write(output_dir / f"{path.stem}.png", disc, network)
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(run(lambda: command(standalone_mode=False), name="htc2022"))
