"""The error of a model from simulated tanks: its size, and that data with such errors have a misfit of about 1."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from eitdip import solve
from eitdip.data import model_error as files
from eitdip.errors import OptionError
from eitdip.objective.misfit import misfit_of
from eitdip.pretraining.tanks import TankErrors
from eitdip.problems import simulate_transfer
from eitdip.problems.bodies import Meshing, prepare
from eitdip.problems.simulate_transfer import TankFamily, compare_tanks
from eitdip.ranks.collectives import alone
from eitdip.runs.educate import tank_family
from eitdip.runs.model_error import Simulated, estimate, model_error, sample
from tests.cases.commands import eitdip, words
from tests.cases.measurements import TANK, cem, fitting, problem

PERFECT = {"electrode_error": 0.0, "wall_error": 0.0, "contact_spread": 0.0, "contact_change": 0.0}
NONE = TankErrors(size=0.0)


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Few tanks on coarse meshes; on finer ones a test takes long."""
    pytest.importorskip("gmsh", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_transfer, "PER_MESH", 20)
        patch.setattr(simulate_transfer, "EDGES", {2: (0.13, 0.16), 3: (0.3, 0.4)})
        yield


@pytest.fixture(scope="module")
def samples(coarse):
    family, errors = tank_family(problem("cem"), 0.2, 4.0), TankErrors()
    return [sample(problem("cem"), family, errors, seed, count, alone()) for seed, count in ((0, 160), (1, 80))]


def test_both_models_agree_where_nothing_is_imperfect():
    """The same mesh for both: the same matrices, whatever is in the tank."""
    given = problem("cem", h=0.14)
    contact = float(cem().contact_impedance[0] * given.unknown.start / TANK.radius)
    family = TankFamily(TANK, edges=(0.14, 0.14), contact=(contact, contact), **PERFECT)
    fine, nominal = compare_tanks(family, given.model, given.unknown.start, 0, 0)
    assert np.abs(fine - nominal).max() < 1e-6 * np.abs(fine).max()
    np.testing.assert_array_equal(simulate_transfer.simulate_tanks(family, 0, 0)[0], fine.astype(np.float32))
    other, _ = compare_tanks(replace(family, electrode_error=0.01), given.model, given.unknown.start, 0, 0)
    assert np.abs(other - nominal).max() > 1e-3 * np.abs(fine).max()


def test_the_instruments_errors_alone_by_hand():
    """A perfect tank and one kind of error: a common factor, which is no more than one mode."""
    given = problem("cem", h=0.14)
    contact = float(cem().contact_impedance[0] * given.unknown.start / TANK.radius)
    family = TankFamily(TANK, edges=(0.14, 0.14), contact=(contact, contact), **PERFECT)
    only = dict.fromkeys(asdict(TankErrors()), 0.0) | {"size": 2.0, "common": 0.1}
    errors = TankErrors(**only)
    found = sample(given, family, errors, 3, 20, alone())
    _, nominal = compare_tanks(family, given.model, given.unknown.start, 3, 0)
    tables = given.measurements
    clean = tables.sources @ nominal @ tables.moments.T / given.unknown.start
    factors = (found * clean).sum(axis=(1, 2)) / np.square(clean).sum(axis=(1, 2))
    np.testing.assert_allclose(found, factors[:, None, None] * clean, atol=1e-5 * np.abs(clean).max())
    assert 0.1 < factors.std() < 0.35
    white = model_error(given, 0 * found, replace(errors, white=3.0, spread=0.5), 2)
    expected = given.data.deviation * np.sqrt((3.0 * 2.0) ** 2 * np.exp(0.5) - 1)
    np.testing.assert_allclose(white.deviation, expected)
    assert not model_error(given, 0 * found, replace(errors, white=0.1), 2).deviation.any()


def test_components_and_the_rest_make_the_variances_of_the_samples(samples):
    given, errors = problem("cem"), TankErrors(white=0.0)
    made = model_error(given, samples[0], errors, 7)
    np.testing.assert_allclose(made.mean, samples[0].mean(axis=0))
    variance = np.square(made.modes).sum(axis=0) + made.deviation**2
    np.testing.assert_allclose(variance, samples[0].var(axis=0, ddof=1))
    unit = (made.modes / given.data.deviation).reshape(7, -1)
    gram = unit @ unit.T
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9 * gram[0, 0])
    assert (np.diff(np.diag(gram)) <= 0).all()


def test_the_misfit_of_other_such_tanks_is_about_one(samples):
    """At their truth. By the deviations of the data alone it is many times that."""
    given, errors = problem("cem"), TankErrors()
    data = replace(given.data, noise=replace(given.data.noise, error=model_error(given, samples[0], errors, 30)))
    rng = np.random.default_rng(0)
    sizes = errors.size * np.exp(errors.spread * rng.standard_normal((len(samples[1]), 1, 1)))
    measured = samples[1] + errors.white * sizes * data.deviation * rng.standard_normal(samples[1].shape)
    truth = torch.zeros(data.shape, dtype=torch.float64)
    found, plain = (
        [float(misfit_of(replace(each, values=values))(truth)) for values in measured] for each in (data, given.data)
    )
    assert 0.7 < np.mean(found) < 1.4 and np.mean(plain) > 3 * np.mean(found)


def test_too_few_tanks_are_refused(samples):
    with pytest.raises(OptionError, match="modes: got 41 for 160 tanks, expected at most a quarter of their number"):
        model_error(problem("cem"), samples[0], TankErrors(), 41)
    with pytest.raises(OptionError, match="expected those of electrodes"):
        estimate(problem("dtn"), Simulated(tanks=20), alone())


@pytest.mark.parametrize("name", ["dip-tv", "gn-tv", "gn-tikhonov"])
def test_methods_fit_data_by_it(name, samples, tmp_path):
    """The misfit of the solution and of its history is that of this noise."""
    made = model_error(problem("cem"), samples[0], TankErrors(), 30)
    files.save(tmp_path / "e.h5", made, cem(), problem("cem").unknown.start, {})
    given = prepare(cem(), Meshing(h=0.25, model_error=str(tmp_path / "e.h5")), alone())
    solution = solve(given, fitting(name, steps=4), quiet=True)
    likelihood = misfit_of(given.data)
    assert solution.misfit == pytest.approx(float(likelihood(torch.from_numpy(solution.prediction))), rel=1e-9)
    history = solution.results[0].history
    assert history["loss"][-1] < history["loss"][0]
    plain = float(misfit_of(problem("cem").data)(torch.from_numpy(solution.prediction)))
    assert solution.misfit < 0.8 * plain


def test_the_command(tmp_path, data):
    """Two thirds of a mesh of tanks are a whole one; the file is the same again."""
    out = tmp_path / "e.h5"
    settings = words(tanks=20, modes=4, h=0.25)
    for path in (out, tmp_path / "again.h5"):
        assert eitdip("model-error", data["cem"], "--out", path, *settings) == 0
    one, other = (files.load(path, cem(), 0.7) for path in (out, tmp_path / "again.h5"))
    for first, second in zip(one.arrays(), other.arrays(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert len(one.modes) == 4
    wanted = words(model_error=out, h=0.25, steps=2, size=16, channels=8)
    assert eitdip("reconstruct", data["cem"], "--out", tmp_path / "r", *wanted) == 0
    assert eitdip("model-error", data["dtn"], "--out", tmp_path / "n.h5") == 2
    assert eitdip("model-error", data["cem"], "--out", tmp_path / "n.txt") == 2
