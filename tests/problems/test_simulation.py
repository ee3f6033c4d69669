"""Simulated data: seeds, noise, patterns, provenance; in the plane and in space."""

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, OptionError
from eitdip.fem import CompleteElectrodeModel
from eitdip.fem.patterns import adjacent
from eitdip.mesh import Ball, Cylinder, Tank
from eitdip.phantoms import phantom
from eitdip.problems.simulate_bodies import refuse_inverse_crime, ring_patterns, simulate_dirichlet, simulate_electrodes
from tests.cases.measurements import TANK

DTN = {"order": 3, "moments": 8, "points": 64, "h": 0.2}
CYLINDER = Cylinder(0.1, 0.12, rings=2, electrodes=4, width=0.06, electrode_height=0.03)
BALL = Ball(0.1, rings=1, electrodes=5, electrode_radius=0.03)


@pytest.mark.usefixtures("gmsh")
class TestSimulation:
    def test_a_seed_repeats_the_noise(self):
        one, two, three = (simulate_electrodes(phantom("tank"), TANK, seed=s, h=0.3) for s in (1, 1, 2))
        assert np.array_equal(one.values, two.values) and np.array_equal(one.reference, two.reference)
        assert not np.array_equal(one.values, three.values)

    @pytest.mark.parametrize(
        "make",
        [
            lambda **more: simulate_electrodes(phantom("tank"), TANK, h=0.3, **more),
            lambda **more: simulate_dirichlet(phantom("three"), **DTN, **more),
            lambda **more: simulate_electrodes(phantom("two-balls"), CYLINDER, h=0.5, **more),
            lambda **more: simulate_dirichlet(phantom("two-balls"), Ball(1.0), order=2, moments=3, h=0.5, **more),
        ],
        ids=["cem", "dtn", "cem in space", "dtn in space"],
    )
    def test_the_noise_is_as_large_as_it_says(self, make):
        clean, noisy = make(noise=1e-12), make(noise=0.05)
        z = (noisy.values - clean.values) / noisy.deviation
        assert abs(z.mean()) < 4 / np.sqrt(z.size)
        assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
        assert np.allclose(noisy.deviation / clean.deviation, 0.05e12, rtol=1e-6)

    def test_the_noise_of_moments_is_that_of_sampled_fluxes(self, rng):
        """Of a homogeneous disk: cos n t has the flux n cos n t, sampled at 64 points with 5 % of its size."""
        deviation = simulate_dirichlet(phantom("homogeneous"), **DTN, noise=0.05).deviation
        angle = 2 * np.pi * np.arange(64) / 64
        waves = np.stack([f(n * angle) for n in range(1, 5) for f in (np.cos, np.sin)]) / np.sqrt(np.pi)
        for row, n in ((0, 1), (4, 3)):
            flux = n * waves[row]
            samples = flux + 0.05 * np.sqrt(np.mean(flux**2)) * rng.standard_normal((20_000, 64))
            moments = samples @ waves.T * (2 * np.pi / 64)
            np.testing.assert_allclose(moments.std(axis=0), n * 0.05 / 8, rtol=0.02)
            np.testing.assert_allclose(deviation[row], n * 0.05 / 8, rtol=0.01)

    def test_the_noise_of_voltages_is_a_share_of_the_size_of_their_excitation(self):
        found = simulate_electrodes(phantom("tank"), TANK, noise=0.02, h=0.3)
        clean = simulate_electrodes(phantom("tank"), TANK, noise=1e-9, h=0.3).values
        assert found.deviation[2, 0] == pytest.approx(0.02 * np.linalg.norm(clean[2]) / np.sqrt(8), rel=1e-6)
        # The empty tank is measured a hundred times: its noise has a tenth of the deviation.
        empty = simulate_electrodes(phantom("tank"), TANK, noise=1e-9, h=0.3).reference
        z = (found.reference - empty) / found.deviation
        assert z.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * z.size))

    def test_provenance_names_the_mesh(self):
        measurements = simulate_dirichlet(phantom("three"), **DTN, seed=3)
        found = measurements.provenance
        assert (found["phantom"], found["noise"], found["seed"], found["mesh_degree"]) == (
            "three",
            0.01,
            3,
            2,
        )
        domain = measurements.geometry.mesh(0.2, degree=2)
        assert found["mesh_hash"] == domain.hash
        with pytest.raises(InvalidDataError, match="inverse crime"):
            refuse_inverse_crime(measurements, domain)
        refuse_inverse_crime(measurements, measurements.geometry.mesh(0.25))

    def test_the_homogeneous_disk_is_its_own_reference(self):
        measurements = simulate_dirichlet(phantom("homogeneous"), **DTN, noise=1e-9)
        assert np.allclose(measurements.values, measurements.reference, atol=1e-6)
        n = np.repeat(np.arange(1, 4), 2)
        assert np.allclose(np.diag(measurements.reference[:, :6]), n, rtol=1e-2)  # eigenvalues of the DtN map

    @pytest.mark.parametrize("noise", [0.0, 1.0, -0.1, float("nan")])
    def test_noise_is_a_share(self, noise):
        with pytest.raises(OptionError, match="noise: got"):
            simulate_dirichlet(phantom("three"), **DTN, noise=noise)

    def test_moments_must_resolve_the_potentials(self):
        with pytest.raises(OptionError, match="moments, points"):
            simulate_dirichlet(phantom("three"), order=9, moments=8)


@pytest.mark.usefixtures("gmsh")
class TestSolids:
    @pytest.mark.parametrize("body", [CYLINDER, BALL], ids=["cylinder", "ball"])
    def test_electrodes(self, body):
        one = simulate_electrodes(phantom("two-balls"), body, h=0.4, background=0.3, seed=7)
        two = simulate_electrodes(phantom("two-balls"), body, h=0.4, background=0.3, seed=7)
        assert np.array_equal(one.values, two.values) and np.array_equal(one.reference, two.reference)
        assert one.geometry == body and one.sources.shape[1] == body.electrode_count
        np.testing.assert_allclose(one.contact_impedance, 0.01 * 0.1 / 0.3)
        domain = body.mesh(0.4 * 0.1)
        assert (one.provenance["mesh_hash"], one.provenance["mesh_degree"]) == (domain.hash, 1)
        with pytest.raises(InvalidDataError, match="inverse crime"):
            refuse_inverse_crime(one, domain)
        model = CompleteElectrodeModel(domain, one.sources, one.contact_impedance, one.moments)
        empty = model(np.full(len(domain.cells), 0.3))
        assert (np.abs(one.reference - empty) < 0.5 * one.deviation).all()  # a tenth of the deviation
        assert np.abs(empty - model(phantom("two-balls").on_domain(domain, 0.3))).max() > 3 * one.deviation.max()

    def test_the_truth_is_an_image_over_the_box(self):
        measurements = simulate_electrodes(phantom("two-balls"), CYLINDER, h=0.5, background=0.3)
        assert measurements.truth.shape == (38, 64, 64)  # 0.12 m by 0.2 m by 0.2 m
        assert np.isfinite(measurements.truth).mean() == pytest.approx(np.pi / 4, abs=0.01)
        np.testing.assert_allclose(np.unique(measurements.truth[np.isfinite(measurements.truth)]), [0.06, 0.3, 1.2])
        assert measurements.truth[23, 24, 45] == pytest.approx(1.2)  # z = 0.2, y = 0.25, x = 0.4 of the radius

    def test_the_homogeneous_ball_is_its_own_reference(self):
        measurements = simulate_dirichlet(
            phantom("homogeneous"), Ball(2.0), order=2, moments=3, background=3.0, noise=1e-9, h=0.25
        )
        assert measurements.values.shape == (8, 15)
        assert np.allclose(measurements.values, measurements.reference, atol=1e-6)
        exact = 3.0 * np.repeat([1, 2], [3, 5]) / 2.0  # sigma n / r
        assert np.allclose(np.diag(measurements.reference[:, :8]), exact, rtol=0.04)

    def test_a_cylinder_has_potentials_too(self):
        measurements = simulate_dirichlet(phantom("tank"), Cylinder(1.0, 1.0), order=1, moments=2, h=0.4)
        assert measurements.values.shape == (3, 8) and measurements.truth.shape == (32, 64, 64)

    def test_moments_must_resolve_the_potentials(self):
        for options in ({"order": 4, "moments": 3}, {"order": 2, "moments": 3, "points": 15}):
            with pytest.raises(OptionError, match="moments, points: got 3"):
                simulate_dirichlet(phantom("two-balls"), Ball(1.0), **options)

    def test_a_body_without_electrodes(self):
        for body in (Tank(1.0), Ball(1.0), Cylinder(1.0, 1.0)):
            with pytest.raises(OptionError, match="tank: got 0 electrodes, expected at least 2"):
                simulate_electrodes(phantom("homogeneous"), body)


class TestRingPatterns:
    def test_one_ring_is_adjacent(self):
        assert np.array_equal(ring_patterns(1, 6, skip=1), adjacent(6, skip=1))

    def test_two_rings_by_hand(self):
        found = ring_patterns(2, 3)
        pairs = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]
        assert [(int(row.argmax()), int(row.argmin())) for row in found] == pairs
        assert np.abs(found).sum() == 18 and not found.sum(axis=1).any()

    @pytest.mark.parametrize("rings", [1, 2, 3])
    def test_they_span_all_voltages(self, rings):
        assert np.linalg.matrix_rank(ring_patterns(rings, 4)) == 4 * rings - 1
