"""The complete electrode model against resistors and against the textbook's full system."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.sparse.linalg import spsolve

from eitdip.errors import InvalidDataError, LinearSolverError, NotPositiveError, OptionError, ShapeError
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent, against_one, trigonometric_currents
from eitdip.verify import convergence_order
from tests.cases.meshes import bar, curved, rectangle, ring_disk

LENGTH, WIDTH = 0.3, 0.05


def resistance(model: CompleteElectrodeModel, sigma) -> float:
    """Voltage between the ends of a bar over the current through it."""
    voltages = model(sigma)
    return float(voltages[0, 0] - voltages[0, 1]) / float(model.currents[0, 0])


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("impedance", [1e-5, 1e-3, 0.1, 10.0])
def test_bar_is_three_resistors_in_series(degree, impedance):
    domain = bar(12, 4, LENGTH, WIDTH)
    domain = domain if degree == 1 else curved(domain)
    model = CompleteElectrodeModel(domain, [[2.0, -2.0]], impedance)
    expected = LENGTH / (0.7 * WIDTH) + 2 * impedance / WIDTH
    assert resistance(model, np.full(len(domain.cells), 0.7)) == pytest.approx(expected, rel=1e-10)


def test_layered_bar_with_different_contacts():
    domain = bar(12, 3, LENGTH, WIDTH)
    layer = np.minimum((domain.centroids[:, 0] / LENGTH * 3).astype(int), 2)
    sigma, impedance = np.array([0.2, 5.0, 1.0]), np.array([0.01, 0.4])
    expected = (LENGTH / 3 / (sigma * WIDTH)).sum() + impedance.sum() / WIDTH
    model = CompleteElectrodeModel(domain, [[1.0, -1.0]], impedance)
    assert resistance(model, sigma[layer]) == pytest.approx(expected, rel=1e-10)


def test_bar_has_the_exact_derivative():
    """dR of a cell is -(current density)^2 / sigma^2 times its area."""
    domain = bar(6, 2, LENGTH, WIDTH)
    _, derivative = CompleteElectrodeModel(domain, [[1.0, -1.0]], 0.01, [[1.0, -1.0]]).linearize(
        np.full(len(domain.cells), 0.5)
    )
    np.testing.assert_allclose(derivative.dense()[0], -domain.cell_sizes / (0.5 * WIDTH) ** 2, rtol=1e-9)


def test_shunt_limit():
    """As z goes to 0 the ends are at one potential each, and the error falls linearly with z."""
    domain = rectangle(8, 8, tag=lambda m: np.where(m[:, 0] == 0, 1, np.where(m[:, 0] == 1, 2, 0)))
    impedances = np.array([1e-3, 1e-4, 1e-5])
    sigma = np.exp(domain.centroids[:, 1])
    values = [resistance(CompleteElectrodeModel(domain, [[1.0, -1.0]], z), sigma) for z in impedances]
    shunt = 1 / (np.e - 1)  # layers in parallel
    errors = np.array(values) - shunt
    assert (errors > 0).all()
    assert errors[-1] < 3e-3 * shunt  # what is left is the averaging of exp over a cell


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e3])
def test_a_contact_impedance_beyond_double_precision_is_refused(unit):
    """What counts is z sigma over the size: voltages are off by eps over that, a third at 1e-16."""
    domain, sigma = ring_disk(4, 8), 1 / unit
    voltages = {}
    for z in (1e-8, 1e-12, 1e-13, 1e-16):
        model = CompleteElectrodeModel(domain, adjacent(8), z * unit, adjacent(8))
        x = np.full(len(domain.cells), sigma)
        if z > 5e-13:
            voltages[z] = model(x) / unit
        else:
            with pytest.raises(LinearSolverError, match=r"contact_impedance: electrode \d has .* too small for double"):
                model(x)
    np.testing.assert_allclose(voltages[1e-12], voltages[1e-8], rtol=0, atol=1e-4 * np.abs(voltages[1e-8]).max())


def full_system(domain, sigma, impedance, currents):
    """Electrode voltages from the bordered system of Somersalo, Cheney, Isaacson, straight cells only."""
    corners = domain.points[domain.cells]
    normal = np.roll(corners, -1, axis=1) - np.roll(corners, 1, axis=1)  # grad phi_i = normal_i rotated / 2 area
    local = np.einsum("cix,cjx->cij", normal, normal) * (sigma / (4 * domain.cell_sizes))[:, None, None]
    count, size = domain.electrode_count, len(domain.points)
    matrix = np.zeros((size + count + 1,) * 2)
    for nodes, block in zip(domain.cells, local, strict=True):
        matrix[np.ix_(nodes, nodes)] += block
    for (i, j), tag, length in zip(domain.facets, domain.facet_tags, domain.facet_sizes, strict=True):
        if tag:
            scale, electrode = length / impedance[tag - 1], size + tag - 1
            matrix[np.ix_([i, j], [i, j])] += scale / 6 * np.array([[2, 1], [1, 2]])
            matrix[[i, j], electrode] -= scale / 2
            matrix[electrode, [i, j]] -= scale / 2
            matrix[electrode, electrode] += scale
    matrix[-1, size:-1] = matrix[size:-1, -1] = 1
    right = np.zeros((size + count + 1, len(currents)))
    right[size:-1] = currents.T
    return spsolve(sparse.csc_array(matrix), right)[size:-1].T


def test_agrees_with_the_full_system(rng):
    domain = ring_disk(4, 8, covered=2 / 3)
    sigma, impedance = rng.uniform(0.3, 3.0, len(domain.cells)), rng.uniform(0.01, 1.0, 8)
    currents = trigonometric_currents(8)
    voltages = CompleteElectrodeModel(domain, currents, impedance)(sigma)
    expected = full_system(domain, sigma, impedance, currents)
    np.testing.assert_allclose(voltages, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_voltages_converge_under_refinement():
    rings = np.array([6, 12, 24, 48])
    values = []
    for k in rings:
        domain = ring_disk(k, 6, covered=0.5)
        model = CompleteElectrodeModel(domain, trigonometric_currents(6)[:2], 0.2)
        values.append(model(np.ones(len(domain.cells))))
    differences = [np.abs(after - before).max() for before, after in pairwise(values)]
    assert convergence_order(1 / rings[1:], differences).min() >= 1.3  # 2, less the electrodes' ends
    assert differences[-1] < 2e-3 * np.abs(values[-1]).max()


class TestPatterns:
    """Current patterns in common use."""

    @pytest.mark.parametrize("skip", [0, 1, 6])
    def test_adjacent(self, skip):
        patterns = adjacent(8, skip)
        assert patterns.shape == (8, 8)
        for k, pattern in enumerate(patterns):
            assert pattern[k] == 1 and pattern[(k + 1 + skip) % 8] == -1
            assert np.abs(pattern).sum() == 2

    def test_adjacent_refuses_to_return_to_the_source(self):
        with pytest.raises(OptionError, match=r"skip: got 7, expected 0\.\.6 for 8 electrodes"):
            adjacent(8, 7)

    def test_against_one(self):
        np.testing.assert_array_equal(against_one(3, 1), [[1, -1, 0], [0, -1, 1]])

    @pytest.mark.parametrize("count", [2, 7, 16])
    def test_trigonometric_currents_are_orthogonal(self, count):
        patterns = trigonometric_currents(count)
        assert patterns.shape == (count - 1, count)
        gram = patterns @ patterns.T
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
        assert np.diag(gram).min() >= count / 2 - 1e-12
        np.testing.assert_allclose(patterns.sum(axis=1), 0, atol=1e-12)


class TestErrors:
    """Each wrong argument is named."""

    domain = ring_disk(4, 8)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            (([[1.0, -1.0]], 0.1), ShapeError, r"currents: got shape \(1, 2\), expected .*8 electrodes"),
            ((np.eye(8)[0] - np.eye(8)[1], 0.1), ShapeError, r"currents: got shape \(8,\)"),
            ((np.eye(8), 0.1), InvalidDataError, r"currents: pattern 0 sums to 1, expected 0"),
            ((adjacent(8) * np.nan, 0.1), InvalidDataError, "currents: pattern 0 is not finite"),
            ((adjacent(8), np.ones(7)), ShapeError, r"contact_impedance: got shape \(7,\), expected \(8,\)"),
            ((adjacent(8), 0.0), NotPositiveError, "contact_impedance: electrode 1 has 0, expected > 0"),
            (
                (adjacent(8), np.where(np.arange(8) == 4, np.nan, 1)),
                NotPositiveError,
                "electrode 5 has nan",
            ),
            ((adjacent(8), 0.1, np.eye(7)), ShapeError, r"measurements: got shape \(7, 7\)"),
            (
                (adjacent(8), 0.1, np.full((2, 8), np.inf)),
                InvalidDataError,
                "measurements: pattern 0 is not finite",
            ),
            ((adjacent(8), 0.1, None, "faces"), OptionError, "expected one of: cells, vertices"),
        ],
    )
    def test_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            CompleteElectrodeModel(self.domain, *arguments)

    def test_a_domain_without_electrodes(self):
        with pytest.raises(InvalidDataError, match="got 0 tagged electrodes, expected at least 2"):
            CompleteElectrodeModel(ring_disk(4), np.zeros((1, 0)), 0.1)


def test_transfer_matrices_give_the_voltages_of_any_patterns():
    domain = ring_disk(4, 8)
    currents = np.eye(8)[:3] - np.eye(8)[1:4]
    patterns = np.eye(8)[:4] - np.eye(8)[4:]
    model = CompleteElectrodeModel(domain, currents, 1e-3, patterns)
    sigmas = np.exp(np.random.default_rng(0).standard_normal((3, len(domain.cells))))
    transfer = model.transfer(sigmas)
    assert transfer.shape == (3, 8, 8)
    for matrix, sigma in zip(transfer, sigmas, strict=True):
        assert_allclose(currents @ matrix @ patterns.T, model(sigma), rtol=1e-10, atol=1e-12)
        assert_allclose(matrix, matrix.T, rtol=1e-12)
        assert_allclose(matrix.sum(axis=0), 0, atol=1e-10)
    with pytest.raises(ShapeError, match=r"conductivities: got shape \(\d+,\), expected \(B, "):
        model.transfer(sigmas[0])
    with pytest.raises(NotPositiveError):
        model.transfer(-sigmas)
