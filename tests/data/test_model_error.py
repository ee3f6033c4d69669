"""Errors of a model as part of the noise, and as a file."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from eitdip.data.data import Data
from eitdip.data.model_error import load, save
from eitdip.data.noise import Gaussian, ModelError
from eitdip.errors import FileFormatError, InvalidDataError, OptionError, ShapeError
from eitdip.problems.bodies import Meshing, prepare
from tests.cases.measurements import MESH, cem, dtn

pytestmark = pytest.mark.usefixtures("gmsh")


def error(shape=(2, 3), modes: int = 2) -> ModelError:
    rng = np.random.default_rng(0)
    return ModelError(rng.standard_normal(shape), rng.standard_normal((modes, *shape)), rng.random(shape))


def kept(tmp_path, **changes):
    measurements = replace(cem(), **changes)
    made = error(measurements.values.shape, 4)
    save(tmp_path / "e.h5", made, measurements, 0.5, {"tanks": 7})
    return tmp_path / "e.h5", made


def test_draws_have_its_mean_and_covariance():
    made, rng = error(), np.random.default_rng(1)
    drawn = Gaussian(0.5, made).sample(np.ones((200_000, 2, 3)), rng).reshape(-1, 6) - 1
    flat = made.modes.reshape(2, 6)
    expected = flat.T @ flat + np.diag(made.deviation.ravel() ** 2 + 0.25)
    np.testing.assert_allclose(drawn.mean(axis=0), made.mean.ravel(), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.06)
    assert Gaussian(0.5, made).sample(np.ones((2, 3)), rng).shape == (2, 3)


def test_data_hide_it_where_nothing_was_measured_and_know_it_in_their_hash():
    mask = np.array([[True, False, True], [True, True, True]])
    data = Data(np.ones((2, 3)), Gaussian(0.5, error()), mask)
    found = data.noise.error
    assert all(array[..., 0, 1].any() == 0 for array in found.arrays())
    np.testing.assert_array_equal(found.modes[:, mask], error().modes[:, mask])
    np.testing.assert_array_equal(data.deviation, np.full((2, 3), 0.5))
    others = [Data(np.ones((2, 3)), Gaussian(0.5, other), mask) for other in (None, error(modes=3))]
    assert len({each.hash for each in (data, *others)}) == 3


def test_bad_errors_are_refused():
    with pytest.raises(ShapeError, match=r"mean, modes, deviation: got shapes \(2, 3\), \(2, 3\) and \(2, 3\)"):
        ModelError(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3)))
    for name in ("mean", "modes", "deviation"):
        with pytest.raises(InvalidDataError, match=f"{name} of the model's error: got an entry that is not finite"):
            replace(error(), **{name: getattr(error(), name) * np.nan})
    with pytest.raises(InvalidDataError, match=r"deviation of the model's error: .* or negative"):
        replace(error(), deviation=-np.ones((2, 3)))
    with pytest.raises(OptionError, match="error: got one without the deviation of the noise"):
        Gaussian(None, error())
    with pytest.raises(
        ShapeError, match=r"got shape \(2, 3\) for float64 data of shape \(3, 2\), expected that of real"
    ):
        Data(np.ones((3, 2)), Gaussian(0.5, error()))
    with pytest.raises(ShapeError, match="complex128 data"):
        Data(np.ones((2, 3)) * 1j, Gaussian(0.5, error()))


def test_a_file_scales_with_the_background(tmp_path):
    path, made = kept(tmp_path)
    found = load(path, cem(), 0.25)
    for one, other in zip(found.arrays(), made.arrays(), strict=True):
        np.testing.assert_allclose(one, 2 * other)


def test_a_problem_takes_it_as_noise(tmp_path):
    path, made = kept(tmp_path)
    plain, problem = (prepare(cem(), Meshing(**MESH, model_error=each)) for each in (None, str(path)))
    ratio = 0.5 / problem.unknown.start
    np.testing.assert_allclose(problem.data.noise.error.modes, ratio * made.modes)
    np.testing.assert_array_equal(problem.data.values, plain.data.values)
    np.testing.assert_array_equal(problem.data.deviation, plain.data.deviation)
    assert plain.data.noise.error is None and problem.hash != plain.hash
    assert problem.settings["model_error"] == str(path)


def test_fewer_electrodes_may_be_there_but_not_more(tmp_path):
    fewer = cem().mask.copy()
    fewer[0] = False
    path, _ = kept(tmp_path)
    assert load(path, replace(cem(), mask=fewer), 0.5).mean.shape == fewer.shape
    path, _ = kept(tmp_path, mask=fewer)
    with pytest.raises(
        InvalidDataError, match=rf"e\.h5: made for {fewer.sum()} measurements, expected all {fewer.size}"
    ):
        load(path, cem(), 0.5)


def test_other_data_and_bad_files_are_refused(tmp_path):
    path, _ = kept(tmp_path)
    for name in ("sources", "moments"):
        with pytest.raises(InvalidDataError, match=rf"e\.h5: made for other {name}, expected those of the data; make"):
            load(path, replace(cem(), **{name: 2 * getattr(cem(), name)}), 0.5)
    with pytest.raises(InvalidDataError, match="made for other sources"):
        prepare(dtn(), Meshing(**MESH, model_error=str(path)))
    with pytest.raises(FileFormatError, match=r"no\.h5"):
        load(tmp_path / "no.h5", cem(), 0.5)
    (tmp_path / "text.h5").write_text("something else altogether")
    with pytest.raises(FileFormatError, match=r"text\.h5: is no HDF5 file, expected one of format"):
        load(tmp_path / "text.h5", cem(), 0.5)
    whole = path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"cut\.h5: is damaged"):
        load(tmp_path / "cut.h5", cem(), 0.5)
    with h5py.File(path, "a") as file:
        del file["modes"]
    with pytest.raises(FileFormatError, match="has no array 'modes'"):
        load(path, cem(), 0.5)
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 2
    with pytest.raises(FileFormatError, match="is no file of format 'eitdip model error', version 1"):
        load(path, cem(), 0.5)
