"""Strong form: residuals and fluxes of exact solutions, variable projection, the forward problem, resumption."""

import copy

import numpy as np
import pytest
import torch

from eitdip.errors import DivergenceError, OptionError
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import GatedNetwork, SmoothNetwork
from eitdip.neural_pde.collocation import Sampling, normal_derivative
from eitdip.neural_pde.disk import DirichletDisk
from eitdip.neural_pde.fields import Conductivity, HardPotentials, SoftPotentials, drawn
from eitdip.neural_pde.projection import Condition, basis, best_combination
from eitdip.neural_pde.strong_form import Pinn, residual
from eitdip.objective.misfit import LeastSquares
from eitdip.parameterization import Exp
from tests.neural_pde.radial import Exact, Inclusion

ORDERS = 4


@pytest.fixture(scope="module")
def exact():
    return Exact(Inclusion(), 8)


def small(data=None, potentials="hard", network=None, every=0, dtype=torch.float64, orders=ORDERS, **options) -> Pinn:
    """A small problem on the unit disk; without data that of an inclusion of contrast 3, 1 % noise."""
    identity = np.eye(2 * orders)
    if data is None:
        data = np.diag(np.repeat(Exact(Inclusion(), orders).eigenvalues, 2))
    deviation = 0.01 * np.linalg.norm(data, axis=1, keepdims=True) * np.ones_like(data)
    generator = torch.Generator().manual_seed(0)
    disk = DirichletDisk(identity, identity, dtype=dtype)
    network = SmoothNetwork(2 * orders, (16, 24)) if network is None else network
    network = drawn(network, generator, dtype)
    field = drawn(SmoothNetwork(1, (8, 8)), generator, dtype)
    return Pinn(
        HardPotentials(disk, network) if potentials == "hard" else SoftPotentials(network),
        disk=disk,
        conductivity=Conductivity(field, Exp(1.0)),
        misfit=options.pop("misfit", None) or LeastSquares(data, deviation),
        cells=torch.tensor([[0.0, 0.0], [0.9, 0.0]]),
        sampling=Sampling(200, 64, every=every),
        **options,
    )


def trained(objective, steps: int, rate: float = 1e-2):
    optimizer = torch.optim.Adam(objective.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        objective().total.backward()
        optimizer.step()
    return objective


class TestExactSolutions:
    """What holds for the truth holds for the formulas."""

    @pytest.fixture
    def disk(self):
        return DirichletDisk(np.eye(8), np.eye(8), dtype=torch.float64)

    def test_harmonic_functions_solve_the_homogeneous_equation(self, disk):
        points = disk.interior(50, torch.Generator().manual_seed(0))
        u = disk.harmonic(Jet.coordinates(points), disk.sources)
        one = Jet(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).reshape(3, 1, 1).expand(3, 50, 1), 2)
        assert u.value.abs().max() > 0.1
        assert residual(u, one).abs().max() < 1e-12

    def test_flux_moments_of_harmonic_functions_are_their_frequencies(self, disk):
        points = disk.boundary(32)
        u = disk.harmonic(Jet.coordinates(points, laplacian=False), disk.sources)
        moments = disk.flux_moments(points, normal_derivative(u, points))
        np.testing.assert_allclose(moments, np.diag(np.repeat([1, 2, 3, 4], 2)), atol=1e-12)

    def test_residual_of_functions_in_closed_form(self):
        """sigma = exp(x), u = x^2 y: sigma (laplace u + u_x) = exp(x) (2 y + 2 x y)."""
        points = torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        x, y = points.T
        u = Jet(torch.stack([x**2 * y, 2 * x * y, x**2, 2 * y])[..., None], 2)
        sigma = Jet(torch.stack([x.exp(), x.exp(), torch.zeros_like(x)])[..., None], 2)
        torch.testing.assert_close(residual(u, sigma)[:, 0], x.exp() * (2 * y + 2 * x * y))

    @pytest.mark.parametrize("potentials", ["hard", "soft"])
    def test_the_loss_vanishes_at_the_truth(self, potentials):
        """Homogeneous disk: the hard potentials start there, the soft ones come near."""
        network = SmoothNetwork(2 * ORDERS, (64, 128))
        terms = small(np.diag(np.repeat([1.0, 2, 3, 4], 2)), potentials, network)()
        size = 1e-20 if potentials == "hard" else 1.0
        assert terms.chi2 < size and float(terms.total.detach()) < 10 * size
        assert torch.equal(terms.x, torch.ones(2, dtype=torch.float64))


class TestProjection:
    """The output layer is at its optimum, and the gradient of the others is that of the reduced loss."""

    def test_against_dense_least_squares(self):
        """One weight for all rows of a potential, one for all potentials of a row, and one for each entry."""
        generator = torch.Generator().manual_seed(0)
        draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64) + 0.1  # noqa: E731
        first = Condition(draw(9, 4), draw(9, 3), draw(1, 3))
        second = Condition(draw(7, 4), draw(7, 3), draw(7, 3)).times(draw(7, 3))
        third = Condition(draw(5, 4), draw(1, 1), draw(1, 3)).times(draw(5, 1))
        found = best_combination([first, second, third], ridge=1e-14)
        for k in range(3):
            rows, targets = [], []
            for c in (first, second, third):
                weight = c.weight.expand(len(c.rows), 3)[:, k]
                rows.append(weight[:, None] * c.rows)
                targets.append(weight * c.target.expand(len(c.rows), 3)[:, k])
            expected = torch.linalg.lstsq(torch.cat(rows), torch.cat(targets)[:, None]).solution[:, 0]
            torch.testing.assert_close(found[:, k], expected, rtol=1e-8, atol=1e-8)

    @pytest.mark.parametrize("network", [SmoothNetwork(3, (6, 5)), GatedNetwork(3, 5, 2)], ids=["smooth", "gated"])
    def test_combinations_of_the_basis_are_the_network(self, network):
        network = network.double()
        x = Jet.coordinates(torch.rand(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
        potentials = SoftPotentials(network, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
        coefficients = torch.rand(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        potentials.combine(coefficients)
        for functions in (potentials.basis(x), basis(network, x)):
            torch.testing.assert_close(functions.linear(coefficients.T).parts, potentials(x).parts)

    @pytest.mark.parametrize("potentials", ["hard", "soft"])
    def test_gradient_is_that_of_the_reduced_loss(self, potentials):
        """Central differences through the least-squares problem; fails if the layer were not optimal."""
        objective = trained(small(potentials=potentials), 3)
        parameters = [p for p in objective.parameters() if p.requires_grad]
        generator = torch.Generator().manual_seed(1)
        directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
        objective.zero_grad()
        objective().total.backward()
        slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, directions, strict=True))

        def loss(step: float) -> float:
            other = copy.deepcopy(objective)
            with torch.no_grad():
                moved = [p for p in other.parameters() if p.requires_grad]
                for p, d in zip(moved, directions, strict=True):
                    p += step * d
                return float(other().total)

        # The ridge keeps the layer a little off its best: with 1e-14 instead of 1e-12 they agree to 2e-5.
        assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(slope, rel=5e-3)

    def test_what_is_not_finite_is_a_divergence(self):
        rows = torch.ones(3, 2, dtype=torch.float64)
        rows[1, 1] = float("nan")
        one = torch.ones(1, 1, dtype=torch.float64)
        with pytest.raises(DivergenceError, match="pattern 0 is singular or not finite"):
            best_combination([Condition(rows, one, one)])

    def test_a_pattern_without_data_obeys_the_equation(self):
        objective = small()
        data, deviation = objective.misfit.data.numpy(), 1 / objective.misfit.weight.numpy()
        held = np.zeros(data.shape, bool)
        held[3] = True
        objective = small(data, misfit=LeastSquares(data, deviation, held_out=held))
        terms = objective()
        assert np.isfinite(terms.held_out) and torch.isfinite(terms.total)
        with torch.no_grad():
            u = objective.potentials(Jet.coordinates(objective.interior))
            expected = objective.disk.harmonic(Jet.coordinates(objective.interior), objective.disk.sources)
        torch.testing.assert_close(u.value[:, 3], expected.value[:, 3])  # the conductivity is still constant

    def test_the_optimizer_leaves_the_output_layer_alone(self):
        assert not small().potentials.network.output.weight.requires_grad
        assert small(project=False).potentials.network.output.weight.requires_grad

    @pytest.mark.parametrize("potentials", ["hard", "soft"])
    def test_no_other_output_layer_is_better(self, potentials):
        objective = trained(small(potentials=potentials), 3)
        best = float(objective().total.detach())
        objective.project = False
        assert float(objective().total.detach()) == pytest.approx(best, rel=1e-12)
        output = objective.potentials.network.output
        for seed in range(5):
            change = torch.randn(
                output.weight.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
            )
            with torch.no_grad():
                output.weight += 1e-3 * change
                assert float(objective().total) > best
                output.weight -= 1e-3 * change


class TestNoiseUnits:
    """Weights mean the same at every noise level and for every scaling of the patterns."""

    def test_scaling_data_and_potentials_of_a_pattern_changes_nothing(self):
        data = np.diag(np.repeat(Exact(Inclusion(), ORDERS).eigenvalues, 2))
        factors = np.geomspace(0.1, 10, 2 * ORDERS)
        plain, scaled = small(data), small(factors[:, None] * data)
        with torch.no_grad():
            scaled.disk.sources.mul_(torch.from_numpy(factors)[:, None])
        plain, scaled = trained(plain, 2)(), trained(scaled, 2)()
        for name in plain.losses:
            assert float(scaled.losses[name].detach()) == pytest.approx(float(plain.losses[name].detach()), rel=1e-5)


class TestForward:
    """Potentials of a known conductivity: a smooth inclusion of contrast 3 whose rim is 0.06 wide."""

    @pytest.mark.parametrize(
        ("potentials", "network", "rate", "steps"),
        [
            ("hard", SmoothNetwork(16, (64, 64, 128), features=32, frequency=0.6), 5e-3, 40),
            pytest.param(
                "soft",
                SmoothNetwork(16, (64, 64, 256), features=32, frequency=0.4),
                *(2e-3, 90),
                marks=pytest.mark.slow,
            ),
            pytest.param("hard", GatedNetwork(16, 48), *(5e-3, 60), marks=pytest.mark.slow),
        ],
        ids=["hard", "soft", "deep-galerkin"],
    )
    def test_potentials(self, exact, potentials, network, rate, steps):
        """Measured: 0.3 %, 0.8 % and 0.8 %."""
        data = np.diag(np.repeat(exact.eigenvalues, 2))
        options = {"equation": 1e6, "boundary": 1e8, "tv": 0.0, "every": 1, "dtype": torch.float32}
        objective = small(data, potentials, network, orders=8, **options)
        objective.conductivity = Inclusion()
        objective.register_buffer("interior", objective.disk.interior(1024, torch.Generator().manual_seed(0)))
        trained(objective, steps, rate)
        objective()
        points = objective.disk.interior(2000, torch.Generator().manual_seed(7))
        truth = exact.potentials(points.double().numpy())
        with torch.no_grad():
            u = objective.potentials(Jet.coordinates(points, laplacian=False)).value.numpy()
        assert np.linalg.norm(u - truth) < 0.01 * np.linalg.norm(truth)

    def test_the_reference_itself(self, exact):
        """Frequency n, thin rim: the eigenvalues n (1 + mu 2^-2n) / (1 - mu 2^-2n) of a sharp inclusion."""
        sharp = Exact(Inclusion(width=0.002), 3)
        n, mu = np.arange(1, 4), 0.5
        np.testing.assert_allclose(sharp.eigenvalues, n * (1 + mu / 4**n) / (1 - mu / 4**n), rtol=1e-3)
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        waves = [wave(n * angle) for n in range(1, 9) for wave in (np.cos, np.sin)]
        np.testing.assert_allclose(exact.potentials(rim), np.transpose(waves) / np.sqrt(np.pi), atol=1e-9)


class TestInverse:
    """Data to a conductivity."""

    @pytest.mark.parametrize("potentials", ["hard", "soft"])
    def test_an_inclusion_is_found(self, potentials):
        objective = trained(small(potentials=potentials, tv=1.0), 120, 2e-2)
        terms = objective()
        inside, outside = terms.x.tolist()
        assert terms.chi2 < 20  # 900 for the empty disk
        assert inside > 1.8 and outside == pytest.approx(1, abs=0.15)

    def test_points_are_drawn_anew_only_if_asked_for(self):
        fixed, moving = small(every=0), small(every=2, network=GatedNetwork(2 * ORDERS, 8, 1))
        for objective in (fixed, moving):
            objective.first = objective.interior
            objective()
            objective()
            assert torch.equal(objective.interior, objective.first)
            objective()
        assert torch.equal(fixed.interior, fixed.first)
        assert not torch.equal(moving.interior, moving.first)

    def test_four_steps_are_two_and_two(self):
        """Points, projection and optimizer go on from the state of the objective."""
        whole = small(every=1)
        optimizer = torch.optim.Adam(whole.parameters(), lr=1e-2)
        states = []
        for _ in range(4):
            states.append(copy.deepcopy((whole.state_dict(), optimizer.state_dict())))
            optimizer.zero_grad()
            whole().total.backward()
            optimizer.step()
        resumed = small(every=1)
        optimizer = torch.optim.Adam(resumed.parameters(), lr=1e-2)
        resumed.load_state_dict(states[2][0])
        optimizer.load_state_dict(states[2][1])
        for _ in range(2):
            optimizer.zero_grad()
            resumed().total.backward()
            optimizer.step()
        for name, value in whole.state_dict().items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, resumed.state_dict()[name]), name

    def test_wrong_weights_are_refused(self):
        with pytest.raises(OptionError, match="equation, boundary, tv: got 0"):
            small(equation=0.0)
