"""Methods whose potentials are networks, in the same loop and on the same data as the others."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError
from eitdip.methods.build import start
from eitdip.methods.names import METHODS
from eitdip.methods.options import Method
from eitdip.methods.options import method as named
from eitdip.reconstruction import Status, reconstruct
from eitdip.runs.fingerprint import fingerprint
from eitdip.runs.session import solve
from tests.cases.measurements import SOLIDS, fitting, problem

pytestmark = pytest.mark.usefixtures("gmsh")

NEURAL_PDE = [name for name, changes in METHODS.items() if "objective" in changes]
DISK = "dtn"


def test_all_of_them_are_named():
    assert {named(name).objective for name in NEURAL_PDE} == {
        "pinn", "bar-sochen", "deep-galerkin", "deep-ritz", "deep-ritz-naive"
    }  # fmt: skip


@pytest.mark.parametrize("method", NEURAL_PDE)
def test_they_start_at_the_background_and_go_down(method):
    disk = problem(DISK)
    run = start(disk, fitting(method, steps=20), seed=0)
    assert np.allclose(run.objective.estimate().numpy(), disk.unknown.start, rtol=1e-5)
    result = reconstruct(run.objective, run.optimizer, run.stop, schedule=run.schedule)
    assert result.x.shape == disk.model.domain.shape
    assert (result.x > 0).all() and np.ptp(result.x) > 0
    assert result.history["loss"][-1] < result.history["loss"][0]


@pytest.mark.parametrize("method", NEURAL_PDE)
def test_interrupted_runs_go_on_bit_identically(method, tmp_path):
    options, disk = fitting(method, steps=6), problem(DISK)
    whole = solve(disk, options, quiet=True).results[0]
    parts = start(disk, options, 0)
    calls = iter([False, False, True])
    half = reconstruct(
        parts.objective,
        parts.optimizer,
        parts.stop,
        schedule=parts.schedule,
        run=fingerprint(disk, options, 0),
        interrupted=lambda: next(calls),
        callbacks=[lambda progress: progress.checkpoint().save(tmp_path / "seed-0.safetensors")],
    )
    assert half.status == Status.INTERRUPTED and half.iterations == 3
    rest = solve(disk, options, folder=tmp_path, resume=True, quiet=True).results[0]
    assert rest.iterations == 6
    assert np.array_equal(rest.x, whole.x)
    assert np.array_equal(rest.history["loss"], whole.history["loss"])


@pytest.mark.parametrize("method", NEURAL_PDE)
def test_the_seed_decides_everything(method):
    def x(seed):
        return solve(problem(DISK), fitting(method, seed=seed), quiet=True).x

    state = torch.get_rng_state()
    first = x(0)
    assert np.array_equal(first, x(0))
    assert not np.array_equal(first, x(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_reported_misfit_is_that_of_the_finite_elements():
    disk = problem(DISK)
    solution = solve(disk, fitting("pinn"), quiet=True)
    residual = (disk.model(solution.x) - disk.data.values) / disk.measurements.deviation
    assert solution.misfit == pytest.approx(np.square(residual).mean())
    assert solution.misfit != pytest.approx(solution.results[0].chi2, rel=1e-6)


@pytest.mark.parametrize("kind", ["cem", *SOLIDS])
@pytest.mark.parametrize("method", NEURAL_PDE)
def test_other_data_are_refused_before_any_work(method, kind):
    with pytest.raises(OptionError, match="expected Dirichlet data of a disk"):
        fitting(method, problem(kind).unknown.kind).check(problem(kind))


def test_too_few_points_are_refused():
    with pytest.raises(OptionError, match="points: got 255, expected at least 256"):
        start(problem(DISK), fitting("pinn", points=255), 0)


def test_the_preset_of_the_paper_runs_as_published():
    """Soft boundary values, no link, all weights trained: from random networks, and slowly."""
    own = {"objective": "bar-sochen", "preset": "paper", "points": 256, "steps": 4, "learning_rate": 5e-3}
    run = start(problem(DISK), Method(link="exp", **own), seed=0)
    terms = run.objective()
    assert set(terms.losses) == {"misfit", "equation", "worst", "boundary", "variation", "rim", "floor", "decay"}
    terms.total.backward()
    assert all(parameter.grad is not None for parameter in run.objective.parameters())


def test_optimizers_of_finite_elements_are_refused():
    with pytest.raises(OptionError, match="expected adam or lbfgs"):
        Method(objective="pinn", optimizer="gauss-newton").check(problem(DISK))
