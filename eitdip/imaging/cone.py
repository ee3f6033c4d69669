"""Cone-beam tomography of small volumes: a point source and a flat detector on a circle about the z-axis."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from eitdip.errors import NotPositiveError, OptionError, ShapeError, choose
from eitdip.imaging.beams import FanBeam
from eitdip.imaging.feldkamp import feldkamp
from eitdip.imaging.operator import on_tensors
from eitdip.imaging.panels import Panels
from eitdip.imaging.sparse import SparseOperator
from eitdip.operator import Space

LARGEST = 1 << 27  # crossings of rays and planes between voxels: 64^3 seen by 30 views of 92 x 92 has 0.37 of it
_RAYS_AT_ONCE = 20_000


@dataclass(frozen=True, eq=False, kw_only=True)
class ConeBeam(FanBeam):
    """Rays from a point to the pixels of a flat detector; both turn about the z-axis.

    In the plane z = 0 it is a `FanBeam`; the detector's rows are stacked along z, the first one lowest.

    Args:
        angles: Of the views, shape (A,), radians.
        detectors: Number of detector columns C.
        detector_size: Side of a detector pixel, in the unit of length of the volume.
        source_origin: Distance of the source from the axis of rotation.
        origin_detector: Distance of the detector from that axis.
        rows: Number of detector rows R.
    """

    rows: int = 1

    def __post_init__(self):
        super().__post_init__()
        if self.rows != int(self.rows) or self.rows < 1:
            raise OptionError(f"rows: got {self.rows}, expected a whole number, at least 1")
        object.__setattr__(self, "rows", int(self.rows))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the data: (A, R, C)."""
        return len(self.angles), self.rows, self.detectors

    def refine(self, factor: int):
        """The same beam with each detector pixel cut into `factor` by `factor` ones."""
        return replace(super().refine(factor), rows=self.rows * factor)

    def panels(self) -> Panels:
        """Source and detector of each view."""
        toward, across = (np.pad(axis, [(0, 0), (0, 1)]) for axis in self._axes())
        up = np.broadcast_to([0.0, 0.0, self.detector_size], across.shape)
        sources, centres = self.source_origin * toward, -self.origin_detector * toward
        return Panels(sources, centres, self.detector_size * across, up, self.rows, self.detectors)

    def rays(self):
        """The source and the unit direction of each ray, shapes (A, R, C, 3)."""
        return self.panels().rays()


class ConeBeamCT(SparseOperator):
    """Line integrals of a volume (D, H, W) of voxels along the rays of a cone beam, as data (A, R, C).

    Voxel (k, i, j) is centred at x = j - (W - 1) / 2, y = (H - 1) / 2 - i, z = k - (D - 1) / 2, times the voxel size: a
    slice is an image as `FanCT` has it. The matrix holds the length of each ray in each voxel and is built once on the
    CPU, so the volume should be small: 64^3 with 30 views of 92 x 92 takes about 80 MB.

    Args:
        shape: (D, H, W).
        beam: Where the rays run.
        voxel_size: Side of a voxel, in the beam's unit of length.
        samples: Rays along each side of a detector pixel, over which it averages.
        dtype: "float32" or "float64".

    Raises:
        ShapeError: If the shape is not three positive integers.
        NotPositiveError: If the voxel size is not > 0.
        OptionError: If dtype or samples are out of range, the source or the detector is inside the volume, or the
            matrix would be too large.

    References:
        Siddon (1985), Medical Physics 12(2).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        beam: ConeBeam | Panels,
        voxel_size: float = 1.0,
        samples: int = 1,
        dtype: str = "float32",
    ):
        shape = checked_volume(shape, beam, dtype, voxel_size=voxel_size)
        data = Space(beam.shape, dtype, "projections (angles, rows, columns)")
        if samples != int(samples) or samples < 1:
            raise OptionError(f"samples: got {samples}, expected a whole number, at least 1")
        if not fits(shape, beam, samples):
            crossings = _crossed(shape, beam, samples)
            raise OptionError(
                f"shape, beam: got {shape} and {beam.shape}, {crossings:.1e} crossings of rays and planes; expected at "
                f"most {LARGEST:.1e}: take fewer views, detector pixels, samples or voxels, or SampledConeCT"
            )
        volume = Space(shape, dtype, "attenuation per length")
        super().__init__(_lengths(shape, beam.panels(), float(voxel_size), samples), volume, data)
        self.beam, self.voxel_size = beam, float(voxel_size)

    def pinv(self, y):
        """Filtered back-projection, as `eitdip.imaging.feldkamp.feldkamp`."""
        return on_tensors(y, self.range, self.device, self._feldkamp)

    def _feldkamp(self, y):
        volumes = feldkamp(y.reshape(-1, *self.range.shape), self.beam.panels(), self.domain.shape, self.voxel_size)
        return volumes.reshape(*y.shape[:-3], *self.domain.shape)


def fits(shape: tuple[int, int, int], beam: ConeBeam | Panels, samples: int = 1) -> bool:
    """Whether `ConeBeamCT` has a matrix for it; where not, `SampledConeCT` does without."""
    return _crossed(shape, beam, samples) <= LARGEST


def _crossed(shape: tuple[int, int, int], beam: ConeBeam | Panels, samples: int) -> int:
    """At how many planes between voxels the rays are cut."""
    return int(np.prod(beam.shape)) * samples**2 * (sum(shape) + 3)


def checked_volume(shape, beam: ConeBeam | Panels, dtype: str, **lengths: float) -> tuple[int, int, int]:
    """The shape of a volume (D, H, W) that a beam can see.

    Args:
        shape: Three positive numbers of voxels.
        beam: Its sources and detectors must be outside.
        dtype: "float32" or "float64".
        lengths: Names to numbers that must be > 0, `voxel_size` among them.

    Raises:
        ShapeError: If the shape is not three positive integers.
        NotPositiveError: If a length is not > 0.
        OptionError: If the dtype is unknown, or the source or the detector is inside the volume.
    """
    shape = tuple(shape)
    if len(shape) != 3 or not all(n == int(n) and n > 0 for n in shape):
        raise ShapeError(f"shape: got {shape}, expected three positive numbers of voxels (D, H, W)")
    for name, value in lengths.items():
        if not 0 < value < float("inf"):
            raise NotPositiveError(f"{name}: got {value}, expected > 0 and finite")
    choose("dtype", dtype, dict.fromkeys(("float32", "float64")))
    check_outside(shape, beam.panels(), lengths["voxel_size"])
    return shape


def check_outside(shape: tuple[int, int, int], panels: Panels, voxel_size: float) -> None:
    """Make sure that sources and detectors are outside a volume.

    Raises:
        OptionError: If one is inside the cylinder about the z-axis that the volume fits in.
    """
    radius = voxel_size * float(np.hypot(*shape[1:])) / 2
    source = float(np.hypot(*panels.sources[:, :2].T).min())
    detector = float((panels.centres * panels.normals).sum(axis=1).min())
    if min(source, detector) <= radius:
        raise OptionError(
            f"source_origin, origin_detector: got {source:g}, {detector:g}, but the volume reaches {radius:g} from "
            "the axis; both must be outside: check that all lengths have one unit"
        )


def _lengths(shape: tuple[int, int, int], beam: Panels, voxel_size: float, samples: int) -> sparse.csr_array:
    """Mean length of the rays of each detector pixel in each voxel, shape (pixels, voxels)."""
    extent = tuple(reversed(shape))
    per_row = beam.detectors * samples**2
    rows = max(1, _RAYS_AT_ONCE // per_row) * samples
    fine = beam.refine(samples)
    parts = []
    for view in range(len(beam.angles)):
        points, directions = fine.select([view]).rays()
        for first in range(0, fine.rows, rows):
            block = 0, slice(first, first + rows)
            starts, steps = points[block].reshape(-1, 3) / voxel_size, directions[block].reshape(-1, 3)
            lengths = _lengths_in_voxels(extent, starts, steps, voxel_size)
            parts.append(lengths if samples == 1 else _means(len(starts) // per_row, beam.detectors, samples) @ lengths)
    return sparse.vstack(parts, format="csr")


def _means(rows: int, columns: int, samples: int) -> sparse.csr_array:
    """Mean over blocks of samples x samples: shape (rows * columns, rows * columns * samples^2)."""
    row, column = (sparse.kron(sparse.eye_array(n), np.full((1, samples), 1 / samples)) for n in (rows, columns))
    return sparse.csr_array(sparse.kron(row, column), dtype=np.float32)


def _lengths_in_voxels(extent, points: np.ndarray, directions: np.ndarray, voxel_size: float) -> sparse.csr_array:
    (x, y, z), lengths = _crossings(extent, points, directions)
    inside = lengths > 1e-9
    shape = tuple(reversed(extent))
    columns = np.ravel_multi_index((z[inside], extent[1] - 1 - y[inside], x[inside]), shape).astype(np.int32)
    starts = np.concatenate([[0], inside.sum(axis=1).cumsum()])
    values = voxel_size * lengths[inside]
    return sparse.csr_array((values, columns, starts), shape=(len(points), int(np.prod(shape))))


def _crossings(extent: tuple[int, int, int], points: np.ndarray, directions: np.ndarray):
    """Cut rays at all planes between unit voxels.

    Args:
        extent: Numbers of voxels along x, y, z; the volume is centred.
        points: On the rays, before the volume, shape (R, 3).
        directions: Unit vectors, shape (R, 3).

    Returns:
        Indices of the voxels along x, y, z, shapes (R, P), and the lengths in them, shape (R, P); 0 where there is
        none.
    """
    enter, leave = np.zeros(len(points)), np.full(len(points), np.inf)
    cuts = []
    for point, direction, planes in _by_axis(extent, points, directions):
        moving = np.abs(direction) > 1e-12  # a ray along the planes crosses none of them, and may pass beside them
        places = (planes - point[:, None]) / np.where(moving, direction, 1)[:, None]
        beside = ~moving & ((point < planes[0]) | (point >= planes[-1]))
        places[~moving] = 0
        low, high = np.minimum(places[:, 0], places[:, -1]), np.maximum(places[:, 0], places[:, -1])
        enter = np.where(moving, np.maximum(enter, low), enter)
        leave = np.where(moving, np.minimum(leave, high), np.where(beside, 0, leave))
        cuts.append(places)
    leave = np.maximum(leave, enter)
    places = np.concatenate([*cuts, enter[:, None], leave[:, None]], axis=1)
    places = np.sort(np.clip(places, enter[:, None], leave[:, None]), axis=1)
    middles = (places[:, 1:] + places[:, :-1]) / 2
    indices = [
        np.clip(np.floor(point[:, None] + middles * direction[:, None] - planes[0]).astype(int), 0, len(planes) - 2)
        for point, direction, planes in _by_axis(extent, points, directions)
    ]
    return indices, np.diff(places, axis=1)


def _by_axis(extent, points, directions) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for axis, count in enumerate(extent):
        yield points[:, axis], directions[:, axis], np.arange(count + 1) - count / 2
