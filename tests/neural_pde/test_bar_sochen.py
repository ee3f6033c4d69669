"""The loss of Bar and Sochen: its terms, its reweighted least squares, the forward and the full problem."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError
from eitdip.networks.jets import Jet
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.bar_sochen import PRESETS, BarSochen, Prior, Weights, largest, paper_network
from eitdip.neural_pde.collocation import Sampling
from eitdip.neural_pde.disk import DirichletDisk
from eitdip.neural_pde.fields import Conductivity, HardPotentials, SoftPotentials, drawn
from eitdip.objective.misfit import LeastSquares
from eitdip.parameterization import Exp
from tests.neural_pde.radial import Exact, Inclusion

ORDERS = 3


def small(potentials="hard", network=None, field=None, orders=ORDERS, dtype=torch.float64, **options) -> BarSochen:
    """An inclusion of contrast 3 in the unit disk, 1 % noise units."""
    identity = np.eye(2 * orders)
    data = np.diag(np.repeat(Exact(Inclusion(), orders).eigenvalues, 2))
    generator = torch.Generator().manual_seed(0)
    disk = DirichletDisk(identity, identity, dtype=dtype)
    if network is None:
        network = drawn(SmoothNetwork(2 * orders, (16, 24)), generator, dtype)
    if field is None:
        field = Conductivity(drawn(SmoothNetwork(1, (8, 8)), generator, dtype), Exp(1.0))
    return BarSochen(
        HardPotentials(disk, network) if potentials == "hard" else SoftPotentials(network),
        disk=disk,
        conductivity=field,
        misfit=LeastSquares(data, 0.01 * np.linalg.norm(data, axis=1, keepdims=True) * np.ones_like(data)),
        cells=torch.tensor([[0.0, 0.0], [0.9, 0.0]]),
        sampling=Sampling(options.pop("points", 200), 64, every=0),
        **options,
    )


class TestTerms:
    """Each term against its definition."""

    def test_largest(self):
        errors = torch.tensor([[1.0, 0.0], [-3.0, 0.5], [2.0, -0.1], [0.0, 0.2]])
        assert float(largest(errors, 2)) == pytest.approx((3 + 2 + 0.5 + 0.2) / 4)

    def test_prior(self):
        """Slopes (3, 4) and (0, 0); background 2."""
        sigma = Jet(torch.tensor([[1.0, 5.0], [3.0, 0.0], [4.0, 0.0]])[..., None], 2)
        edge = torch.tensor([2.0, 2.5, 1.0])
        losses = Prior(2.0, 2.0, 1.5).losses(Weights(variation=1.0, power=2.0, rim=3.0, floor=5.0), sigma, edge)
        assert float(losses["variation"]) == pytest.approx(2.5**2 / 2)
        assert float(losses["rim"]) == pytest.approx(3 * (0.5 + 1) / 3 / 2)
        assert float(losses["floor"]) == pytest.approx(5 * 0.25 / 2)
        assert set(Prior().losses(Weights(), sigma, edge)) == {"variation"}

    def test_flat_conductivities_have_a_finite_gradient(self):
        """The variation has a kink there, which is where every run starts."""
        objective = small()
        objective().total.backward()
        for parameter in objective.parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all()

    def test_the_loss_at_the_true_fields(self):
        """Potentials of the homogeneous disk, its moments: every term is 0."""
        objective = small(project=False)
        objective._measured.copy_(torch.diag(torch.tensor([1.0, 1, 2, 2, 3, 3])))
        terms = objective()
        assert set(terms.losses) == {"misfit", "equation", "worst", "variation"}
        assert float(terms.total.detach()) < 1e-9

    @pytest.mark.parametrize("potentials", ["hard", "soft"])
    def test_squares_have_the_slopes_of_the_loss(self, potentials):
        """At the errors that the factors were taken from; potentials and conductivity are random."""
        objective = small(potentials, project=False, weights=Weights(variation=0.0, worst=0.3, count=20))
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for output in (objective.potentials.network.output, objective.conductivity.network.output):
                output.weight.normal_(generator=generator)
        output = objective.potentials.network.output.weight
        losses, _ = objective.losses()
        (slopes,) = torch.autograd.grad(sum(losses.values()), output)
        sigma = objective.conductivity(objective.interior)
        rim = objective.conductivity.values(objective.boundary)[:, None]
        errors = {name: c.error() for name, c in objective.conditions(sigma, rim).items()}
        factors = {name: factor.detach() for name, factor in objective.factors(errors).items()}
        squares = sum((factors[name] * error).square().sum() for name, error in errors.items())
        (expected,) = torch.autograd.grad(squares, output)
        assert ("boundary" in errors) == (potentials == "soft")
        # Errors below a hundredth of the noise count as that in the squares.
        torch.testing.assert_close(slopes, expected, rtol=1e-3, atol=1e-3 * float(slopes.abs().max()))

    def test_the_output_layer_is_nearly_optimal(self):
        """After the reweightings the loss has little slope left along it."""
        objective = trained(small(weights=Weights(variation=0.0)), 3)
        objective.potentials.network.output.requires_grad_(True)
        losses, _ = objective.losses()
        best = float(sum(losses.values()).detach())
        objective.project = False
        with torch.no_grad():
            for factor in (0.97, 1.03):
                output = objective.potentials.network.output.weight
                output *= factor
                assert float(sum(objective.losses()[0].values())) > best
                output /= factor


def trained(objective, steps: int, rate: float = 1e-2):
    optimizer = torch.optim.Adam(objective.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        objective().total.backward()
        optimizer.step()
    return objective


class TestProblems:
    """The forward problem, and the full one."""

    def test_potentials_of_a_known_conductivity(self):
        """Contrast 3 with a rim 0.06 wide. Measured: 0.4 %."""
        dtype, orders = torch.float32, 8
        network = SmoothNetwork(2 * orders, (64, 64, 128), features=32, frequency=0.6)
        network = drawn(network, torch.Generator().manual_seed(0), dtype)
        weights = Weights(equation=1e6, worst=1e4, variation=0.0)
        objective = small("hard", network, Inclusion(), orders, dtype, weights=weights, points=1024)
        trained(objective, 30, 5e-3)
        objective()
        points = objective.disk.interior(2000, torch.Generator().manual_seed(7))
        truth = Exact(Inclusion(), orders).potentials(points.double().numpy())
        with torch.no_grad():
            u = objective.potentials(Jet.coordinates(points, laplacian=False)).value.numpy()
        assert np.linalg.norm(u - truth) < 0.01 * np.linalg.norm(truth)

    def test_an_inclusion_is_found(self):
        """Its boundary conductivity is known."""
        objective = trained(small(weights=Weights(variation=0.1), prior=Prior(rim=1.0)), 120, 2e-2)
        terms = objective()
        inside, outside = terms.x.tolist()
        assert terms.chi2 < 20  # 900 for the empty disk
        assert inside > 1.5 and outside == pytest.approx(1, abs=0.15)

    def test_paper_preset_takes_steps(self):
        """All of it is trained, in plain units, with a conductivity that nothing keeps positive."""
        generator = torch.Generator().manual_seed(0)
        network = paper_network(2 * ORDERS, generator, torch.float64)
        field = Conductivity(paper_network(1, generator, torch.float64), None)
        prior = Prior(rim=1.0, floor=0.1)
        objective = small("soft", network, field, weights="paper", project=False, prior=prior)
        names = {"misfit", "equation", "worst", "boundary", "variation", "rim", "floor", "decay"}
        assert set(objective().losses) == names
        assert PRESETS["paper"].noise_units is False
        first, last = (float(trained(objective, steps, 5e-3)().total.detach()) for steps in (1, 60))
        assert last < 0.5 * first

    def test_wrong_weights_are_refused(self):
        with pytest.raises(OptionError, match="count: got 300 of 200 points"):
            small(weights=Weights(count=300))
        with pytest.raises(OptionError, match="unknown preset: got 'best', expected one of: balanced, paper"):
            small(weights="best")
        for wrong in ({"equation": 0.0}, {"power": 0.5}, {"rim": -1.0}, {"count": 0}):
            with pytest.raises(OptionError, match="weights: got"):
                Weights(**wrong)
