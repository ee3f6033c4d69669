"""The unit of the conductivity travels with the data: through files, and into every picture."""

from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from eitdip import plot
from eitdip.data import Measurements, load, save
from eitdip.errors import FileFormatError, OptionError
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Tank
from eitdip.runs import pictures
from tests.cases.meshes import ring_disk
from tests.cases.solids import box_with_electrodes
from tests.data.conftest import kit4, ktc  # noqa: F401  (fixtures)


@pytest.fixture
def measurements() -> Measurements:
    patterns, ones = adjacent(4), np.ones((4, 4))
    tank = Tank(radius=0.1, electrodes=4, width=0.03)
    return Measurements("electrodes", tank, patterns, patterns, ones, ones, contact_impedance=np.ones(4))


def test_readers_of_measured_tanks_know_it(request):
    for name in ("ktc", "kit4"):
        tank = load(request.getfixturevalue(name).path)
        assert tank.unit == "mS per square" == tank.provenance["units"]["conductivity"]


@pytest.mark.parametrize("unit", ["S/m", "mS per square", "µS·cm⁻¹"])
def test_files_keep_it(measurements, unit, tmp_path):
    assert measurements.unit == "S/m"
    save(tmp_path / "a.h5", replace(measurements, unit=unit))
    assert load(tmp_path / "a.h5").unit == unit


def test_a_file_need_not_have_it(measurements, tmp_path):
    path = tmp_path / "a.h5"
    save(path, replace(measurements, unit="mS"))
    with h5py.File(path, "a") as file:
        file.attrs["conductivity_unit"] = "mS/m"  # of variable length, as h5py writes text
    assert load(path).unit == "mS/m"
    with h5py.File(path, "a") as file:
        del file.attrs["conductivity_unit"]
    assert load(path).unit == "S/m"
    with h5py.File(path, "a") as file:
        file.attrs["conductivity_unit"] = 3
    with pytest.raises(FileFormatError, match=r"'conductivity_unit': got .*3.*, expected text"):
        load(path)


@pytest.mark.parametrize("unit", ["", None, 3, "S" * 41, "S\nm", b"S/m"])
def test_what_is_no_unit_is_refused(measurements, unit):
    with pytest.raises(OptionError, match="unit of the conductivity: got"):
        replace(measurements, unit=unit)


def solution(domain, measurements, model: str = "electrodes") -> SimpleNamespace:
    """As much of one as pictures take."""
    ones, sigma = np.ones((3, 4)), np.linspace(1, 2, len(domain.cells))
    unknown = SimpleNamespace(kind="plane" if domain.dimension == 2 else "solid", domain=domain, start=1.0)
    source = SimpleNamespace(unit=measurements.unit, model=model)
    data = SimpleNamespace(values=ones, deviation=0.1 * ones, mask=ones > 0)
    known = SimpleNamespace(prediction=0.5 * ones)
    problem = SimpleNamespace(unknown=unknown, measurements=source, data=data, calibration=known, truth=None)
    return SimpleNamespace(problem=problem, x=sigma, prediction=ones, results=(), posterior=None)


def texts(figure) -> str:
    """All that is written into a figure."""
    return " | ".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))


@pytest.mark.parametrize("kind", ["plane", "solid"])
def test_it_is_in_every_picture(measurements, kind, figures, tmp_path):
    domain = ring_disk(4) if kind == "plane" else box_with_electrodes(4)
    found = solution(domain, replace(measurements, unit="mS per square"))
    pictures.write_pictures(tmp_path, found)
    drawn, fit = figures[:-1], figures[-1]
    assert len(drawn) == (1 if kind == "plane" else 2)
    for figure in (*drawn, pictures.draw(found).figure):
        assert "mS per square" in texts(figure) and "S/m" not in texts(figure)
    assert "difference to the homogeneous body (mV)" in texts(fit)
    pictures.compare_pictures(tmp_path / "c.png", found.problem.unknown, {"a": np.ones((9, 9))}, 1.0, "mS per square")
    assert "mS per square" in texts(figures[-1]) and "S/m" not in texts(figures[-1])


@pytest.mark.parametrize(
    ("model", "unit", "expected"),
    [("neumann", "S/m", "mV"), ("dirichlet", "S/m", "mA"), ("dirichlet", "mS", "1e-3")],
)
def test_fluxes_are_no_voltages(measurements, model, unit, expected, figures, tmp_path):
    pictures.write_pictures(tmp_path, solution(ring_disk(4), replace(measurements, unit=unit), model))
    assert f"difference to the homogeneous body ({expected})" in texts(figures[-1])


def test_a_field_is_in_si_by_default():
    disk = ring_disk(4)
    assert "conductivity (S/m)" in texts(plot.draw_field(None, disk, np.ones(len(disk.cells))).figure)
