"""The method "educated": a pretrained network in the same loop as everything else."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import eitdip
from eitdip.errors import CheckpointError, OptionError
from eitdip.methods.build import start
from eitdip.methods.educated import TUNED
from eitdip.methods.names import TUNED as NAMES
from eitdip.methods.objectives import objective
from eitdip.methods.options import method
from eitdip.methods.parameterizations import parameterization
from eitdip.pretraining.tasks import fitting, refuse_others
from eitdip.pretraining.weights import Weights
from eitdip.reconstruction import reconstruct
from tests.cases.images import IMAGES
from tests.cases.measurements import problem as body
from tests.cases.pretrained import weights_file, weights_for

every_way = pytest.mark.parametrize("tuned", TUNED)
CPU = torch.device("cpu")


@cache
def given(name: str):
    return IMAGES[name]() if name in IMAGES else body(name)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Files of networks with random answers, by the name of the problem."""
    folder = tmp_path_factory.mktemp("weights")
    return cache(lambda name: weights_file(folder, given(name), answer=0.5))


def chosen(file, name: str, **settings):
    if settings.get("tuned") not in ("low-rank", "subspace", "snapshots"):
        settings.pop("rank", None)
    return method("educated", {"weights": file(name), "steps": 4, "warm_up": 2} | settings)


def started(file, name: str, **settings):
    return start(given(name), chosen(file, name, **settings), seed=0)


def run(parts, **how):
    return reconstruct(parts.objective, parts.optimizer, parts.stop, schedule=parts.schedule, **how)


def answer(file, name: str) -> np.ndarray:
    """What the network says of the data: by hand."""
    problem, network = given(name), Weights.load(file(name)).network()
    unknown = problem.unknown
    with torch.no_grad():
        first = torch.from_numpy(np.asarray(problem.model.pinv(problem.data.values)))
        raw = network(unknown.network_input(first[None]))[0].double()
        values = unknown.bounded(None, None)(raw)
    return (torch.complex(values[0], values[1]) if unknown.complex else values).numpy()


def test_names_are_known():
    assert tuple(TUNED) == NAMES


@pytest.mark.parametrize("name", IMAGES)
@every_way
def test_it_starts_at_the_networks_answer_and_goes_down(name, tuned, file):
    parts = started(file, name, tuned=tuned, rank=4, tv=0.0, learning_rate=0.005)
    first = parts.objective.estimate().numpy()
    np.testing.assert_array_equal(first, answer(file, name))
    assert np.std(first) > 0.01 * np.abs(first).max()
    result = run(parts)
    assert result.kept == 3 and min(result.history["loss"][1:]) < result.history["loss"][0]


@pytest.mark.parametrize(("name", "settings"), [("picture", {}), ("cem", {"size": None})])
@every_way
def test_only_what_is_to_be_tuned_changes(name, settings, tuned, file, gmsh):
    parts = started(file, name, tuned=tuned, rank=4)
    before = parts.objective.state()
    run(parts)
    after = parts.objective.state()
    changed = {key.removeprefix("generator.") for key, value in before.items() if not torch.equal(after[key], value)}
    changed = {key.split("network.")[-1] for key in changed}
    extra = {"drift", "amounts"} & changed if name == "cem" else set()
    tops = {key.split(".")[0] for key in changed - extra}
    if tuned == "all":
        assert tops == {"enter", "down", "skip", "up", "output", "scale_in", "scale_out"}
    elif tuned == "decoder":
        assert tops == {"skip", "up", "output", "scale_out"}
    elif tuned == "last":
        assert tops == {"up", "output", "scale_out"}
    elif tuned == "low-rank":
        assert all(key.endswith((".left", ".right")) for key in changed - extra)
    else:
        assert tops == {"coordinates"}
    assert name != "cem" or "drift" in changed
    assert tuned in ("subspace", "snapshots") or name != "cem" or "amounts" in changed


def test_a_subspace_is_that_of_the_largest_changes_of_the_field(file):
    """Steps of length one along one of its directions change the field by one."""
    made, _ = parameterization(
        given("sinogram"), chosen(file, "sinogram", tuned="subspace", rank=5).completed("image"), 0
    )
    generator = made.generator
    assert generator.coordinates.shape == (5,)
    jacobian = torch.autograd.functional.jacobian(
        lambda c: torch.func.functional_call(generator, {"coordinates": c}, ()), generator.coordinates.detach()
    ).reshape(-1, 5)
    gram = (jacobian.T @ jacobian).numpy()
    np.testing.assert_allclose(gram, np.eye(5), atol=0.02)
    other, _ = parameterization(given("sinogram"), chosen(file, "sinogram", tuned="all").completed("image"), 0)
    rng, size = torch.Generator().manual_seed(0), sum(value.numel() for value in other.parameters())
    basis = generator.basis
    assert basis.shape == (5, size)
    random = torch.randn(1, size, generator=rng, dtype=torch.float64)
    lengths = basis.norm(dim=1)
    assert (lengths[1:] > 0.999 * lengths[:-1]).all()  # the most effective one is the shortest

    def change(direction) -> float:
        moved = generator.basis.clone()
        generator.basis = direction / direction.norm()
        slope = torch.autograd.functional.jacobian(
            lambda c: torch.func.functional_call(generator, {"coordinates": c}, ()), torch.zeros(1).double()
        )
        generator.basis = moved
        return slope.norm().item()

    assert change(basis[:1]) > 3 * change(random)


def test_a_subspace_has_no_directions_that_change_nothing(tmp_path):
    """An untrained network's field depends on its last layer only: on at most nine numbers."""
    path = weights_file(tmp_path, given("picture"))
    settings = method("educated", {"weights": path, "tuned": "subspace", "rank": 30, "steps": 2})
    made, _ = parameterization(given("picture"), settings.completed("image"), 0)
    assert 1 <= len(made.generator.coordinates) <= 9 + 2 and torch.isfinite(made.generator.basis).all()
    assert np.isfinite(eitdip.solve(given("picture"), settings, quiet=True).x).all()


def test_low_rank_updates_have_the_rank_and_the_seed(file):
    settings = chosen(file, "picture", tuned="low-rank", rank=3).completed("image")
    one, same, other = (parameterization(given("picture"), settings, seed)[0].state_dict() for seed in (0, 0, 1))
    lefts = [value.shape[1] for name, value in one.items() if name.endswith("left")]
    assert max(lefts) == 3 and len(lefts) == len([name for name in one if name.endswith("right")])
    right = next(name for name in one if name.endswith("right"))
    assert torch.equal(one[right], same[right]) and not torch.equal(one[right], other[right])


@pytest.mark.parametrize("tuned", ["all", "low-rank", "subspace", "snapshots"])
def test_fine_tuning_goes_on_bit_identically(tuned, file):
    settings = {"tuned": tuned, "steps": 20, "warm_up": 4, "proximity": 0.1, "input_noise": 0.05, "rank": 4}
    whole = run(started(file, "sinogram", **settings))
    kept = []
    first = run(
        started(file, "sinogram", **settings),
        callbacks=[lambda progress: kept.append(progress.checkpoint())],
        interrupted=lambda: len(kept) == 10,
    )
    assert first.iterations == 10
    second = run(started(file, "sinogram", **settings), resume=kept[-1])
    assert all(torch.equal(second.state[name], value) for name, value in whole.state.items())
    for name in whole.history.keys() - {"seconds"}:
        np.testing.assert_array_equal(second.history[name], whole.history[name])
    np.testing.assert_array_equal(second.x, whole.x)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_coordinates_of_a_subspace_by_either_optimizer(optimizer, file):
    more = {} if optimizer == "adam" else {"optimizer": "lbfgs", "warm_up": 0, "learning_rate": None}
    parts = started(
        file, "sinogram", tuned="subspace", rank=6, tv=0.0, **{k: v for k, v in more.items() if v is not None}
    )
    assert [len(group["params"]) for group in parts.optimizer.param_groups] == [1]


def test_proximity_is_to_the_answer_and_zero_at_the_start(file):
    """Also with noise on the input, of which the answer that is kept has none."""
    problem = given("picture")
    settings = chosen(file, "picture", proximity=3.0, tv=0.0)
    parts = start(problem, settings, seed=0)
    terms = parts.objective()
    assert terms.losses["proximity"].item() == 0
    parts.optimizer.zero_grad()
    run(parts)
    field = parts.objective.parameterization.field().detach()
    expected = 3.0 * ((field.numpy() - answer(file, "picture")) / problem.unknown.unit) ** 2
    assert parts.objective().losses["proximity"].item() == pytest.approx(expected.mean(), rel=1e-9)
    noisy = start(problem, chosen(file, "picture", proximity=3.0, input_noise=0.2), seed=0).objective
    np.testing.assert_array_equal(noisy.penalties["proximity"].anchor.numpy(), answer(file, "picture"))
    assert (
        noisy().losses["proximity"].item() > 0
        and "proximity" not in start(problem, chosen(file, "picture"), 0).objective.penalties
    )


def test_noise_on_the_input_is_drawn_for_the_steps_alone(file):
    """Making the objective draws none, with or without a pretrained network."""
    for settings in (
        chosen(file, "picture", input_noise=0.1, proximity=1.0),
        method("dip-tv", {"channels": 4, "levels": 1, "input_noise": 0.1, "average": 0.0}),
    ):
        completed = settings.completed("image")
        made = objective(given("picture"), completed, 0, CPU)
        fresh, _ = parameterization(given("picture"), completed, 0)
        states = []
        for each in (made.parameterization, fresh):
            states += [part.get_extra_state() for part in each.modules() if hasattr(part, "input_noise")]
        assert torch.equal(*states) and made.training
        one, two = made.estimate(), made.estimate()
        assert settings.generator != "educated" or not torch.equal(one, two)


class TestBodies:
    """Electrode tanks: the network answers with classes."""

    pytestmark = pytest.mark.usefixtures("gmsh")

    def test_the_first_field_is_that_of_the_classes(self, file):
        problem, weights = given("cem"), Weights.load(file("cem"))
        _, seen = fitting(problem, weights.task)
        made, grid = parameterization(problem, chosen(file, "cem").completed("plane"), 0)
        with torch.no_grad():
            p = weights.network()(seen)[0].double().softmax(dim=0)
            expected = problem.unknown.start * torch.exp(-p[1] + p[2])  # levels 0, -1 and 1
        torch.testing.assert_close(made.field().detach(), expected, rtol=1e-6, atol=0)
        assert (
            grid.shape == (16, 16) == made.generator.shape
            and made.to_unknowns(expected).shape == problem.model.domain.shape
        )

    def test_the_background_is_fitted_before_the_network(self, file):
        parts = started(file, "cem", tv=0.0)
        field = parts.objective.parameterization
        drift = field.drift.detach().clone()
        terms = parts.objective()
        (slope,) = torch.autograd.grad(terms.losses["misfit"], [field.drift])
        with torch.no_grad():
            field.drift.zero_()
        before = parts.objective()
        (steep,) = torch.autograd.grad(before.losses["misfit"], [field.drift])
        assert terms.losses["misfit"].item() < before.losses["misfit"].item() and drift.abs() > 1e-4
        assert slope.abs() < 1e-2 * steep.abs()
        assert all(value.grad is None for value in field.parameters())
        fixed = started(file, "cem", fit_drift=False).objective.parameterization
        assert float(fixed.drift) == 0

    def test_networks_of_images_are_refused_and_those_of_tanks_for_images(self, file):
        for name, other in (("cem", "picture"), ("picture", "cem")):
            with pytest.raises(CheckpointError, match=r"\.safetensors: trained for .*, expected .* for this problem"):
                start(given(name), method("educated", {"weights": file(other)}), seed=0)

    def test_currents_without_electrodes_are_refused(self, file):
        dirichlet = given("dtn")
        neumann = replace(dirichlet, measurements=replace(dirichlet.measurements, model="neumann"))
        with pytest.raises(OptionError, match="expected data of electrodes or boundary potentials for pretrained"):
            start(neumann, method("educated", {"weights": file("cem")}), seed=0)
        with pytest.raises(OptionError, match="got neumann data, expected those of electrodes or of bound"):
            refuse_others(neumann)

    def test_networks_of_electrodes_are_none_for_boundary_potentials(self, file):
        for name in ("dtn", "ball"):
            with pytest.raises(CheckpointError, match="trained for problem electrode tank, expected boundary"):
                start(given(name), method("educated", {"weights": file("cem")}), seed=0)

    def test_solids_are_bodies_too(self, tmp_path):
        """The first field is that of the classes, on voxels; networks of the plane do not fit."""
        problem = given("cylinder")
        file = weights_file(tmp_path, problem, answer=0.5)
        weights = Weights.load(file)
        task, seen = fitting(problem, weights.task)
        assert seen.shape == (1, 8, 6, 16, 16) and task["pixels"] == [6, 16, 16]
        parts = start(problem, method("educated", {"weights": file, "steps": 6, "warm_up": 2, "tv": 0.0}), seed=0)
        field = parts.objective.parameterization
        with torch.no_grad():
            p = weights.network()(seen)[0].double().softmax(dim=0)
            expected = problem.unknown.start * torch.exp(-p[1] + p[2] + field.drift)
        torch.testing.assert_close(field.field().detach(), expected, rtol=1e-6, atol=0)
        chi2 = run(parts).history["chi2"]
        assert chi2[-1] < chi2[0]
        plane = weights_file(tmp_path, given("cem"))
        with pytest.raises(CheckpointError, match="trained for pixels 16, 16, expected 6, 16, 16"):
            start(problem, method("educated", {"weights": plane}), seed=0)

    def test_another_link_is_refused(self, file):
        for name, link in (("cem", "bounded"), ("picture", "free")):
            with pytest.raises(OptionError, match=r"option link: got .* which the network was trained with"):
                chosen(file, name, link=link).check(given(name))


def test_weights_are_needed_and_are_looked_at(tmp_path):
    problem = given("picture")
    with pytest.raises(OptionError, match=r"option weights: got None .* expected the file of a pretrained network"):
        method("educated").check(problem)
    with pytest.raises(CheckpointError, match="nowhere: no weights there"):
        start(problem, method("educated", {"weights": str(tmp_path / "nowhere")}), seed=0)
    weights = weights_for(problem)
    wrong = Weights(weights.architecture, weights.parameters, weights.task | {"shape": [8, 8]})
    wrong.save(tmp_path / "wrong")
    with pytest.raises(CheckpointError, match="wrong: trained for shape 8, 8, expected 16, 16 for this problem"):
        start(problem, method("educated", {"weights": str(tmp_path / "wrong")}), seed=0)


def test_settings_that_decide_nothing_are_refused(file):
    for name, wrong in (("size", {"size": 16}), ("channels", {"channels": 8}), ("levels", {"levels": 2})):
        with pytest.raises(OptionError, match=rf"option {name}: got .* but the method uses only"):
            chosen(file, "picture", **wrong).check(given("picture"))
    for name, value in (("proximity", 1.0), ("tuned", "last"), ("weights", "w")):
        with pytest.raises(OptionError, match=rf"option {name}: got"):
            method("dip-tv", {name: value}).check(given("picture"))
    with pytest.raises(OptionError, match="option warm_up: got 2"):
        chosen(file, "picture", optimizer="lbfgs", learning_rate=1.0).check(given("picture"))
    chosen(file, "picture", tuned="low-rank", rank=3).check(given("picture"))
    with pytest.raises(OptionError, match="option rank: got 3"):
        method("educated", {"weights": file("picture"), "rank": 3}).check(given("picture"))


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_rate_warms_up(schedule, file):
    """By hand: it rises evenly over four steps, and falls to 5 %."""
    parts = started(file, "picture", steps=10, warm_up=4, learning_rate=0.2, schedule=schedule)
    rates = []
    for _ in range(11):
        rates.append(parts.optimizer.param_groups[0]["lr"])
        parts.optimizer.step()
        parts.schedule.step()
    rise = np.minimum(1, np.arange(1, 12) / 4)
    fall = 0.05 + 0.95 * (1 + np.cos(np.pi * np.minimum(1, np.arange(11) / 10))) / 2
    np.testing.assert_allclose(rates, 0.2 * rise * (fall if schedule == "cosine" else 1), rtol=1e-12)


def test_a_warm_up_of_one_step_is_none(file):
    """The cosine is that of the schedule without."""
    plain, warm = (started(file, "picture", steps=6, warm_up=count, schedule="cosine") for count in (0, 1))
    for _ in range(6):
        rates = [parts.optimizer.param_groups[0]["lr"] for parts in (plain, warm)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-9)
        for parts in (plain, warm):
            parts.optimizer.step()
            parts.schedule.step()
    assert started(file, "picture", warm_up=0, schedule="constant").schedule is None
