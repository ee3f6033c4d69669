"""Methods whose potentials are networks, in the same loop and on the same data as the others."""

import numpy as np
import pytest
import torch

from eitdip import session
from eitdip.errors import OptionError
from eitdip.methods import METHODS, options_for, prepare, start
from eitdip.parallel import alone
from eitdip.reconstruction import Status, reconstruct
from tests.reconstruction.small import DATA, SETTINGS, SOLIDS, dtn

pytestmark = pytest.mark.usefixtures("gmsh")

NEURAL_PDE = [name for name, changes in METHODS.items() if "objective" in changes]
SMALL = SETTINGS | {"points": 256}


def test_all_of_them_are_named():
    assert {options_for(name).objective for name in NEURAL_PDE} == {
        "pinn", "bar-sochen", "deep-galerkin", "deep-ritz", "deep-ritz-naive"
    }  # fmt: skip


@pytest.mark.parametrize("method", NEURAL_PDE)
def test_they_start_at_the_background_and_go_down(method):
    options = options_for(method, SMALL | {"steps": 20})
    problem = prepare(dtn(), options)
    run = start(problem, options, seed=0)
    assert np.allclose(run.objective.estimate().numpy(), problem.background, rtol=1e-5)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    assert result.sigma.shape == (len(problem.domain.cells),)
    assert (result.sigma > 0).all() and np.ptp(result.sigma) > 0
    assert result.history["loss"][-1] < result.history["loss"][0]


@pytest.mark.parametrize("method", NEURAL_PDE)
def test_interrupted_runs_go_on_bit_identically(method, tmp_path):
    options = options_for(method, SMALL | {"steps": 6})
    problem = prepare(dtn(), options)
    whole = session.solve(problem, options, comm=alone(), quiet=True).results[0]
    parts = start(problem, options, 0)
    calls = iter([False, False, True])
    half = reconstruct(
        parts.objective,
        parts.optimizer,
        parts.stop,
        schedule=parts.schedule,
        run=session.fingerprint(problem, options, 0),
        interrupted=lambda: next(calls),
        callbacks=[lambda progress: progress.checkpoint().save(tmp_path / "seed-0.safetensors")],
    )
    assert half.status == Status.INTERRUPTED and half.iterations == 3
    rest = session.solve(problem, options, comm=alone(), folder=tmp_path, resume=True, quiet=True).results[0]
    assert rest.iterations == 6
    assert np.array_equal(rest.sigma, whole.sigma)
    assert np.array_equal(rest.history["loss"], whole.history["loss"])


@pytest.mark.parametrize("method", NEURAL_PDE)
def test_the_seed_decides_everything(method):
    def sigma(seed):
        options = options_for(method, SMALL | {"seed": seed})
        return session.solve(prepare(dtn(), options), options, comm=alone(), quiet=True).sigma

    state = torch.get_rng_state()
    first = sigma(0)
    assert np.array_equal(first, sigma(0))
    assert not np.array_equal(first, sigma(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_reported_misfit_is_that_of_the_finite_elements():
    options = options_for("pinn", SMALL)
    problem = prepare(dtn(), options)
    solution = session.solve(problem, options, comm=alone(), quiet=True)
    residual = (problem.model(solution.sigma) - problem.data) / problem.measurements.deviation
    assert solution.chi2 == pytest.approx(np.square(residual).mean())
    assert solution.chi2 != pytest.approx(solution.results[0].chi2, rel=1e-6)


@pytest.mark.parametrize("make", [DATA["cem"], *SOLIDS.values()])
@pytest.mark.parametrize("method", NEURAL_PDE)
def test_other_data_are_refused_before_any_work(method, make):
    with pytest.raises(OptionError, match="expected Dirichlet data of a disk"):
        prepare(make(), options_for(method, SMALL))


def test_too_few_points_are_refused():
    with pytest.raises(OptionError, match="points: got 255, expected at least 256"):
        prepare(dtn(), options_for("pinn", SMALL | {"points": 255}))


def test_the_preset_of_the_paper_runs_as_published():
    """Soft boundary values, no link, all weights trained: from random networks, and slowly."""
    options = options_for("bar-sochen", SMALL | {"preset": "paper", "steps": 4, "learning_rate": 5e-3})
    problem = prepare(dtn(), options)
    run = start(problem, options, seed=0)
    terms = run.objective()
    assert set(terms.losses) == {"misfit", "equation", "worst", "boundary", "variation", "rim", "floor", "decay"}
    terms.total.backward()
    assert all(parameter.grad is not None for parameter in run.objective.parameters())


def test_optimizers_of_finite_elements_are_refused():
    with pytest.raises(OptionError, match="expected adam or lbfgs"):
        prepare(dtn(), options_for("pinn", SMALL | {"optimizer": "gauss-newton"}))
