"""Settings become terms, rates and weights of the size that they are said to have; numbers by hand."""

import numpy as np
import pytest
import torch
from scipy import sparse

import eitdip
from eitdip.data.data import Data
from eitdip.data.noise import Gaussian
from eitdip.fem import Discretization
from eitdip.imaging import SparseOperator
from eitdip.methods.build import start
from eitdip.methods.options import Method, method
from eitdip.objective import Averaged, Sure
from eitdip.operator import Space
from eitdip.problems.bodies import Body
from eitdip.problems.images import image_problem
from tests.cases.images import identity, noisy
from tests.cases.measurements import fitting, problem
from tests.cases.meshes import rectangle

PICTURE = np.array([[0.1, 0.9, 0.5], [0.2, 0.4, 0.6]])


def picture(deviation=0.5, **known):
    return image_problem("denoise", identity((2, 3)), Data(PICTURE, Gaussian(deviation), **known), low=0.0, high=1.0)


def terms_of(problem, method, field: np.ndarray) -> dict[str, float]:
    """Losses where free values are a field."""
    run = start(problem, method, 0)
    with torch.no_grad():
        run.objective.parameterization.generator.values.copy_(torch.from_numpy(field))
    return {name: float(loss.detach()) for name, loss in run.objective().losses.items()}


@pytest.mark.usefixtures("gmsh")
class TestBodies:
    """Penalties of log(sigma / background) on cells."""

    def test_l1_is_of_the_values_and_counts_cells_by_their_sizes(self):
        """Not of jumps: a body of another conductivity has them nowhere. Smoothing takes 0.001 off."""
        body, chosen = problem("dtn"), method("gn-l1", {"l1": 7.0, "link": "exp", "fit_drift": False})
        sizes = body.unknown.domain.cell_sizes
        losses = terms_of(body, chosen, np.full(len(sizes), -0.4))
        assert losses["l1"] == pytest.approx(7 * 0.399, rel=1e-5) and losses["tikhonov"] == 0
        largest = np.zeros(len(sizes))
        largest[sizes.argmax()] = 0.4
        share = sizes.max() / sizes.sum()
        assert abs(share * len(sizes) - 1) > 0.3  # else sizes could be ignored
        assert terms_of(body, chosen, largest)["l1"] == pytest.approx(7 * 0.399 * share, rel=1e-5)

    @pytest.mark.parametrize(("name", "loss"), [("tv", lambda jump: jump - 1e-3), ("tikhonov", np.square)])
    def test_tv_and_tikhonov_are_of_jumps(self, name, loss):
        """Of one cell that differs by 0.4: its perimeter times 2 (the window's side) over 64 times 4 (its area)."""
        body = problem("dtn")
        chosen = method("gn-tv", {"tv": 0.0, name: 7.0, "link": "exp", "fit_drift": False})
        domain = body.unknown.domain
        inner = np.flatnonzero(~np.isin(domain.cells, domain.boundary_nodes).any(axis=1))[0]
        field = np.zeros(len(domain.cells))
        field[inner] = 0.4
        corners = domain.points[domain.corners[inner]]
        perimeter = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).sum()
        size = np.sqrt(0.4**2 + 1e-6) if name == "tv" else 0.4
        assert terms_of(body, chosen, field)[name] == pytest.approx(7 * loss(size) * perimeter / 128, rel=2e-3)

    def test_a_field_on_vertices_is_seen_as_its_mean_over_each_cell(self):
        domain = rectangle(3, 2, 1.5, 1.0)
        grid = Body(Discretization(domain), 1.0).grid("vertices")
        np.testing.assert_allclose(grid.field_map(np.ones(12)), 1, rtol=1e-14)
        slope = domain.points[domain.vertices] @ [2.0, -3.0] + 7
        np.testing.assert_allclose(grid.field_map(slope), domain.centroids @ [2.0, -3.0] + 7, rtol=1e-13)

    def test_discrepancy_has_a_target_and_else_there_is_none(self):
        for stop, target in (("discrepancy", 0.98), ("budget", None)):
            run = start(problem("dtn"), fitting("gn-tv", stop=stop), 0)
            assert run.optimizer.target == target

    @pytest.mark.parametrize("name", ["cells-tv", "deep-ritz"])
    def test_the_seed_chooses_what_is_held_out(self, name):
        body, more = problem("dtn"), {"points": 256, "channels": 8} if name == "deep-ritz" else {}
        data, weights = body.measurements.data, []
        for seed in (3, 4):
            run = start(body, fitting(name, held_out=0.3, **more), seed)
            weights.append(run.objective.misfit.held_weight.numpy())
            np.testing.assert_array_equal(weights[-1] > 0, data.held_out(0.3, seed))
        assert (weights[0] != weights[1]).any()

    def test_the_noise_in_the_unit_of_deep_ritz(self, rng):
        """Fluxes of a homogeneous disk with the noise of the data: the gaps that these make are together about 1."""
        from eitdip.networks.jets import Jet
        from eitdip.neural_pde.deep_ritz import energies, primitive

        body = problem("dtn", background=2.0)
        objective = start(body, fitting("deep-ritz", points=256, channels=8), 0).objective
        deviation = body.measurements.deviation
        assert np.ptp(deviation, axis=1).max() < 1e-12 * deviation.max() and deviation.shape == (6, 8)
        r = np.sqrt((np.arange(30) + 0.5) / 30)[:, None]
        t = np.arange(24) * (2 * np.pi / 24)
        points = torch.from_numpy(np.stack([r * np.cos(t), r * np.sin(t)], axis=-1).reshape(-1, 2)).float()
        disk, start_value = objective.disk, 2.0
        draws = deviation[:, None] * rng.standard_normal((6, 300, 8))
        # Moments of orthonormal functions: cos n t / sqrt(pi) and so on.
        flux = torch.from_numpy(draws.reshape(-1, 8) / np.sqrt(np.pi)).float()
        psi = disk.harmonic(Jet.coordinates(points, laplacian=False), primitive(flux))
        gaps = energies(psi, torch.full((len(points), 1), 1 / start_value)).reshape(6, 300)
        ratio = (objective._per_gap[:, None] * gaps).sum(dim=0)
        assert float(ratio.mean()) == pytest.approx(1, abs=0.05)


class TestImages:
    """Penalties of values over their unit, on pixels."""

    def test_terms_of_a_picture_by_hand(self):
        """The unit is 1; differences are times 3 / 64 and means over six pixels."""
        chosen = method("pixels-tv", {"tv": 2.0, "tikhonov": 3.0, "l1": 5.0, "link": "free"})
        field = np.array([[0.0, 0.0, 0.8], [0.0, 0.0, 0.8]])
        losses = terms_of(picture(), chosen, field)
        assert losses["misfit"] == pytest.approx(np.square(field - PICTURE).mean() / 0.25)
        jump = 0.8 * 3 / 64
        assert losses["tv"] == pytest.approx(2 * (np.sqrt(jump**2 + 1e-6) - 1e-3) / 3)
        assert losses["tikhonov"] == pytest.approx(3 * jump**2 / 3)
        assert losses["l1"] == pytest.approx(5 * (np.sqrt(0.64 + 1e-6) - 1e-3) / 3)

    def test_terms_without_weight_are_left_out(self):
        assert list(terms_of(picture(), method("pixels-tv", {"tv": 0.0, "link": "free"}), PICTURE)) == ["misfit"]

    def test_the_classical_solvers_know_the_deviation(self):
        """Least |x - y|^2 / (2 d^2) + w |x|^2 / 2 is y / (1 + w d^2): with d = 1/2 and w = 2 two thirds of y."""
        found = eitdip.solve(picture(), "tikhonov", tikhonov=2.0, quiet=True)
        np.testing.assert_allclose(found.x, PICTURE / 1.5, rtol=1e-6)
        found = eitdip.solve(picture(0.25), "tikhonov", tikhonov=2.0, quiet=True)
        np.testing.assert_allclose(found.x, PICTURE / 1.125, rtol=1e-6)

    def test_the_classical_solvers_weigh_each_entry_by_its_own_deviation(self):
        """y / (1 + w d^2) with d of 1/2, but for two entries."""
        deviation = np.array([[0.25, 0.5, 0.5], [0.5, 0.5, 1.0]])
        found = eitdip.solve(picture(deviation), "tikhonov", tikhonov=2.0, quiet=True)
        np.testing.assert_allclose(found.x, PICTURE / (1 + 2 * deviation**2), rtol=1e-6)
        # Two halves of two pixels move towards each other by w d^2 each, with a weight w for each of two edges.
        step, deviation = np.array([[0.0, 0.0, 1.0, 1.0]] * 2), np.array([[0.1, 0.1, 0.2, 0.2]] * 2)
        made = image_problem("denoise", identity((2, 4)), Data(step, Gaussian(deviation)), low=0.0, high=1.0)
        found = eitdip.solve(made, "tv", tv=160.0, steps=4000, quiet=True).x
        np.testing.assert_allclose(found, [[0.025, 0.025, 0.9, 0.9]] * 2, atol=5e-4)

    def test_the_classical_solvers_fit_no_zeros_where_nothing_was_measured(self):
        """Pixels of one value, some of which are hidden; and a sum of two pixels, whose difference is."""
        mask = np.array([[True, False, True], [True, True, False]])
        known = image_problem(
            "inpaint", identity((2, 3)), Data(np.full((2, 3), 0.7), Gaussian(0.1), mask), low=0.0, high=1.0
        )
        np.testing.assert_allclose(eitdip.solve(known, "tv", tv=1.0, steps=2000, quiet=True).x, 0.7, atol=1e-3)
        sums = SparseOperator(sparse.csr_array([[1.0, 1.0], [1.0, -1.0]]), Space((1, 2)), Space((2,)))
        made = image_problem("ct", sums, Data([1.0, 5.0], Gaussian(0.5), [True, False]))
        found = eitdip.solve(made, "tikhonov", tikhonov=2.0, quiet=True)
        np.testing.assert_allclose(found.x, [[0.4, 0.4]], rtol=1e-6)  # (2 x - 1) 2 / d^2 + 2 w x = 0

    def test_the_unit_of_hidden_entries_decides_nothing(self):
        """Whatever stands first, and however noisy it would have been."""
        mask = np.array([[False, True, True], [True, True, True]])
        made = picture(np.where(mask, 0.25, 7.0), mask=mask)
        found = eitdip.solve(made, "tikhonov", tikhonov=2.0, quiet=True)
        np.testing.assert_allclose(found.x[mask], PICTURE[mask] / 1.125, rtol=1e-6)

    @pytest.mark.parametrize("deviation", [0.5, 0.1])
    def test_the_classical_total_variation_by_hand(self, deviation):
        """Of a step of height 1 in 2 x 4 pixels: both sides move towards each other, by w d^2 for each pixel of a row.

        The mean over 8 measurements of (x - y)^2 / d^2, and t times the sum over 2 rows of the jump, times 4 / 64, over
        8 pixels: 8 moved values against 2 edges give a move m with 8 * 2 m / (8 d^2) = t * 2 * 2 / (8 * 16).
        """
        step = np.array([[0.0, 0.0, 1.0, 1.0]] * 2)
        data = Data(step, Gaussian(deviation))
        made = image_problem("denoise", identity((2, 4)), data, low=0.0, high=1.0)
        tv = 1.6 / deviation**2
        found = eitdip.solve(made, "tv", tv=tv, steps=4000, quiet=True).x
        np.testing.assert_allclose(found, np.abs(step - tv * deviation**2 / 64), atol=1e-4)

    def test_the_rate_of_adam_falls_to_a_twentieth_along_a_cosine(self):
        run = start(noisy(), Method(learning_rate=0.2, steps=10, schedule="cosine", channels=4, levels=1), 0)
        rates = [run.optimizer.param_groups[0]["lr"]]
        for _ in range(10):
            run.optimizer.step()
            run.schedule.step()
            rates.append(run.optimizer.param_groups[0]["lr"])
        assert (rates[0], rates[5], rates[10]) == pytest.approx((0.2, 0.105, 0.01))
        constant = Method(learning_rate=0.2, steps=10, schedule="constant", channels=4, levels=1)
        assert start(noisy(), constant, 0).schedule is None

    def test_what_is_told_is_what_is_asked_for(self):
        small = {"channels": 4, "levels": 1}
        assert isinstance(start(noisy(), method("dip", small | {"average": 0.9}), 0).objective, Averaged)
        sure = start(noisy(0.1), method("dip", small | {"stop": "sure"}), 0).objective
        assert isinstance(sure, Sure)
        # The twin sees data with half of their noise once more, from the same weights.
        shift = (sure.twin.misfit.data - sure.objective.misfit.data).numpy()
        np.testing.assert_allclose(shift, sure._perturbation, atol=1e-15)
        assert shift.std() == pytest.approx(0.05, rel=4 / np.sqrt(2 * shift.size))
        for one, other in zip(sure.objective.parameters(), sure.twin.parameters(), strict=True):
            assert torch.equal(one, other)

    def test_the_seed_chooses_what_is_held_out(self):
        chosen = method("pixels-tv", {"tv": 1.0, "link": "free", "held_out": 0.5})
        data, weights = picture().data, []
        for seed in (3, 4):
            weights.append(start(picture(), chosen, seed).objective.misfit.held_weight.numpy())
            np.testing.assert_array_equal(weights[-1] > 0, data.held_out(0.5, seed))
        assert (weights[0] != weights[1]).any()
