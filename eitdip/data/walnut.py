"""Cone-beam scans of walnuts of Der Sarkissian and others (2019), in folders that a user has downloaded.

A folder such as Walnut1/Projections/tubeV2 holds, of one circle of the source,

    scan_geom_corrected.geom       a line of 12 numbers for each view, mm: source, middle of the detector, steps from a
                                   detector pixel to that of the next column and of the next row
    scan_000000.tif, ...           what the detector counted, as many as lines; the first and the last are of one angle
    di000000.tif                   without X-rays
    io000000.tif, io000001.tif     without a walnut, before and after the scan

Line k is of the file as many from the end, and an image is upright when it is mirrored up and down and transposed. The
voxels of the authors' reconstructions are 501 along each side, of 0.1 mm. Their row i is y = i - 250; here rows fall.

    DOI 10.5281/zenodo.2686725 (walnuts 1 to 8) and five more

References:
    Der Sarkissian, Lucka, van Eijnatten, Colacicco, Coban, Batenburg (2019), Scientific Data 6:215.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eitdip.data.data import Data
from eitdip.data.files import as_path, read_bytes
from eitdip.data.noise import Gaussian
from eitdip.data.pictures import read_pixels
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError

SIDE = 50.1  # mm, of the cube that the walnut is in
DARK, FLAT, SCAN = "di000000.tif", ("io000000.tif", "io000001.tif"), "scan_{:06d}.tif"


@dataclass(frozen=True, eq=False)
class ConeScan:
    """Line integrals along the rays of cones, measured.

    Args:
        projections: Shape (A, R, C).
        geometry: Shape (A, 12), mm: source, middle of the detector, steps to the next column and to the next row.
        provenance: Where the data come from.
    """

    projections: np.ndarray
    geometry: np.ndarray
    provenance: dict = field(default_factory=dict)

    @property
    def data(self) -> Data:
        """The line integrals; how noisy they are, nobody says."""
        return Data(self.projections, Gaussian(None), provenance=self.provenance)


def is_geometry(start: bytes) -> bool:
    """Whether a file that begins so has lines of 12 numbers."""
    try:
        numbers = [float(word) for word in start.decode("ascii").splitlines()[0].split()]
    except (UnicodeDecodeError, ValueError, IndexError):
        return False
    return len(numbers) == 12


def load(path, views: int = 0, binning: int = 1) -> ConeScan:
    """Read the views of a scan.

    Args:
        path: The .geom; the pictures lie beside it.
        views: How many, evenly spaced; 0 for all.
        binning: Side of the blocks of detector pixels that are averaged.

    Raises:
        FileFormatError: If a file is missing or damaged.
        ShapeError: If a picture is no gray one, of another size than the others or no multiple of the blocks.
        OptionError: If there are fewer views.
        InvalidDataError: If a number is not finite, or no X-rays arrive at a pixel without a walnut.
    """
    path = as_path(path)
    geometry = _geometry(path)
    count = len(geometry) - 1  # the last one is where the first one was
    if not 0 <= views <= count:
        raise OptionError(f"views: got {views}, expected at most the {count} of {path}; 0 for all")
    if binning < 1:
        raise OptionError(f"binning: got {binning}, expected at least 1")
    chosen = np.arange(views or count) * count // (views or count)
    dark = _read(path.with_name(DARK), binning)
    flat = np.mean([_read(path.with_name(name), binning, dark.shape) for name in FLAT], axis=0) - dark
    if not (flat > 0).all():
        row, column = (int(n) for n in np.argwhere(~(flat > 0))[0])
        raise InvalidDataError(
            f"{path}: {FLAT[0]} is not brighter than {DARK} in row {row}, column {column} (counted from 0, upright)"
        )
    projections = np.empty((len(chosen), *dark.shape), dtype=np.float32)
    for place, view in enumerate(chosen):
        counted = _read(path.with_name(SCAN.format(count - view)), binning, dark.shape) - dark
        # Of a pixel that is as dark as without X-rays a fraction of a count is known.
        projections[place] = -np.log(np.maximum(counted, 0.5 / binning) / flat)
    geometry = geometry[chosen]
    geometry[:, 6:] *= binning
    digest = hashlib.sha256(read_bytes(path)).hexdigest()
    provenance = {"format": "walnut", "file": path.name, "folder": path.parent.name, "sha256": digest}
    return ConeScan(projections, geometry, provenance | {"views": len(chosen), "binning": binning})


def _geometry(path: Path) -> np.ndarray:
    try:
        lines = [line.split() for line in read_bytes(path).decode("ascii").splitlines() if line.strip()]
        geometry = np.array([[float(word) for word in line] for line in lines])
    except (UnicodeDecodeError, ValueError) as error:
        raise FileFormatError(f"{path}: cannot be read as lines of numbers ({error})") from error
    if geometry.ndim != 2 or geometry.shape[1] != 12 or len(geometry) < 2:
        raise ShapeError(f"{path}: got shape {geometry.shape}, expected at least two lines of 12 numbers")
    if not np.isfinite(geometry).all():
        line = int(np.argwhere(~np.isfinite(geometry))[0, 0]) + 1
        raise InvalidDataError(f"{path}: line {line} has a number that is not finite, expected lengths in mm")
    return geometry


def _read(path: Path, binning: int, shape: tuple[int, int] | None = None) -> np.ndarray:
    """A picture, upright, as means over blocks."""
    pixels, _ = read_pixels(path)
    if pixels.ndim != 2:
        raise ShapeError(f"{path}: got a picture of shape {pixels.shape}, expected a gray one")
    pixels = np.flipud(pixels).T.astype(float)
    if pixels.shape[0] % binning or pixels.shape[1] % binning:
        raise ShapeError(f"{path}: got {pixels.shape} pixels, expected multiples of binning = {binning}")
    rows, columns = (side // binning for side in pixels.shape)
    pixels = pixels.reshape(rows, binning, columns, binning).mean(axis=(1, 3))
    if shape is not None and pixels.shape != shape:
        raise ShapeError(f"{path}: got {pixels.shape} blocks of pixels, expected {shape} as in {DARK}")
    return pixels
