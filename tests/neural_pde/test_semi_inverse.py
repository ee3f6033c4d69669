"""The semi-inverse problem: derivatives recovered from nodes, an exact solution, resumption."""

import copy

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.networks.potentials import SmoothNetwork
from eitdip.neural_pde.bar_sochen import PRESETS, Weights, paper_network
from eitdip.neural_pde.fields import Conductivity, drawn
from eitdip.neural_pde.semi_inverse import InteriorData, SemiInverse, recovered
from eitdip.parameterization import Exp


def exact_data(count: int = 800) -> InteriorData:
    """sigma = exp(x) conserves the currents of y, exp(-x) and x - y^2 / 2."""
    points = 2 * torch.rand(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    x, y = points.T
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    parts = [
        [y, (-x).exp(), x - y**2 / 2],
        [zero, -(-x).exp(), one],
        [one, zero, -y],
        [zero, (-x).exp(), -one],
    ]
    angle = 2 * torch.pi * torch.arange(40, dtype=torch.float64) / 40
    boundary = torch.stack([angle.cos(), angle.sin()], dim=1)
    return InteriorData(points, torch.stack([torch.stack(p, dim=1) for p in parts]), boundary, boundary[:, 0].exp())


class ExactField(torch.nn.Module):
    """sigma = exp(x) as a raw network output x."""

    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(2, 1, dtype=torch.float64)
        with torch.no_grad():
            self.output.weight.copy_(torch.tensor([[1.0, 0.0]]))
            self.output.bias.zero_()

    def forward(self, x):
        return x.linear(self.output.weight, self.output.bias)


def problem(network=None, **options) -> SemiInverse:
    if network is None:
        network = drawn(SmoothNetwork(1, (16, 16)), torch.Generator().manual_seed(0), torch.float64)
    cells = torch.tensor([[-0.5, 0.2], [0.0, 0.0], [0.6, -0.3]], dtype=torch.float64)
    return SemiInverse(Conductivity(network, Exp(1.0)), exact_data(), cells, **({"batch": 200} | options))


class TestRecovery:
    """Cubic fits around points."""

    def test_is_exact_for_cubics(self, rng):
        nodes, points = rng.uniform(-1, 1, (400, 2)), rng.uniform(-0.8, 0.8, (50, 2))
        x, y = points.T
        values = np.stack([nodes[:, 0] ** 2 * nodes[:, 1], nodes[:, 1] ** 3 + 2], axis=1)
        parts = recovered(nodes, values, points, neighbours=20)
        expected = [[x**2 * y, y**3 + 2], [2 * x * y, 0 * x], [x**2, 3 * y**2], [2 * y, 6 * y]]
        np.testing.assert_allclose(parts, np.transpose(expected, (0, 2, 1)), atol=1e-7)

    def test_converges(self, rng):
        """Laplacians of a cubic fit: second order, so a quarter of the error on half the distance."""
        points = rng.uniform(-0.5, 0.5, (60, 2))
        errors = []
        for count in (21, 41):
            axis = np.linspace(-1, 1, count)
            nodes = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
            values = np.sin(3 * nodes[:, :1]) * np.exp(nodes[:, 1:])
            laplacian = -8 * np.sin(3 * points[:, 0]) * np.exp(points[:, 1])
            errors.append(np.abs(recovered(nodes, values, points, 25)[3, :, 0] - laplacian).max())
        assert errors[1] < errors[0] / 3

    def test_needs_neighbours(self):
        with pytest.raises(OptionError, match="neighbours: got 10 of 40 nodes"):
            recovered(np.zeros((40, 2)), np.zeros((40, 1)), np.zeros((1, 2)), neighbours=10)


class TestSemiInverse:
    """Potentials to a conductivity."""

    def test_the_truth_has_no_residual(self):
        terms = problem(ExactField(), weights=Weights(variation=1.0))()
        assert set(terms.losses) == {"equation", "worst", "rim", "variation"}
        for name in ("equation", "worst", "rim"):
            assert float(terms.losses[name].detach()) < 1e-12
        # |grad exp(x)| = exp(x), over the mean conductivity of the boundary, I_0(1).
        assert float(terms.losses["variation"].detach()) == pytest.approx(np.sinh(1) / 1.2660659, rel=0.1)

    def test_finds_an_exact_conductivity(self):
        objective = problem(weights=Weights(equation=1.0, worst=0.01, rim=1.0, variation=1e-4))
        optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
        for _ in range(400):
            optimizer.zero_grad()
            terms = objective()
            terms.total.backward()
            optimizer.step()
            schedule.step()
        truth = np.exp([-0.5, 0.0, 0.6])
        assert np.linalg.norm(terms.x.numpy() - truth) < 0.02 * np.linalg.norm(truth)
        assert np.isnan(terms.chi2)

    def test_paper_preset_and_network(self):
        generator = torch.Generator().manual_seed(3)
        network = paper_network(1, generator, torch.float64)
        widths = [tuple(p.shape) for p in network.parameters()]
        assert widths == [(26, 2), (26,), (26, 26), (26,), (26, 26), (26,), (10, 26), (10,), (1, 10), (1,)]
        entries = torch.cat([p.detach().flatten() for p in network.parameters()])
        assert 0.9 < float(entries.std()) < 1.1 and abs(float(entries.mean())) < 0.1
        paper = PRESETS["paper"]
        numbers = (paper.equation, paper.worst, paper.variation, paper.count, paper.power, paper.decay, paper.rim)
        assert numbers == (0.01, 0.01, 0.01, 40, 1.0, 1e-8, 1.0)
        field = Conductivity(network, None)
        cells = torch.zeros(1, 2, dtype=torch.float64)
        objective = SemiInverse(field, exact_data(), cells, batch=200, floor=0.1)
        terms = objective()
        assert {"decay", "floor"} <= set(terms.losses)
        decay = 0.5e-8 * float((entries**2).sum())
        assert float(terms.losses["decay"].detach()) == pytest.approx(decay)
        sigma = field(exact_data().points[objective._chosen]).value.detach()
        assert float(terms.losses["floor"].detach()) == pytest.approx(
            float((0.1 - sigma).clamp(min=0).mean()) / float(exact_data().sigma.mean())
        )

    def test_four_steps_are_two_and_two(self):
        whole = problem()
        optimizer = torch.optim.Adam(whole.parameters())
        states = []

        def step(objective, optimizer):
            optimizer.zero_grad()
            objective().total.backward()
            optimizer.step()

        for _ in range(4):
            states.append(copy.deepcopy((whole.state_dict(), optimizer.state_dict())))
            step(whole, optimizer)
        resumed = problem(seed=5)
        optimizer = torch.optim.Adam(resumed.parameters())
        resumed.load_state_dict(states[2][0])
        optimizer.load_state_dict(states[2][1])
        step(resumed, optimizer)
        step(resumed, optimizer)
        assert torch.equal(whole._chosen, resumed._chosen)
        for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
            assert torch.equal(a, b)

    def test_batches_change_only_in_training(self):
        objective = problem()
        first = objective._chosen
        objective.estimate()
        assert objective._chosen is first
        objective()
        assert not torch.equal(objective._chosen, first)

    def test_wrong_input_is_refused(self):
        data = exact_data()
        with pytest.raises(OptionError, match=r"batch: got 801, expected 40 \(count of the worst\) to 800"):
            problem(batch=801)
        with pytest.raises(OptionError, match="unknown preset: got 'best'"):
            problem(weights="best")
        with pytest.raises(ShapeError, match="values, first derivatives and Laplacians"):
            InteriorData(data.points, data.potentials[:3], data.boundary, data.sigma)
        with pytest.raises(ShapeError, match=r"boundary: got shape \(40, 2\), expected \(39, 2\)"):
            InteriorData(data.points, data.potentials, data.boundary, data.sigma[1:])
