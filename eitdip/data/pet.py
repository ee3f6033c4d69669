"""A real PET transmission scan, and how Poisson counts are split into independent parts.

The file pet_transmission_*.npz holds the counts `trans` and the blank scan `blank`, shape (160 bins, 192 angles), of a
thorax phantom in an ECAT EXACT 921 scanner, with mu in 1/cm. The source models them as Poisson(blank exp(-P mu)),
without background. That is not all: in the 16 bins beside the object half A has 2.8 +- 0.3 % more counts than the blank
scan, which no mu >= 0 explains.

The source starts at -15 degrees with an offset of half a bin; as `ParallelCT` counts, that is 165 degrees and -0.5:
then the phantom lies upright on its bed, and with the offset +0.5 counts that were not fitted are less likely by about
60 nats.

References:
    Fessler, Michigan Image Reconstruction Toolbox, data set "pet,trans,2d,sino".
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eitdip.data.files import naming, read_bytes
from eitdip.errors import FileFormatError, InvalidDataError, NotPositiveError, OptionError, ShapeError

if TYPE_CHECKING:
    from eitdip.imaging import SparseOperator

FIELDS = ("trans", "blank")
BINS, ANGLES = 160, 192


@dataclass(frozen=True)
class ParallelGeometry:
    """Parallel strips in a plane; all lengths in cm.

    Args:
        angles: Number of views over 180 degrees.
        bins: Strips of a view.
        spacing: Distance of neighbouring strips, and their width.
        offset: How far the middle of the strips is from the centre of rotation, in bins; a whole or half number.
        start: First angle, degrees, as `eitdip.imaging.ParallelCT` counts them.
        shape: Of the image (H, W).
        pixel: Side of an image pixel.
    """

    angles: int = ANGLES
    bins: int = BINS
    spacing: float = 0.3375
    offset: float = -0.5
    start: float = 165.0
    shape: tuple[int, int] = (128, 128)
    pixel: float = 0.421875

    def projector(self, shape: tuple[int, int] | None = None, dtype: str = "float32") -> "SparseOperator":
        """Means over strips of the line integrals of an image, as sinogram (angles, bins).

        Args:
            shape: Another number of pixels (H, W) for the same field of view.
            dtype: "float32" or "float64".

        Raises:
            MissingPackageError: If ASTRA is not installed.
            OptionError: If the offset is no multiple of half a bin, or the pixels would not be square.
        """
        from eitdip.imaging import ParallelCT, SparseOperator
        from eitdip.operator import Space

        if 2 * self.offset != int(2 * self.offset):
            raise OptionError(f"offset: got {self.offset} bins, expected a multiple of 0.5")
        shape = self.shape if shape is None else tuple(shape)
        if shape[0] * self.shape[1] != shape[1] * self.shape[0]:
            raise OptionError(f"shape: got {shape}, expected the proportions of {self.shape}, for square pixels")
        # A centred detector, longer by twice the offset, has its strips where these are.
        extra = int(2 * self.offset)
        views = np.deg2rad(self.start + 180 / self.angles * np.arange(self.angles))
        pixel = self.pixel * self.shape[0] / shape[0]
        centred = ParallelCT(
            shape,
            views,
            self.bins + abs(extra),
            detector_size=self.spacing,
            pixel_size=pixel,
            kernel="strip",
            dtype=dtype,
        )
        rows = np.arange(centred.range.size).reshape(centred.range.shape)
        rows = rows[:, extra:] if extra > 0 else rows[:, : self.bins]
        sinogram = Space((self.angles, self.bins), dtype, "sinogram (angles, bins)")
        return SparseOperator(centred.matrix[rows.ravel()], centred.domain, sinogram)


@dataclass(frozen=True, eq=False)
class TransmissionScan:
    """Counts of a transmission scan.

    Args:
        counts: Integers, shape (angles, bins).
        blank: Mean counts without an object, likewise.
        geometry: Where the strips are.
        provenance: Where the data come from.

    Raises:
        ShapeError: If the shapes are not those of the geometry.
        InvalidDataError: If a count is negative or no integer; the message names the first one.
        NotPositiveError: If a blank count is not positive and finite.
    """

    counts: np.ndarray
    blank: np.ndarray
    geometry: ParallelGeometry = field(default_factory=ParallelGeometry)
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        shape = self.geometry.angles, self.geometry.bins
        for name, array in (("counts", self.counts), ("blank", self.blank)):
            if array.shape != shape:
                raise ShapeError(f"{name}: got shape {array.shape}, expected (angles, bins) = {shape}")
        object.__setattr__(self, "counts", _integers(self.counts))
        blank = np.asarray(self.blank, dtype=float)
        if not ((blank > 0) & np.isfinite(blank)).all():
            entry = tuple(int(i) for i in np.argwhere(~((blank > 0) & np.isfinite(blank)))[0])
            raise NotPositiveError(f"blank: entry {entry} is {blank[entry]:g}, expected > 0 and finite")
        object.__setattr__(self, "blank", blank)

    def thin(self, rng: np.random.Generator, share: float = 0.5) -> "tuple[TransmissionScan, TransmissionScan]":
        """Two independent scans, with this share of the mean counts and with the rest.

        Raises:
            OptionError: If the share is not between 0 and 1.
        """
        counts = thin(self.counts, rng, share)
        parts = zip(counts, (share, 1 - share), strict=True)
        first, second = (replace(self, counts=part, blank=self.blank * fraction) for part, fraction in parts)
        return first, second


def load(path) -> TransmissionScan:
    """Read pet_transmission_*.npz.

    Raises:
        FileFormatError: If the file is missing, damaged, or without the fields.
        ShapeError, InvalidDataError, NotPositiveError: As `TransmissionScan`.
    """
    content = read_bytes(path)
    try:
        # Refused before, as an .npy or a pickle would be something else than an archive.
        with zipfile.ZipFile(io.BytesIO(content)), np.load(io.BytesIO(content), allow_pickle=False) as file:
            fields = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, AttributeError, KeyError, zipfile.BadZipFile) as error:
        raise FileFormatError(
            f"{path}: cannot be read as .npz of plain arrays ({type(error).__name__}: {error}); fetch it again"
        ) from error
    if not set(FIELDS) <= set(fields):
        raise FileFormatError(
            f"{path}: got fields {', '.join(sorted(fields)) or 'none'}; expected {', '.join(FIELDS)} of a PET scan"
        )
    for name in FIELDS:
        array = fields[name]
        if array.dtype.kind not in "fiu" or array.shape != (BINS, ANGLES):
            raise ShapeError(
                f"{path}: {name}: got shape {array.shape} of {array.dtype}, expected numbers of shape {(BINS, ANGLES)}"
            )
    provenance = {
        "format": "PET transmission",
        "file": Path(path).name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "units": {"attenuation": "1/cm", "length": "cm"},
    }
    with naming(path):
        return TransmissionScan(fields["trans"].T, fields["blank"].T, provenance=provenance)


def thin(counts: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Split Poisson counts into two data sets that are Poisson and independent of each other.

    Each count goes to the first one with probability `share`: of counts with mean m the parts have the means share * m
    and (1 - share) * m. What is reconstructed from one is tested on the other.

    Args:
        counts: Integers >= 0.
        rng: Decides.
        share: Between 0 and 1.

    Returns:
        Two arrays of int64 that sum to the counts.

    Raises:
        OptionError: If the share is not between 0 and 1.
        InvalidDataError: If a count is negative or no integer.
    """
    if not 0 < share < 1:
        raise OptionError(f"share: got {share}, expected a number between 0 and 1")
    counts = _integers(counts)
    first = rng.binomial(counts, share)
    return first, counts - first


def _integers(counts) -> np.ndarray:
    counts = np.asarray(counts)
    with np.errstate(invalid="ignore"):
        wrong = ~((counts >= 0) & (counts == np.floor(counts)) & np.isfinite(counts))
    if wrong.any():
        entry = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidDataError(f"counts: entry {entry} is {counts[entry]}, expected an integer >= 0")
    return counts.astype(np.int64)
