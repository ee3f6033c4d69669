"""From measurements to a problem: mesh, background, grids."""

import dataclasses

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, OptionError
from eitdip.fem import Discretization
from eitdip.problems.bodies import Body, Meshing, prepare
from eitdip.settings import configured
from tests.cases.measurements import MESH, SOLID_MESH, cem, cylinder, problem
from tests.cases.meshes import rectangle
from tests.cases.solids import box

pytestmark = pytest.mark.usefixtures("gmsh")


def test_a_solid_is_not_curved():
    with pytest.raises(OptionError, match="degree: got 2, expected 1"):
        prepare(cylinder(), Meshing(**SOLID_MESH, degree=2))


def test_the_background_comes_from_the_reference():
    assert problem("cem").unknown.start == pytest.approx(0.7, rel=0.1)
    assert problem("cem", background=2.0).unknown.start == 2.0
    assert problem("dtn").unknown.start == pytest.approx(1, rel=0.1)


def test_without_reference_a_background_must_be_given():
    measurements = dataclasses.replace(cem(), reference=None)
    with pytest.raises(OptionError, match="option background"):
        prepare(measurements, Meshing(**MESH))
    found = prepare(measurements, Meshing(**MESH, background=0.7))
    assert found.calibration is None and np.array_equal(found.data.values, measurements.values)


def test_the_mesh_of_the_data_is_refused():
    domain = cem().geometry.mesh(MESH["h"] * cem().geometry.radius)
    crime = dataclasses.replace(cem(), provenance={"mesh_hash": domain.hash})
    with pytest.raises(InvalidDataError, match="inverse crime"):
        prepare(crime, Meshing(**MESH))


def test_more_ranks_than_cells_are_refused():
    class Many:
        size, rank = 10**6, 0

        def allgather(self, value):
            return [value]

    with pytest.raises(InvalidDataError, match="more ranks than cells: got 1000000"):
        prepare(cem(), Meshing(**MESH), Many())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": float("nan")}, "option h"),
        ({"h": "fine"}, "option h: got 'fine', expected float"),
        ({"solver": "magic"}, "unknown solver: got 'magic', expected one of: auto, cholesky"),
        ({"mesh_ranks": -1}, "option mesh_ranks: got -1, expected at least 0"),
        ({"calibrate": 1}, "option calibrate: got 1, expected bool"),
        ({"background": "x"}, "option background"),
    ],
)
def test_senseless_settings_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        configured(Meshing(), changes)


@pytest.mark.parametrize(
    ("widths", "size", "multiple", "shape"),
    [
        ((1.0, 1.0, 1.0), 32, 1, (32, 32, 32)),
        ((1.0, 2.0, 0.5), 32, 4, (8, 32, 16)),
        ((2.0, 2.0, 0.1), 32, 4, (8, 32, 32)),  # at least twice the multiple
        ((1.0, 1.0, 0.6), 32, 4, (20, 32, 32)),
        ((3.0, 1.0, 2.0), 30, 1, (20, 10, 30)),
    ],
)
def test_voxels_are_nearly_cubic(widths, size, multiple, shape):
    body = Body(Discretization(box(2, 2, 2, widths)), 1.0)
    assert body.grid("pixels", size, multiple).shape == shape


def test_pixels_cover_a_square():
    body = Body(Discretization(rectangle(2, 2, 1.0, 0.5)), 1.0)
    assert body.grid("pixels", 48, 8).shape == (48, 48)
    with pytest.raises(OptionError, match="unknown grid: got 'lines', expected one of: pixels, cells, vertices"):
        body.grid("lines")


def test_the_hash_tells_what_decides_the_answer():
    base = problem("cem")
    assert base.hash == prepare(cem(), Meshing(**MESH)).hash
    changed = {
        "data": dataclasses.replace(cem(), values=cem().values * (1 + 1e-12)),
        "model": dataclasses.replace(cem(), contact_impedance=2 * cem().contact_impedance),
    }
    for part, measurements in changed.items():
        other = prepare(measurements, Meshing(**MESH))
        assert other.parts[part] != base.parts[part] and other.hash != base.hash, part
    finer = problem("cem", h=0.2)
    assert finer.parts["unknown"] != base.parts["unknown"]
    deviation = prepare(dataclasses.replace(cem(), deviation=2 * cem().deviation), Meshing(**MESH))
    assert deviation.parts["data"] != base.parts["data"]
