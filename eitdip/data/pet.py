"""A real PET transmission scan.

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
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from eitdip.data.arrays import read_npz
from eitdip.data.data import Data
from eitdip.data.files import naming, read_bytes
from eitdip.data.noise import Poisson, thin, whole_numbers
from eitdip.errors import NotPositiveError, ShapeError

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
        object.__setattr__(self, "counts", whole_numbers(self.counts))
        blank = np.asarray(self.blank, dtype=float)
        if not ((blank > 0) & np.isfinite(blank)).all():
            entry = tuple(int(i) for i in np.argwhere(~((blank > 0) & np.isfinite(blank)))[0])
            raise NotPositiveError(f"blank: entry {entry} is {blank[entry]:g}, expected > 0 and finite")
        object.__setattr__(self, "blank", blank)

    @property
    def data(self) -> Data:
        """The counts, Poisson; what the blank scan says belongs to the model."""
        return Data(self.counts, Poisson(), provenance=self.provenance)

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
    fields = read_npz(path, FIELDS)
    for name in FIELDS:
        array = fields[name]
        if array.dtype.kind not in "fiu" or array.shape != (BINS, ANGLES):
            raise ShapeError(
                f"{path}: {name}: got shape {array.shape} of {array.dtype}, expected numbers of shape {(BINS, ANGLES)}"
            )
    provenance = {
        "format": "PET transmission",
        "file": Path(path).name,
        "sha256": hashlib.sha256(read_bytes(path)).hexdigest(),
        "units": {"attenuation": "1/cm", "length": "cm"},
    }
    with naming(path):
        return TransmissionScan(fields["trans"].T, fields["blank"].T, provenance=provenance)
