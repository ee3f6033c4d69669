"""Conductivities of bodies: from measurements to a mesh, a model, a background and calibrated data."""

import hashlib
from dataclasses import asdict, replace

import numpy as np
from scipy import sparse

from eitdip import fem
from eitdip.data.data import Data
from eitdip.data.measurements import Measurements
from eitdip.data.model_error import load as load_error
from eitdip.data.noise import Gaussian
from eitdip.errors import InvalidDataError, OptionError, ShapeError, choose
from eitdip.fem.direct import Cholesky
from eitdip.fem.harmonics import spherical_harmonics
from eitdip.fem.matrices import MARGIN, pixel_centers
from eitdip.mesh import Domain
from eitdip.mesh.raster import plane_image
from eitdip.metrics.truth import Truth, image_at
from eitdip.objective.differences import MeshGradients, MeshJumps, PixelDifferences
from eitdip.objective.misfit import EnergyGaps
from eitdip.operator import ForwardModel, Matrix
from eitdip.parameterization import Bounded
from eitdip.problems.grounding import with_mean_zero
from eitdip.problems.injections import judge_rows
from eitdip.problems.instrument import Calibration, calibrate
from eitdip.problems.meshing import SOLVERS, Meshing
from eitdip.problems.problem import Problem
from eitdip.problems.simulate_bodies import refuse_inverse_crime
from eitdip.problems.unknown import Grid, Unknown
from eitdip.ranks.collectives import together, world
from eitdip.ranks.failures import ending_together
from eitdip.settings import completed

__all__ = ["MARGIN", "Body", "Meshing", "forward_model", "linear_solvers", "prepare"]


class Body(Unknown):
    """Conductivity per cell, S/m; penalties see its logarithm over the background, means are geometric.

    Args:
        space: The discretization of a finite-element model.
        background: Conductivity of the homogeneous body, S/m.
    """

    low, high, unit = 0.0, None, None
    window = MARGIN  # half extent of images over that of the body

    def __init__(self, space: fem.Discretization, background: float):
        self.discretization, self.domain = space, space.domain
        self.space, self.start = space.sigma_space, float(background)
        self.kind = "plane" if self.dimension == 2 else "solid"

    @property
    def dimension(self):
        return self.domain.dimension

    @property
    def hash(self):
        return hashlib.sha256(f"{self.domain.hash} {self.start.hex()}".encode()).hexdigest()[:16]

    def grid(self, name, size=None, multiple=1):
        return choose("grid", name, {"pixels": self._pixels, "cells": self._cells, "vertices": self._vertices})(
            size, multiple
        )

    def _pixels(self, size: int, multiple: int) -> Grid:
        """(size, size) over the square of a plane body; (D, H, W) of near-cubic voxels over the box of a solid."""
        spacing = None
        if self.dimension == 2:
            shape = (size, size)
        else:
            widths = np.ptp(self.domain.points, axis=0)[::-1]  # z, y, x
            shape = tuple(max(2, round(width / widths.max() * size / multiple)) * multiple for width in widths)
            voxel = widths / shape
            spacing = tuple(float(side) for side in voxel / voxel.max())
        field_map = fem.pixel_map(self.discretization, shape)
        return Grid(shape, field_map, PixelDifferences(spacing), shape)

    def _cells(self, size, multiple) -> Grid:
        return Grid(self.space.shape, None, MeshJumps(*self.domain.jumps), self.space.shape, self.domain.cell_sizes)

    def _vertices(self, size, multiple) -> Grid:
        """Linear between vertices; the model takes its mean over each cell, as from all other grids."""
        corners = np.searchsorted(self.domain.vertices, self.domain.corners)
        rows = np.repeat(np.arange(len(corners)), corners.shape[1])
        shape = (len(self.domain.vertices),)
        entries = (np.full(corners.size, 1 / corners.shape[1]), (rows, corners.ravel()))
        mean = sparse.csr_array(entries, shape=(len(corners), *shape))
        return Grid(shape, Matrix(mean, range=self.space), MeshGradients(self.domain), shape)

    def bounded(self, low, high):
        return Bounded(self.start, low * self.start, high * self.start)

    def mean(self, fields):
        return np.exp(np.mean([np.log(field) for field in fields], axis=0))

    def judge(self, truth):
        return Truth(truth, self.domain)

    def on_grid(self, truth, shape):
        """The mean of the truth over each pixel of which at least half is in the body."""
        if len(shape) == 1:
            at = self.domain.centroids if tuple(shape) == self.space.shape else self.domain.points[self.domain.vertices]
            if len(at) != shape[0]:
                raise ShapeError(f"truth: asked for {shape}, expected pixels, {self.space.shape} or ({len(at)},)")
            return image_at(truth, self.domain, at)
        finer = {2: 4, 3: 2}[self.dimension]  # samples along each side of a pixel
        points = pixel_centers(self.domain, tuple(finer * side for side in shape))
        parts = image_at(truth, self.domain, points).reshape([size for side in shape for size in (side, finer)])
        axes = tuple(range(1, 2 * len(shape), 2))
        inside = np.isfinite(parts).mean(axis=axes)
        mean = np.nan_to_num(parts).mean(axis=axes) / np.maximum(inside, 0.5)
        return np.where(inside >= 0.5, mean, np.nan)

    def on_cells(self, field: np.ndarray) -> np.ndarray:
        """A field on a generator's grid, of which NaN does not count, as numbers per cell, shape (C,)."""
        if field.shape == self.space.shape:
            return field
        vertices = field.ndim == 1
        field_map = self.grid("vertices").field_map if vertices else fem.pixel_map(self.discretization, field.shape)
        return field_map.matrix @ np.nan_to_num(field).ravel()

    def flat(self, field):
        return super().flat(field) if field.ndim > 1 else self.picture(self.on_cells(field))

    def picture(self, x):
        return plane_image(self.domain, x)

    def truth_picture(self, truth):
        return truth[len(truth) // 2] if truth.ndim == 3 else truth

    def facts(self, problem):
        domain, known = self.domain, problem.calibration
        return {
            "background": self.start,
            "unit": problem.measurements.unit,
            "calibration": None if known is None else {
                "error": known.error,
                "gain spread": float(known.gain.std()),
                "least gain": float(known.gain.min()),
                "largest gain": float(known.gain.max()),
                "offset rms": float(np.sqrt(np.square(known.offset).mean())),
            },
            "mesh": {"nodes": len(domain.points), "cells": len(domain.cells), "hash": domain.hash},
        }  # fmt: skip


def prepare(measurements: Measurements, meshing: Meshing | None = None, comm=None) -> Problem:
    """Mesh, model, calibration and data.

    Args:
        measurements: The data.
        meshing: Settings.
        comm: MPI communicator that shares the finite elements, by default all ranks.

    Raises:
        InvalidDataError: If data contradict the model.
        OptionError: If there is neither a reference nor a background.
    """
    meshing, comm = meshing or Meshing(), world() if comm is None else comm
    with together(comm):
        domain = _mesh(measurements, meshing, comm.size)
    with ending_together(comm):
        return _on_ranks(measurements, meshing, domain, comm)


def _on_ranks(measurements: Measurements, meshing: Meshing, domain: Domain, comm) -> Problem:
    choices = {"comm": comm, "solver": meshing.solver, "mesh_ranks": meshing.mesh_ranks}
    model = forward_model(measurements, domain, **choices)
    if measurements.reference is None and meshing.background is None:
        raise OptionError(
            f"option background: the data bring no reference measurement, so set it ({measurements.unit})"
        )
    data, calibration = _calibrated(measurements, meshing, model)
    background = calibration.background if meshing.background is None else meshing.background
    body = Body(model.discretization, background)
    if meshing.model_error:
        error = load_error(meshing.model_error, measurements, background)
        data = replace(data, noise=replace(data.noise, error=error))
    return Problem(
        measurements.model, model, data, body, measurements.truth, model.state(), comm, measurements, calibration,
        _other_misfits(measurements, body, data.values, choices), _hash(measurements, meshing),
        _chosen(measurements, meshing),
    )  # fmt: skip


def _calibrated(measurements: Measurements, meshing: Meshing, model: ForwardModel) -> tuple[Data, Calibration | None]:
    """What is fitted, and what the reference told, if there is one; the model's last call is at the background."""
    data, empty = with_mean_zero(measurements, model)
    if empty is None:
        expected = model(np.full(model.domain.shape, meshing.background))
        judge_rows("values", data.values, expected, "the model's at the background", data.mask)
        return data, None
    calibration = calibrate(
        model, empty.values, empty.mask,
        instrument=meshing.calibrate and measurements.model == "electrodes",
        voltages=measurements.model != "dirichlet",
        background=None if meshing.calibrate else meshing.background,
    )  # fmt: skip
    judge_rows("values", data.values, empty.values, "the reference's", data.mask)
    values = calibration.difference_data(data.values, empty.values)
    return replace(data, values=values, noise=Gaussian(calibration.deviation(data.deviation))), calibration


def linear_solvers() -> tuple[str, tuple[str, ...]]:
    """The direct solver that is installed, and the names of all that may be chosen."""
    return Cholesky.backend(), SOLVERS


def _chosen(measurements: Measurements, meshing: Meshing) -> dict:
    """The settings with their defaults; where the data bring a mesh, no edge length has decided anything."""
    kind = {2: "plane", 3: "solid"}[measurements.geometry.dimension]
    given = isinstance(measurements.geometry, Domain)
    return asdict(replace(meshing, h=None) if given else completed(meshing, kind))


def _hash(measurements: Measurements, meshing: Meshing) -> str:
    digest = hashlib.sha256(f"{measurements.model} {meshing.solver}".encode())
    for array in (measurements.sources, measurements.moments, measurements.contact_impedance):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _mesh(measurements: Measurements, meshing: Meshing, ranks: int) -> Domain:
    geometry = measurements.geometry
    if isinstance(geometry, Domain):
        domain = geometry
    else:
        meshing = completed(meshing, {2: "plane", 3: "solid"}[geometry.dimension])
        domain = geometry.mesh(meshing.h * geometry.radius, degree=meshing.degree)
    refuse_inverse_crime(measurements, domain)
    if ranks > len(domain.cells):
        raise InvalidDataError(
            f"more ranks than cells: got {ranks} for {len(domain.cells)} cells; use fewer ranks or a smaller h"
        )
    return domain


def forward_model(
    measurements: Measurements, domain: Domain, sigma_element: str = "cells", comm=None, **choices
) -> ForwardModel:
    """The electrical model that the measurements call for.

    Args:
        measurements: The data.
        domain: The mesh.
        sigma_element: "cells" or "vertices".
        comm: MPI communicator, by default all ranks.
        choices: `solver` and `mesh_ranks` of the model.
    """
    kwargs = {"sigma_element": sigma_element, "comm": comm} | choices
    if measurements.model == "electrodes":
        return fem.CompleteElectrodeModel(
            domain, measurements.sources, measurements.contact_impedance, measurements.moments, **kwargs
        )
    basis = boundary_functions(domain, measurements.sources.shape[1])
    kind = fem.DirichletModel if measurements.model == "dirichlet" else fem.NeumannModel
    return kind(domain, measurements.sources @ basis, measurements.moments @ basis, **kwargs)


def boundary_functions(domain: Domain, count: int) -> np.ndarray:
    """Trigonometric functions or spherical harmonics but the constant at the boundary's nodes, shape (count, nB)."""
    if domain.dimension == 2:
        return fem.trigonometric(domain, count // 2)
    return spherical_harmonics(domain, round(np.sqrt(count + 1)) - 1)  # count = order (order + 2)


def _other_misfits(measurements: Measurements, body: Body, data: np.ndarray, choices: dict) -> dict:
    """Kohn-Vogelius, for boundary potentials and their fluxes without gaps."""
    if measurements.model != "dirichlet" or not measurements.mask.all():
        return {}

    def kohn_vogelius():
        domain = body.domain
        waves = boundary_functions(domain, measurements.sources.shape[1])
        dual = fem.dual_functions(body.discretization, measurements.moments @ waves)
        model = fem.KohnVogelius(domain, measurements.sources @ waves, data @ dual, **choices)
        empty = np.full(model.domain.shape, body.start)
        return model, EnergyGaps(fem.noise_gaps(domain, dual, measurements.deviation, empty, **choices))

    return {"kohn-vogelius": kohn_vogelius}
