"""Helsinki Tomography Challenge 2022: X-ray sinograms of acrylic discs with holes, fan beam, one view per half degree.

A file NAME_full.mat holds the struct `CtDataFull`, NAME_limited.mat the struct `CtDataLimited`; both have `sinogram`,
one view a row, corrected for dark current and flat field and logarithmized, and `parameters`, of which the angles,
distances and sizes are used. NAME_full_recon_fbp_seg.mat is the segmentation of the organizers. Lengths are in mm,
angles in degrees, and attenuation in 1/mm. Beam hardening is not corrected in the files.

Rows of images run from top to bottom, the axis of rotation is at the centre of the 512 x 512 pixels, and angles are
those of `FanBeam` without a flip.

References:
    Meaney, Silva de Moura, Siltanen (2022), Helsinki Tomography Challenge 2022 open tomographic dataset,
    DOI 10.5281/zenodo.7418878.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eitdip.data.data import Data
from eitdip.data.files import MatFile, as_path, naming
from eitdip.data.noise import Gaussian
from eitdip.errors import FileFormatError, InvalidDataError, NotPositiveError, OptionError, ShapeError, choose

SIDE = 512
SPANS = {1: 90.0, 2: 80.0, 3: 70.0, 4: 60.0, 5: 50.0, 6: 40.0, 7: 30.0}  # degrees of view per difficulty level
STRUCTS = ("CtDataFull", "CtDataLimited")
SEGMENTATION = "reconFullFbpSeg"
_NUMBERS = {
    "source_origin": "distanceSourceOrigin",
    "source_detector": "distanceSourceDetector",
    "detector_size": "pixelSizePost",
    "pixel_size": "effectivePixelSizePost",
}


@dataclass(frozen=True, eq=False)
class DiscData:
    """Views of one disc and where they were taken.

    Args:
        sinogram: Line integrals, dimensionless, shape (A, D).
        angles: Degrees, shape (A,).
        source_origin: Distance of the source from the axis of rotation, mm.
        source_detector: Distance of the source from the detector, mm.
        detector_size: Width of a detector pixel, mm.
        pixel_size: Side of a pixel of the 512 x 512 image, mm.
        sha256: Of the file.

    Raises:
        ShapeError: If sinogram and angles disagree.
        InvalidDataError: If an entry is not finite, or the detector is not beyond the axis.
        NotPositiveError: If a length is not positive and finite.
    """

    sinogram: np.ndarray
    angles: np.ndarray
    source_origin: float
    source_detector: float
    detector_size: float
    pixel_size: float
    sha256: str = ""

    def __post_init__(self):
        for name in _NUMBERS:
            if not 0 < getattr(self, name) < float("inf"):
                raise NotPositiveError(f"{name}: got {getattr(self, name)}, expected > 0 and finite (mm)")
        if self.source_detector <= self.source_origin:
            raise InvalidDataError(
                f"source_detector: got {self.source_detector:g} mm, expected more than the {self.source_origin:g} mm "
                "from the source to the axis"
            )
        views = (len(self.angles),)
        if self.angles.ndim != 1 or self.sinogram.ndim != 2 or self.sinogram.shape[:1] != views or 0 in views:
            raise ShapeError(
                f"sinogram: got shape {self.sinogram.shape} with angles of shape {self.angles.shape}; "
                "expected one row for each angle"
            )
        if not np.isfinite(self.angles).all():
            raise InvalidDataError("angles: got one that is not finite")
        if not np.isfinite(self.sinogram).all():
            row, column = (int(i) + 1 for i in np.argwhere(~np.isfinite(self.sinogram))[0])
            raise InvalidDataError(f"sinogram is not finite in row {row}, column {column} (counted from 1)")

    @property
    def detectors(self) -> int:
        """Number D of detector pixels."""
        return self.sinogram.shape[1]

    @property
    def data(self) -> Data:
        """The sinogram; how noisy it is, nobody says."""
        return Data(self.sinogram, Gaussian(None), provenance={"format": "HTC2022", "sha256": self.sha256})

    def limited(self, start: float, span: float) -> "DiscData":
        """The views from `start` to `start + span` degrees, both included, also across 360.

        Args:
            start: First angle, degrees.
            span: Width, degrees, > 0; 360 or more gives each direction once.

        Raises:
            OptionError: If no view is there, or fewer than the span promises because the data end.
        """
        if not span > 0:
            raise OptionError(f"span: got {span}, expected > 0 degrees")
        after = np.mod(np.round(self.angles - start, 6), 360.0)
        order = np.argsort(after, kind="stable")
        order = order[after[order] <= span]
        kept = order[np.diff(after[order], prepend=-1.0) > 1e-3]  # 0 and 360 degrees are one direction
        if not kept.size:
            raise OptionError(f"views: got none between {start:g} and {start + span:g} degrees; the data have others")
        step = np.median(np.diff(np.sort(self.angles))) if self.angles.size > 1 else span
        ends = after[kept[0]], min(span, 360 - step) - after[kept[-1]]
        if max(ends) >= step:
            raise OptionError(
                f"views from {start:g} to {start + span:g} degrees: got {after[kept[0]]:g} to {after[kept[-1]]:g} "
                "after the start; the data do not reach that far"
            )
        return replace(self, sinogram=self.sinogram[kept], angles=self.angles[kept])

    def binned(self, factor: int) -> "DiscData":
        """Means over `factor` neighbouring detector pixels.

        Raises:
            OptionError: If it does not divide their number.
        """
        if factor < 1 or self.detectors % factor:
            raise OptionError(f"factor: got {factor}, expected a divisor of the {self.detectors} detector pixels")
        means = self.sinogram.reshape(len(self.angles), -1, factor).mean(axis=2)
        return replace(self, sinogram=means, detector_size=self.detector_size * factor)

    def thinned(self, views: int) -> "DiscData":
        """So many views, spread evenly over those that are there.

        Raises:
            OptionError: If there are not so many.
        """
        if not 1 <= views <= len(self.angles):
            raise OptionError(f"views: got {views}, expected 1 to {len(self.angles)}, as many as the data have here")
        chosen = np.arange(views) * len(self.angles) // views
        return replace(self, sinogram=self.sinogram[chosen], angles=self.angles[chosen])

    def every(self, step: int) -> "DiscData":
        """Every `step`-th view, from the first on."""
        if step < 1:
            raise OptionError(f"step: got {step}, expected at least 1")
        return replace(self, sinogram=self.sinogram[::step], angles=self.angles[::step])


def load(path) -> DiscData:
    """Read a *_full.mat or *_limited.mat.

    Raises:
        FileFormatError: If the file is missing, damaged, or has other fields.
        ShapeError, InvalidDataError, NotPositiveError: If its contents contradict each other or are not finite.
    """
    file = MatFile.read(path)
    names = [name for name in STRUCTS if name in file.fields]
    if not names:
        raise FileFormatError(
            f"{path}: got fields {', '.join(sorted(file.fields)) or 'none'}; expected {' or '.join(STRUCTS)} of HTC2022"
        )
    with naming(path):
        data = _record(file.fields[names[0]], names[0])
        parameters = _record(_entry(data, "parameters", names[0]), "parameters")
        numbers = {ours: _number(parameters, theirs) for ours, theirs in _NUMBERS.items()}
        sinogram = _real(_entry(data, "sinogram", names[0]), "sinogram")
        angles = _real(_entry(parameters, "angles", "parameters"), "angles")
        if angles.ndim != 2 or 1 not in angles.shape:
            raise ShapeError(f"angles: got shape {angles.shape}, expected a vector")
        disc = DiscData(sinogram, angles.ravel(), **numbers, sha256=file.sha256)
        stated = _number(parameters, "numDetectorsPost")
        if disc.detectors != stated:
            raise ShapeError(f"sinogram: got {disc.detectors} columns, expected numDetectorsPost = {stated:g}")
        return disc


def load_segmentation(path) -> np.ndarray:
    """The organizers' segmentation: bool, shape (512, 512), true for acrylic.

    Raises:
        FileFormatError: If the file is missing, damaged or has other fields.
        ShapeError: If it has another shape.
        InvalidDataError: If it has other values than 0 and 1.
    """
    file = MatFile.read(path)
    file.expect((SEGMENTATION,), "a segmentation of HTC2022")
    image = file.matrix(SEGMENTATION)
    if image.shape != (SIDE, SIDE):
        raise ShapeError(f"{path}: got shape {image.shape}, expected {(SIDE, SIDE)}")
    if not np.isin(image, (0, 1)).all():
        raise InvalidDataError(f"{path}: got other values than 0 and 1")
    return image.astype(bool)


def span_of(category: int) -> float:
    """Degrees of view of a difficulty category, 1 (90 degrees) to 7 (30 degrees).

    Raises:
        OptionError: If there is no such category.
    """
    return choose("category", category, SPANS)


def reference_path(path) -> Path:
    """Where the segmentation of a *_full.mat or *_limited.mat is expected: beside it."""
    path = as_path(path)
    stem = path.stem.removesuffix("_limited").removesuffix("_full")
    return path.with_name(f"{stem}_full_recon_fbp_seg.mat")


def _record(value, name: str) -> np.void:
    if not isinstance(value, np.ndarray) or value.dtype.names is None or value.size != 1:
        raise FileFormatError(f"{name} is not one struct")
    return value.ravel()[0]


def _entry(record: np.void, name: str, owner: str):
    if name not in record.dtype.names:
        raise FileFormatError(f"{owner}: got fields {', '.join(record.dtype.names)}; expected {name}")
    return record[name]


def _real(value, name: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise FileFormatError(f"{name} is not an array of real numbers")
    return value.astype(float)


def _number(record: np.void, name: str) -> float:
    value = _real(_entry(record, name, "parameters"), name)
    if value.size != 1:
        raise ShapeError(f"{name}: got shape {value.shape}, expected one number")
    return float(value.item())
