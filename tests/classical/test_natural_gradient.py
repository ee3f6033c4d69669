"""Natural gradient: exact where the problem is quadratic, indifferent to how a subspace is spanned, never uphill."""

import numpy as np
import pytest
import torch

from eitdip.classical.natural_gradient import NaturalGradient
from eitdip.errors import LinearSolverError, OptionError
from eitdip.imaging import DenseOperator
from eitdip.methods.build import start
from eitdip.methods.options import method
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares, PoissonDeviance
from eitdip.objective.penalty import Tikhonov
from eitdip.operator import Space
from eitdip.parameterization import Affine, Exp, FreeField, Parameterization
from eitdip.parameterization.tuning import Subspace
from eitdip.reconstruction import Budget, reconstruct
from tests.cases.images import IMAGES
from tests.cases.measurements import problem as body
from tests.cases.pretrained import weights_file

SHAPE = (3, 4)
GONE = 5  # of the ten measurements, masked out


def basis(seed: int = 3) -> torch.Tensor:
    return torch.randn(4, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def objective(directions, link=None, penalties=None) -> Variational:
    rng = np.random.default_rng(0)
    model = DenseOperator(rng.standard_normal((10, 12)), Space(SHAPE), Space((10,)))
    mask = np.arange(10) != GONE
    misfit = LeastSquares(rng.standard_normal(10), 0.1 + rng.random(10), mask)
    field = Parameterization(Subspace(FreeField(SHAPE), directions), link or Affine(0.3, 2.0), unit=1.0)
    return Variational(model, field, misfit, penalties or {})


def run(made: Variational, steps: int, **how):
    optimizer = NaturalGradient(made, **how)
    return reconstruct(made, optimizer, Budget(steps)), optimizer


def test_one_step_solves_a_quadratic_problem():
    """Weighted least squares over the coordinates, of the nine measurements that are there."""
    made = objective(basis())
    rows = 2 * made.model.dense() @ basis().numpy().T * made.misfit.weight.numpy()[:, None]
    first = made.model.dense() @ np.full(12, 0.3)
    right = (made.misfit.data.numpy() - first) * made.misfit.weight.numpy()
    expected = np.linalg.lstsq(rows, right, rcond=None)[0]
    result, optimizer = run(made, 2, damping=0.0)
    found = made.parameterization.generator.coordinates.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert result.history["loss"][1] == pytest.approx(np.square(rows @ expected - right).sum() / 9, rel=1e-9)
    np.testing.assert_allclose(optimizer.fisher(), 2 / 9 * rows.T @ rows, rtol=1e-9)


def test_errors_that_measurements_share_count_by_their_covariance():
    made, modes = objective(basis()), np.random.default_rng(2).standard_normal((3, 10))
    plain, used = made.misfit, np.arange(10) != GONE
    deviation = np.where(used, 1 / np.where(used, plain.weight.numpy(), 1), 1.0)
    made.misfit = LeastSquares(plain.data.numpy(), deviation, used, modes=modes)
    covariance = (np.diag(deviation**2) + modes.T @ modes)[np.ix_(used, used)]
    rows = 2 * made.model.dense()[used] @ basis().numpy().T
    right = (plain.data.numpy() - made.model.dense() @ np.full(12, 0.3))[used]
    normal = rows.T @ np.linalg.solve(covariance, rows)
    run(made, 1, damping=0.0)
    found = made.parameterization.generator.coordinates.detach().numpy()
    np.testing.assert_allclose(found, np.linalg.solve(normal, rows.T @ np.linalg.solve(covariance, right)), rtol=1e-8)


def test_a_damped_step_by_hand():
    """The damping counts in units of the mean diagonal, and falls to .3 after a prediction that came true."""
    made = objective(basis())
    made().total.backward()
    gradient = made.parameterization.generator.coordinates.grad.numpy().copy()
    fisher = NaturalGradient(made).fisher()
    expected = -np.linalg.solve(fisher + 0.5 * fisher.diagonal().mean() * np.eye(4), gradient)
    _, optimizer = run(made, 1, damping=0.5)
    np.testing.assert_allclose(made.parameterization.generator.coordinates.detach().numpy(), expected, rtol=1e-9)
    assert optimizer.state_dict() == {"damping": pytest.approx(0.15)}


def test_how_a_subspace_is_spanned_does_not_matter():
    """Nonlinear, without damping: the same fields for other directions of the same space."""
    mixed = torch.randn(4, 4, generator=torch.Generator().manual_seed(8), dtype=torch.float64) @ (0.2 * basis())
    one, other = (run(objective(rows, Exp(0.5)), 5, damping=0.0)[0] for rows in (0.2 * basis(), mixed))
    np.testing.assert_allclose(other.x, one.x, rtol=1e-6)
    assert one.history["loss"][4] < 0.9 * one.history["loss"][0]


def test_it_never_leads_uphill_and_penalties_count():
    made = objective(3 * basis(), Exp(0.5), {"tikhonov": (2.0, Tikhonov(None))})
    result, _ = run(made, 40)
    assert (np.diff(result.history["loss"]) <= 0).all()
    (slope,) = torch.autograd.grad(made().total, [made.parameterization.generator.coordinates])
    assert slope.norm() < 1e-2 * result.history["loss"][-1] < result.history["loss"][0]


def test_an_update_without_a_value_is_rejected():
    """The model finds no solution at the first trial: the damping grows fourfold, and the next one is taken."""
    made, calls = objective(basis()), []
    inner = made.forward

    def moody():
        calls.append(1)
        if len(calls) == 2:  # after the closure
            raise LinearSolverError("no solution")
        return inner()

    made.forward = moody
    result, optimizer = run(made, 2, damping=0.1)
    assert result.history["loss"][1] < result.history["loss"][0] and len(calls) == 3 + 2
    assert optimizer.state_dict()["damping"] == pytest.approx(0.1 * 4 * 0.3 * 0.3)


def test_it_rests_where_there_is_nothing_to_gain():
    made = objective(basis())
    made.misfit = LeastSquares(made.model(np.full(SHAPE, 0.3)), 0.1)
    result, _ = run(made, 3)
    assert (result.history["loss"] < 1e-25).all() and not made.parameterization.generator.coordinates.any()


def test_what_does_not_fit_is_refused():
    made = objective(basis())
    with pytest.raises(OptionError, match="damping: got -1, expected >= 0"):
        NaturalGradient(made, damping=-1)
    counts = Variational(made.model, made.parameterization, PoissonDeviance(np.ones(10)))
    with pytest.raises(OptionError, match="expected Variational with LeastSquares"):
        NaturalGradient(counts)
    many = Parameterization(FreeField((50, 50)), Affine(0.0, 1.0), unit=1.0)
    model = DenseOperator(np.ones((10, 2500)), Space((50, 50)), Space((10,)))
    with pytest.raises(OptionError, match="got 2500 parameters, expected at most 2000, such as coordinates"):
        NaturalGradient(Variational(model, many, made.misfit))


@pytest.mark.parametrize("name", ["sinogram", "kspace", "cem"])
@pytest.mark.parametrize("tuned", ["snapshots", "subspace"])
def test_fisher_matrix_of_pretrained_networks(name, tuned, tmp_path, gmsh):
    """By differences of whitened predictions; of real and of complex data, linear models and a tank."""
    given = IMAGES[name]() if name in IMAGES else body(name)
    settings = {"weights": weights_file(tmp_path, given, answer=0.5), "tuned": tuned, "rank": 3}
    settings |= {"optimizer": "natural-gradient", "warm_up": 0, "learning_rate": None, "steps": 6}
    parts = start(given, method("educated", settings), seed=0)
    made = parts.objective
    made.parameterization.double()
    for part in made.parameterization.modules():  # the network's input is in single precision, and no buffer of Fields
        if hasattr(part, "latent"):
            part.latent = part.latent.double()
    fisher, trained = parts.optimizer.fisher(), [v for v in made.parameters() if v.requires_grad]

    def whitened(which: int, length: float) -> np.ndarray:
        flat = torch.cat([value.detach().reshape(-1) for value in trained])
        with torch.no_grad():
            moved = flat.clone()
            moved[which] += length
            torch.nn.utils.vector_to_parameters(moved, trained)
            x = made.parameterization()
            prediction = torch.as_tensor(made.model(x if made.model.arrays == "torch" else x.numpy()))
            torch.nn.utils.vector_to_parameters(flat, trained)
        return made.misfit.whitened(prediction).double().numpy().ravel()

    count = sum(value.numel() for value in trained)
    slopes = np.stack([(whitened(i, 1e-4) - whitened(i, -1e-4)) / 2e-4 for i in range(count)])
    expected = 2 / made.misfit.count * slopes @ slopes.T
    np.testing.assert_allclose(fisher, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["picture", "cem"])
def test_it_goes_on_bit_identically(name, tmp_path, gmsh):
    given = IMAGES[name]() if name in IMAGES else body(name)
    settings = {"weights": weights_file(tmp_path, given, answer=0.5), "rank": 4, "tv": 0.1, "steps": 6}
    begun = [start(given, method("educated-snapshots", settings), seed=0) for _ in range(3)]
    whole, kept = reconstruct(begun[0].objective, begun[0].optimizer, begun[0].stop), []
    assert (np.diff(whole.history["loss"]) <= 0).all() and whole.history["loss"][-1] < whole.history["loss"][0]
    reconstruct(
        begun[1].objective, begun[1].optimizer, begun[1].stop, interrupted=lambda: len(kept) == 3,
        callbacks=[lambda progress: kept.append(progress.checkpoint())],
    )  # fmt: skip
    again = reconstruct(begun[2].objective, begun[2].optimizer, begun[2].stop, resume=kept[-1])
    np.testing.assert_array_equal(again.x, whole.x)
    np.testing.assert_array_equal(again.history["loss"], whole.history["loss"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuned": "all"}, r"option optimizer: got 'natural-gradient' .*, expected adam or lbfgs but for tuned="),
        ({"tuned": "snapshots", "input_noise": 0.1}, "option input_noise: got 0.1 .*expected 0 for natural-gradient"),
        ({"tuned": "snapshots", "learning_rate": 0.1}, "option learning_rate: got 0.1"),
    ],
)
def test_bad_settings(settings, message, tmp_path):
    given = IMAGES["picture"]()
    settings = {"weights": weights_file(tmp_path, given), "learning_rate": None} | settings
    settings |= {"optimizer": "natural-gradient", "warm_up": 0}
    with pytest.raises(OptionError, match=message):
        method("educated", settings).check(given)


def test_counts_are_refused(tmp_path):
    given = next(made for made in (make() for make in IMAGES.values()) if made.data.noise.name == "poisson")
    settings = {"weights": "w", "tuned": "snapshots", "optimizer": "natural-gradient", "warm_up": 0}
    with pytest.raises(OptionError, match="but for tuned=subspace or snapshots and Gaussian noise"):
        method("educated", settings | {"learning_rate": None}).check(given)
